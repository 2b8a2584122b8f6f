package upstream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"kontor.dev/kontor/internal/providers"
)

type noObserver struct{}

func (noObserver) Start(ctx context.Context, _ providers.CallInfo) (context.Context, func(providers.CallOutcome)) {
	return ctx, func(providers.CallOutcome) {}
}
func (noObserver) BreakerChanged(string, providers.BreakerState, providers.BreakerState) {}

// observe begins the observation of an attempt. The returned function ends it.
func (c *Client) observe(ctx context.Context, x *exchange,
	attempt int) (context.Context, func(failed *failure, status int, requestID string, bytes int64)) {
	started := time.Now()
	ctx, end := c.cfg.Observer.Start(ctx, providers.CallInfo{
		Provider: c.cfg.Provider, Operation: x.op.Name, Method: x.op.Method, Attempt: attempt,
	})
	return ctx, func(failed *failure, status int, requestID string, bytes int64) {
		o := providers.CallOutcome{
			OK: failed == nil, Status: status, Duration: time.Since(started), Bytes: bytes, RequestID: requestID,
			Acted: x.op.Effect != providers.Read && !x.login && (failed == nil || failed.acted),
		}
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

// Refuse is for an answer that arrived whole and is not what the provider documents: it gives the error, and tells the
// log what was expected of which field. Only a *providers.ShapeError is told in detail, since any other error may quote
// the answer. A write that leaves something behind has done so even when its answer is of no use.
func (c *Client) Refuse(ctx context.Context, operation string, answer *Response, why error) *providers.Error {
	failed := &providers.Error{
		Kind: providers.KindInvalidResponse, Provider: c.cfg.Provider, Operation: operation, Err: errUndocumented,
		MayHaveHappened: c.cfg.Operations[operation].Effect == providers.Creating,
	}
	if answer != nil {
		failed.Status, failed.RequestID = answer.Status, answer.RequestID
	}
	field := ""
	if shape, ok := errors.AsType[*providers.ShapeError](why); ok {
		field, failed.Err = shape.Field, shape
	}
	c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "provider answer refused",
		slog.String("provider", c.cfg.Provider),
		slog.String("operation", operation),
		slog.Int("status", failed.Status),
		slog.String("kind", failed.Kind.String()),
		slog.String("provider_request_id", failed.RequestID),
		slog.String("request_id", providers.CallOf(ctx).RequestID),
		slog.String("field", field),
		slog.String("cause", failed.Err.Error()),
	)
	return failed
}

// Doubt tells the log of an answer that is taken as it is, although it may not be what it is taken for.
func (c *Client) Doubt(ctx context.Context, operation string, why *providers.ShapeError) {
	c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "provider answer doubtful",
		slog.String("provider", c.cfg.Provider),
		slog.String("operation", operation),
		slog.String("request_id", providers.CallOf(ctx).RequestID),
		slog.String("field", why.Field),
		slog.String("cause", why.Error()),
	)
}

func (c *Client) breakerChanged(from, to providers.BreakerState) {
	c.cfg.Observer.BreakerChanged(c.cfg.Provider, from, to)
	c.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "circuit breaker changed",
		slog.String("provider", c.cfg.Provider), slog.String("from", string(from)), slog.String("to", string(to)))
}
