// Package once makes creating requests happen once. A request with an idempotency key gets the same answer
// however often it comes, to whatever process; a write to a provider is noted as an intent before it is made, so
// that after a crash it is known which writes may have happened; and work that was begun is finished although its
// caller leaves.
//
// Whoever is at work holds a lease on the request's record and on its intents, and renews it until the work is
// done. What is left behind by a process that died, stood still, or could not store what became of its work, is
// settled when its lease has run out: by whoever asks for the key, and by every process that looks for such
// intents now and then.
package once

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/slot"
	"kontor.dev/kontor/internal/store"
)

// Runner runs creating requests.
type Runner struct {
	Store  *service.Store
	Leases store.Leases
	Sweeps store.Sweeps
	Keys   *keys.Keys
	Clock  service.Clock
	Log    *slog.Logger
	// Beat tells the store the time, see store.Claims.
	Beat func(ctx context.Context, now time.Time) (back time.Duration, err error)
	// Time tells the time by the clock of all processes that share the store, see store.Claims; nil where there is
	// none.
	Time func(ctx context.Context) (time.Time, error)
	// Process names this process among all that share the store, now and ever.
	Process string
	// LogRetention is how old entries of the logs that streams follow become; zero for ever.
	LogRetention time.Duration
	// ShipmentRetention is how old shipments become that belong to no customer; zero for ever.
	ShipmentRetention time.Duration

	turns   coalesce.Turns
	running sync.WaitGroup

	mu sync.Mutex
	// owners are those of the attempts that are at work in this process.
	owners map[string]struct{}
}

const (
	// idempotencyKept is how long an answer is remembered; callers are promised 24 hours.
	idempotencyKept = 48 * time.Hour
	// intentsKept is how long a closed intent is remembered: long enough to look into one of unknown outcome.
	intentsKept = 30 * 24 * time.Hour
	// writeTimeout bounds a creating request that goes on although its caller left.
	writeTimeout = 90 * time.Second
	// leaseTime is how long an attempt's record and intents are left alone without being renewed. It is long against
	// the difference of two processes' clocks, and bounds how long a key waits for a process that died.
	leaseTime = 15 * time.Second
	// renewEvery is how often the leases of what is at work are renewed.
	renewEvery = leaseTime / 5
)

// keyed is a request that carries an idempotency key.
type keyed interface {
	proto.Message
	GetRequestId() string
}

// Do runs a creating request. With an idempotency key, the same request gives the same answer, work that is
// under way is waited for, and another request with the key is refused. Until Attempt.Intend, or Attempt.GoOn, the
// work ends with its caller: nothing has happened, and nobody waits for it. From then on it goes on when the caller
// leaves, so that what happens at the provider is recorded.
//
// work must commit its result in a transaction that calls Attempt.Done, so that result and answer become
// durable together.
func Do[Req keyed, Resp proto.Message](
	ctx context.Context, r *Runner, method string, req Req, work func(context.Context, *Attempt) (Resp, error),
) (Resp, error) {
	return do(ctx, r, method, req, work, false)
}

// errUnclaimed says that work ended before its key was claimed.
var errUnclaimed = errors.New("once: the key was not claimed")

// DoAtOnce is Do for work that changes nothing, here or at a provider, before it calls Attempt.Intend: that claims the
// key, so that a new request takes two transactions rather than three. When the work ends before, or somebody has the
// key, all begins anew as with Do: an answer that is there comes before whatever the work finds.
func DoAtOnce[Req keyed, Resp proto.Message](
	ctx context.Context, r *Runner, method string, req Req, work func(context.Context, *Attempt) (Resp, error),
) (Resp, error) {
	resp, err := do(ctx, r, method, req, work, true)
	if errors.Is(err, errUnclaimed) {
		return do(ctx, r, method, req, work, false)
	}
	return resp, err
}

