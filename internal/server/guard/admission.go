package guard

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server/inproc"
	"kontor.dev/kontor/internal/server/origin"
)

// Head is what a front knows of a request before it reads its body.
type Head struct {
	// Method is the full name of the method, such as "/kontor.consent.v1.ConsentService/GetConsent".
	Method string
	// Header are its headers.
	Header http.Header
}

// Admission is a request that a front may read, and the call that it is for: who sent it is known, may call the
// method, is within the quota and has a place among the calls under way.
type Admission struct {
	call *call
	ctx  context.Context //nolint:containedctx // of the one request that it is for
	gone func()
	// taken says that the call goes its way through the channel.
	taken atomic.Bool
}

// admissionKey is the key of the admission in the context of a front. No other package can name it, so that an
// admission comes from Admit and from nowhere else.
type admissionKey struct{}

// Admit decides whether a front reads more of a request than its head. Whatever the decision is, the call is in the
// access log, and Done must follow upon an admission. The context carries the request's id, where it came from
// (origin.With), and more that the front wants to find again.
func (g *Guard) Admit(ctx context.Context, head Head) (*Admission, error) {
	r, ok := g.rules[head.Method]
	if !ok {
		return nil, kerr.New(errorv1.Error_ROUTE_NOT_FOUND, "there is no such path")
	}
	gone := g.running.add()
	c := g.begin(ctx, r, sender{
		transport: "rest", requestID: identity.RequestID(ctx), at: origin.From(ctx), md: headersOf(head.Header),
	})
	if err := c.enter(); err != nil {
		defer gone()
		return nil, c.end(nil, err)
	}
	a := &Admission{call: c, gone: gone}
	a.ctx = context.WithValue(ctx, admissionKey{}, a)
	return a, nil
}

// Context is the context with which the admitted call is made through the channel, once.
func (a *Admission) Context() context.Context { return a.ctx }

// MaxBody is how many bytes the request's body may have.
func (a *Admission) MaxBody() int64 { return int64(a.call.rule.maxRequest) }

// Sparse tells whether the answer shows nothing but what there is: its reader may not see the rest.
func (a *Admission) Sparse() bool { return a.call.client.Ticket != nil }

// Hold makes room for so many more bytes of the request, until the call is over.
func (a *Admission) Hold(bytes int64) error { return a.call.hold(bytes) }

// Refuse ends the call with a failure, if it has not begun its way through the channel, and gives what the sender is
// told. A failure of the call itself stays as it is.
func (a *Admission) Refuse(failure error) error {
	if a.taken.Swap(true) {
		return failure
	}
	return a.call.end(nil, failure)
}

// Done says that the request is answered, with Refuse before if that was not by the call.
func (a *Admission) Done() {
	defer a.gone()
	defer a.call.leave()
	_ = a.Refuse(errNoCall) // Nothing, but for a front that gave up.
}

var errNoCall = errors.New("guard: the front made no call")

// admitted gives the call that a front's request was admitted for, or one that begins now. Enter lets the one in that
// is new, leave gives up what the handler has of its place.
func (g *Guard) admitted(ctx context.Context, r rule) (c *call, enter func() error, leave func()) {
	if caller := inproc.Caller(ctx); caller != nil {
		a, ok := caller.Value(admissionKey{}).(*Admission)
		if ok && a.call.guard == g && a.call.rule == r && !a.taken.Swap(true) {
			c := a.call
			c.adopt(ctx)
			return c, c.stillValid, c.slot.Keep()
		}
	}
	c = g.begin(ctx, r, g.senderOf(ctx))
	return c, c.enter, func() { c.leave() }
}

// stillValid refuses a caller whose token has ended since it was let in: a body may take a minute to arrive.
func (c *call) stillValid() error {
	if ends := c.client.Expires; !ends.IsZero() && ends.Before(c.guard.clock()) {
		return refuse(errExpired)
	}
	return nil
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
