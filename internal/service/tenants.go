package service

import (
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
)

// Tenants are the tenants by id.
type Tenants map[string]Tenant

// Tenant is what a tenant's configuration gives the services.
type Tenant struct {
	// Providers are the tenant's providers, in the order of the configuration.
	Providers []*providers.Provider
	// RedirectURIs are the patterns that callers' redirect URIs must match.
	RedirectURIs []string
	// Accounts tells, per provider id, the account there apart from others, without any secret; a change registers
	// webhooks anew.
	Accounts map[string]string
}

// Provider finds a provider of a tenant by its id.
func (t Tenants) Provider(tenant, id string) (*providers.Provider, error) {
	for _, p := range t[tenant].Providers {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, NotFound(errorv1.Error_PROVIDER_NOT_FOUND, "provider")
}

// Choose finds the provider that a consent is asked from, by name or by market.
func (t Tenants) Choose(tenant, name, market string) (*providers.Provider, string, error) {
	if name != "" {
		p, err := t.Provider(tenant, providerID(name))
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
	for _, p := range t[tenant].Providers {
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

// Offering finds the provider for an RPC that does not belong to a consent: the named one, or the first that
// offers it.
func (t Tenants) Offering(tenant, name string, capability providers.Capability) (*providers.Provider, error) {
	if name != "" {
		p, err := t.Provider(tenant, providerID(name))
		if err != nil {
			return nil, err
		}
		return p, Need(p, capability)
	}
	for _, p := range t[tenant].Providers {
		if p.Supports(capability).Level != providers.Unsupported {
			return p, nil
		}
	}
	return nil, kerr.New(errorv1.Error_CAPABILITY_UNSUPPORTED, "none of the tenant's providers offers this")
}

// AllOffering finds the providers that offer an RPC, for what may be at any of them: the named one alone, or all in
// their order.
func (t Tenants) AllOffering(tenant, name string, capability providers.Capability) ([]*providers.Provider, error) {
	first, err := t.Offering(tenant, name, capability)
	if err != nil || name != "" {
		return []*providers.Provider{first}, err
	}
	var all []*providers.Provider
	for _, p := range t[tenant].Providers {
		if p.Supports(capability).Level != providers.Unsupported {
			all = append(all, p)
		}
	}
	return all, nil
}

// Down tells which providers do not take the credentials, by tenant and provider. It asks nothing: it knows
// from the calls made.
func (t Tenants) Down() map[string]string {
	down := make(map[string]string)
	for id, tenant := range t {
		for _, p := range tenant.Providers {
			h := p.Session.Health()
			if h.State == providerv1.Provider_Health_UNAVAILABLE && h.LastError != nil {
				down[id+"/"+p.ID] = ReasonOf(*h.LastError).String()
			}
		}
	}
	return down
}
