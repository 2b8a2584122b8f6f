package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
)

// TestAddBankAtFimento: another flow within the consent adds another bank. The providers' clock is in the test's
// hand, since decisions that fall on one second are one.
func TestAddBankAtFimento(t *testing.T) {
	t.Parallel()
	clock := sandbox.NewManualClock(time.Now())
	w := newWorld(t, worldOptions{step: time.Second, clock: clock})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimento.ID)
	w.pages(t, consent.GetLink().GetUri()).approve()
	clock.Advance(time.Minute)
	first := ready(t, c, consent.GetName())

	// Hours later the token has run out.
	clock.Advance(3 * time.Hour)
	added := must(c.Consents.AddBank(t.Context(), &consentv1.AddBankRequest{Name: consent.GetName()}))(t)
	if added.GetStatus() != consentv1.Consent_AUTHORIZED || added.GetDataStage() != consentv1.DataStage_READY ||
		added.GetLink().GetStatus() != typev1.Link_PENDING {
		t.Errorf("while another bank is asked for, the consent is %v", added)
	}
	if status := get(t, consent.GetLink().GetUri()); status != http.StatusGone {
		t.Errorf("the first link answers %d", status)
	}
	accounts := must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
		Parent: consent.GetName(),
	}))(t).GetAccounts()
	visit := w.pages(t, added.GetLink().GetUri())
	visit.bank = w.core(fimento.ID).Population.Banks("SE")[1].ID
	visit.open()
	visit.approve()
	clock.Advance(time.Minute)
	var both *consentv1.Consent
	eventually(t, "the second bank's data", func() bool {
		both = refresh(t, c, consent.GetName())
		return both.GetLink().GetStatus() == typev1.Link_COMPLETED &&
			both.GetConnections()[len(both.GetConnections())-1].GetProviderCode() == "fetchingTransactionsDone"
	})
	if len(both.GetConnections()) != 2 || both.GetConnections()[0].GetName() != first.GetConnections()[0].GetName() ||
		both.GetStatus() != consentv1.Consent_AUTHORIZED {
		t.Errorf("with two banks the consent is %v", both)
	}
	more := must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
		Parent: consent.GetName(),
	}))(t).GetAccounts()
	if len(more) <= len(accounts) {
		t.Errorf("with two banks there are %d accounts, with one %d", len(more), len(accounts))
	}
	for i, account := range accounts {
		if more[i].GetName() != account.GetName() {
			t.Error("an account changed its name")
		}
	}
	// The link runs out by the provider's clock; Kontor learns so when it is used.
	third := must(c.Consents.AddBank(t.Context(), &consentv1.AddBankRequest{Name: consent.GetName()}))(t)
	clock.Advance(25 * time.Hour)
	if status := get(t, third.GetLink().GetUri()); status != http.StatusGone {
		t.Errorf("a link of yesterday answers %d", status)
	}
	renewed := must(c.Consents.RenewConsentLink(t.Context(), &consentv1.RenewConsentLinkRequest{
		Name: consent.GetName(),
	}))(t)
	if status := get(t, renewed.GetLink().GetUri()); status != http.StatusOK {
		t.Errorf("a renewed link answers %d", status)
	}
}

// TestWithdrawal: a customer approves and then takes it back.
func TestWithdrawal(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.authorized(t, c, fimento.ID)
	got := must(c.Consents.SimulateDecision(t.Context(), &consentv1.SimulateDecisionRequest{
		Name: consent.GetName(), Decision: consentv1.Decision_REVOKED,
	}))(t)
	if got.GetStatus() != consentv1.Consent_REVOKED || got.GetDecision() != consentv1.Decision_REVOKED ||
		got.GetDataStage() != consentv1.DataStage_NOT_STARTED {
		t.Errorf("a withdrawn consent is %v", got)
	}
	_, err := c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{Parent: consent.GetName()})
	wantReason(t, err, "CONSENT_REVOKED")
}

