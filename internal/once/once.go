// Package once makes creating requests happen once. A request with an idempotency key gets the same answer
// however often it comes; a write to a provider is noted as an intent before it is made, so that after a
// crash it is known which writes may have happened; and work that was begun is finished although its caller
// leaves.
package once

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/service"
)

// Runner runs creating requests.
type Runner struct {
	Store   *service.Store
	Tenants service.Tenants
	Clock   service.Clock
	Log     *slog.Logger
	// AuditRetention is how old entries of the audit trail become; zero for ever.
	AuditRetention time.Duration

	turns   coalesce.Turns
	running sync.WaitGroup
}

const (
	// idempotencyKept is how long an answer is remembered; callers are promised 24 hours.
	idempotencyKept = 48 * time.Hour
	// intentsKept is how long a closed intent is remembered: long enough to look into one of unknown outcome.
	intentsKept = 30 * 24 * time.Hour
	// writeTimeout bounds a creating request that goes on although its caller left.
	writeTimeout = 90 * time.Second
)

// keyed is a request that carries an idempotency key.
type keyed interface {
	proto.Message
	GetRequestId() string
}

// Do runs a creating request. With an idempotency key, the same request gives the same answer, work that is
// under way is waited for, and another request with the key is refused. The work goes on when the caller
// leaves, so that what happens at the provider is recorded.
//
// work must commit its result in a transaction that calls Attempt.Done, so that result and answer become
// durable together.
func Do[Req keyed, Resp proto.Message](
	ctx context.Context, r *Runner, method string, req Req, work func(context.Context, *Attempt) (Resp, error),
) (Resp, error) {
	var none Resp
	a := &Attempt{
		Tenant: service.TenantOf(ctx), runner: r, method: method, key: req.GetRequestId(),
		operation: uuid.NewString(), begun: r.Clock.Now(),
	}
	if a.key == "" {
		a.key = identity.IdempotencyKey(ctx)
	}
	if a.key == "" {
		return Detached(ctx, r, func(ctx context.Context) (Resp, error) { return work(ctx, a) })
	}
	hash, err := r.requestHash(a.Tenant, req)
	if err != nil {
		return none, err
	}
	a.hash = hash
	release, err := r.turns.Take(ctx, a.id()) // another call of this process may be at work on the key
	if err != nil {
		return none, err
	}
	answer, err := a.begin(ctx)
	if err != nil || answer != nil {
		release()
		return replay[Resp](answer, err)
	}
	return Detached(ctx, r, func(ctx context.Context) (Resp, error) {
		defer release()
		resp, err := work(ctx, a)
		if err != nil {
			err = a.failed(ctx, err)
		}
		return resp, err
	})
}

// Detached runs work that must be finished once it is begun. The caller gets its result, or leaves before.
func Detached[Resp any](ctx context.Context, r *Runner, work func(context.Context) (Resp, error)) (Resp, error) {
	type result struct {
		resp Resp
		err  error
	}
	results := make(chan result, 1)
	r.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		defer cancel()
		var done result
		defer func() {
			// The server's recovery does not reach this goroutine.
			if fault := recover(); fault != nil {
				r.Log.ErrorContext(ctx, "panic", "stack", string(debug.Stack()), "request_id", identity.RequestID(ctx))
				done.err = kerr.New(errorv1.Error_INTERNAL, "internal error")
			}
			results <- done
		}()
		done.resp, done.err = work(ctx)
	})
	select {
	case done := <-results:
		return done.resp, done.err
	case <-ctx.Done():
		var none Resp
		return none, ctx.Err()
	}
}
