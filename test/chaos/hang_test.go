package chaos

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

const (
	// hangRate is how many callers a second read from the provider that hangs, and hangDeadline how long each waits:
	// less than the provider's own limits.
	hangRate     = 300
	hangDeadline = 5 * time.Second
	// hangLeast is how long it hangs at least: longer than its circuit breaker stays open.
	hangLeast = 12 * time.Second
)

// TestHangStaysWithItsProvider lets a provider hang, with the limits that users get and callers who give up before the
// provider's own limits are over. Callers of the other provider, and its consents, must not feel it.
func TestHangStaysWithItsProvider(t *testing.T) {
	w := newWorld(t, options{usual: true, follow: true})
	sick, healthy := one(), another()
	ill, well := w.authorized(t, sick, 120), w.authorized(t, healthy, 5)
	for range 50 { // which are followed until their customers decide
		if _, err := w.Consents.CreateConsent(t.Context(), newConsent(sick)); err != nil {
			t.Fatal(err)
		}
	}
	var followed []string
	for range 10 {
		pending, err := w.Consents.CreateConsent(t.Context(), newConsent(healthy))
		if err != nil {
			t.Fatal(err)
		}
		followed = append(followed, pending.GetProviderReference())
	}
	w.core(sick).Faults.Add(sandbox.Fault{Delay: time.Minute})
	asked, polled := w.reads(sick), len(w.core(healthy).Calls.All())

	lasts := max(hangLeast, time.Duration(*minutes*float64(time.Minute)))
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	var others *tally
	var running sync.WaitGroup
	running.Go(func() { others = w.readAll(ctx, well, 1<<30, 10*time.Second, 50*time.Millisecond) })
	hung := &tally{}
	began := time.Now()
	for n := 0; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) { // callers come whether or not others are answered
		for ; n < int(time.Since(began).Seconds()*hangRate); n++ {
			caller := n
			running.Go(func() {
				call, cancel := context.WithTimeout(t.Context(), hangDeadline)
				defer cancel()
				began := time.Now()
				err := w.listAccounts(call, caller, ill[caller%len(ill)])
				hung.add(time.Since(began), err)
			})
		}
	}
	running.Wait()

	t.Logf("hangs for %s: %s; %d reads at the provider", lasts, hung, w.reads(sick)-asked)
	t.Logf("well: %s", others)
	if hung.ok > 0 || hung.calls() < hangRate*int(lasts/time.Second)*9/10 {
		t.Errorf("%s; want %d calls a second, none with an answer", hung, hangRate)
	}
	if others.success() < otherSuccess {
		t.Errorf("%.2f%% of reads at the other provider succeed, the bar is %.1f%%", 100*others.success(),
			100*otherSuccess)
	}
	// Polling backs off to two seconds, a fifth at most is added, and what is due is looked for ten times a second.
	least := int(lasts/(2400*time.Millisecond+200*time.Millisecond)) * 9 / 10
	polls := map[string]map[string]int{} // by consent and operation
	for _, call := range w.core(healthy).Calls.All()[polled:] {
		for _, reference := range followed {
			if strings.Contains(call.Path, reference) {
				if polls[reference] == nil {
					polls[reference] = map[string]int{}
				}
				polls[reference][call.Operation]++
			}
		}
	}
	for _, reference := range followed {
		if reads := slices.Max(append(slices.Collect(maps.Values(polls[reference])), 0)); reads < least {
			t.Errorf("a consent at the other provider was read %d times in %s, want at least %d", reads, lasts, least)
		}
	}
}
