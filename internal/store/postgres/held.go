package postgres

import (
	"context"
	"sync"
	"time"

	"kontor.dev/kontor/internal/store"
)

// held tells for how long events that are committed have been held back from who follows the logs, by a transaction
// that dallies (see logs.go). Whatever looks at the ends of the logs notes them here; nothing is asked for it.
//
// While there is much to do, some entry is always above the head, and each is there for a moment alone. So what counts
// is one place: the top of the log as it was when it was noted, until the head has reached it.
type held struct {
	mu    sync.Mutex
	marks map[store.Log]mark
}

// mark is a place in a log that the head has not reached since a time.
type mark struct {
	top   int64
	since time.Time
}

// note notes where a log ends, for who follows it as long as the context lasts.
func (h *held) note(ctx context.Context, log store.Log, e ends, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return // It was forgotten, or is about to be.
	}
	if m, ok := h.marks[log]; ok && e.head < m.top {
		return
	}
	delete(h.marks, log)
	if e.head < e.top {
		if h.marks == nil {
			h.marks = map[store.Log]mark{}
		}
		h.marks[log] = mark{e.top, now}
	}
}

// forget is for when nobody follows any more: nobody looks then, and nobody waits for events.
func (h *held) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.marks)
}

// longest tells for how long events of any log have been held back, at least; 0 for not at all.
func (h *held) longest(now time.Time) (longest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.marks {
		longest = max(longest, now.Sub(m.since))
	}
	return longest
}
