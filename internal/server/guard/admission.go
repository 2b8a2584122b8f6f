package guard

import (
	"context"
	"errors"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
)

// admission says that a guard found out who sent a request, and from where.
type admission struct {
	guard  *Guard
	client identity.Identity
	peer   string
}

// admissionKey is the key of the admission in the context of a front. No other package can name it, so that an
// admission comes from Admit and from nowhere else.
type admissionKey struct{}

// Admit finds out who sends a request, before a front reads more of it than its head. Peer is the network address
// that it came from. With the context that it gives, a call through the channel within the process is not
// authenticated again.
func (g *Guard) Admit(ctx context.Context, peer string, authorization []string) (context.Context, error) {
	client, err := g.authenticator.Authenticate(ctx, authorization)
	if err != nil {
		return nil, refuse(err)
	}
	return context.WithValue(ctx, admissionKey{}, &admission{g, client, peer}), nil
}

// admissionOf gives the admission of the request that a call was made for, nil when this guard gave none.
func (g *Guard) admissionOf(caller context.Context) *admission {
	if a, ok := caller.Value(admissionKey{}).(*admission); ok && a.guard == g {
		return a
	}
	return nil
}

// authenticate finds out who calls, unless that is known already. A token may have ended since its bearer was let in: a
// body may take a minute to arrive.
func (c *call) authenticate() (identity.Identity, error) {
	if a := c.admission; a != nil {
		if ends := a.client.Expires; !ends.IsZero() && ends.Before(c.guard.clock()) {
			return identity.Identity{}, refuse(errExpired)
		}
		return a.client, nil
	}
	client, err := c.guard.authenticator.Authenticate(c.ctx, c.md.Get(keyAuthorization))
	if err != nil {
		return identity.Identity{}, refuse(err)
	}
	return client, nil
}

// refusal is UNAUTHENTICATED, with why for the log alone.
type refusal struct {
	error

	cause error
}

// Unwrap gives what the caller sees.
func (r *refusal) Unwrap() error { return r.error }

// refuse says nothing of why to the caller: all that is wrong with who calls looks the same.
func refuse(cause error) error {
	return &refusal{
		kerr.New(errorv1.Error_UNAUTHENTICATED, "send authorization: Bearer <key> with a valid key"), cause,
	}
}

// Refused tells why somebody was not authenticated, for the log; nil for any other error.
func Refused(err error) error {
	if r := new(refusal); errors.As(err, &r) {
		return r.cause
	}
	return nil
}
