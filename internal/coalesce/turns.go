package coalesce

import (
	"context"
	"sync"
)

// Turns lets those who come with one key go one after the other. Its zero value is ready; it must not be copied.
type Turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the turn is over
}

// Take claims a key, waiting for it as long as the context lasts. release frees it, and must be called once.
func (t *Turns) Take(ctx context.Context, key string) (release func(), err error) {
	for {
		busy := t.enter(key)
		if busy == nil {
			return func() { t.leave(key) }, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// enter claims a key. When it is taken it gives a channel that is closed once it is free.
func (t *Turns) enter(key string) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if busy, ok := t.busy[key]; ok {
		return busy
	}
	if t.busy == nil {
		t.busy = make(map[string]chan struct{})
	}
	t.busy[key] = make(chan struct{})
	return nil
}

func (t *Turns) leave(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.busy[key])
	delete(t.busy, key)
}
