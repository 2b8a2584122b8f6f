package chaos

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// The bars of a brownout.
const (
	mostCalls     = 1.10  // provider calls for each caller's
	blipSuccess   = 0.995 // of reads while 5% of the provider's answers are 5xx
	otherSuccess  = 0.999 // of reads at a provider that is well
	deadlineGrace = 100 * time.Millisecond
)

func TestReadsSurviveBlips(t *testing.T) {
	w := newWorld(t, options{})
	for _, provider := range worldtest.Providers() {
		consents := w.authorized(t, provider, 10)
		w.core(provider).Faults.Add(sandbox.Fault{
			Operation: worldtest.Of(provider).Read, Status: http.StatusServiceUnavailable, Probability: 0.05,
		})
		before := w.reads(provider)
		reads := w.readAll(t.Context(), consents, 50, 10*time.Second, 0)
		calls := float64(w.reads(provider)-before) / float64(reads.calls())
		t.Logf("%s: %s, %.3f provider calls for each", provider, reads, calls)
		if reads.success() < blipSuccess || calls > mostCalls || calls <= 1 {
			t.Errorf("%s: %.2f%% of reads succeed with %.3f provider calls each; the bars are %.1f%% and 1 to %.2f",
				provider, 100*reads.success(), calls, 100*blipSuccess, mostCalls)
		}
	}
}

func TestBrownoutStaysWithItsProvider(t *testing.T) {
	w := newWorld(t, options{})
	sick, healthy := another(), one()
	ill, well := w.authorized(t, sick, 40), w.authorized(t, healthy, 5)
	faults := w.core(sick).Faults
	faults.Add(sandbox.Fault{Operation: worldtest.Of(sick).Read, Status: http.StatusBadGateway, Probability: 0.3})
	// a tenth of all
	faults.Add(sandbox.Fault{Operation: worldtest.Of(sick).Read, Delay: time.Minute, Probability: 0.1 / 0.7})
	before := w.reads(sick)

	ctx, stop := context.WithCancel(t.Context())
	var others *tally
	var running sync.WaitGroup
	running.Go(func() { others = w.readAll(ctx, well, 1<<30, 10*time.Second, 5*time.Millisecond) })
	reads := w.readAll(t.Context(), ill, 25, time.Second, 0)
	stop()
	running.Wait()

	calls := float64(w.reads(sick)-before) / float64(reads.calls())
	t.Logf("ill: %s, %.3f provider calls for each", reads, calls)
	t.Logf("well: %s", others)
	if calls > mostCalls {
		t.Errorf("%.3f provider calls for each read, the bar is %.2f", calls, mostCalls)
	}
	if reads.success() < 0.5 {
		t.Errorf("%.1f%% of reads succeed although 60%% of the provider's answers are good", 100*reads.success())
	}
	if others.success() < otherSuccess {
		t.Errorf(
			"%.2f%% of reads at the other provider succeed, the bar is %.1f%%", 100*others.success(),
			100*otherSuccess,
		)
	}
}

// TestHangingProviderEndsWithTheDeadline lets the gateway's own clock end the calls: a caller's would hide a gateway
// that hangs. That the deadline ends them shows in the reason: the limits of a provider call, all longer, give another
// one. How soon after the deadline is tested to the millisecond in internal/providers/upstream.
func TestHangingProviderEndsWithTheDeadline(t *testing.T) {
	const timeout = time.Second
	w := newWorld(t, options{timeout: timeout})
	consents := map[string]string{}
	for _, provider := range worldtest.Providers() {
		consents[provider] = w.authorized(t, provider, 1)[0]
	}
	for name, fault := range map[string]sandbox.Fault{"header": {Delay: time.Minute}, "body": {BytesPerSecond: 1}} {
		for provider, consent := range consents {
			w.core(provider).Faults.Clear()
			w.core(provider).Faults.Add(fault)
			result := w.hang(t, consent, timeout)
			t.Logf("%s hangs, %s: %s", name, provider, result)
			if late := result.failures["DEADLINE_EXCEEDED"] + result.failures["DeadlineExceeded"]; late != result.calls() {
				t.Errorf("%s hangs, %s: %s; want all to end with DEADLINE_EXCEEDED", name, provider, result)
			}
		}
	}
	// The callers shared the provider's call; that they ran out of time is the provider's failure all the same.
	for _, provider := range worldtest.Providers() {
		read := fmt.Sprintf("operation=%q", worldtest.Of(provider).Read)
		if late := w.metric(t, "kontor_provider_calls_total", read, `outcome="deadline"`); late == 0 {
			t.Errorf("%s hangs until callers give up, and is not measured as late", provider)
		}
	}
	eventually(t, "no provider call to be under way", func() bool {
		return w.metric(t, "kontor_provider_calls_in_flight") == 0
	})
}

// hang lets callers without a deadline read from a provider that hangs, and one that streams.
func (w *world) hang(t *testing.T, consent string, timeout time.Duration) *tally {
	t.Helper()
	result := &tally{}
	var callers sync.WaitGroup
	for i := range 50 {
		callers.Go(func() {
			began := time.Now()
			err := w.listAccounts(t.Context(), i, consent)
			result.add(time.Since(began), err)
		})
	}
	callers.Go(func() { // streams have no deadline but their caller's
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		stream, err := w.Banking.StreamTransactions(ctx, &bankingv1.StreamTransactionsRequest{Parent: consent})
		for err == nil {
			_, err = stream.Recv()
		}
		result.add(time.Since(began), err)
	})
	callers.Wait()
	return result
}
