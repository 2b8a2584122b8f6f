package played

import (
	"sync/atomic"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// Clock is the machine's clock, which tests put ahead. What is to happen after some time happens after that time,
// whatever was put on top. The zero Clock is not ahead.
type Clock struct{ ahead atomic.Int64 }

// Now is the machine's time and what was put on top.
func (c *Clock) Now() time.Time { return time.Now().UTC().Add(time.Duration(c.ahead.Load())) }

// AfterFunc implements sandbox.Clock.
func (*Clock) AfterFunc(d time.Duration, f func()) sandbox.Timer { return time.AfterFunc(d, f) }

// Advance puts the clock ahead.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }
