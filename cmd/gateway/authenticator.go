package main

import (
	"log/slog"
	"maps"
	"slices"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/service"
)

// authenticator makes what finds out who calls: keys, then tokens, then watch tickets.
func authenticator(keys *guard.Keys, issuers *guard.OIDC, tickets service.Tickets) guard.Authenticator {
	return guard.AnyOf{keys, issuers, guard.Tickets{Open: tickets.Open, Keys: keys, Issuers: issuers}}
}

// issuers makes what knows tokens, of the issuers of a configuration, which may be none.
func issuers(cfg *config.Config, log *slog.Logger) *guard.OIDC {
	return guard.NewOIDC(guard.OIDCOptions{
		Issuers: cfg.OIDC, Tenants: slices.Collect(maps.Keys(cfg.Tenants)), Logger: log,
	})
}
