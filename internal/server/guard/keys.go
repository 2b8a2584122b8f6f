package guard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/server/origin"
)

// Authenticator finds out who calls.
type Authenticator interface {
	// Authenticate gives the client for the values of the metadata or header `authorization`; package origin tells
	// where from the call came. Whatever its error says is for the log: the caller sees UNAUTHENTICATED. It holds
	// nothing of a key or token.
	Authenticate(ctx context.Context, authorization []string) (identity.Identity, error)
}

// Keys authenticates clients by the keys of the configuration, sent as `Bearer <key>`, and by what goes with them: a
// date on which they end, the networks that they come from, the client certificate beside them.
type Keys struct {
	current atomic.Pointer[[]*entry]
}

// entry is one key.
type entry struct {
	sum      [sha256.Size]byte
	client   config.Client
	identity identity.Identity
	lease    *lease
}

// lease is what streams hang on: it ends when their key, or the issuer of their tokens, is taken from the
// configuration, or some of its rights.
type lease struct {
	ctx context.Context //nolint:containedctx // its end is the lease's, and costs no goroutine for each stream
	end context.CancelFunc
}

// NewKeys takes the clients of a configuration. Each may have several keys.
func NewKeys(clients []config.Client) *Keys {
	k := &Keys{}
	k.Replace(clients)
	return k
}

// Replace takes the clients of another configuration in place of those before. The streams of a key end with
// UNAUTHENTICATED when it is gone, or when it lost a right; those of all others go on, as do calls under way.
func (k *Keys) Replace(clients []config.Client) {
	var before []*entry
	if all := k.current.Load(); all != nil {
		before = *all
	}
	kept := map[*lease]bool{}
	entries := []*entry{}
	for _, client := range clients {
		for _, sum := range client.Keys {
			e := &entry{sum: sum, client: client}
			at := slices.IndexFunc(before, func(b *entry) bool { return b.sum == sum && e.covers(b) })
			if at >= 0 {
				e.lease = before[at].lease
				kept[e.lease] = true
			} else {
				ctx, end := context.WithCancel(context.Background())
				e.lease = &lease{ctx, end}
			}
			e.identity = identity.Identity{
				ClientID: client.ID, Tenant: client.Tenant, Scopes: client.Scopes, Expires: client.Expires,
				Key:   hex.EncodeToString(sum[:8]),
				OnEnd: func(do func()) (stop func() bool) { return context.AfterFunc(e.lease.ctx, do) },
			}
			entries = append(entries, e)
		}
	}
	k.current.Store(&entries)
	for _, b := range before {
		if !kept[b.lease] {
			b.lease.end()
		}
	}
}

// covers tells whether a key may still do all that it could before, so that its streams can go on.
func (e *entry) covers(before *entry) bool {
	now, then := e.client, before.client
	had := identity.Identity{Scopes: now.Scopes}
	return now.ID == then.ID && now.Tenant == then.Tenant && now.Expires.Equal(then.Expires) &&
		slices.Equal(now.Addresses, then.Addresses) && slices.Equal(now.Certificates, then.Certificates) &&
		!slices.ContainsFunc(then.Scopes, func(scope string) bool { return !had.Allows(scope) })
}

// errNoClient says that somebody else may know the bearer.
var errNoClient = errors.New("no client has this key")

// Authenticate implements Authenticator. It takes as long for a wrong key as for a right one.
func (k *Keys) Authenticate(ctx context.Context, authorization []string) (identity.Identity, error) {
	key, err := bearer(authorization)
	if err != nil {
		return identity.Identity{}, err
	}
	sum := sha256.Sum256([]byte(key))
	entries, found := *k.current.Load(), -1
	for i := range entries {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], entries[i].sum[:]), i, found)
	}
	if found < 0 {
		return identity.Identity{}, errNoClient
	}
	e := entries[found]
	if err := e.accepts(origin.From(ctx), time.Now()); err != nil {
		return identity.Identity{}, fmt.Errorf("client %s: %w", e.client.ID, err)
	}
	return e.identity, nil
}

// Why a key that is known is refused.
var (
	errKeyExpired     = errors.New("its key has expired")
	errAddress        = errors.New("its key comes from an address that is not on its list")
	errNoCertificate  = errors.New("its key came without a client certificate")
	errNotCertificate = errors.New("its key came with another client certificate")
)

// accepts tells why a key is not taken now and from there, nil when it is.
func (e *entry) accepts(from origin.Origin, now time.Time) error {
	c := e.client
	switch {
	case !c.Expires.IsZero() && !now.Before(c.Expires):
		return errKeyExpired
	case len(c.Addresses) > 0 &&
		!slices.ContainsFunc(c.Addresses, func(n netip.Prefix) bool { return n.Contains(from.Address) }):
		return errAddress
	case len(c.Certificates) > 0 && from.Certificate == nil:
		return errNoCertificate
	case len(c.Certificates) > 0 && !slices.Contains(c.Certificates, *from.Certificate):
		return errNotCertificate
	}
	return nil
}

// Expiring tells which clients' keys end within a time from now on, or have ended, and when.
func (k *Keys) Expiring(within time.Duration) map[string]time.Time {
	ending := map[string]time.Time{}
	for _, e := range *k.current.Load() {
		if end := e.client.Expires; !end.IsZero() && time.Until(end) < within {
			ending[e.client.ID] = end
		}
	}
	return ending
}

// maxKey is the length of the longest key or token that is looked at.
const maxKey = 8 << 10

// bearer gives the key of an authorization. Two of them are refused: a proxy and Kontor might choose differently.
func bearer(authorization []string) (string, error) {
	if len(authorization) != 1 {
		return "", errors.New("there must be one authorization")
	}
	scheme, key, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "bearer") || key == "" || len(key) > maxKey || strings.ContainsAny(key, " ,\t") {
		return "", errors.New("the authorization must be a Bearer key")
	}
	return key, nil
}
