package guard

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
)

// quotas bound how many requests each client sends over time. A client that sends none is forgotten: bearers of tokens
// may be many, and one whose quota is whole again is as good as new.
type quotas struct {
	perSecond rate.Limit
	burst     int
	clock     func() time.Time
	// shared counts together with other processes; nil where this one serves alone.
	shared *sharedQuotas

	clients sync.Map // *quota by quotaID
	swept   atomic.Int64
}

// quotaID names whose quota it is.
type quotaID struct{ tenant, client string }

// quotaOf names whose quota a call uses up. Who comes with a ticket has one for its consent.
func quotaOf(client identity.Identity) quotaID {
	if client.Ticket != nil {
		return quotaID{client.Tenant, client.ClientID + "/" + client.Ticket.ConsentID}
	}
	return quotaID{client.Tenant, client.ClientID}
}

// quota is what a client has left. A call needs a token of own, and leave by what others spent.
type quota struct {
	id quotaID

	mu sync.Mutex
	// own is what is left of all calls to this process alone.
	own *rate.Limiter
	// portion is what is left when what the client spends at other processes counts, too.
	portion portion
	// asked is when the client asked last. gone says that the quota was forgotten: there is another one.
	asked time.Time
	gone  bool
}

// quotaSweep is how often idle clients are forgotten.
const quotaSweep = time.Minute

// take uses one request of the client's quota.
func (q *quotas) take(client quotaID) error {
	wait := q.reserve(client)
	if wait == 0 {
		return nil
	}
	return kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "the client's quota is used up", kerr.WithRetry(wait))
}

// reserve uses one request of the client's quota, or gives how long to wait for one.
func (q *quotas) reserve(client quotaID) time.Duration {
	now := q.clock()
	q.sweep(now)
	for {
		found, ok := q.clients.Load(client)
		if !ok {
			found, _ = q.clients.LoadOrStore(client, &quota{id: client, own: rate.NewLimiter(q.perSecond, q.burst)})
		}
		c := found.(*quota) //nolint:forcetypeassert // only quotas are stored
		if wait, ok := c.reserve(now, q.shared); ok {
			return wait
		}
		q.clients.CompareAndDelete(client, c)
	}
}

// reserve is quotas.reserve for one client; not ok for one that was forgotten.
func (c *quota) reserve(now time.Time, shared *sharedQuotas) (wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return 0, false
	}
	c.asked = now
	reservation := c.own.ReserveN(now, 1)
	wait = reservation.DelayFrom(now)
	if shared != nil {
		wait = max(wait, c.portion.wait(now, shared.rate))
		defer func() { shared.note(c, wait == 0) }()
	}
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait, true
}

// sweep forgets the clients that have not sent anything for as long as it takes to fill their quota.
func (q *quotas) sweep(now time.Time) {
	last := q.swept.Load()
	if now.UnixNano()-last < int64(quotaSweep) || !q.swept.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	q.clients.Range(func(client, found any) bool {
		if found.(*quota).forget(now) { //nolint:forcetypeassert // only quotas are stored
			q.clients.CompareAndDelete(client, found)
		}
		return true
	})
}

// forget has a quota that is whole and that nobody uses be gone. It tells whether that is so.
func (c *quota) forget(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = c.own.TokensAt(now) >= float64(c.own.Burst()) && now.Sub(c.asked) >= quotaSweep && !c.portion.queued
	return c.gone
}
