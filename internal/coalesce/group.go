package coalesce

import (
	"context"
	"sync"

	"kontor.dev/kontor/internal/slot"
)

// Group lets concurrent calls that would do the same share one. Its zero value is ready; it must not be copied.
type Group[T any] struct {
	mu    sync.Mutex
	calls map[string]*shared[T]
}

type shared[T any] struct {
	done     chan struct{}
	cancel   context.CancelCauseFunc
	waiters  int
	value    T
	err      error
	panicked any
}

// Do gives the result of fn, sharing the call with all others of the same key that overlap with it. The
// result is shared as well and must not be changed. fn runs under a context that has the values of the first
// caller's and neither its deadline nor its end: a caller whose own context ends leaves alone, with the error
// of its context, and the call is cancelled when the last one has left, with the cause of that one's leaving.
// A panic of fn is passed on to each caller.
func (g *Group[T]) Do(ctx context.Context, key string, fn func(context.Context) (T, error)) (T, error) {
	g.mu.Lock()
	call, ok := g.calls[key]
	if !ok {
		if g.calls == nil {
			g.calls = map[string]*shared[T]{}
		}
		detached, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		call = &shared[T]{done: make(chan struct{}), cancel: cancel}
		g.calls[key] = call
		go g.run(detached, slot.Keep(ctx), key, call, fn)
	}
	call.waiters++
	g.mu.Unlock()

	slot.Wait(ctx)
	select {
	case <-call.done:
		if call.panicked != nil {
			panic(call.panicked)
		}
		return call.value, call.err
	case <-ctx.Done():
		g.leave(key, call, context.Cause(ctx))
		var zero T
		return zero, ctx.Err()
	}
}

// run makes the call, in the place of the first caller, until it is over.
func (g *Group[T]) run(
	ctx context.Context, free func(), key string, call *shared[T], fn func(context.Context) (T, error),
) {
	defer free()
	defer func() {
		call.panicked = recover()
		call.cancel(nil)
		g.forget(key, call)
		close(call.done)
	}()
	call.value, call.err = fn(ctx)
}

// leave takes one caller off a call. Nobody can join a call that the last one has left.
func (g *Group[T]) leave(key string, call *shared[T], why error) {
	g.mu.Lock()
	call.waiters--
	last := call.waiters == 0
	g.mu.Unlock()
	if last {
		g.forget(key, call)
		call.cancel(why)
	}
}

func (g *Group[T]) forget(key string, call *shared[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calls[key] == call {
		delete(g.calls, key)
	}
}
