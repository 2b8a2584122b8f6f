// Package slot carries through the context the place that a call takes up in the gateway. The server hands out places
// up to a bound; a place is free again once everything that was begun for the call is over, work that goes on without
// its caller included. Whoever starts such work keeps the call's place meanwhile, so that what is under way is never
// more than the bound says, whoever has left.
package slot

import (
	"context"
	"sync"
	"sync/atomic"
)

// Slot is the place of one call. Safe for concurrent use.
type Slot struct {
	holders atomic.Int64
	free    func()
}

// New gives a place that is kept once, until the first Done. Free is called when nobody keeps it any more.
func New(free func()) *Slot {
	s := &Slot{free: free}
	s.holders.Store(1)
	return s
}

// Keep keeps the place until done is called, once or more. Only who keeps it already may do so.
func (s *Slot) Keep() (done func()) {
	s.holders.Add(1)
	return sync.OnceFunc(s.Done)
}

// Done gives up the place that New gave.
func (s *Slot) Done() {
	if s.holders.Add(-1) == 0 {
		s.free()
	}
}

type slotKey struct{}

// With attaches a call's place.
func With(ctx context.Context, s *Slot) context.Context { return context.WithValue(ctx, slotKey{}, s) }

// Keep keeps the place of the call that a context belongs to, until done is called. Work that no call began has none.
func Keep(ctx context.Context) (done func()) {
	if s, ok := ctx.Value(slotKey{}).(*Slot); ok {
		return s.Keep()
	}
	return func() {}
}
