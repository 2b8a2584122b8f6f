package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
)

// TestWatchAcrossRestart: the gateway stops in the middle and starts again; meanwhile the customer goes on at the
// bank. Streams end with UNAVAILABLE, and resumed ones miss and repeat nothing.
func TestWatchAcrossRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimento.ID)
	visit := w.pages(t, consent.GetLink().GetUri())
	streams := map[string]*watch[*consentv1.WatchConsentsResponse]{}
	tokens := map[string]string{}
	for _, streaming := range streamings {
		streams[streaming] = watchConsents(t, c, streaming, consent.GetName(), "")
		streams[streaming].next(t)
	}
	visit.open()
	var last int32
	for streaming, stream := range streams {
		opened := until(t, stream, consentv1.ConsentEvent_LINK_OPENED, consent.GetEventCount())
		latest := opened[len(opened)-1]
		tokens[streaming], last = latest.GetResumeToken(), latest.GetConsent().GetEventCount()
	}
	stopped := make(chan error, 1)
	go func() { stopped <- w.gateway.Stop() }()
	for streaming, stream := range streams {
		if f := stream.end(t); f == nil || f.code != codes.Unavailable || f.reason != "GATEWAY_STOPPING" || !f.retry {
			t.Errorf("%s: the stream ended with %v, want GATEWAY_STOPPING with RetryInfo", streaming, f)
		}
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	visit.approve()
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	w.forget()
	c = w.client(t, lending)
	var seen []*consentv1.WatchConsentsResponse
	for _, streaming := range streamings {
		all := until(
			t, watchConsents(t, c, streaming, consent.GetName(), tokens[streaming]), consentv1.ConsentEvent_COMPLETED,
			last,
		)
		if seen == nil {
			seen = all
		}
		for i := range all {
			wantSame(t, "an event over "+streaming, all[i].GetEvent(), seen[i].GetEvent())
		}
	}
	if final := seen[len(seen)-1].GetConsent(); final.GetStatus() != consentv1.Consent_AUTHORIZED ||
		final.GetDataStage() != consentv1.DataStage_READY {
		t.Errorf("in the end the consent is %v", final)
	}
}

// TestWebhooksMayMisbehave: whether webhooks are lost, repeated or come out of order, a watch sees each status once.
func TestWebhooksMayMisbehave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, played: []sandbox.Dialect{
		fimento.Dialect(fimento.Config{Behaviour: fimento.Behaviour{Webhooks: fimento.Webhooks{Drop: true}}}),
	}})
	c := w.client(t, lending)
	for _, misbehaviour := range []fimento.Webhooks{{Drop: true}, {Duplicates: 3}, {OutOfOrder: true}} {
		behaviour := w.fimento().Behaviour()
		behaviour.Webhooks = misbehaviour
		w.fimento().SetBehaviour(behaviour)
		consent := w.createConsent(t, c, fimento.ID)
		stream := watchConsents(t, c, overSSE, consent.GetName(), "")
		stream.next(t)
		visit := w.pages(t, consent.GetLink().GetUri())
		visit.open()
		visit.approve()
		seen := until(t, stream, consentv1.ConsentEvent_COMPLETED, consent.GetEventCount())
		if final := seen[len(seen)-1].GetConsent(); final.GetStatus() != consentv1.Consent_AUTHORIZED {
			t.Errorf("%+v: in the end the consent is %v", misbehaviour, final)
		}
		codes := map[string]int{}
		for _, e := range events(t, c, consent.GetName()) {
			codes[e.GetProviderCode()]++
		}
		for _, code := range []string{
			"created", "consentLinkOpened", "bankAddedNotCompletedAuthFlow", "bankAddedCompletedAuthFlow",
			"fetchingTransactionsStarted",
			"fetchingTransactionsDone", "customerApprovedConsent", "categorisationStarted", "categorisationDone",
			"insightsStarted", "completed",
		} {
			if codes[code] != 1 {
				t.Errorf("%+v: %s is %d events, want one", misbehaviour, code, codes[code])
			}
		}
	}
	if len(w.core(fimento.ID).Calls.Of(fimento.OpAddWebhook)) == 0 {
		t.Error("no webhook was registered")
	}
}

// TestLinkOpenedEachTime: a link that is opened n times is n events.
func TestLinkOpenedEachTime(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimento.ID)
	visit := w.pages(t, consent.GetLink().GetUri())
	for range 5 {
		visit.open()
	}
	refresh(t, c, consent.GetName())
	opened := 0
	for _, e := range events(t, c, consent.GetName()) {
		if e.GetType() == consentv1.ConsentEvent_LINK_OPENED {
			opened++
		}
	}
	if opened != 5 {
		t.Errorf("the history has %d openings, want 5", opened)
	}
}

// TestRefreshIsNotOlderThanItsCall: what a customer did before a refresh shows in its answer, also when another read
// is under way that began before.
func TestRefreshIsNotOlderThanItsCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimento.ID)
	w.core(fimento.ID).Faults.Add(sandbox.Fault{Operation: fimento.OpGetProcess, BytesPerSecond: 2000, Times: 1})
	slow := make(chan error, 1)
	go func() {
		_, err := c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{
			Name: consent.GetName(), Refresh: true,
		})
		slow <- err
	}()
	eventually(t, "the first read to be answered slowly", func() bool {
		reads := w.core(fimento.ID).Calls.Of(fimento.OpGetProcess)
		return len(reads) == 1 && reads[0].Status == http.StatusOK
	})
	w.pages(t, consent.GetLink().GetUri()).open()
	before := w.core(fimento.ID).Calls.Count(fimento.OpGetProcess)
	answers := make([]*consentv1.Consent, 50)
	var callers sync.WaitGroup
	for i := range answers {
		callers.Go(func() { answers[i] = refresh(t, c, consent.GetName()) })
	}
	callers.Wait()
	for _, answer := range answers {
		if answer.GetLink().GetStatus() != typev1.Link_OPENED {
			t.Fatalf("after the link was opened it is %s", answer.GetLink().GetStatus())
		}
	}
	if n := w.core(fimento.ID).Calls.Count(fimento.OpGetProcess) - before; n < 1 || n > 5 {
		t.Errorf("50 callers at one time made the gateway read %d times", n)
	}
	if err := <-slow; err != nil {
		t.Error(failed(err))
	}
}
