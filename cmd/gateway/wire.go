package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/fimento"
	"kontor.dev/kontor/internal/providers/finoos"
	"kontor.dev/kontor/internal/sandbox"
	playedfimento "kontor.dev/kontor/internal/sandbox/fimento"
	playedfinoos "kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/service"
)

// kinds are all adapters that there are. A further one is a folder of its own and one word here.
var kinds = []providers.Kind{fimento.Kind, finoos.Kind}

// dialects are the providers that `gateway sandbox` plays, in the order in which it shows them.
var dialects = []sandbox.Dialect{
	playedfimento.Dialect(playedfimento.Config{}),
	playedfinoos.Dialect(playedfinoos.Config{}),
}

// wiring is what all adapters get.
type wiring struct {
	// observer gives the observer of a tenant's calls; nil when nothing is observed.
	observer func(tenant string) providers.Observer
	log      *slog.Logger
	// callers is how many calls one provider account may hold; zero for the default.
	callers int
	// state gives what keeps what a provider's adapter must remember; nil when nothing is served.
	state func(tenant, provider string) providers.StateKeeper
}

// deps is what one provider's adapter gets.
func (w wiring) deps(tenant, id string) providers.Deps {
	deps := providers.Deps{ID: id, Tenant: tenant, Logger: w.log}
	deps.Policy.MaxCallers = w.callers
	if w.observer != nil {
		deps.Observer = w.observer(tenant)
	}
	if w.state != nil {
		deps.State = w.state(tenant, id)
	}
	return deps
}

// wired are the tenants with their providers.
type wired struct {
	tenants map[string]service.Tenant
}

func (w wired) tenantIDs() []string { return slices.Sorted(maps.Keys(w.tenants)) }

// wire opens each tenant's providers, as the configuration says. It sends nothing. Its error is of type
// providers.Faults, with keys of the configuration.
func wire(ctx context.Context, cfg *config.Config, w wiring) (wired, error) {
	result := wired{tenants: make(map[string]service.Tenant, len(cfg.Tenants))}
	var faults providers.Faults
	for id, t := range cfg.Tenants {
		tenant := service.Tenant{RedirectURIs: t.RedirectURIs, Accounts: make(map[string]string)}
		for _, block := range t.Providers {
			key := fmt.Sprintf("tenants.%s.providers.%s", id, block.ID)
			p, err := block.Settings.Open(ctx, w.deps(id, block.ID))
			if err == nil {
				err = service.Validate(p)
			}
			if err != nil {
				faults = append(faults, below(key, err)...)
				continue
			}
			tenant.Providers = append(tenant.Providers, p)
			tenant.Accounts[p.ID] = block.Settings.Account()
		}
		result.tenants[id] = tenant
	}
	return result, faults.Err()
}

// below gives what is wrong with a block as faults of the whole configuration.
func below(key string, err error) providers.Faults {
	var several providers.Faults
	if !errors.As(err, &several) {
		return providers.Faults{{Key: key, Message: err.Error()}}
	}
	placed := make(providers.Faults, len(several))
	for i, fault := range several {
		placed[i] = providers.Fault{Key: strings.Trim(key+"."+fault.Key, "."), Message: fault.Message}
	}
	return placed
}
