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
func authenticator(
	cfg *config.Config, keys *guard.Keys, tickets service.Tickets, log *slog.Logger,
) guard.Authenticator {
	known := guard.AnyOf{keys}
	if len(cfg.OIDC) > 0 {
		known = append(known, guard.NewOIDC(guard.OIDCOptions{
			Issuers: cfg.OIDC, Tenants: slices.Collect(maps.Keys(cfg.Tenants)), Logger: log,
		}))
	}
	return append(known, guard.Tickets{Open: tickets.Open, Keys: keys})
}
