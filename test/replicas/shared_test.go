package replicas

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// polls are the operations by which a consent that waits for its customer is followed, by provider.
var polls = worldtest.Table[string]{}

// waiting makes consents at a provider that wait for their customers, and are polled.
func waiting(t *testing.T, w *replicatest.World, provider string, count int) (all []*consentv1.Consent) {
	t.Helper()
	for range count {
		e := replicatest.NewConsent(provider)
		if !w.Do(t.Context(), e) {
			t.Fatal(e.Err)
		}
		all = append(all, e.Answer.(*consentv1.Consent))
	}
	return all
}

// polled gives when each consent was read at its provider since a time, by its path there.
func polled(core *sandbox.Core, operation string, since time.Time) map[string][]time.Time {
	at := map[string][]time.Time{}
	for _, call := range core.Calls.Of(operation) {
		if !call.Time.Before(since) {
			at[call.Path] = append(at[call.Path], call.Time)
		}
	}
	return at
}

// TestPolledOnce: however many gateways there are, a consent that is due is read once.
func TestPolledOnce(t *testing.T) {
	t.Parallel()
	const interval = time.Second
	w := newWorld(t, replicatest.Options{Polling: "{min_interval: 1s, max_interval: 1s}"})
	for _, id := range worldtest.Providers() {
		waiting(t, w, id, scaled(30, 5))
	}
	since, rounds := time.Now(), scaled(20, 4)
	for _, id := range worldtest.Providers() {
		core := w.Played[id].Core
		worldtest.Within(t, id+"'s consents to be read", 2*time.Minute, func() bool {
			at := polled(core, polls.Of(id), since)
			for _, times := range at {
				if len(times) < rounds {
					return false
				}
			}
			return len(at) > 0
		})
		reads := 0
		for path, times := range polled(core, polls.Of(id), since) {
			reads += len(times)
			for i := 1; i < len(times); i++ {
				if gap := times[i].Sub(times[i-1]); gap < interval/2 {
					t.Errorf("%s: %s was read twice within %s", id, path, gap)
				}
			}
		}
		t.Logf("%s: %d reads", id, reads)
	}
}

// TestRetryAfterHoldsAll: what a provider asks one gateway to wait for holds the reads that all make in the background.
func TestRetryAfterHoldsAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{Polling: "{min_interval: 500ms, max_interval: 500ms}"})
	for _, id := range worldtest.Providers() {
		waiting(t, w, id, 6)
	}
	var watching sync.WaitGroup
	for _, id := range worldtest.Providers() {
		watching.Go(func() { leftAlone(t, id, w.Played[id].Core) })
	}
	watching.Wait()
}

// leftAlone has a provider ask for a pause, and counts the reads within it.
func leftAlone(t *testing.T, id string, core *sandbox.Core) {
	t.Helper()
	const pause, slack = 6 * time.Second, 100 * time.Millisecond
	operation := polls.Of(id)
	core.Faults.Add(sandbox.Fault{
		Operation: operation, Status: http.StatusTooManyRequests, RetryAfter: "6", Times: 1,
	})
	var told time.Time
	if !worldtest.Holds(worldtest.Patience, func() bool {
		for _, call := range core.Calls.Of(operation) {
			if call.Status == http.StatusTooManyRequests {
				told = call.Time
			}
		}
		return !told.IsZero()
	}) {
		t.Errorf("%s is not asked", id)
		return
	}
	end := told.Add(pause - slack)
	if !worldtest.Holds(worldtest.Patience, func() bool { return len(polled(core, operation, end)) > 0 }) {
		t.Errorf("%s is not asked again", id)
	}
	during := 0
	// What was under way when the provider asked for it is not held.
	for _, times := range polled(core, operation, told.Add(time.Second)) {
		for _, at := range times {
			if at.Before(end) {
				during++
			}
		}
	}
	if during > 0 {
		t.Errorf("%s: %d reads in the background while it was to be left alone", id, during)
	}
}

// TestLoginsBounded: a gateway whose logins fail tries again at most every 5 s, whoever calls.
func TestLoginsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{Polling: "{min_interval: 1h, max_interval: 1h}"})
	var failing sync.WaitGroup
	for _, id := range worldtest.Providers() {
		failing.Go(func() { loginsFail(t, w, id) })
	}
	failing.Wait()
}

// loginsFail has all gateways ask a provider that lets nobody in, and counts their logins.
func loginsFail(t *testing.T, w *replicatest.World, id string) {
	t.Helper()
	const pause = 5 * time.Second // between two logins of one gateway
	core, login := w.Played[id].Core, worldtest.Of(id).Login
	core.Faults.Add(sandbox.Fault{Operation: login, Status: http.StatusServiceUnavailable})
	core.ExpireTokens()
	began, before := time.Now(), core.Calls.Count(login)
	calling, stop := context.WithTimeout(t.Context(), time.Duration(scaled(20, 3))*time.Second)
	defer stop()
	var callers sync.WaitGroup
	for _, r := range w.Replicas {
		for range 4 {
			callers.Go(func() {
				for calling.Err() == nil {
					if worldtest.Of(id).Probe(worldtest.AsPSU(calling), r.Stubs()) == nil {
						t.Errorf("%s is asked without a login", id)
						return
					}
				}
			})
		}
	}
	callers.Wait()
	logins, most := core.Calls.Count(login)-before, len(w.Replicas)*(1+int(time.Since(began)/pause))
	if logins == 0 || logins > most {
		t.Errorf("%s: %d logins by three gateways in %s, want at most %d", id, logins, time.Since(began), most)
	}
	core.Faults.Clear()
	if !worldtest.Holds(worldtest.Patience, func() bool {
		return worldtest.Of(id).Probe(worldtest.AsPSU(t.Context()), w.Replicas[0].Stubs()) == nil
	}) {
		t.Errorf("%s is not asked again", id)
	}
}

// TestEndedMeanwhile revokes consents at one gateway while others renew their links and read them: what is revoked
// stays so, and nobody has a link to it.
func TestEndedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{})
	ctx, cancel := context.WithTimeout(worldtest.AsPSU(t.Context()), 5*time.Minute)
	defer cancel()
	for _, id := range worldtest.Providers() {
		for _, made := range waiting(t, w, id, scaled(40, 5)) {
			if err := w.Approve(t.Context(), made); err != nil {
				t.Fatal(err)
			}
			name := made.GetName()
			var calls sync.WaitGroup
			for i, r := range w.Replicas {
				stubs := r.Stubs()
				calls.Go(func() {
					if i > 0 {
						return
					}
					_, err := stubs.Consents.RevokeConsent(ctx, &consentv1.RevokeConsentRequest{Name: name})
					if err != nil {
						t.Errorf("%s: %v", id, err)
					}
				})
				// What these are told depends on who comes first.
				calls.Go(func() {
					_, _ = stubs.Consents.RenewConsentLink(ctx, &consentv1.RenewConsentLinkRequest{Name: name})
				})
				calls.Go(func() {
					_, _ = stubs.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: name, Refresh: true})
				})
			}
			calls.Wait()
			for _, r := range w.Replicas {
				got, err := r.Stubs().Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: name, Refresh: true})
				if err != nil || got.GetStatus() != consentv1.Consent_REVOKED || got.GetLink().GetUri() != "" {
					t.Errorf("%s: a consent that was revoked is %s with the link %v, %v", id, got.GetStatus(), got.GetLink(), err)
				}
			}
		}
	}
}