// refused tells whether the store took no transaction.
func refused(err error) bool {
	reason := kerr.Reason(err)
	return reason == errorv1.Error_GATEWAY_RATE_LIMITED || reason == errorv1.Error_STORE_UNAVAILABLE
}

func do[Req keyed, Resp proto.Message](
	ctx context.Context, r *Runner, method string, req Req, work func(context.Context, *Attempt) (Resp, error),
	atOnce bool,
) (Resp, error) {
	var none Resp
	a := &Attempt{
		Tenant: service.TenantOf(ctx), runner: r, method: method, key: req.GetRequestId(),
		owner: r.Process + "/" + uuid.NewString(), begun: r.Clock.Now(),
	}
	switch header := identity.IdempotencyKey(ctx); {
	case a.key == "":
		a.key = header
	case header != "" && header != a.key:
		return none, kerr.InvalidField("requestId", "must be the same as the header idempotency-key, or left out")
	}
	a.key = r.hashKey(a.Tenant, method, a.key)
	if a.key == "" {
		return Detached(ctx, r, func(detached context.Context) (Resp, error) {
			defer r.enter(a.owner)()
			working, end := a.follow(ctx, detached)
			defer end()
			return work(working, a)
		})
	}
	request, err := r.requestLookup(a.Tenant, method, req)
	if err != nil {
		return none, err
	}
	a.request, a.unclaimed = request, atOnce
	release, err := r.turns.Take(ctx, a.id()) // another call of this process may be at work on the key
	if err != nil {
		return none, err
	}
	leave := r.enter(a.owner)
	free := func() { leave(); release() }
	if !atOnce {
		answer, err := a.beginOr(ctx, free)
		if err != nil || answer != nil {
			return replay[Resp](answer, err)
		}
	}
	return Detached(ctx, r, func(detached context.Context) (Resp, error) {
		defer free()
		working, end := a.follow(ctx, detached)
		defer end()
		resp, err := work(working, a)
		switch {
		case err == nil:
		case a.unclaimed && !refused(err):
			err = errUnclaimed
		case a.unclaimed: // The store would refuse the claim as well.
		default:
			err = errTakenOver(a.failed(detached, err))
		}
		return resp, err
	})
}

// follow gives the context of the attempt's work: it ends with the caller's until the work goes on by itself.
func (a *Attempt) follow(caller, detached context.Context) (working context.Context, end func()) {
	working, cancel := context.WithCancel(detached)
	a.keepOn = context.AfterFunc(caller, cancel)
	a.until, _ = caller.Deadline()
	return working, func() {
		a.keepOn()
		cancel()
	}
}

// enter notes that an attempt is at work, so that its leases are renewed until leave is called.
func (r *Runner) enter(owner string) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owners == nil {
		r.owners = make(map[string]struct{})
	}
	r.owners[owner] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.owners, owner)
	}
}

// atWork lists the owners of the attempts that are at work.
func (r *Runner) atWork() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.owners))
}

// lease is one that begins now.
func (r *Runner) lease(owner string) store.Lease {
	return store.Lease{Owner: owner, Until: r.Clock.Now().Add(leaseTime)}
}

// errTakenOver is what the caller of an attempt gets that lost its lease: another process answers the repetition.
func errTakenOver(err error) error {
	if !errors.Is(err, store.ErrClaimLost) {
		return err
	}
	return kerr.New(errorv1.Error_STORE_UNAVAILABLE, "another process took the request over; try again",
		kerr.WithRetry(time.Second))
}

// Detached runs work that must be finished once it is begun. The caller gets its result, or leaves before.
func Detached[Resp any](ctx context.Context, r *Runner, work func(context.Context) (Resp, error)) (Resp, error) {
	type result struct {
		resp Resp
		err  error
	}
	results := make(chan result, 1)
	free := slot.Keep(ctx) // The work takes up its caller's place, also when that one has left.
	r.running.Go(func() {
		defer free()
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
