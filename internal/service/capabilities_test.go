package service_test

import (
	"testing"
	"testing/synctest"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
)

// What a provider does not have is refused without asking it anything.
func TestLinksAndBanksMayBeMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Links = nil
			delete(p.Capabilities, "RenewConsentLink")
		})
		row := p.Create(t)
		synctest.Wait()
		reads := len(p.Times(row))
		_, renewed := p.Servers.Consent.RenewConsentLink(
			p.Ctx,
			&consentv1.RenewConsentLinkRequest{Name: row.Resource.GetName()},
		)
		_, added := p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{Name: row.Resource.GetName()})
		for method, err := range map[string]error{"RenewConsentLink": renewed, "AddBank": added} {
			if kerr.Reason(err) != errorv1.Error_CAPABILITY_UNSUPPORTED {
				t.Errorf("%s gives %v", method, err)
			}
		}
		if more := len(p.Times(row)) - reads; more != 0 {
			t.Errorf("the provider was asked %d times", more)
		}
	})
}

// ports has what every provider must have; none of it is called.
type ports struct {
	providers.Session
	providers.Consents
	providers.Accounts
	providers.Links
	providers.Banks
}

func TestValidateHoldsPortsAndCapabilitiesTogether(t *testing.T) {
	provider := func() *providers.Provider {
		p := &providers.Provider{
			ID: "p", Markets: []providers.Market{providers.MarketDE}, Session: ports{}, Consents: ports{},
			Accounts:     ports{},
			Capabilities: map[providers.Capability]providers.Support{},
		}
		for _, capability := range []providers.Capability{
			"CreateConsent", "GetConsent", "RevokeConsent", "DeleteConsent", "ListAccounts", "GetAccount",
			"ListTransactions",
			"StreamTransactions", "GetInsights",
		} {
			p.Capabilities[capability] = providers.Support{Level: providers.Native}
		}
		return p
	}
	if err := service.Validate(provider()); err != nil {
		t.Fatal(err)
	}
	for capability, set := range map[providers.Capability]func(*providers.Provider){
		"RenewConsentLink": func(p *providers.Provider) { p.Links = ports{} },
		"AddBank":          func(p *providers.Provider) { p.Banks = ports{} },
	} {
		p := provider()
		p.Capabilities[capability] = providers.Support{Level: providers.Native}
		if service.Validate(p) == nil {
			t.Errorf("%s is declared without a port, and that is taken", capability)
		}
		if set(p); service.Validate(p) != nil {
			t.Errorf("%s is declared and has a port, and that is refused", capability)
		}
		if delete(p.Capabilities, capability); service.Validate(p) == nil {
			t.Errorf("%s has a port and is not declared, and that is taken", capability)
		}
	}
}
