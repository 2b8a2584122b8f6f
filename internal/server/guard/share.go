package guard

import (
	"sync"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
)

// Of what is left to a tenant, or to a client within it, it may take so much: three quarters. Alone, a tenant so gets
// three quarters of all and one of its clients three quarters of that; two tenants that take what they can get 3/7
// each. Something is always left for the next.
const shareOf, shareIn = 3, 4

// shares divide a bound among tenants, and among the clients of each. Who holds nothing is forgotten.
type shares struct {
	max int64

	mu      sync.Mutex
	used    int64
	tenants map[string]*tenantShare
}

type tenantShare struct {
	used    int64
	clients map[string]int64
}

// take takes n of the bound for a client until release is called. It tells whether the client may have so much.
func (s *shares) take(id identity.Identity, n int64) (release func(), ok bool) {
	return s.takeUpTo(id, n, s.max)
}

// takeUpTo takes n of the bound if the client then has no more than most.
func (s *shares) takeUpTo(id identity.Identity, n, most int64) (release func(), ok bool) {
	if n == 0 {
		return func() {}, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tenant := s.tenants[id.Tenant]
	if tenant == nil {
		tenant = &tenantShare{clients: map[string]int64{}}
	}
	client := tenant.clients[id.ClientID]
	forTenant := share(s.max - (s.used - tenant.used))
	forClient := share(forTenant - (tenant.used - client))
	if s.used+n > s.max || tenant.used+n > forTenant || client+n > min(forClient, most) {
		return nil, false
	}
	if s.tenants == nil {
		s.tenants = map[string]*tenantShare{}
	}
	s.tenants[id.Tenant] = tenant
	s.used += n
	tenant.used += n
	tenant.clients[id.ClientID] = client + n
	return sync.OnceFunc(func() { s.give(id, n) }), true
}

// give gives back what was taken.
func (s *shares) give(id identity.Identity, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tenant := s.tenants[id.Tenant]
	s.used -= n
	tenant.used -= n
	if tenant.clients[id.ClientID] -= n; tenant.clients[id.ClientID] == 0 {
		delete(tenant.clients, id.ClientID)
	}
	if len(tenant.clients) == 0 {
		delete(s.tenants, id.Tenant)
	}
}

// now gives how much of the bound is taken.
func (s *shares) now() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// share gives how much of what is left one may take, rounded up, so that a bound of one serves one.
func share(left int64) int64 { return (left*shareOf + shareIn - 1) / shareIn }

// busyRetry is when a caller should come back who found no room: calls take milliseconds, so soon.
const busyRetry = time.Second

// errBusy refuses a call for which there is no room now.
func errBusy(what string) error {
	return kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "the client has too many "+what+" under way",
		kerr.WithRetry(busyRetry))
}
