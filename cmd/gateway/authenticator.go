package main

import (
	"log/slog"
	"maps"
	"slices"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server/guard"
)

// authenticator makes what finds out who calls: keys, then tokens.
func authenticator(keys *guard.Keys, issuers *guard.OIDC) guard.Authenticator {
	return guard.AnyOf{keys, issuers}
}

// issuers makes what knows tokens, of the issuers of a configuration, which may be none.
func issuers(cfg *config.Config, log *slog.Logger) *guard.OIDC {
	return guard.NewOIDC(guard.OIDCOptions{
		Issuers: cfg.OIDC, Tenants: slices.Collect(maps.Keys(cfg.Tenants)), Logger: log,
	})
}
