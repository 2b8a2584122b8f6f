package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
)

// TestInsightsSayWhichBanksTheyCover: while a second bank's data is still coming, the evaluation is of the first alone,
// and says so.
func TestInsightsSayWhichBanksTheyCover(t *testing.T) {
	t.Parallel()
	clock := sandbox.NewManualClock(time.Now())
	w := newWorld(t, worldOptions{step: time.Second, clock: clock})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimento.ID)
	w.pages(t, consent.GetLink().GetUri()).approve()
	clock.Advance(time.Minute)
	ready(t, c, consent.GetName())
	insights := func() *insightsv1.Insights {
		t.Helper()
		return must(c.Insights.GetInsights(t.Context(), &insightsv1.GetInsightsRequest{
			Name: consent.GetName() + "/insights", View: insightsv1.InsightsView_SUMMARY,
		}))(t)
	}
	one := insights()
	if len(one.GetConnections()) != 1 || !one.GetConnections()[0].GetComplete() || !one.GetComplete() {
		t.Errorf("of one bank: %v, complete is %t", one.GetConnections(), one.GetComplete())
	}

	added := must(c.Consents.AddBank(t.Context(), &consentv1.AddBankRequest{Name: consent.GetName()}))(t)
	visit := w.pages(t, added.GetLink().GetUri())
	visit.bank = w.core(fimento.ID).Population.Banks("SE")[1].ID
	visit.open()
	visit.approve()
	if both := refresh(t, c, consent.GetName()); len(both.GetConnections()) != 2 {
		t.Fatalf("the consent is %v", both)
	}
	coming := insights()
	if of := coming.GetConnections(); coming.GetComplete() || len(of) != 2 || !of[0].GetComplete() ||
		of[1].GetComplete() || of[1].GetBankName() == "" || len(coming.GetAccounts()) != len(one.GetAccounts()) {
		t.Errorf("while the second bank's data is coming: %v, complete is %t", of, coming.GetComplete())
	}

	clock.Advance(time.Minute)
	eventually(t, "an evaluation of both banks", func() bool {
		refresh(t, c, consent.GetName())
		both := insights()
		return both.GetComplete() && len(both.GetConnections()) == 2 && len(both.GetAccounts()) > len(one.GetAccounts())
	})
}

// TestWhatFimentoTellsOfFailures: a failure has a kind, a code that nobody knows its words, and nothing of what Fimento
// says of a customer comes out anywhere.
func TestWhatFimentoTellsOfFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimento.ID)
	const message, words = "User cancelled: Elin S. left at 12:01", "A clerk at Nordfjäll looks at the data"
	w.secret(message, "an error message of the provider's")
	w.secret(words, "the provider's words for a code")
	w.core(fimento.ID).Faults.Add(sandbox.Fault{Operation: "get_process", Status: http.StatusOK, Body: fmt.Sprintf(`{
		"_id": %q, "consent": null, "consentFlowStatus": {"history": [
			{"code": "created", "desc": "Created"}, {"code": "clerkReview", "desc": %q}]},
		"customerBankConsent": [{"customerBank": {"name": "Nordfjäll", "country": "SE"}, "status": [
			{"code": "bankAddedNotCompletedAuthFlow", "desc": "x", "isError": true, "errorMessage": %q}]}]
	}`, consent.GetProviderReference(), words, message)})
	got := refresh(t, c, consent.GetName())
	if got.GetStatus() != consentv1.Consent_FAILED ||
		got.GetError().GetFailureKind() != errorv1.FailureKind_CUSTOMER_DENIED ||
		got.GetConnections()[0].GetError().GetFailureKind() != errorv1.FailureKind_CUSTOMER_DENIED {
		t.Errorf("the consent is %v", got)
	}
	events := must(c.Consents.ListConsentEvents(t.Context(), &consentv1.ListConsentEventsRequest{
		Parent: consent.GetName(),
	}))(t).GetEvents()
	if !slices.ContainsFunc(events, func(e *consentv1.ConsentEvent) bool {
		return e.GetType() == consentv1.ConsentEvent_PROVIDER_STATUS && e.GetProviderCode() == "clerkReview" &&
			e.GetDescription() == words
	}) {
		t.Errorf("the events are %v", events)
	}
	if !slices.ContainsFunc(events, func(e *consentv1.ConsentEvent) bool {
		return e.GetError().GetFailureKind() == errorv1.FailureKind_CUSTOMER_DENIED
	}) {
		t.Errorf("no event has the kind of the failure: %v", events)
	}
}
