package providers

// Capability is the name of an RPC that depends on the provider, such as "AddBank".
type Capability string

// Level tells how a capability is served.
type Level int

// The levels.
const (
	// Unsupported: not at all.
	Unsupported Level = iota
	// Native: by the provider itself.
	Native
	// Emulated: by Kontor, from what the provider has.
	Emulated
)

// Support tells how a capability is served, and why.
type Support struct {
	Level  Level
	Reason string
}

// AllCapabilities lists the RPCs that depend on the provider, in the order in which callers see them.
var AllCapabilities = []Capability{
	"CreateCustomer", "UpdateCustomer", "DeleteCustomer",
	"CreateConsent", "GetConsent", "ListConsentEvents", "WatchConsents", "RenewConsentLink", "AddBank", "RevokeConsent",
	"DeleteConsent",
	"SimulateDecision",
	"CreatePartnerBank", "GetPartnerBank", "ListPartnerBanks", "UpdatePartnerBank",
	"ListConnections", "GetConnection", "SyncConnection", "DeleteConnection", "CreateManagementSession",
	"ImportConnections",
	"ListAccounts", "GetAccount", "ListTransactions", "StreamTransactions", "ListStandingOrders", "ListSecurities",
	"GetInsights", "CreateVisualizationLink", "GetPaymentPartnerAnalysis", "SearchCompanyLogos",
	"CreateShipment", "GetShipment", "ListShipments", "WatchShipments",
	"ListProviderUsers", "DeleteProviderUser",
}

// Supports tells how the provider serves an RPC.
func (p *Provider) Supports(capability Capability) Support {
	if support, ok := p.Capabilities[capability]; ok {
		return support
	}
	return Support{Level: Unsupported, Reason: p.DisplayName + " does not offer this"}
}
