package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/slot"
)

// attempt sends a request once and takes in the answer.
func (c *Client) attempt(ctx context.Context, x *exchange, number int, take consumer) (*Response, *failure) {
	// Fail before waiting for a token or a place, where it is known already that nothing may be sent.
	if wait, open := c.breaker.open(); open {
		return nil, c.breakerFailure(x, wait)
	}
	slot.Wait(ctx)
	var l *lease
	if !x.login {
		if c.inside.Add(1) > int64(c.cfg.Policy.MaxCallers) {
			c.inside.Add(-1)
			return nil, c.crowdedFailure(x)
		}
		defer c.inside.Add(-1)
		if x.token.IsZero() {
			var err *providers.Error
			if l, err = c.tokens.get(ctx, x.op.Name); err != nil {
				return nil, &failure{err: err}
			}
		}
		// A login does not queue here: those who hold the places may be waiting for it.
		if c.bulkhead.AcquirePermit(ctx) != nil {
			return nil, &failure{err: c.contextError(ctx, x.op.Name)}
		}
		defer c.bulkhead.ReleasePermit()
	}
	permit, ok := c.breaker.acquire()
	if !ok {
		wait, _ := c.breaker.open()
		return nil, c.breakerFailure(x, wait)
	}
	// A panic in decode must not keep a probe's permit for ever.
	defer permit.record(unknown)
	if number == 1 && !x.login {
		c.budget.earn()
	}

	ctx, observed := c.observe(ctx, x, number)
	e := &exchanged{client: c, x: x, lease: l, requestID: x.requestID, verdict: unknown, began: time.Now()}
	response, failed := e.run(ctx, take)
	if failed == nil {
		c.pace.note(x.op.Name, e.took)
	}
	permit.record(e.verdict)
	observed(failed, e.status, e.requestID, e.bytes)
	return response, failed
}

func (c *Client) breakerFailure(x *exchange, wait time.Duration) *failure {
	return &failure{err: &providers.Error{
		Kind: providers.KindUnavailable, Provider: c.cfg.Provider, Operation: x.op.Name,
		RetryAfter: max(wait, time.Second), Err: errBreakerOpen,
	}}
}

// crowdedWait is when to come back for who finds too many callers at a provider.
const crowdedWait = time.Second

func (c *Client) crowdedFailure(x *exchange) *failure {
	return &failure{err: &providers.Error{
		Kind: providers.KindUnavailable, Provider: c.cfg.Provider, Operation: x.op.Name,
		RetryAfter: crowdedWait, Err: errCrowded,
	}}
}

// exchanged is what is known about one exchange on the wire while it goes on.
type exchanged struct {
	client    *Client
	x         *exchange
	lease     *lease
	wire      wire
	status    int
	requestID string
	bytes     int64
	written   bool    // something may have been sent, of a request without an answer
	verdict   verdict // for the circuit breaker
	began     time.Time
	took      time.Duration // until the provider had answered: the header, or a body that is read as a whole
	consumed  bool          // a consumer read the body, in its own time
}

func (e *exchanged) run(ctx context.Context, take consumer) (*Response, *failure) {
	c := e.client
	attempt, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.wire.resent = c.budget.spend
	request, err := c.newRequest(e.wire.trace(attempt), e.x, e.lease)
	if err != nil {
		return nil, e.fail(providers.KindInternal, err)
	}
	transport := c.writes
	if e.x.op.Effect == providers.Read {
		transport = c.reads
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return nil, e.unanswered(ctx, err)
	}
	defer answer.Body.Close()
	e.status = answer.StatusCode
	e.verdict, e.took = succeeded, time.Since(e.began)
	if id := answer.Header.Get(c.cfg.RequestIDHeader); c.cfg.RequestIDHeader != "" && plainID(id) {
		e.requestID = id
	}
	c.health.noteQuota(answer.Header)
	if !e.x.accept(e.status) {
		return nil, e.refused(answer, cancel)
	}
	c.tokens.accepted(e.lease)
	return e.take(ctx, attempt, answer, take, cancel)
}

