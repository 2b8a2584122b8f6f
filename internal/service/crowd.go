package service

import (
	"sync"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// Crowd bounds how many callers wait for one provider account at a time, those included who share one call. So a
// provider that hangs leaves room for the callers of others. A nil Crowd bounds nothing.
type Crowd struct {
	most int

	mu      sync.Mutex
	waiting map[account]int
}

// account is a tenant's account at a provider.
type account struct{ tenant, provider string }

// NewCrowd makes a Crowd of at most so many callers for each account; zero for no bound.
func NewCrowd(most int) *Crowd {
	if most <= 0 {
		return nil
	}
	return &Crowd{most: most, waiting: make(map[account]int)}
}

// crowdedRetry is when a caller should come back who finds too many others.
const crowdedRetry = time.Second

// Enter lets a caller wait for a provider until leave is called, or refuses when too many do.
func (c *Crowd) Enter(tenant, provider string) (leave func(), err error) {
	if c == nil {
		return func() {}, nil
	}
	at := account{tenant, provider}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting[at] >= c.most {
		return nil, kerr.New(errorv1.Error_PROVIDER_UNAVAILABLE, "too many callers wait for the provider",
			kerr.WithMetadata(kerr.KeyProvider, provider), kerr.WithRetry(crowdedRetry))
	}
	c.waiting[at]++
	return func() { c.leave(at) }, nil
}

func (c *Crowd) leave(at account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting[at]--; c.waiting[at] == 0 {
		delete(c.waiting, at)
	}
}
