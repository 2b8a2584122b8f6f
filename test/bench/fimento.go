package main

import (
	"context"
	"net/http"

	"kontor.dev/kontor/internal/sandbox"
)

// provider is the one that the stub plays, and market one that it serves; adapter has the benchmark of its answers.
const (
	provider = "fimento"
	market   = sandbox.Sweden
	adapter  = "kontor.dev/kontor/internal/providers/fimento"
)

// player is the stub, as a gateway's configuration has it.
type player struct {
	http.Handler

	base string
}

// Settings implements sandbox.Player.
func (p player) Settings() map[string]string {
	return map[string]string{
		"base_url": p.base, "username": "bench", "password": "bench-password", "partner_bank": "bank",
	}
}

// Close implements sandbox.Player.
func (player) Close(context.Context) error { return nil }
