package guard

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"google.golang.org/grpc/metadata"

	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/slot"
)

// Metadata and headers that callers send, by their names in metadata.
const (
	keyAuthorization  = "authorization"
	keyRequestID      = "x-request-id"
	keyPSUIP          = "psu-ip-address"
	keyIdempotencyKey = "idempotency-key"
	keyIfMatch        = "if-match"
	keyLastEventID    = "last-event-id"
	keyTraceparent    = "traceparent"
	keyTracestate     = "tracestate"
)

// heeded are the headers that mean something, with the length of the longest value that is taken. One that cannot be
// taken is refused: a key that was dropped on the way would let a repeated request take effect twice.
var heeded = []struct {
	key     string
	longest int
}{
	{keyAuthorization, maxAuthorization},
	{keyRequestID, maxRequestID},
	{keyPSUIP, 100},
	{keyIdempotencyKey, 255},
	{keyIfMatch, 255},
	{keyLastEventID, 500},
}

// maxAuthorization is the length of the longest authorization: the longest key or token, and the word before it.
const maxAuthorization = maxKey + 16

// headersOf gives the headers of an HTTP request that are of interest, as metadata.
func headersOf(header http.Header) metadata.MD {
	md := make(metadata.MD, len(picked))
	for _, p := range picked {
		if values := header[p.name]; len(values) > 0 {
			md[p.key] = values
		}
	}
	return md
}

// picked are the headers that are of interest, by their names in metadata and in http.Header. To make the latter for
// each request costs an allocation for each of them.
var picked = newPicked()

func newPicked() (all []struct{ key, name string }) {
	keys := []string{keyTraceparent, keyTracestate}
	for _, h := range heeded {
		keys = append(keys, h.key)
	}
	for _, key := range keys {
		all = append(all, struct{ key, name string }{key, http.CanonicalHeaderKey(key)})
	}
	return all
}

// checkHeaders refuses headers that cannot be taken: such as are there twice, too long, or not printable.
func checkHeaders(md metadata.MD) error {
	for _, h := range heeded {
		values := md.Get(h.key)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 {
			return kerr.InvalidField(h.key, "must be there only once")
		}
		value := values[0]
		switch h.key {
		case keyIdempotencyKey:
			if key := keyWithin(value); len(key) > h.longest || key == "" || !printable(withoutBlanks(key)) {
				return kerr.InvalidField(h.key, fmt.Sprintf("must be 1 to %d printable characters (ASCII)", h.longest))
			}
			continue
		case keyAuthorization, keyIfMatch:
			value = withoutBlanks(value)
		}
		if len(values[0]) > h.longest || !printable(value) {
			return kerr.InvalidField(h.key, fmt.Sprintf(
				"must be printable ASCII without blanks, of at most %d characters",
				h.longest))
		}
	}
	return nil
}

// keyWithin gives the idempotency key in a header's value. HTTP drops the blanks around a value, so they are no part of
// the key over gRPC either; those within are.
func keyWithin(value string) string { return strings.Trim(value, " ") }

// withoutBlanks leaves blanks out: there are headers that may hold some.
func withoutBlanks(value string) string {
	out := make([]byte, 0, len(value))
	for i := range len(value) {
		if value[i] != ' ' {
			out = append(out, value[i])
		}
	}
	return string(out)
}

// printable tells whether a text is printable ASCII without blanks.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// companions is what travels beside a request.
type companions struct {
	psuIP, idempotencyKey, lastEventID, ifMatch string
}

// companionsOf takes over what travels beside a request, from headers that were checked.
func companionsOf(md metadata.MD) (companions, error) {
	c := companions{
		psuIP: only(md, keyPSUIP), idempotencyKey: keyWithin(only(md, keyIdempotencyKey)),
		lastEventID: only(md, keyLastEventID),
	}
	if c.psuIP != "" {
		addr, err := netip.ParseAddr(c.psuIP)
		if err != nil || addr.Zone() != "" {
			return companions{}, kerr.InvalidField(keyPSUIP, "must be an IPv4 or IPv6 address")
		}
		c.psuIP = addr.Unmap().String()
	}
	var ok bool
	if c.ifMatch, ok = etagOf(only(md, keyIfMatch)); !ok {
		return companions{}, kerr.InvalidField(keyIfMatch, "must be one etag, or *")
	}
	return c, nil
}

// etagOf gives the etag that If-Match names, with or without the quotes that HTTP wants; empty for any.
func etagOf(header string) (etag string, ok bool) {
	etag = strings.Trim(header, " ")
	if etag == "*" {
		return "", true
	}
	if unquoted, quoted := strings.CutPrefix(etag, `"`); quoted {
		if etag, quoted = strings.CutSuffix(unquoted, `"`); !quoted || etag == "" {
			return "", false
		}
	}
	return etag, !strings.ContainsAny(etag, `",`)
}

// only gives the value of a key, empty when there is none.
func only(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// attach puts what travels beside a request, and who called, into the context that the service gets.
func (c *call) attach() {
	ctx := identity.WithCall(c.ctx, identity.Call{
		Client: c.client, RequestID: c.requestID, Peer: c.from, Trail: &identity.Trail{},
		IdempotencyKey: c.idempotencyKey, LastEventID: c.lastEventID, IfMatch: c.ifMatch,
	})
	if c.client.ClientID != "" {
		ctx = providers.WithCall(ctx, providers.Call{PSUIP: c.psuIP, RequestID: c.requestID})
	}
	if c.slot != nil {
		ctx = slot.With(ctx, c.slot)
	}
	c.ctx = ctx
}
