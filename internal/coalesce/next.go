package coalesce

import (
	"context"
	"sync"

	"kontor.dev/kontor/internal/slot"
)

// Next lets those who want to know how something stands share reads of it. Nobody shares one that has begun:
// it might miss what they have just done. They wait for its end and share the next. So there are at most two
// reads for any number of callers who come at one time, and never two at once. Its zero value is ready; it
// must not be copied.
type Next[T any] struct {
	turns Turns

	mu      sync.Mutex
	waiting map[string]*next[T] // not begun yet
}

// next is one read; its result is there once done is closed.
type next[T any] struct {
	done     chan struct{}
	value    T
	err      error
	panicked any
}

// Do gives the result of the next read of a key, which is read unless another caller has brought one that has
// not begun. The result is shared and must not be changed. read runs under a context that has the values of
// its caller's and neither its deadline nor its end: a caller whose own context ends leaves alone, and the
// read goes on. A panic of read is passed on to each caller.
func (n *Next[T]) Do(ctx context.Context, key string, read func(context.Context) (T, error)) (T, error) {
	shared := n.join(ctx, key, read)
	slot.Wait(ctx)
	select {
	case <-shared.done:
		if shared.panicked != nil {
			panic(shared.panicked)
		}
		return shared.value, shared.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

func (n *Next[T]) join(ctx context.Context, key string, read func(context.Context) (T, error)) *next[T] {
	n.mu.Lock()
	defer n.mu.Unlock()
	if shared, ok := n.waiting[key]; ok {
		return shared
	}
	if n.waiting == nil {
		n.waiting = make(map[string]*next[T])
	}
	shared := &next[T]{done: make(chan struct{})}
	n.waiting[key] = shared
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer close(shared.done)
		defer func() { shared.panicked = recover() }()
		release, err := n.turns.Take(ctx, key)
		if err != nil { // never: the context does not end
			shared.err = err
			return
		}
		defer release()
		n.begin(key)
		shared.value, shared.err = read(ctx)
	}()
	return shared
}

// begin closes a read to further callers.
func (n *Next[T]) begin(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.waiting, key)
}
