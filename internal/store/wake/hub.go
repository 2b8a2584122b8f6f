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
	Heads func(context.Context) (map[store.Log]int64, error)
	// Listen calls Wake for what other processes tell, until the context ends; nil where they cannot tell. It is a hint
	// alone: what it misses is found by looking.
	Listen func(context.Context)

	mu          sync.RWMutex
	subscribers map[store.Log]map[chan struct{}]struct{}
	// stop ends the looking; nil while nobody follows.
	stop   context.CancelFunc
	looks  sync.WaitGroup
	closed bool
}

// Subscribe implements store.Tails. One pending wake-up stands for any number of changes, so nobody's
// slowness costs more than one slot. The channel is never closed.
func (h *Hub) Subscribe(log store.Log) (<-chan struct{}, func()) {
	wake := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers == nil {
		h.subscribers = map[store.Log]map[chan struct{}]struct{}{}
	}
	if h.subscribers[log] == nil {
		h.subscribers[log] = map[chan struct{}]struct{}{}
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

func (h *Hub) unsubscribe(log store.Log, wake chan struct{}) {
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
	var last map[store.Log]int64
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
		grown := map[store.Log]bool{}
		for log, head := range heads {
			grown[log] = head != last[log] || last == nil
		}
		maps.DeleteFunc(grown, func(_ store.Log, grown bool) bool { return !grown })
		h.Wake(grown)
		last = heads
	}
}

// Wake tells the subscribers of logs, without waiting for any.
func (h *Hub) Wake(logs map[store.Log]bool) {
	if len(logs) == 0 {
		return
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for log := range logs {
		for wake := range h.subscribers[log] {
			select {
			case wake <- struct{}{}:
			default: // It has one to read already, and reads the log after it.
			}
		}
	}
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
