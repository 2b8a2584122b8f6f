package follow

import (
	"context"
	"sync"
	"time"

	"kontor.dev/kontor/internal/store"
)

const (
	// claimTime is how long a consent that is claimed is left to this process without being renewed: when the process
	// dies, another one takes the consent after that time. It is long against the difference of two processes' clocks.
	claimTime = 15 * time.Second
	// renewEvery is how often the claims of what is being read are renewed. Most reads are over before.
	renewEvery = claimTime / 5
	// claimLimit is how long a consent is left to this process at most: longer than a read takes that waits for one
	// under way. One that hangs for longer loses its claim.
	claimLimit = 2*refreshTimeout + 15*time.Second
)

// claims are the consents that this process has claimed and is at work on.
type claims struct {
	mu   sync.Mutex
	held map[*store.Consent]time.Time // when they were claimed
}

// hold notes a claim, so that it is renewed until release is called, or its limit is over.
func (c *claims) hold(row *store.Consent, since time.Time) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = map[*store.Consent]time.Time{}
	}
	c.held[row] = since
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.held, row)
	}
}

// ageing gives the claims to be renewed. New ones last until the next time; old ones are left to end at their limit.
func (c *claims) ageing() (rows []*store.Consent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for row, since := range c.held {
		switch age := time.Since(since); {
		case age > claimLimit-claimTime:
			delete(c.held, row)
		case age >= renewEvery:
			rows = append(rows, row)
		}
	}
	return rows
}

// renew keeps the claims of what is being read until the context ends.
func (f *Follower) renew(ctx context.Context) {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		rows := f.claims.ageing()
		if len(rows) == 0 {
			continue
		}
		err := f.Claims.RenewClaims(ctx, rows, f.Clock.Now().Add(claimTime))
		if err != nil && ctx.Err() == nil {
			f.Log.WarnContext(ctx, "claims not renewed", "error", err.Error())
		}
	}
}
