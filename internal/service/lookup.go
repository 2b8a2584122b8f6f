package service

import (
	"fmt"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// provider finds a provider of a tenant by its id.
func (s *Service) provider(tenant, id string) (*providers.Provider, error) {
	for _, p := range s.tenants[tenant].Providers {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, notFound(errorv1.Error_PROVIDER_NOT_FOUND, "provider")
}

// chooseProvider finds the provider that a consent is asked from, by name or by market.
func (s *Service) chooseProvider(tenant, name, market string) (*providers.Provider, string, error) {
	if name != "" {
		p, err := s.provider(tenant, providerID(name))
		if err != nil {
			return nil, "", err
		}
		switch {
		case market == "" && len(p.Markets) == 1:
			return p, p.Markets[0].Code, nil
		case market == "":
			return nil, "", kerr.InvalidField("consent.market", "is needed: the provider serves several markets")
		case !p.Serves(market):
			return nil, "", kerr.InvalidField("consent.market", "is not served by the provider")
		}
		return p, market, nil
	}
	if market == "" {
		return nil, "", kerr.InvalidField("consent.market", "is needed, or a provider that serves only one market")
	}
	var chosen *providers.Provider
	for _, p := range s.tenants[tenant].Providers {
		if !p.Serves(market) {
			continue
		}
		if chosen != nil {
			return nil, "", kerr.InvalidField("consent.provider", "is needed: several providers serve the market")
		}
		chosen = p
	}
	if chosen == nil {
		return nil, "", kerr.InvalidField("consent.market", "is not served by any of the tenant's providers")
	}
	return chosen, market, nil
}

// offering finds the provider for an RPC that does not belong to a consent: the named one, or the first that offers it.
func (s *Service) offering(tenant, name string, capability providers.Capability) (*providers.Provider, error) {
	if name != "" {
		p, err := s.provider(tenant, providerID(name))
		if err != nil {
			return nil, err
		}
		return p, need(p, capability)
	}
	for _, p := range s.tenants[tenant].Providers {
		if p.Supports(capability).Level != providers.Unsupported {
			return p, nil
		}
	}
	return nil, kerr.New(errorv1.Error_CAPABILITY_UNSUPPORTED, "none of the tenant's providers offers this")
}

// need refuses an RPC that the provider does not offer, without a call there.
func need(p *providers.Provider, capability providers.Capability) error {
	if support := p.Supports(capability); support.Level == providers.Unsupported {
		return kerr.New(errorv1.Error_CAPABILITY_UNSUPPORTED, support.Reason, kerr.WithMetadata(kerr.KeyProvider, p.ID),
			kerr.WithMetadata(kerr.KeyOperation, string(capability)))
	}
	return nil
}

// Validate tells whether a provider's ports and capabilities fit together, so that no handler meets a nil port.
func Validate(p *providers.Provider) error {
	ports := []struct {
		set          bool
		capabilities []providers.Capability
	}{
		{p.Consents != nil, []providers.Capability{"CreateConsent", "GetConsent", "RenewConsentLink", "AddBank", "RevokeConsent", "DeleteConsent"}},
		{p.Simulator != nil, []providers.Capability{"SimulateDecision"}},
		{p.PartnerBanks != nil, []providers.Capability{"CreatePartnerBank", "GetPartnerBank", "ListPartnerBanks", "UpdatePartnerBank"}},
		{p.Connections != nil, []providers.Capability{"SyncConnection", "DeleteConnection", "CreateManagementSession"}},
		{p.Importer != nil && p.Users != nil, []providers.Capability{"ImportConnections"}},
		{p.Accounts != nil, []providers.Capability{"ListAccounts", "GetAccount", "ListTransactions", "StreamTransactions"}},
		{p.Holdings != nil, []providers.Capability{"ListStandingOrders", "ListSecurities"}},
		{p.Insights != nil || p.Accounts != nil, []providers.Capability{"GetInsights"}},
		{p.Visualizations != nil, []providers.Capability{"CreateVisualizationLink"}},
		{p.PaymentPartners != nil, []providers.Capability{"GetPaymentPartnerAnalysis"}},
		{p.Logos != nil, []providers.Capability{"SearchCompanyLogos"}},
		{p.Shipments != nil, []providers.Capability{"CreateShipment"}},
		{p.Users != nil, []providers.Capability{"ListProviderUsers"}},
	}
	for _, port := range ports {
		for _, capability := range port.capabilities {
			if offered := p.Supports(capability).Level != providers.Unsupported; offered != port.set {
				return fmt.Errorf("provider %s: capability %s is declared %t, its port is set %t", p.ID, capability, offered, port.set)
			}
		}
	}
	if len(p.Markets) == 0 || p.Session == nil || p.Consents == nil || p.Accounts == nil {
		return fmt.Errorf("provider %s: markets, session, consents and accounts are needed", p.ID)
	}
	return nil
}

// refOf names a consent at its provider.
func refOf(c *store.Consent) providers.ConsentRef {
	return providers.ConsentRef{ID: c.ProviderRef, PartnerBank: c.PartnerBank, Market: c.Market}
}
