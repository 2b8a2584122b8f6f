package upstream

import (
	"math"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"kontor.dev/kontor/internal/providers"
)

// verdict is what an attempt tells the circuit breaker.
type verdict int

const (
	unknown   verdict = iota // nothing: the caller left before the provider had its fair time
	succeeded                // the provider answered, be it with 4xx
	failedOn                 // 5xx, no connection, or no answer within our own limits or the fair time
)

// probes is how many requests a half-open breaker lets through; most of them decide.
const probes = 3

// breaker is failsafe-go's circuit breaker, with two things added. A result may be unknown, such as when the caller's
// deadline passed before the provider had its fair time (pace): a caller in a hurry must not cut off those who can
// wait. And a result counts only in the state in which its request was sent: what was sent before an outage tells
// nothing about recovery.
type breaker struct {
	cb circuitbreaker.CircuitBreaker[any]

	mu    sync.Mutex // joins what happens in cb to epoch
	epoch int        // counts changes of state
}

func newBreaker(p Policy, changed func(from, to providers.BreakerState)) *breaker {
	calls := uint(math.MaxInt) // never so many
	if p.BreakerCalls > 0 {
		calls = uint(p.BreakerCalls)
	}
	b := &breaker{}
	b.cb = circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(p.BreakerRate, calls, p.BreakerWindow).
		WithSuccessThresholdRatio(probes/2+1, probes).
		WithDelay(p.BreakerOpen).
		WithJitterFactor(0.1). // replicas that opened together probe apart
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			b.epoch++
			changed(providers.BreakerState(e.OldState.String()), providers.BreakerState(e.NewState.String()))
		}).
		Build()
	return b
}

func (b *breaker) state() providers.BreakerState {
	return providers.BreakerState(b.cb.State().String())
}

// open tells whether the breaker is open for some time yet.
func (b *breaker) open() (wait time.Duration, open bool) {
	wait = b.cb.RemainingDelay()
	return wait, wait > 0
}

// permit is the leave to send one request.
type permit struct {
	b     *breaker
	epoch int
	done  bool
}

// acquire asks for leave to send. Every permit must be recorded, else a half-open breaker runs out of them.
func (b *breaker) acquire() (*permit, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.cb.TryAcquirePermit() {
		return nil, false
	}
	return &permit{b: b, epoch: b.epoch}, true
}

// record tells how the request went; only the first call counts. A probe without a result counts as failed: it has
// shown nothing, and its permit must return.
func (p *permit) record(v verdict) {
	if p.done {
		return
	}
	p.done = true
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	switch {
	case p.epoch != p.b.epoch:
	case v == succeeded:
		p.b.cb.RecordSuccess()
	case v == failedOn || p.b.cb.IsHalfOpen():
		p.b.cb.RecordFailure()
	}
}
