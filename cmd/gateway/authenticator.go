package main

import (
	"log/slog"
	"maps"
	"slices"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server/guard"
)

// authenticator makes what finds out who calls: keys, then tokens.
func authenticator(cfg *config.Config, keys *guard.Keys, log *slog.Logger) guard.Authenticator {
	if len(cfg.OIDC) == 0 {
		return keys
	}
	return guard.AnyOf{keys, guard.NewOIDC(guard.OIDCOptions{
		Issuers: cfg.OIDC, Tenants: slices.Collect(maps.Keys(cfg.Tenants)), Logger: log,
	})}
}
