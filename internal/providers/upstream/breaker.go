package upstream

import (
	"math/rand/v2"
	"sync"
	"time"
)

// verdict is what an attempt tells the circuit breaker.
type verdict int

const (
	unknown   verdict = iota // nothing: the caller left, or its deadline was shorter than our patience
	succeeded                // the provider answered, be it with 4xx
	failedOn                 // 5xx, no connection, or no answer within our own limits
)

// probes is how many requests a half-open breaker lets through; most of them decide.
const probes = 3

// breaker is a circuit breaker over a sliding window. An attempt's result may be unknown. A deadline of the caller is such a result: a caller in
// a hurry must not cut off those who can wait.
type breaker struct {
	policy  Policy
	changed func(from, to BreakerState)

	mu     sync.Mutex
	now    BreakerState
	told   BreakerState // what changed was told last
	epoch  int          // counts changes of state
	until  time.Time    // the end of the open time
	window [slices]slice
	// Of a half-open breaker:
	probes, good, bad int
}

// slices is how many parts the window has; it slides by one of them.
const slices = 10

// slice counts the results of one part of the window, numbered since the epoch.
type slice struct {
	number    int64
	good, bad int
}

func newBreaker(p Policy, changed func(from, to BreakerState)) *breaker {
	return &breaker{policy: p, changed: changed, now: BreakerClosed, told: BreakerClosed}
}

func (b *breaker) state() BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// open tells whether the breaker is open for some time yet.
func (b *breaker) open() (wait time.Duration, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now != BreakerOpen {
		return 0, false
	}
	wait = time.Until(b.until)
	return wait, wait > 0
}

// turn changes the state. The lock is held.
func (b *breaker) turn(to BreakerState) {
	b.now, b.epoch = to, b.epoch+1
	b.window, b.probes, b.good, b.bad = [slices]slice{}, 0, 0, 0
	if to == BreakerOpen {
		// Replicas that opened together probe apart.
		b.until = time.Now().Add(b.policy.BreakerOpen + rand.N(b.policy.BreakerOpen/10+1))
	}
}

// unlock lets go of the breaker and tells about a change, outside of the lock so that the listener may ask for the state.
func (b *breaker) unlock() {
	from, to := b.told, b.now
	b.told = to
	b.mu.Unlock()
	if from != to {
		b.changed(from, to)
	}
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
	defer b.unlock()
	if b.now == BreakerOpen {
		if time.Now().Before(b.until) {
			return nil, false
		}
		b.turn(BreakerHalfOpen)
	}
	if b.now == BreakerHalfOpen {
		if b.probes == probes {
			return nil, false
		}
		b.probes++
	}
	return &permit{b: b, epoch: b.epoch}, true
}

// record tells how the request went; only the first call counts. A result from before the last change of state is dropped, since what was sent
// before an outage tells nothing about recovery. A probe without a result counts as failed: it has shown nothing.
func (p *permit) record(v verdict) {
	b := p.b
	b.mu.Lock()
	defer b.unlock()
	if p.done || p.epoch != b.epoch {
		return
	}
	p.done = true
	if b.now == BreakerHalfOpen {
		if v == succeeded {
			b.good++
		} else {
			b.bad++
		}
		switch {
		case b.good > probes/2:
			b.turn(BreakerClosed)
		case b.bad > probes/2:
			b.turn(BreakerOpen)
		}
		return
	}
	if v == unknown || b.policy.BreakerCalls < 0 {
		return
	}
	if good, bad := b.count(v); good+bad >= b.policy.BreakerCalls && float64(bad) >= b.policy.BreakerRate*float64(good+bad) {
		b.turn(BreakerOpen)
	}
}

// count adds a result to the window and sums it up. The lock is held.
func (b *breaker) count(v verdict) (good, bad int) {
	number := time.Now().UnixNano() / max(int64(b.policy.BreakerWindow)/slices, 1)
	current := &b.window[number%slices]
	if current.number != number {
		*current = slice{number: number}
	}
	if v == succeeded {
		current.good++
	} else {
		current.bad++
	}
	for _, s := range b.window {
		if s.number > number-slices {
			good += s.good
			bad += s.bad
		}
	}
	return good, bad
}
