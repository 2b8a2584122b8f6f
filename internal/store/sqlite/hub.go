package sqlite

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"kontor.dev/kontor/internal/store"
)

// lookEvery is how often a store that is followed looks whether another process added to a log. SQLite cannot tell it.
const lookEvery = 200 * time.Millisecond

// hub wakes those who follow a log: at once after commits of its own store, and soon after those of others.
type hub struct {
	// heads reads where the logs end.
	heads func(context.Context) (map[store.Log]int64, error)

	mu          sync.RWMutex
	subscribers map[store.Log]map[chan struct{}]struct{}
	// stop ends the looking; nil while nobody follows.
	stop   context.CancelFunc
	looks  sync.WaitGroup
	closed bool
}

// subscribe implements store.Tails's Subscribe. One pending wake-up stands for any number of changes, so nobody's
// slowness costs more than one slot. The channel is never closed.
func (h *hub) subscribe(log store.Log) (<-chan struct{}, func()) {
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
	}
	return wake, func() { h.unsubscribe(log, wake) }
}

func (h *hub) unsubscribe(log store.Log, wake chan struct{}) {
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
func (h *hub) look(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var last map[store.Log]int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		heads, err := h.heads(ctx)
		if errors.Is(err, errClosed) {
			return
		}
		if err != nil {
			continue // Who follows meets the same error.
		}
		grown := map[store.Log]bool{}
		for log, head := range heads {
			grown[log] = head != last[log] || last == nil
		}
		maps.DeleteFunc(grown, func(_ store.Log, grown bool) bool { return !grown })
		h.wake(grown)
		last = heads
	}
}

// wake tells the subscribers of logs, without waiting for any.
func (h *hub) wake(logs map[store.Log]bool) {
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

// close ends the looking for good.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
	h.mu.Unlock()
	h.looks.Wait()
}
