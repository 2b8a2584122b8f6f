package sandbox

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Clock is the only source of time in the sandbox, except for the delays of faults, which are felt by a client's
// own deadlines and therefore pass in real time.
type Clock interface {
	// Now is the present time in UTC.
	Now() time.Time
	// AfterFunc calls f once d has passed. f must not be called before AfterFunc returned.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a call that is still to come.
type Timer interface {
	// Stop prevents the call and reports whether it did.
	Stop() bool
}

// RealClock is the machine's clock.
func RealClock() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time { return time.Now().UTC() }

func (realClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// AheadClock is the machine's clock, which tests put ahead. What is to happen after some time happens after that time,
// whatever was put on top. The zero AheadClock is not ahead. It is safe for concurrent use.
type AheadClock struct{ ahead atomic.Int64 }

// Now is the machine's time and what was put on top.
func (c *AheadClock) Now() time.Time { return time.Now().UTC().Add(time.Duration(c.ahead.Load())) }

// AfterFunc implements Clock.
func (*AheadClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// Advance puts the clock ahead.
func (c *AheadClock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// ManualClock stands still until it is told to advance. It is safe for concurrent use.
type ManualClock struct {
	advancing sync.Mutex // one Advance at a time, so that due calls run in order of time

	mu     sync.Mutex
	now    time.Time
	timers []*manualTimer // by due time; those due at the same time in the order they were set
}

type manualTimer struct {
	clock *ManualClock
	due   time.Time
	f     func()
}

// NewManualClock makes a clock that shows start.
func NewManualClock(start time.Time) *ManualClock { return &ManualClock{now: start.UTC()} }

// Now is the time the clock was last moved to.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc sets f to run within the Advance that reaches d from now, also when d is zero.
func (c *ManualClock) AfterFunc(d time.Duration, f func()) Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &manualTimer{clock: c, due: c.now.Add(max(d, 0)), f: f}
	at, _ := slices.BinarySearchFunc(c.timers, t, func(a, b *manualTimer) int {
		if a.due.After(b.due) {
			return 1
		}
		return -1
	})
	c.timers = slices.Insert(c.timers, at, t)
	return t
}

// Advance moves the clock by d and runs, in the caller's goroutine and in order of time, every call that falls due
// on the way, those that such calls set included. Each sees the time it was due at. A call must not itself advance
// the clock, nor may the caller hold a lock that a call takes.
func (c *ManualClock) Advance(d time.Duration) {
	c.advancing.Lock()
	defer c.advancing.Unlock()
	target := c.Now().Add(max(d, 0))
	for f := c.next(target); f != nil; f = c.next(target) {
		f()
	}
}

// next takes the first call that is due by target and moves the clock there; without one it moves the clock to
// target and returns nil.
func (c *ManualClock) next(target time.Time) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 || c.timers[0].due.After(target) {
		c.now = target
		return nil
	}
	t := c.timers[0]
	c.timers = slices.Delete(c.timers, 0, 1)
	c.now = t.due
	return t.f
}

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	at := slices.Index(t.clock.timers, t)
	if at < 0 {
		return false
	}
	t.clock.timers = slices.Delete(t.clock.timers, at, at+1)
	return true
}
