package guard

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// quotas bound how many requests each client sends over time. There is one for each client that ever authenticated,
// which is a short list.
type quotas struct {
	perSecond rate.Limit
	burst     int
	clients   sync.Map // client id to *rate.Limiter
}

// take uses one request of the client's quota.
func (q *quotas) take(client string) error {
	limiter, ok := q.clients.Load(client)
	if !ok {
		limiter, _ = q.clients.LoadOrStore(client, rate.NewLimiter(q.perSecond, q.burst))
	}
	reservation := limiter.(*rate.Limiter).Reserve() //nolint:forcetypeassert // only limiters are stored
	wait := reservation.Delay()
	if wait == 0 {
		return nil
	}
	reservation.Cancel()
	return kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "the client's quota is used up", kerr.WithRetry(wait))
}

// slots bound how many calls are under way at one time.
type slots struct {
	max  int64
	used atomic.Int64
}

// busyRetry is when a caller should come back who found no slot: calls take milliseconds, so soon.
const busyRetry = time.Second

// take occupies a slot until release is called.
func (s *slots) take() (release func(), err error) {
	if s.used.Add(1) > s.max {
		s.used.Add(-1)
		return nil, kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "the gateway has too many calls under way",
			kerr.WithRetry(busyRetry))
	}
	return func() { s.used.Add(-1) }, nil
}