// TestPartnerBanks: a consent on behalf of a broker names the broker to Fimento, in each call about it.
func TestPartnerBanks(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	broker := must(c.Consents.CreatePartnerBank(t.Context(), &consentv1.CreatePartnerBankRequest{
		PartnerBank: &consentv1.PartnerBank{
			Provider: "providers/" + fimento.ID, DisplayName: "Lånemäklaren", Broker: true,
			LogoUri: optional.Of("cdn.example.com/logo.svg"),
		},
	}))(t)
	consent := w.authorized(t, c, fimento.ID, func(r *consentv1.CreateConsentRequest) {
		r.Consent.PartnerBank = optional.Of(broker.GetName())
		r.Consent.BrokerBanks = []*consentv1.Consent_BrokerBank{{
			Name: "Bank Ett", Id: optional.Of("1"), LogoUri: optional.Of("cdn.example.com/ett.svg"),
		}}
	})
	if consent.GetPartnerBank() != broker.GetName() || len(consent.GetBrokerBanks()) != 0 {
		t.Errorf("the consent is %v", consent)
	}
	must(c.Insights.GetInsights(t.Context(), &insightsv1.GetInsightsRequest{
		Name: consent.GetName() + "/insights", ReferenceId: "clerk-7",
	}))(t)
	id := strings.TrimPrefix(broker.GetName(), "partnerBanks/")
	asked := 0
	for _, call := range w.core(fimento.ID).Calls.All() {
		if !strings.Contains(call.Path, consent.GetProviderReference()) {
			continue
		}
		asked++
		if call.Operation != fimento.OpTransactions && call.Operation != sandbox.OperationPage &&
			call.Header.Get("Partner-Bank-Id") != id {
			t.Errorf("%s was called for another partner bank", call.Operation)
		}
		if call.Operation == fimento.OpInsights && call.Header.Get("Reference-Id") != "clerk-7" {
			t.Errorf("the insights were asked for by %q", call.Header.Get("Reference-Id"))
		}
	}
	if asked == 0 {
		t.Error("Fimento was not asked about the consent")
	}
	created := w.core(fimento.ID).Calls.Of(fimento.OpCreateProcess)
	if !slices.ContainsFunc(created, func(call sandbox.Call) bool {
		return call.Header.Get("Partner-Bank-Id") == id && strings.Contains(string(call.Body), `"Bank Ett"`)
	}) {
		t.Error("the process was not made on behalf of the broker's banks")
	}
}

// TestVisualization: the link works, and is another one each time.
func TestVisualization(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.authorized(t, c, fimento.ID)
	seen := map[string]bool{}
	for range 3 {
		link := must(c.Insights.CreateVisualizationLink(
			t.Context(), &insightsv1.CreateVisualizationLinkRequest{Name: consent.GetName()},
		))(t)
		if status := get(t, link.GetUri()); status != http.StatusOK {
			t.Errorf("the link answers %d", status)
		}
		seen[link.GetUri()] = true
	}
	if len(seen) != 3 {
		t.Errorf("three links are %d", len(seen))
	}
}

// TestConsentReplyLost: Fimento made a process and its answer got lost. The same key finds the process again.
func TestConsentReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	request := newConsent(w, fimento.ID)
	w.core(fimento.ID).Faults.Add(sandbox.Fault{Operation: "create_process", HangUp: sandbox.HangUpAfter, Times: 1})
	_, err := c.Consents.CreateConsent(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	consent := must(c.Consents.CreateConsent(t.Context(), request))(t)
	again := must(c.Consents.CreateConsent(t.Context(), request))(t)
	wantSame(t, "the consent", again, consent)
	calls := w.core(fimento.ID).Calls.Of("create_process")
	if len(calls) != 2 || calls[0].Header.Get("Idempotency-Key") == "" ||
		calls[0].Header.Get("Idempotency-Key") != calls[1].Header.Get("Idempotency-Key") {
		t.Errorf("Fimento was asked %d times, and could not tell that it was the same", len(calls))
	}
	if calls[0].Header.Get("Idempotency-Key") == request.GetRequestId() {
		t.Error("the caller's key was handed on as it is")
	}
	customers := must(c.Customers.ListCustomers(t.Context(), &customerv1.ListCustomersRequest{}))(t).GetCustomers()
	consents := must(c.Consents.ListConsents(t.Context(), &consentv1.ListConsentsRequest{}))(t).GetConsents()
	if len(customers) != 1 || len(consents) != 1 {
		t.Errorf("there are %d customers and %d consents, want one of each", len(customers), len(consents))
	}
}