// take reads the body of an accepted answer.
func (e *exchanged) take(ctx, attempt context.Context, answer *http.Response, take consumer,
	cancel context.CancelCauseFunc) (*Response, *failure) {
	response := &Response{Status: e.status, Header: answer.Header, RequestID: e.requestID}
	if e.status == http.StatusNoContent || answer.ContentLength == 0 {
		response.Empty = true
		return response, nil
	}
	if take.decode == nil {
		// The status says it all. A short body is read to its end nevertheless, since some servers stop working when
		// the client hangs up.
		e.drain(answer, cancel)
		return response, nil
	}
	if e.x.timer != nil && !take.whole {
		e.x.timer.Stop() // a stream lasts as long as its consumer takes
	}
	e.consumed = !take.whole
	b := newBody(answer, take, &e.client.cfg.Limits, cancel)
	empty, err := b.run(take)
	e.bytes = b.wire.count
	if take.whole {
		e.took = time.Since(e.began)
	}
	if err == nil {
		response.Empty = empty
		return response, nil
	}
	var own *providers.Error
	if b.err == nil && errors.As(err, &own) {
		f := e.fail(own.Kind, own.Err)
		f.err.Code, f.err.Fields = own.Code, own.Fields
		return nil, f
	}
	if b.err == nil && over(ctx) {
		return nil, e.fail(contextKind(ctx))
	}
	return nil, e.fail(bodyFailure(ctx, attempt, b, err))
}

// sparedWait is how long a body is waited for that could be spared, since the status says it all, or most.
const sparedWait = 2 * time.Second

// drain reads a bounded part of a body that nobody cares about.
func (e *exchanged) drain(answer *http.Response, cancel context.CancelCauseFunc) {
	limits := &e.client.cfg.Limits
	w := &wireReader{src: answer.Body, stall: limits.Stall, left: sparedWait, cancel: cancel}
	// A broken body changes nothing.
	_, _ = io.Copy(io.Discard, io.LimitReader(w, limits.ErrorBytes))
	e.bytes = w.count
}

// refused classifies an answer whose status is not accepted.
func (e *exchanged) refused(answer *http.Response, cancel context.CancelCauseFunc) *failure {
	c := e.client
	limits := &c.cfg.Limits
	b := newBody(answer, consumer{bytes: limits.ErrorBytes + 1, wait: sparedWait}, limits, cancel)
	kind := statusKind(e.status, e.x.login)
	if kind == providers.KindCredentials && !e.x.token.IsZero() {
		kind = providers.KindConsentEnded
	}
	text := c.errorBody(b)
	code := c.errorCode(e.status, text)
	if c.cfg.Classify != nil && e.status >= 400 && !e.x.login {
		if classified, ok := c.cfg.Classify(e.x.op.Name, e.status, code); ok {
			kind = classified
		}
	}
	f := e.fail(kind, errStatus)
	f.err.Code = code
	if kind == providers.KindRejected && c.cfg.RefusedFields != nil {
		f.err.Fields = c.cfg.RefusedFields(e.x.op.Name, text)
	}
	e.bytes = b.wire.count
	f.err.RetryAfter, f.told = retryAfter(answer.Header, c.cfg.Clock())
	f.retryable = kind == providers.KindUnavailable && retryableStatus(e.status) ||
		kind == providers.KindRateLimited && f.told
	if e.status < 500 && kind != providers.KindCredentials {
		c.tokens.accepted(e.lease)
	}
	return f
}

// unanswered classifies a round trip without an answer.
func (e *exchanged) unanswered(ctx context.Context, err error) *failure {
	connected, answered, ended := e.wire.connected()
	if e.client.cfg.Transport != nil && !connected {
		// It may be one that does not know of traces. Then only a failed dial is sure.
		var operation *net.OpError
		connected = !errors.As(err, &operation) || operation.Op != "dial"
		e.written = connected
	}
	if e.x.op.Effect != providers.Read {
		e.written = e.wire.stop() || e.written
	}
	if over(ctx) {
		return e.fail(contextKind(ctx))
	}
	kind, why, retryable := netFailure(err, connected, answered && !ended)
	f := e.fail(kind, why)
	f.retryable = retryable
	return f
}

// fail makes the failure of this exchange. What may have happened, and what the circuit breaker hears, is decided here
// and nowhere else.
func (e *exchanged) fail(kind providers.ErrorKind, why error) *failure {
	switch kind {
	case providers.KindUnavailable:
		e.verdict = failedOn
	case providers.KindInvalidResponse:
		e.verdict = succeeded
	case providers.KindDeadline, providers.KindCanceled:
		// A caller who leaves may have been in a hurry. After the fair time it is the provider that is late.
		if c := e.client; !e.consumed && time.Since(e.began) >= c.pace.fair(e.x.op.Name, c.cfg.Limits.Header) {
			e.verdict = failedOn
		}
	}
	f := &failure{lease: e.lease, err: &providers.Error{
		Kind: kind, Provider: e.client.cfg.Provider, Operation: e.x.op.Name, Status: e.status, RequestID: e.requestID,
		Err: why,
	}}
	if e.x.op.Effect != providers.Read {
		f.acted = e.written || (e.status > 0 && e.status < 400) || e.status >= 500
		f.err.MayHaveHappened = f.acted && e.x.op.Effect == providers.Creating
	}
	return f
}
