// Package worldtest has what the suites beside it share.
package worldtest

import (
	"context"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

// Both are the two played providers, by name.
type Both struct {
	*sandboxes.Running
	FimentoURL, FinoOSURL   string
	Fimento                 *fimento.Server
	FinoOS                  *finoos.Server
	FimentoCore, FinoOSCore *sandbox.Core
}

// Start plays both.
func Start(ctx context.Context, o sandbox.Options, atFimento fimento.Config) (*Both, error) {
	r, err := sandboxes.Start(ctx, sandboxes.Options{
		Options: o, Dialects: []sandbox.Dialect{fimento.Dialect(atFimento), finoos.Dialect(finoos.Config{})},
	})
	if err != nil {
		return nil, err
	}
	f, o2 := r.Played[fimento.ID], r.Played[finoos.ID]
	return &Both{
		Running: r, FimentoURL: f.URL, FinoOSURL: o2.URL, FimentoCore: f.Core, FinoOSCore: o2.Core,
		Fimento: sandboxes.As[*fimento.Server](r, fimento.ID), FinoOS: sandboxes.As[*finoos.Server](r, finoos.ID),
	}, nil
}
