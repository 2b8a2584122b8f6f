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
	kept map[string]*kept[T]
}

// kept is a result that is given to others until its timer ends.
type kept[T any] struct {
	value T
	end   *time.Timer
}

// Do gives the result of fn, or that of another call of the key, and tells which. A result is given to others for as
// long as keep says after it was there, if still says that it holds, and must not be changed. fn runs as in Group. A
// failure is shared with those alone who waited for it.
func (r *Recent[T]) Do(
	ctx context.Context, key string, keep time.Duration, still func(T) bool, fn func(context.Context) (T, error),
) (value T, shared bool, err error) {
	var own atomic.Bool
	value, err = r.group.Do(ctx, key, func(ctx context.Context) (T, error) {
		if value, ok := r.recent(key); ok && still(value) {
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
	if have, ok := r.kept[key]; ok {
		return have.value, true
	}
	return value, false
}

func (r *Recent[T]) keep(key string, value T, keep time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil {
		r.kept = make(map[string]*kept[T])
	}
	if have, ok := r.kept[key]; ok {
		have.end.Stop()
	}
	mine := &kept[T]{value: value}
	mine.end = time.AfterFunc(keep, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.kept[key] == mine {
			delete(r.kept, key)
		}
	})
	r.kept[key] = mine
}
