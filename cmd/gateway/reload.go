package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/server/guard"
)

// reloadOn reloads on each signal, until the gateway stopped. It does so apart from who stops the gateway: a file that
// hangs, as on a network disk that is gone, must not keep it from stopping.
func (g *gateway) reloadOn(hangUp <-chan os.Signal, path string, stopped <-chan struct{}) {
	for {
		select {
		case <-hangUp:
			g.reload(path)
		case <-stopped:
			return
		}
	}
}

// reload reads the configuration anew and takes over clients, issuers of tokens, certificates and providers' secrets.
// No call is dropped: what is under way goes on, but for the streams of clients that lost their key or a right. A
// configuration that `serve` would not start with changes nothing. What else changed is named, and waits.
func (g *gateway) reload(path string) {
	log := g.telemetry.Logger
	options := served
	options.Check = func(fresh *config.Config) providers.Faults {
		return append(inspect(fresh), g.unknownTenants(fresh)...)
	}
	fresh, err := config.Load(path, options)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			log.Error("the configuration cannot be used; what was there stays", "line", p.Line, "key", p.Path,
				"cause", p.Message)
		}
		return
	case err != nil:
		log.Error("the configuration cannot be read; what was there stays")
		return
	}
	warn(fresh, log)
	g.keys.Replace(fresh.Clients)
	g.issuers.Replace(fresh.OIDC)
	g.server.Reload()
	log.Info("clients, issuers, certificates and secrets are read anew", "clients", len(fresh.Clients),
		"issuers", len(fresh.OIDC), "secrets", g.renewSecrets(fresh))
	if waiting := g.cfg.Differences(fresh); len(waiting) > 0 {
		log.Warn("changed settings wait for the next start", "keys", waiting)
	}
	sayWhatEnds(g.keys, log)
}

// unknownTenants refuses clients and issuers of tenants that are not served yet: those come with the next start.
func (g *gateway) unknownTenants(fresh *config.Config) (faults providers.Faults) {
	look := func(list string, i int, tenant string) {
		if _, ok := g.cfg.Tenants[tenant]; !ok {
			faults = append(faults, providers.Fault{
				Key: list + "[" + strconv.Itoa(i) + "].tenant", Message: "is not served before the next start",
			})
		}
	}
	for i, client := range fresh.Clients {
		look("clients", i, client.Tenant)
	}
	for i, issuer := range fresh.OIDC {
		if issuer.TenantClaim == "" {
			look("oidc", i, issuer.Tenant)
		}
	}
	return faults
}

// renewSecrets has providers log in with the secrets as they are now, and gives the keys of those that changed.
func (g *gateway) renewSecrets(fresh *config.Config) (changed []string) {
	changed = []string{}
	for _, tenant := range slices.Sorted(maps.Keys(g.cfg.Tenants)) {
		for _, block := range g.cfg.Tenants[tenant].Providers {
			for _, now := range fresh.Tenants[tenant].Providers {
				if now.ID != block.ID || now.Kind != block.Kind {
					continue
				}
				for _, key := range block.Settings.Renew(now.Settings) {
					changed = append(changed, "tenants."+tenant+".providers."+block.ID+"."+key)
				}
			}
		}
	}
	return changed
}

// Clients' keys that end within endsSoon are named in the log, at the start and then once in warnEvery.
const (
	endsSoon  = 30 * 24 * time.Hour
	warnEvery = 24 * time.Hour
)

// warnOfKeys says which clients' keys end soon, until the context ends.
func warnOfKeys(ctx context.Context, keys *guard.Keys, log *slog.Logger) {
	tick := time.NewTicker(warnEvery)
	defer tick.Stop()
	for {
		sayWhatEnds(keys, log)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func sayWhatEnds(keys *guard.Keys, log *slog.Logger) {
	ending := keys.Expiring(endsSoon)
	for _, client := range slices.Sorted(maps.Keys(ending)) {
		what := "a client's key ends soon"
		if !time.Now().Before(ending[client]) {
			what = "a client's key has ended"
		}
		log.Warn(what, "client", client, "end", ending[client].Format(time.RFC3339))
	}
}
