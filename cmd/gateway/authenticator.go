package main

import (
	"log/slog"
	"maps"
	"slices"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server"
)

// authenticator makes what finds out who calls: keys, then tokens.
func authenticator(cfg *config.Config, log *slog.Logger) server.Authenticator {
	keys := server.NewKeys(cfg.Clients)
	if len(cfg.OIDC) == 0 {
		return keys
	}
	return server.AnyOf{keys, server.NewOIDC(server.OIDCOptions{
		Issuers: cfg.OIDC, Tenants: slices.Collect(maps.Keys(cfg.Tenants)), Logger: log,
	})}
}
