package main

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/fimento"
	"kontor.dev/kontor/internal/providers/finoos"
	"kontor.dev/kontor/internal/providers/upstream"
	"kontor.dev/kontor/internal/sandbox"
	playedfimento "kontor.dev/kontor/internal/sandbox/fimento"
	playedfinoos "kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/service"
)

// dialects are the providers that `gateway sandbox` plays, in the order in which it shows them.
var dialects = []sandbox.Dialect{
	playedfimento.Dialect(playedfimento.Config{}),
	playedfinoos.Dialect(playedfinoos.Config{}),
}

// wiring is what all adapters get.
type wiring struct {
	// observer gives the observer of a tenant's calls.
	observer func(tenant string) upstream.Observer
	log      *slog.Logger
}

// observe gives a tenant's observer, nil when nothing is observed.
func (w wiring) observe(tenant string) upstream.Observer {
	if w.observer == nil {
		return nil
	}
	return w.observer(tenant)
}

// wired are the tenants with their providers.
type wired struct {
	tenants map[string]service.Tenant
}

func (w wired) tenantIDs() []string { return slices.Sorted(maps.Keys(w.tenants)) }

// wire builds each tenant's providers from the configuration. This is the one place that knows which adapters there are: a further provider
// is added here, in the configuration, and in a folder of its own.
func wire(cfg *config.Config, w wiring) (wired, error) {
	result := wired{tenants: make(map[string]service.Tenant, len(cfg.Tenants))}
	for id, t := range cfg.Tenants {
		tenant := service.Tenant{RedirectURIs: t.RedirectURIs, Credentials: make(map[string]string)}
		pepper := sha256.New()
		add := func(p *providers.Provider, err error, credentials ...string) error {
			if err != nil {
				return &keyError{"tenants." + id + ".providers", err}
			}
			if err := service.Validate(p); err != nil {
				return err
			}
			tenant.Providers = append(tenant.Providers, p)
			secrets := strings.Join(credentials, "\x00")
			sum := sha256.Sum256([]byte("credentials\x00" + secrets))
			tenant.Credentials[p.ID] = hex.EncodeToString(sum[:])
			pepper.Write([]byte(p.ID + "\x00" + secrets + "\x00"))
			return nil
		}
		if c := t.Providers.Fimento; c != nil {
			p, err := fimento.New(fimento.Config{
				BaseURL: c.BaseURL, Username: c.Username, Password: c.Password.Reveal(), PartnerBank: c.PartnerBank, Operations: c.Operations,
			}, fimento.Deps{Observer: w.observe(id), Logger: w.log})
			if err := add(p, err, c.Username, c.Password.Reveal()); err != nil {
				return wired{}, err
			}
		}
		if c := t.Providers.FinoOS; c != nil {
			p, err := finoos.New(finoos.Config{
				BaseURL: c.BaseURL, Name: c.Name, Secret: c.Secret.Reveal(), TokenPrefix: c.TokenPrefix, APIVersion: c.APIVersion,
				Operations: c.Operations,
			}, finoos.Deps{Observer: w.observe(id), Logger: w.log})
			if err := add(p, err, c.Name, c.Secret.Reveal()); err != nil {
				return wired{}, err
			}
		}
		tenant.Pepper = pepper.Sum(nil)
		result.tenants[id] = tenant
	}
	return result, nil
}

// keyError names the configuration key of a fault.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return e.key + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// table is an adapter's operation table as it is built in.
type table struct {
	title      string
	operations []providers.Operation
}

func operationTables() []table {
	return []table{{"Fimento", fimento.Operations()}, {"finoOS", finoos.Operations()}}
}
