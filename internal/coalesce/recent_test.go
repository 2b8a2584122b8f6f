package coalesce

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func holds(int) bool { return true }

func TestRecentShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recent[int]
		calls := 0
		do := func(want int, wantShared bool) {
			t.Helper()
			got, shared, err := r.Do(t.Context(), "a", time.Second, holds, func(context.Context) (int, error) {
				calls++
				number := calls
				time.Sleep(300 * time.Millisecond)
				return number, nil
			})
			if got != want || shared != wantShared || err != nil {
				t.Errorf("Do = %d, %t, %v; want %d, %t", got, shared, err, want, wantShared)
			}
		}
		var callers sync.WaitGroup
		callers.Go(func() { do(1, false) })
		synctest.Wait()
		for range 10 {
			callers.Go(func() { do(1, true) })
		}
		callers.Wait()
		do(1, true)
		time.Sleep(999 * time.Millisecond)
		do(1, true) // It is kept no longer than from its end on.
		time.Sleep(time.Millisecond)
		synctest.Wait()
		do(2, false)
		time.Sleep(time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.kept) > 0 || len(r.group.calls) > 0 {
			t.Error("something is kept for ever")
		}
	})
}

func TestRecentKeepsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recent[int]
		failure := errors.New("it failed")
		_, _, err := r.Do(t.Context(), "a", time.Second, holds, func(context.Context) (int, error) { return 0, failure })
		if !errors.Is(err, failure) {
			t.Errorf("Do: %v", err)
		}
		if got, shared, err := r.Do(t.Context(), "a", time.Second, holds,
			func(context.Context) (int, error) { return 7, nil }); got != 7 || shared || err != nil {
			t.Errorf("after a failure Do = %d, %t, %v", got, shared, err)
		}
	})
}

func TestRecentGivesWhatStillHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recent[int]
		do := func(number, want int, still func(int) bool) {
			t.Helper()
			got, _, err := r.Do(t.Context(), "a", time.Second, still,
				func(context.Context) (int, error) { return number, nil })
			if got != want || err != nil {
				t.Errorf("Do = %d, %v; want %d", got, err, want)
			}
		}
		do(1, 1, holds)
		time.Sleep(600 * time.Millisecond)
		do(2, 2, func(value int) bool { return value > 1 })
		time.Sleep(600 * time.Millisecond)
		do(3, 2, holds) // The first one's time was over meanwhile, the second one's is not.
		time.Sleep(time.Second)
	})
}
