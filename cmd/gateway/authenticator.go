package main

import (
	"log/slog"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server"
)

// authenticator makes what finds out who calls.
func authenticator(cfg *config.Config, _ *slog.Logger) server.Authenticator {
	return server.NewKeys(cfg.Clients)
}
