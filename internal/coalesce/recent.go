package coalesce

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Recent lets those who come within a moment share one call: who comes while it is under way, as in Group, and who
// comes in the moment after it succeeded. It is for calls that would do the same again, and cost something. Its zero
// value is ready; it must not be copied.
type Recent[T any] struct {
	group Group[T]

	mu   sync.Mutex
	kept map[string]T
}

// Do gives the result of fn, or that of another call of the key, and tells which. A result is given to others for as
// long as keep says after it was there, and must not be changed. fn runs as in Group. A failure is shared with those
// alone who waited for it.
func (r *Recent[T]) Do(
	ctx context.Context, key string, keep time.Duration, fn func(context.Context) (T, error),
) (value T, shared bool, err error) {
	var own atomic.Bool
	value, err = r.group.Do(ctx, key, func(ctx context.Context) (T, error) {
		if value, ok := r.recent(key); ok {
			return value, nil
		}
		own.Store(true)
		value, err := fn(ctx)
		if err == nil {
			r.keep(key, value, keep)
		}
		return value, err
	})
	return value, !own.Load(), err
}

func (r *Recent[T]) recent(key string) (value T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	value, ok = r.kept[key]
	return value, ok
}

func (r *Recent[T]) keep(key string, value T, keep time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil {
		r.kept = make(map[string]T)
	}
	r.kept[key] = value
	time.AfterFunc(keep, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.kept, key)
	})
}
