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
	waits   atomic.Pointer[func()]
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

// OnWait has f called, perhaps more than once, when the call waits for somebody else; see Wait.
func (s *Slot) OnWait(f func()) { s.waits.Store(&f) }

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

// Wait says that the call that a context belongs to waits for somebody else from now on, such as a provider, and is no
// work for the gateway meanwhile. Work that no call began says nothing by it.
func Wait(ctx context.Context) {
	if s, ok := ctx.Value(slotKey{}).(*Slot); ok {
		if f := s.waits.Load(); f != nil {
			(*f)()
		}
	}
}
