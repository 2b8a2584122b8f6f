package sqlite

import (
	"sync"

	"kontor.dev/kontor/internal/store"
)

// hub wakes those who wait for a topic. The zero value is ready.
type hub struct {
	mu          sync.RWMutex
	subscribers map[store.Topic]map[chan struct{}]struct{}
}

// subscribe implements store.Store's Subscribe. One pending wake-up stands for any number of changes, so nobody's slowness costs more than one
// slot.
func (h *hub) subscribe(topic store.Topic) (<-chan struct{}, func()) {
	wake := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers == nil {
		h.subscribers = map[store.Topic]map[chan struct{}]struct{}{}
	}
	if h.subscribers[topic] == nil {
		h.subscribers[topic] = map[chan struct{}]struct{}{}
	}
	h.subscribers[topic][wake] = struct{}{}
	return wake, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers[topic], wake)
		if len(h.subscribers[topic]) == 0 {
			delete(h.subscribers, topic)
		}
	}
}

// wake tells the subscribers of the topics, without waiting for any.
func (h *hub) wake(topics map[store.Topic]struct{}) {
	if len(topics) == 0 {
		return
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for topic := range topics {
		for wake := range h.subscribers[topic] {
			select {
			case wake <- struct{}{}:
			default: // It has one to read already, and reads the log after it.
			}
		}
	}
}
