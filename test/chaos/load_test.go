package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// tally is how calls went.
type tally struct {
	mu       sync.Mutex
	ok       int
	failures map[string]int // by reason
	took     []time.Duration
}

func (t *tally) add(took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took = append(t.took, took)
	if err == nil {
		t.ok++
		return
	}
	if t.failures == nil {
		t.failures = map[string]int{}
	}
	t.failures[reasonOf(err)]++
}

func (t *tally) calls() int { return len(t.took) }

// success is the share of calls that succeeded.
func (t *tally) success() float64 { return float64(t.ok) / float64(max(1, t.calls())) }

// quantile is the time within which a share of the calls ended.
func (t *tally) quantile(share float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.took))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))].Round(time.Millisecond)
}

func (t *tally) String() string {
	var failures []string
	for _, reason := range slices.Sorted(maps.Keys(t.failures)) {
		failures = append(failures, fmt.Sprintf("%s %d", reason, t.failures[reason]))
	}
	return fmt.Sprintf("%d calls, %.2f%% ok, p50 %s, p99 %s, failures: %s",
		t.calls(), 100*t.success(), t.quantile(.5), t.quantile(.99),
		strings.Join(failures, ", "))
}

// readAll lets one caller for each consent read its accounts, times times or until the context ends. No two callers
// share a consent, so that no two reads can share a provider call.
func (w *world) readAll(
	ctx context.Context, consents []string, times int, deadline time.Duration, pause time.Duration,
) *tally {
	result := &tally{}
	var callers sync.WaitGroup
	for i, consent := range consents {
		callers.Go(func() {
			for n := 0; n < times && ctx.Err() == nil; n++ {
				began := time.Now()
				call, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
				err := w.listAccounts(call, i, consent)
				cancel()
				result.add(time.Since(began), err)
				if pause > 0 {
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			}
		})
	}
	callers.Wait()
	return result
}
