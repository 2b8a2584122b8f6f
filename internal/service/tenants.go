package service

import (
	"maps"
	"slices"
	"strings"

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

// ProviderOf is one of a tenant's providers.
type ProviderOf struct{ Tenant, Provider string }

// Sharing lists all who use the account that a tenant has at a provider: the tenant first, and other tenants, or other
// providers of the same tenant, that are configured with the same account.
func (t Tenants) Sharing(tenant, provider string) []ProviderOf {
	sharing := []ProviderOf{{tenant, provider}}
	account := t[tenant].Accounts[provider]
	for _, id := range slices.Sorted(maps.Keys(t)) {
		for _, p := range t[id].Providers {
			same := account != "" && t[id].Accounts[p.ID] == account
			if other := (ProviderOf{id, p.ID}); same && other != sharing[0] {
				sharing = append(sharing, other)
			}
		}
	}
	return sharing
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

// Offering finds the provider for an RPC that does not belong to a consent: the named one, or the only one that offers
// it. Field is the request's field that names it, in JSON.
func (t Tenants) Offering(
	tenant, name, field string, capability providers.Capability,
) (*providers.Provider, error) {
	all, err := t.AllOffering(tenant, name, capability)
	switch {
	case err != nil:
		return nil, err
	case len(all) > 1:
		return nil, Ambiguous(field, all)
	}
	return all[0], nil
}

// Ambiguous is the refusal of a request that several providers could serve and that names none.
func Ambiguous(field string, all []*providers.Provider) error {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = ProviderName(p.ID)
	}
	return kerr.InvalidField(field, "is needed: one of "+strings.Join(names, ", "))
}

// AllOffering finds the providers that offer an RPC, for what may be at any of them: the named one alone, or all in
// their order. There is at least one, or an error.
func (t Tenants) AllOffering(tenant, name string, capability providers.Capability) ([]*providers.Provider, error) {
	if name != "" {
		p, err := t.Provider(tenant, providerID(name))
		if err != nil {
			return nil, err
		}
		return []*providers.Provider{p}, Need(p, capability)
	}
	var all []*providers.Provider
	for _, p := range t[tenant].Providers {
		if p.Supports(capability).Level != providers.Unsupported {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil, kerr.New(errorv1.Error_CAPABILITY_UNSUPPORTED, "none of the tenant's providers offers this")
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
