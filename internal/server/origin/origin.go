// Package origin tells where a request came from: the address past the proxies that the operator trusts, and the client
// certificate of the connection. Nothing else in Kontor believes X-Forwarded-For; Forwarded is believed by nobody.
package origin

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
)

// Header is the header, and in small letters the metadata, in which proxies tell whom they speak for.
const Header = "X-Forwarded-For"

// Origin is where a request came from.
type Origin struct {
	// Address is the caller's, as far as those can be believed who told it. The zero address is not known: a
	// connection without one, or a trusted proxy that told something else.
	Address netip.Addr
	// Certificate is the SHA-256 of the client certificate that the connection came with and that was verified; nil
	// without one. Behind a proxy that ends TLS it is the proxy's own.
	Certificate *[sha256.Size]byte
}

// String gives the address, "unknown" where there is none.
func (o Origin) String() string {
	if !o.Address.IsValid() {
		return "unknown"
	}
	return o.Address.String()
}

type key struct{}

// With attaches where a request came from.
func With(ctx context.Context, o Origin) context.Context { return context.WithValue(ctx, key{}, o) }

// From gives what With attached; the zero Origin when nothing was.
func From(ctx context.Context) Origin {
	o, _ := ctx.Value(key{}).(Origin)
	return o
}

// Proxies are the networks of the proxies whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// Trust tells whether an address is one of the proxies'. An IPv4 address that is written as IPv6 counts as IPv4.
func (p Proxies) Trust(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, network := range p {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// Of gives where a request came from. Remote is the other end of its connection, "address:port". Forwarded are the
// values of X-Forwarded-For in their order, each a list of hops; every proxy appended the hop that it saw. State is the
// connection's, nil for plain text.
func (p Proxies) Of(remote string, forwarded []string, state *tls.ConnectionState) Origin {
	return Origin{Address: p.address(remote, forwarded), Certificate: fingerprint(state)}
}

// address goes back hop by hop for as long as a proxy told it that is trusted, and gives the first hop that is none.
// What stands to the left of that hop is the caller's own invention. A hop that is no address was told by a proxy that
// is trusted, so it is not passed over: then nobody knows.
func (p Proxies) address(remote string, forwarded []string) netip.Addr {
	at := hop(remote)
	for _, list := range slices.Backward(forwarded) {
		for rest, more := list, true; more; {
			if !at.IsValid() || !p.Trust(at) {
				return at
			}
			last := rest
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, last = rest[:comma], rest[comma+1:]
			} else {
				more = false
			}
			at = hop(strings.Trim(last, " \t"))
		}
	}
	return at
}

// hop reads an address, with or without a port. Zones are of no use beyond the machine that they are from.
func hop(text string) netip.Addr {
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		port, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		address = port.Addr()
	}
	return address.Unmap().WithZone("")
}

// fingerprint is that of the certificate that a caller proved to have, and that an authority vouches for.
func fingerprint(state *tls.ConnectionState) *[sha256.Size]byte {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return nil
	}
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	return &sum
}
