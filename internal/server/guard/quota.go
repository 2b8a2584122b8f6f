package guard

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// quotas bound how many requests each client sends over time. A client that sends none is forgotten: bearers of tokens
// may be many, and one whose quota is whole again is as good as new.
type quotas struct {
	perSecond rate.Limit
	burst     int
	clock     func() time.Time

	clients sync.Map // *rate.Limiter by client
	swept   atomic.Int64
}

// quotaSweep is how often idle clients are forgotten.
const quotaSweep = time.Minute

// take uses one request of the client's quota.
func (q *quotas) take(client string) error {
	wait := q.reserve(client)
	if wait == 0 {
		return nil
	}
	return kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "the client's quota is used up", kerr.WithRetry(wait))
}

// reserve uses one request of the client's quota, or gives how long to wait for one.
func (q *quotas) reserve(client string) time.Duration {
	now := q.clock()
	q.sweep(now)
	found, ok := q.clients.Load(client)
	if !ok {
		found, _ = q.clients.LoadOrStore(client, rate.NewLimiter(q.perSecond, q.burst))
	}
	reservation := found.(*rate.Limiter).ReserveN(now, 1) //nolint:forcetypeassert // only limiters are stored
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// sweep forgets the clients that have not sent anything for as long as it takes to fill their quota.
func (q *quotas) sweep(now time.Time) {
	last := q.swept.Load()
	if now.UnixNano()-last < int64(quotaSweep) || !q.swept.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	q.clients.Range(func(client, limiter any) bool {
		if limiter.(*rate.Limiter).TokensAt(now) >= float64(q.burst) { //nolint:forcetypeassert // only limiters are stored
			q.clients.Delete(client)
		}
		return true
	})
}
