package service

import (
	"fmt"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
)

// Need refuses an RPC that the provider does not offer, without a call there.
func Need(p *providers.Provider, capability providers.Capability) error {
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
		{p.Consents != nil, []providers.Capability{"CreateConsent", "GetConsent", "RevokeConsent", "DeleteConsent"}},
		{p.Links != nil, []providers.Capability{"RenewConsentLink"}},
		{p.Banks != nil, []providers.Capability{"AddBank"}},
		{p.Simulator != nil, []providers.Capability{"SimulateDecision"}},
		{p.PartnerBanks != nil, []providers.Capability{
			"CreatePartnerBank", "GetPartnerBank", "ListPartnerBanks", "UpdatePartnerBank",
		}},
		{p.Connections != nil, []providers.Capability{"SyncConnection", "DeleteConnection", "CreateManagementSession"}},
		{p.Importer != nil && p.Users != nil, []providers.Capability{"ImportConnections"}},
		{
			p.Accounts != nil,
			[]providers.Capability{"ListAccounts", "GetAccount", "ListTransactions", "StreamTransactions"},
		},
		{p.Holdings != nil, []providers.Capability{"ListStandingOrders", "ListSecurities"}},
		{p.Insights != nil || p.Accounts != nil, []providers.Capability{"GetInsights"}},
		{p.Visualizations != nil, []providers.Capability{"CreateVisualizationLink"}},
		{p.PaymentPartners != nil, []providers.Capability{"GetPaymentPartnerAnalysis"}},
		{p.Logos != nil, []providers.Capability{"SearchCompanyLogos"}},
		{p.Shipments != nil, []providers.Capability{"CreateShipment"}},
		{p.Users != nil, []providers.Capability{"ListProviderUsers", "DeleteProviderUser"}},
	}
	for _, port := range ports {
		for _, capability := range port.capabilities {
			if offered := p.Supports(capability).Level != providers.Unsupported; offered != port.set {
				return fmt.Errorf("provider %s: capability %s is declared %t, its port is set %t",
					p.ID, capability, offered, port.set)
			}
		}
	}
	if len(p.Markets) == 0 || p.Session == nil || p.Consents == nil || p.Accounts == nil {
		return fmt.Errorf("provider %s: markets, session, consents and accounts are needed", p.ID)
	}
	return nil
}
