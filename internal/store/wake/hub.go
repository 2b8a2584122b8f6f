// Package wake tells those who follow a log that there may be more to read: at once after commits of a store's own
// process, and soon after those of others.
package wake

import (
	"context"
	"maps"
	"sync"
	"time"

	"kontor.dev/kontor/internal/store"
)

// lookEvery is how often a store that is followed looks whether another process added to a log.
const lookEvery = 200 * time.Millisecond

// Hub wakes those who follow a log.
type Hub struct {
	// Heads reads where the logs end.
	Heads func(context.Context) (map[store.Log]store.Cursor, error)
	// Listen calls Wake for what other processes tell, until the context ends; nil where they cannot tell. It is a hint
	// alone: what it misses is found by looking.
	Listen func(context.Context)

	mu          sync.Mutex
	subscribers map[store.Log]map[chan store.Cursor]struct{}
	// stop ends the looking; nil while nobody follows.
	stop   context.CancelFunc
	looks  sync.WaitGroup
	closed bool
}

// Subscribe implements store.Tails. One pending wake-up stands for any number of changes, so nobody's
// slowness costs more than one slot. The channel is never closed.
func (h *Hub) Subscribe(log store.Log) (<-chan store.Cursor, func()) {
	wake := make(chan store.Cursor, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers == nil {
		h.subscribers = map[store.Log]map[chan store.Cursor]struct{}{}
	}
	if h.subscribers[log] == nil {
		h.subscribers[log] = map[chan store.Cursor]struct{}{}
	}
	h.subscribers[log][wake] = struct{}{}
	if h.stop == nil && !h.closed {
		var ctx context.Context
		ctx, h.stop = context.WithCancel(context.Background())
		h.looks.Go(func() { h.look(ctx) })
		if h.Listen != nil {
			h.looks.Go(func() { h.Listen(ctx) })
		}
	}
	return wake, func() { h.unsubscribe(log, wake) }
}

func (h *Hub) unsubscribe(log store.Log, wake chan store.Cursor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subscribers[log], wake)
	if len(h.subscribers[log]) == 0 {
		delete(h.subscribers, log)
	}
	if len(h.subscribers) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// look wakes those whose log has grown, until the context ends. Nobody misses what came between subscribing and the
// first look: that wakes all.
func (h *Hub) look(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var last map[store.Log]store.Cursor
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		heads, err := h.Heads(ctx)
		if err != nil {
			continue // Who follows meets the same error.
		}
		h.Wake(changed(last, heads))
		last = heads
	}
}

// changed are the logs that end elsewhere than when they were last looked at.
func changed(last, now map[store.Log]store.Cursor) map[store.Log]store.Cursor {
	logs := maps.Clone(now)
	maps.DeleteFunc(logs, func(log store.Log, head store.Cursor) bool { return last != nil && head == last[log] })
	return logs
}

// Wake tells the subscribers of logs, without waiting for any. With each log comes the place up to which there may be
// more, empty when that is not known.
func (h *Hub) Wake(logs map[store.Log]store.Cursor) {
	if len(logs) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for log, place := range logs {
		for wake := range h.subscribers[log] {
			select {
			case had := <-wake:
				wake <- further(had, place)
			default:
				wake <- place // There is room: nobody else sends.
			}
		}
	}
}

// further is what stands for two wake-ups. Where one of them says nothing, or they are of two databases, that is
// nothing, too: the log is read.
func further(a, b store.Cursor) store.Cursor {
	switch {
	case a == b || a != "" && b.Behind(a):
		return b
	case b != "" && a.Behind(b):
		return a
	}
	return ""
}

// Close ends the looking for good.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
	h.mu.Unlock()
	h.looks.Wait()
}
