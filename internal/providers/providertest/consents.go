package providertest

import (
	"net/url"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
)

// follow gives what follows from reports, as the service sees it.
func follow(reports ...providers.ConsentState) consent.State {
	history := consent.Add(nil, consent.Created(start, "made"), consent.LinkIssued(1, "https://bank.example.com", start, start))
	for i, report := range reports {
		history = append(history, consent.Observe(history, report, start.AddDate(0, 0, i+1))...)
	}
	return consent.Derive(consentv1.Consent_TRANSACTION_CATEGORISATION, history)
}

func (h Harness) state(t *testing.T, ref providers.ConsentRef) providers.ConsentState {
	t.Helper()
	state, err := h.Provider.Consents.GetConsent(call(t), ref)
	if err != nil {
		t.Fatalf("get the consent: %v", err)
	}
	return *state
}

func wantLink(t *testing.T, link *providers.Link) {
	t.Helper()
	if link == nil {
		t.Fatal("there is no link")
	}
	if u, err := url.Parse(link.URI); err != nil || u.Host == "" || link.TTL <= 0 {
		t.Errorf("the link is %+v", link)
	}
}

func testConsents(t *testing.T, h Harness) {
	created := h.create(t)
	if created.Ref.ID == "" || created.Ref.Market != h.Market {
		t.Errorf("the reference is %+v", created.Ref)
	}
	wantLink(t, &created.Link)
	if got := follow(created.State, h.state(t, created.Ref)); got.Status != consentv1.Consent_AWAITING_AUTHORIZATION {
		t.Errorf("a new consent is %s", got.Status)
	}
	h.Approve(t, created.Ref)
	first, second := h.state(t, created.Ref), h.state(t, created.Ref)
	got := follow(created.State, first, second)
	if got.Status != consentv1.Consent_AUTHORIZED || got.DataStage != consentv1.Consent_READY || len(got.Connections) == 0 {
		t.Errorf("an approved consent is %s, %s, with %d connections", got.Status, got.DataStage, len(got.Connections))
	}
	for _, c := range got.Connections {
		if c.Bank == nil || c.Bank.DisplayName == "" {
			t.Errorf("connection %s has no bank", c.ID)
		}
	}
	// Reading again tells nothing new.
	history := consent.Add(nil, consent.Created(start, "made"))
	history = append(history, consent.Observe(history, first, start)...)
	if again := consent.Observe(history, second, start.AddDate(0, 0, 1)); len(again) != 0 {
		t.Errorf("reading again gave %d new events, such as %s", len(again), again[0].Type)
	}
}

func testLinks(t *testing.T, h Harness) {
	ref := h.create(t).Ref
	if h.Provider.Links == nil {
		unsupported(t, h.Provider, "RenewConsentLink")
	} else {
		renewed, err := h.Provider.Links.RenewLink(call(t), ref, flow)
		if err != nil {
			t.Fatalf("renew the link: %v", err)
		}
		wantLink(t, &renewed.Link)
		ref = newer(ref, renewed.Ref)
	}
	if h.Provider.Banks == nil {
		unsupported(t, h.Provider, "AddBank")
		return
	}
	h.Approve(t, ref)
	added, err := h.Provider.Banks.AddBank(call(t), ref, flow)
	if err != nil {
		t.Fatalf("add a bank: %v", err)
	}
	wantLink(t, &added.Link)
}

// newer gives how a consent is named after a call that may have changed it.
func newer(ref providers.ConsentRef, changed *providers.ConsentRef) providers.ConsentRef {
	if changed != nil {
		return *changed
	}
	return ref
}

func testRevoke(t *testing.T, h Harness) {
	ref := h.approved(t)
	for range 2 { // the second finds it gone, which is no error
		if err := h.Provider.Consents.RevokeConsent(call(t), ref); err != nil {
			t.Fatalf("revoke: %v", err)
		}
	}
	accounts, err := h.Provider.Accounts.ListAccounts(call(t), ref)
	if err == nil && len(accounts) > 0 {
		t.Errorf("%d accounts can still be read", len(accounts))
	}
}

func testSimulator(t *testing.T, h Harness) {
	if h.Provider.Simulator == nil {
		unsupported(t, h.Provider, "SimulateDecision")
		return
	}
	created := h.create(t)
	if err := h.Provider.Simulator.SimulateDecision(call(t), created.Ref, true); err != nil {
		t.Fatal(err)
	}
	if got := follow(created.State, h.state(t, created.Ref)).Decision; got != consentv1.Decision_APPROVED {
		t.Errorf("after an approval the decision is %s", got)
	}
}