// TestConsentReplyLostThenCredentialsChange: Fimento made a process, its answer got lost, and before the caller tries
// again the account's password and name are replaced. The same key finds the process, and there is no second one.
func TestConsentReplyLostThenCredentialsChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	request := newConsent(w, fimento.ID)
	w.core(fimento.ID).Faults.Add(sandbox.Fault{Operation: "create_process", HangUp: sandbox.HangUpAfter, Times: 1})
	_, err := w.client(t, lending).Consents.CreateConsent(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	w.restart(t, func() {
		w.replace(t, map[credential]string{
			{fimento.ID, "password"}: "another-password", {fimento.ID, "username"}: "another-user",
		})
	})
	c := w.client(t, lending)
	consent := must(c.Consents.CreateConsent(t.Context(), request))(t)
	again := must(c.Consents.CreateConsent(t.Context(), request))(t)
	wantSame(t, "the consent", again, consent)
	calls := w.core(fimento.ID).Calls.Of("create_process")
	if len(calls) != 2 || calls[0].Header.Get("Idempotency-Key") == "" ||
		calls[0].Header.Get("Idempotency-Key") != calls[1].Header.Get("Idempotency-Key") {
		t.Errorf("Fimento was asked %d times, and could not tell that it was the same", len(calls))
	}
}

// TestAskedAgainAfterARefusal: a customer who refused is asked again with AddBank. Until they decide the link can be
// renewed, and no further flow can be opened.
func TestAskedAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	name := w.createConsent(t, c, fimento.ID).GetName()
	refused := must(c.Consents.SimulateDecision(t.Context(), &consentv1.SimulateDecisionRequest{
		Name: name, Decision: consentv1.Decision_REVOKED,
	}))(t)
	if refused.GetStatus() != consentv1.Consent_REJECTED {
		t.Fatalf("the customer refused: %v", refused)
	}
	_, err := c.Consents.RenewConsentLink(t.Context(), &consentv1.RenewConsentLinkRequest{Name: name})
	wantReason(t, err, "CONSENT_NOT_AUTHORIZED")
	asked := must(c.Consents.AddBank(t.Context(), &consentv1.AddBankRequest{Name: name}))(t)
	_, err = c.Consents.AddBank(t.Context(), &consentv1.AddBankRequest{Name: name})
	wantReason(t, err, "CONSENT_FLOW_ALREADY_OPEN")
	renewed := must(c.Consents.RenewConsentLink(t.Context(), &consentv1.RenewConsentLinkRequest{Name: name}))(t)
	if renewed.GetLink().GetUri() == "" || renewed.GetLink().GetUri() == asked.GetLink().GetUri() {
		t.Errorf("the renewed link is %v, the one before %v", renewed.GetLink(), asked.GetLink())
	}
}

// TestPagesThatRepeat: Fimento does not tell what follows its last page. Pages that overlap, and a last one that comes
// again, make no transaction come twice and none be missing.
func TestPagesThatRepeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	c := w.client(t, lending)
	consent := w.authorized(t, c, fimento.ID)
	whole := len(streamAll(t, c, consent.GetName()))
	play := func(paging fimento.Paging) {
		behaviour := w.fimento().Behaviour()
		behaviour.Paging = paging
		w.fimento().SetBehaviour(behaviour)
	}
	for _, paging := range []fimento.Paging{fimento.PagingOverlap, fimento.PagingRepeatLast} {
		play(paging)
		if got := len(streamAll(t, c, consent.GetName())); got != whole {
			t.Errorf("%v: there are %d transactions, want %d", paging, got, whole)
		}
	}
}

func TestFieldsThatFimentoRefuses(t *testing.T) {
	t.Parallel()
	refuseFields(t, fimento.ID, fieldRefusal{
		operation: "create_partner_bank",
		body:      `{"statusCode": 400, "message": ["name must not be ` + canary + `"], "error": "Bad Request"}`,
		rpc:       "kontor.consent.v1.ConsentService/CreatePartnerBank",
		request:   object{"partnerBank": object{"displayName": "Bank"}},
		field:     "partnerBank.displayName",
	}, fieldRefusal{
		operation: "create_process",
		body:      `{"statusCode": 422, "message": ["socialSecurityNumber ` + canary + ` is wrong"]}`,
		rpc:       "kontor.consent.v1.ConsentService/CreateConsent",
		request:   object{"consent": object{"market": "SE"}, "psu": object{"nationalId": "199503096316"}},
		field:     "psu.nationalId",
	})
}
