package coalesce

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestNextNeverSharesWhatHasBegun: those who come while a read is under way share the next one, which begins
// after it.
func TestNextNeverSharesWhatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n Next[int]
		reads, underway := 0, 0
		read := func(ctx context.Context) (int, error) {
			if _, ok := ctx.Deadline(); ok || ctx.Value(valueKey{}) != "v" {
				t.Error("the read has the deadline of its caller, or none of its values")
			}
			reads++
			if underway++; underway > 1 {
				t.Error("two reads at once")
			}
			number := reads
			time.Sleep(time.Second)
			underway--
			return number, ctx.Err()
		}
		ctx := context.WithValue(t.Context(), valueKey{}, "v")
		var callers sync.WaitGroup
		hurried, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		callers.Go(func() {
			if _, err := n.Do(hurried, "a", read); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a caller whose time is up gets %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			callers.Go(func() {
				if got, err := n.Do(ctx, "a", read); got != 2 || err != nil {
					t.Errorf("a caller who came during read 1 gets %d, %v", got, err)
				}
			})
		}
		callers.Wait()
		if got, err := n.Do(ctx, "a", read); got != 3 || err != nil {
			t.Errorf("a later caller gets %d, %v", got, err)
		}
		if len(n.waiting) > 0 || len(n.turns.busy) > 0 {
			t.Error("something outlives its read")
		}
	})
}

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		release, err := turns.Take(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if other, err := turns.Take(t.Context(), "b"); err != nil {
			t.Error(err)
		} else {
			other()
		}
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.Take(hurried, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who cannot wait gets %v", err)
		}
		taken, most := 0, 0
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				free, err := turns.Take(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				taken++
				most = max(most, taken)
				time.Sleep(time.Second)
				taken--
				free()
			})
		}
		synctest.Wait()
		if taken != 0 {
			t.Error("a turn was taken twice")
		}
		release()
		callers.Wait()
		if most != 1 || len(turns.busy) > 0 {
			t.Errorf("%d at once, %d keys left", most, len(turns.busy))
		}
	})
}
