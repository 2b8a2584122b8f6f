package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

// TestTwoAccountsAtOneProvider: a tenant may have two providers of one kind. Each has an id, credentials, calls,
// partner banks, metrics and health of its own, and what befalls one does not touch the other.
func TestTwoAccountsAtOneProvider(t *testing.T) {
	t.Parallel()
	const (
		twofold  = "twofold"
		finnish  = "fimento-fi"
		name     = "second-user"
		password = "second-password"
		bank     = "705c6c479691950d359bb0e0"
	)
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	core := sandbox.Options{Seed: *seed + 1, Step: 20 * time.Millisecond}
	running, err := sandboxes.Start(t.Context(), sandboxes.Options{Options: core, Dialects: []sandbox.Dialect{
		fimento.Dialect(fimento.Config{Name: name, Password: password, PartnerBankID: bank}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() })
	first, second := w.core(fimento.ID), running.Played[fimento.ID].Core
	w.secret(password, "the second account's password")
	w.restart(t, func() {
		cfg := w.config()
		blocks := append([]worldtest.Block{{Played: running.Played[fimento.ID], As: finnish}},
			worldtest.Blocks(w.Running, fimento.ID)...)
		cfg.Tenants = append(cfg.Tenants, worldtest.Tenant{
			ID: twofold, Redirects: w.app.URL + "/back/*", Providers: blocks,
		})
		cfg.Clients = append(cfg.Clients, worldtest.Client{
			ID: twofold, Tenant: twofold, Scopes: worldtest.Everything, Key: keyOf(twofold),
		})
		if err := w.configure(cfg); err != nil {
			t.Fatal(err)
		}
	})
	c := w.client(t, twofold)
	cores := map[string]*sandbox.Core{fimento.ID: first, finnish: second}

	// Both are there, in the order of the file, and each has been told its own address to call.
	listed := must(c.Providers.ListProviders(t.Context(), &providerv1.ListProvidersRequest{}))(t).GetProviders()
	if len(listed) != 2 || listed[0].GetName() != "providers/"+finnish || listed[1].GetName() != "providers/fimento" ||
		listed[0].GetDisplayName() != listed[1].GetDisplayName() {
		t.Errorf("the providers are %v", listed)
	}
	for id, core := range cores {
		eventually(t, "a webhook at "+id, func() bool {
			return slices.ContainsFunc(core.Calls.Of(fimento.OpAddWebhook), func(call sandbox.Call) bool {
				return strings.Contains(string(call.Body), "/callbacks/"+id+"/webhook/")
			})
		})
	}

	// Who names only the market is told to name the provider.
	_, err = c.Consents.CreateConsent(asPSU(t), func() *consentv1.CreateConsentRequest {
		request := newConsent(w, fimento.ID)
		request.Consent.Provider = ""
		return request
	}())
	if got := failed(err); got == nil || got.reason != "INVALID_FIELD" {
		t.Errorf("without a provider: %v", got)
	}

	// A consent at each; all about it is asked of that one.
	consents := map[string]*consentv1.Consent{}
	for id, core := range cores {
		made := w.createConsent(t, c, fimento.ID,
			func(r *consentv1.CreateConsentRequest) { r.Consent.Provider = "providers/" + id })
		if made.GetProvider() != "providers/"+id {
			t.Errorf("the consent is at %s, want %s", made.GetProvider(), id)
		}
		must(c.Consents.SimulateDecision(t.Context(), &consentv1.SimulateDecisionRequest{
			Name: made.GetName(), Decision: consentv1.Decision_APPROVED,
		}))(t)
		consents[id] = ready(t, c, made.GetName())
		accounts := must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{Parent: made.GetName()}))(t)
		if len(accounts.GetAccounts()) == 0 {
			t.Errorf("no accounts at %s", id)
		}
		for other, otherCore := range cores {
			asked := slices.ContainsFunc(otherCore.Calls.All(), func(call sandbox.Call) bool {
				return strings.Contains(call.Path, made.GetProviderReference())
			})
			if asked != (otherCore == core) {
				t.Errorf("%s was asked about a consent at %s: %t", other, id, asked)
			}
		}
	}

	// Partner banks are made where the caller says, and found wherever they are.
	found := map[string]string{}
	for id := range cores {
		made := must(c.Consents.CreatePartnerBank(t.Context(), &consentv1.CreatePartnerBankRequest{
			PartnerBank: &consentv1.PartnerBank{DisplayName: "Broker at " + id, Provider: "providers/" + id},
		}))(t)
		found[made.GetName()] = id
		got := must(c.Consents.GetPartnerBank(t.Context(), &consentv1.GetPartnerBankRequest{Name: made.GetName()}))(t)
		if got.GetProvider() != "providers/"+id {
			t.Errorf("the partner bank of %s is found at %s", id, got.GetProvider())
		}
		changed := must(c.Consents.UpdatePartnerBank(t.Context(), &consentv1.UpdatePartnerBankRequest{
			PartnerBank: &consentv1.PartnerBank{Name: made.GetName(), DisplayName: "Changed at " + id},
		}))(t)
		if changed.GetProvider() != "providers/"+id || changed.GetDisplayName() != "Changed at "+id {
			t.Errorf("changed at %s: %v", id, changed)
		}
	}
	all := map[string]string{}
	for token := ""; ; {
		page := must(c.Consents.ListPartnerBanks(t.Context(),
			&consentv1.ListPartnerBanksRequest{PageSize: 1, PageToken: token}))(t)
		for _, bank := range page.GetPartnerBanks() {
			if _, twice := all[bank.GetName()]; twice {
				t.Errorf("%s is listed twice", bank.GetName())
			}
			all[bank.GetName()] = strings.TrimPrefix(bank.GetProvider(), "providers/")
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for name, id := range found {
		if all[name] != id {
			t.Errorf("%s is listed at %q, want %s", name, all[name], id)
		}
	}
	if all["partnerBanks/"+bank] != finnish || all["partnerBanks/"+fimento.DefaultPartnerBankID] != fimento.ID {
		t.Errorf("listed are %v", all)
	}

	// One refuses the credentials: that is its own trouble.
	logins := first.Calls.Count(fimento.OpLogin)
	fault := second.Faults.Add(sandbox.Fault{Status: 401})
	_, err = c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{Parent: consents[finnish].GetName()})
	if got := failed(err); got == nil || got.reason != "PROVIDER_CREDENTIALS_INVALID" ||
		got.metadata["provider"] != finnish {
		t.Errorf("the one that refuses: %v", got)
	}
	must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{Parent: consents[fimento.ID].GetName()}))(t)
	states := map[string]providerv1.Provider_Health_State{}
	for _, p := range must(c.Providers.ListProviders(t.Context(),
		&providerv1.ListProvidersRequest{}))(t).GetProviders() {
		states[strings.TrimPrefix(p.GetName(), "providers/")] = p.GetHealth().GetState()
	}
	if states[finnish] != providerv1.Provider_Health_UNAVAILABLE ||
		states[fimento.ID] != providerv1.Provider_Health_HEALTHY {
		t.Errorf("their health is %v", states)
	}
	if again := first.Calls.Count(fimento.OpLogin); again != logins {
		t.Errorf("the other logged in %d times more", again-logins)
	}
	second.Faults.Remove(fault)
	metrics := string(must(w.gateway.Metrics())(t))
	for id := range cores {
		for _, want := range []string{
			fmt.Sprintf(`kontor_provider_calls_total{operation="create_process",outcome="ok",provider=%q}`, id),
			fmt.Sprintf(`kontor_provider_breaker_state{provider=%q,tenant="twofold"}`, id),
		} {
			if !strings.Contains(metrics, want) {
				t.Errorf("there is no %s", want)
			}
		}
	}
	refused := fmt.Sprintf(`outcome="credentials",provider=%q} `, fimento.ID)
	for line := range strings.Lines(metrics) {
		if _, count, found := strings.Cut(line, refused); found && strings.TrimSpace(count) != "0" {
			t.Errorf("the one that works has %s", line)
		}
	}
}
