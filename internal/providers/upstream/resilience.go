package upstream

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"kontor.dev/kontor/internal/providers"
)

// The retry budget. Retries may add a tenth to the requests that the provider gets, counted over any hundred calls:
// each call that is sent earns 0.08, each retry costs 1, and the first blips draw on a small start. What was saved up
// is capped, so that a long quiet time pays for no storm.
const (
	budgetEarn  = 0.08
	budgetStart = 2
	budgetCap   = 10
)

type budget struct {
	mu      sync.Mutex
	balance float64
}

func newBudget() *budget { return &budget{balance: budgetStart} }

func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.balance = min(b.balance+budgetEarn, budgetCap)
}

// take pays for a retry, if there is enough.
func (b *budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.balance < 1 {
		return false
	}
	b.balance--
	return true
}

// spend pays for a retry that net/http made on its own; the balance may become negative.
func (b *budget) spend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.balance--
}

// retry decides whether a failed request is sent again, and after which pause.
func (c *Client) retry(ctx context.Context, x *exchange, f *failure, retries int) (time.Duration, bool) {
	if x.op.Effect != providers.Read || x.login || !f.retryable || retries >= c.cfg.Policy.Retries || ctx.Err() != nil {
		return 0, false
	}
	wait := backoff(&c.cfg.Policy, retries)
	if f.told {
		if providers.CallOf(ctx).Background {
			// Whoever is told to wait in the background holds back all else that is read there for the account.
			return 0, false
		}
		wait += f.err.RetryAfter
	}
	if time.Until(x.until) <= wait {
		return 0, false
	}
	return wait, c.budget.take()
}

// backoff is the pause before the next retry: MinBackoff doubled with each, and up to half of it off at random.
func backoff(p *Policy, retries int) time.Duration {
	pause := min(p.MinBackoff<<min(retries, 16), p.MaxBackoff)
	return pause - time.Duration(rand.Int64N(int64(pause)/2+1))
}

// sleep waits; false means that the context ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
