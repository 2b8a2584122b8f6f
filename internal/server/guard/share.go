package guard

import (
	"sync"
	"sync/atomic"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
)

// Of what is left to a tenant, or to a client within it, it may take so much: three quarters. Alone, a tenant so gets
// three quarters of all and one of its clients three quarters of that; two tenants that take what they can get 3/7
// each. Something is always left for the next.
const shareOf, shareIn = 3, 4

// shares divide a bound among tenants, and among the clients of each. Every call asks, so nobody waits for a lock:
// under overload those who wait for one that is handed on in turn would be all that the gateway does. What two ask for
// in the same instant may so be refused to both.
type shares struct {
	max  int64
	used atomic.Int64
	// tenants has a *tenantShare for each that holds something, and for some that did.
	tenants sync.Map
	// made counts the entries since those were last forgotten that hold nothing.
	made  atomic.Int64
	sweep sync.Mutex
}

type tenantShare struct {
	used    atomic.Int64
	clients sync.Map // *clientShare by client
}

// clientShare is what a client holds, and the turns of its calls.
type clientShare struct {
	used  atomic.Int64
	turns turns
}

// forgetAfter is how many new entries there may be until those that hold nothing are forgotten.
const forgetAfter = 1000

// take takes n of the bound for a client until release is called. It tells whether the client may have so much.
func (s *shares) take(id identity.Identity, n int64) (release func(), ok bool) {
	return s.takeUpTo(id, n, s.max)
}

// takeUpTo takes n of the bound if the client then has no more than most.
func (s *shares) takeUpTo(id identity.Identity, n, most int64) (release func(), ok bool) {
	if n == 0 {
		return func() {}, true
	}
	tenant, client := s.entries(id)
	all, ofTenant := s.used.Load(), tenant.used.Load()
	forTenant := share(s.max - (all - ofTenant))
	ofClient := client.used.Add(n)
	if ofClient > min(share(forTenant-(ofTenant-(ofClient-n))), most) {
		client.used.Add(-n)
		return nil, false
	}
	if tenant.used.Add(n) > forTenant {
		tenant.used.Add(-n)
		client.used.Add(-n)
		return nil, false
	}
	if s.used.Add(n) > s.max {
		s.used.Add(-n)
		tenant.used.Add(-n)
		client.used.Add(-n)
		return nil, false
	}
	return sync.OnceFunc(func() {
		s.used.Add(-n)
		tenant.used.Add(-n)
		client.used.Add(-n)
	}), true
}

// turnsOf gives the turns of a client that holds something.
func (s *shares) turnsOf(id identity.Identity) turns {
	_, client := s.entries(id)
	return client.turns
}

// entries gives what a client and its tenant hold.
func (s *shares) entries(id identity.Identity) (*tenantShare, *clientShare) {
	found, ok := s.tenants.Load(id.Tenant)
	if !ok {
		s.forget()
		found, _ = s.tenants.LoadOrStore(id.Tenant, &tenantShare{})
	}
	tenant := found.(*tenantShare) //nolint:forcetypeassert // only such are stored
	if found, ok = tenant.clients.Load(id.ClientID); !ok {
		s.forget()
		found, _ = tenant.clients.LoadOrStore(id.ClientID, &clientShare{turns: newTurns()})
	}
	return tenant, found.(*clientShare) //nolint:forcetypeassert // only such are stored
}

// forget forgets, now and then, who holds nothing. Who begins to hold something in that instant is counted anew, and
// has a second share until it gives the first one back.
func (s *shares) forget() {
	if s.made.Add(1) < forgetAfter || !s.sweep.TryLock() {
		return
	}
	defer s.sweep.Unlock()
	s.made.Store(0)
	s.tenants.Range(func(id, found any) bool {
		tenant := found.(*tenantShare) //nolint:forcetypeassert // only such are stored
		tenant.clients.Range(func(id, used any) bool {
			if used.(*clientShare).used.Load() == 0 { //nolint:forcetypeassert // only such are stored
				tenant.clients.Delete(id)
			}
			return true
		})
		if tenant.used.Load() == 0 {
			s.tenants.Delete(id)
		}
		return true
	})
}

// now gives how much of the bound is taken.
func (s *shares) now() int64 { return s.used.Load() }

// share gives how much of what is left one may take, rounded up, so that a bound of one serves one.
func share(left int64) int64 { return (left*shareOf + shareIn - 1) / shareIn }

// busyRetry is when a caller should come back who found no room: calls take milliseconds, so soon.
const busyRetry = time.Second

// errBusy refuses a call for which there is no room now.
func errBusy(what string) error {
	return kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "the client has too many "+what+" under way",
		kerr.WithRetry(busyRetry))
}
