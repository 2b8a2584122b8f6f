package guard

import (
	"sync"
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

	mu      sync.Mutex
	clients map[string]*rate.Limiter
	swept   time.Time
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
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock()
	q.sweep(now)
	limiter, ok := q.clients[client]
	if !ok {
		limiter = rate.NewLimiter(q.perSecond, q.burst)
		if q.clients == nil {
			q.clients = map[string]*rate.Limiter{}
		}
		q.clients[client] = limiter
	}
	reservation := limiter.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// sweep forgets the clients that have not sent anything for as long as it takes to fill their quota.
func (q *quotas) sweep(now time.Time) {
	if now.Sub(q.swept) < quotaSweep {
		return
	}
	q.swept = now
	for client, limiter := range q.clients {
		if limiter.TokensAt(now) >= float64(q.burst) {
			delete(q.clients, client)
		}
	}
}
