package follow

import (
	"maps"
	"slices"
	"sync"

	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// slots are the places for reads in the background: as many for each provider account, so that one whose provider
// hangs holds back no other's consents.
type slots struct {
	accounts []store.Share // with no place taken

	mu   sync.Mutex
	busy map[[2]string]int // by tenant and provider
}

func newSlots(tenants service.Tenants) *slots {
	s := &slots{busy: make(map[[2]string]int)}
	for _, tenant := range slices.Sorted(maps.Keys(tenants)) {
		for _, p := range tenants[tenant].Providers {
			s.accounts = append(s.accounts, store.Share{Tenant: tenant, Provider: p.ID, Limit: followers})
		}
	}
	return s
}

// free gives each account's free places.
func (s *slots) free() (shares []store.Share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, share := range s.accounts {
		if share.Limit -= s.busy[[2]string{share.Tenant, share.Provider}]; share.Limit > 0 {
			shares = append(shares, share)
		}
	}
	return shares
}

// take occupies a place until release is called.
func (s *slots) take(tenant, provider string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := [2]string{tenant, provider}
	s.busy[at]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy[at]--
	}
}
