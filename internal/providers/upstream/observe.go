package upstream

import (
	"context"
	"log/slog"
	"time"

	"kontor.dev/kontor/internal/providers"
)

// Observer sees what goes over the wire, for metrics and traces. Its methods must be quick and safe for concurrent use.
type Observer interface {
	// Start sees an attempt begin. The attempt runs under the context that it returns, and ends with one call of the returned function.
	Start(ctx context.Context, call CallInfo) (context.Context, func(Outcome))
	// BreakerChanged sees the circuit breaker change.
	BreakerChanged(provider string, from, to BreakerState)
}

// BreakerState is the state of a circuit breaker: "closed", "open" or "half-open".
type BreakerState string

// The states of a circuit breaker.
const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"
	BreakerHalfOpen BreakerState = "half-open"
)

// CallInfo describes an attempt.
type CallInfo struct {
	Provider, Operation string
	// Method is the HTTP method.
	Method string
	// Attempt counts from 1 within one call; a replay after 401 counts as well.
	Attempt int
}

// Outcome is how an attempt ended.
type Outcome struct {
	// OK says that it succeeded; otherwise Kind says how it failed.
	OK   bool
	Kind providers.Kind
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Duration runs from before the connection to the end of the body.
	Duration time.Duration
	// Bytes is the size of the body as far as it was read, as it came over the wire.
	Bytes int64
	// RequestID is the provider's id of the request, or the one that was sent.
	RequestID string
}

type noObserver struct{}

func (noObserver) Start(ctx context.Context, _ CallInfo) (context.Context, func(Outcome)) {
	return ctx, func(Outcome) {}
}
func (noObserver) BreakerChanged(string, BreakerState, BreakerState) {}

// observe begins the observation of an attempt. The returned function ends it.
func (c *Client) observe(ctx context.Context, x *exchange, attempt int) (context.Context, func(failed *failure, status int, requestID string, bytes int64)) {
	started := time.Now()
	ctx, end := c.cfg.Observer.Start(ctx, CallInfo{Provider: c.cfg.Provider, Operation: x.op.Name, Method: x.op.Method, Attempt: attempt})
	return ctx, func(failed *failure, status int, requestID string, bytes int64) {
		o := Outcome{OK: failed == nil, Status: status, Duration: time.Since(started), Bytes: bytes, RequestID: requestID}
		if failed == nil {
			end(o)
			return
		}
		o.Kind = failed.err.Kind
		end(o)
		if o.Kind == providers.KindCanceled {
			return // the caller went away: that says nothing about the provider
		}
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "provider call failed",
			slog.String("provider", c.cfg.Provider),
			slog.String("operation", x.op.Name),
			slog.Int("status", o.Status),
			slog.String("kind", o.Kind.String()),
			slog.String("provider_request_id", o.RequestID),
			slog.Int("attempt", attempt),
			slog.Int64("duration_ms", o.Duration.Milliseconds()),
			slog.String("cause", failed.cause()),
		)
	}
}

func (c *Client) breakerChanged(from, to BreakerState) {
	c.cfg.Observer.BreakerChanged(c.cfg.Provider, from, to)
	c.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "circuit breaker changed",
		slog.String("provider", c.cfg.Provider), slog.String("from", string(from)), slog.String("to", string(to)))
}
