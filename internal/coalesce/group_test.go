package coalesce

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/slot"
)

type valueKey struct{}

func TestGroupShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		var calls atomic.Int32
		fn := func(ctx context.Context) (int, error) {
			if _, ok := ctx.Deadline(); ok || ctx.Value(valueKey{}) != "v" {
				t.Error("the call has the deadline of its first caller, or none of its values")
			}
			time.Sleep(time.Second)
			return int(calls.Add(1)), ctx.Err()
		}
		first, cancel := context.WithTimeout(context.WithValue(t.Context(), valueKey{}, "v"), 500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			began := time.Now()
			if _, err := g.Do(first, "a",
				fn); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 500*time.Millisecond {
				t.Errorf("the first caller: %v after %v", err, time.Since(began))
			}
		})
		synctest.Wait()
		for range 100 {
			wg.Go(func() {
				if got, err := g.Do(t.Context(), "a", fn); got != 1 || err != nil {
					t.Errorf("Do = %d, %v", got, err)
				}
			})
		}
		wg.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls", calls.Load())
		}
		ctx := context.WithValue(t.Context(), valueKey{}, "v")
		if got, _ := g.Do(ctx, "a", fn); got != 2 {
			t.Errorf("a later call was given the old result: %d", got)
		}
		wg.Go(func() { g.Do(ctx, "a", fn) })
		wg.Go(func() { g.Do(ctx, "b", fn) })
		wg.Wait()
		if calls.Load() != 4 {
			t.Errorf("%d calls: different keys were shared", calls.Load())
		}
	})
}

func TestGroupEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		var ended atomic.Int32
		fn := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // it takes its time to end
			ended.Add(1)
			return 0, ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := g.Do(ctx, "a", fn); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		// Nobody joins the call that is ending.
		got, err := g.Do(t.Context(), "a", func(context.Context) (int, error) { return 7, nil })
		if got != 7 || err != nil {
			t.Errorf("Do = %d, %v", got, err)
		}
		time.Sleep(2 * time.Second)
		if ended.Load() != 1 || len(g.calls) != 0 {
			t.Errorf("%d calls ended, %d are kept", ended.Load(), len(g.calls))
		}
	})
}

func TestGroupPassesPanicsOn(t *testing.T) {
	var g Group[int]
	defer func() {
		if got := recover(); got != "boom" {
			t.Errorf("recovered %v", got)
		}
		if got, err := g.Do(t.Context(), "a",
			func(context.Context) (int, error) { return 1, nil }); got != 1 || err != nil {
			t.Errorf("Do = %d, %v", got, err)
		}
	}()
	g.Do(t.Context(), "a", func(context.Context) (int, error) { panic("boom") })
}

// TestGroupKeepsThePlace: a call takes up its first caller's place until it is over, whoever has left.
func TestGroupKeepsThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		freed := false
		place := slot.New(func() { freed = true })
		ctx, leave := context.WithCancel(slot.With(t.Context(), place))
		end := make(chan struct{})
		go func() {
			_, _ = g.Do(ctx, "a", func(context.Context) (int, error) {
				<-end
				return 0, nil
			})
			place.Done()
		}()
		synctest.Wait()
		leave()
		synctest.Wait()
		if freed {
			t.Error("the place is free although the call goes on")
		}
		close(end)
		synctest.Wait()
		if !freed {
			t.Error("the place is never free")
		}
	})
}

// TestWhoSharesWaits: whoever waits for a call or a read that others share is no work for the gateway meanwhile.
func TestWhoSharesWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		var n Next[int]
		end := make(chan struct{})
		work := func(context.Context) (int, error) {
			<-end
			return 0, nil
		}
		for what, share := range map[string]func(context.Context){
			"Group": func(ctx context.Context) { _, _ = g.Do(ctx, "a", work) },
			"Next":  func(ctx context.Context) { _, _ = n.Do(ctx, "a", work) },
		} {
			waiting := 0
			for range 3 {
				place := slot.New(func() {})
				place.OnWait(func() { waiting++ })
				go share(slot.With(t.Context(), place))
				synctest.Wait()
			}
			if waiting != 3 {
				t.Errorf("%s: %d of 3 wait", what, waiting)
			}
		}
		close(end)
		synctest.Wait()
	})
}
