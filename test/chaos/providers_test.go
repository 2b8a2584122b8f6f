package chaos

import (
	"context"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// provider is what this suite needs to know of a provider. What is optional says so.
type provider struct {
	// operations are those that reads, and asking for consent, lead to.
	operations []string
	// reads are further reads that decode one of the provider's bodies, by RPC. Optional.
	reads func(w *world, consent string) map[string]func(context.Context) error
	// becomes gives the reason that a caller is told when the provider answers an RPC with a status, where that differs
	// from other providers: "" is success. Optional.
	becomes func(rpc string, status int) (reason string, differs bool)
	// rough plays the provider as the mix of faults wants it, with whatever its webhooks can do. Optional.
	rough *sandbox.Dialect
	// polls says that following a consent asks for what reads ask for, too, so that calls cannot be told from retries
	// at the provider.
	polls bool
	// approvesAlone says that no fault stands between the customer and their approval.
	approvesAlone bool
	// losesApprovals says that a fault may lose what the customer comes back with: they must be asked again.
	losesApprovals bool
	// ownTokens says that reads of data are made with a token of the consent's own, and lead to a login only when that
	// must be renewed.
	ownTokens bool
	// write keeps writing what only this provider takes while the mix runs, at a steady pace. Optional.
	write func(m *mix)
	// effects counts what such writes did, by what tells one from another. Optional.
	effects func(w *world) map[string]int
}

// providers are all providers, as far as this suite needs to know them. Each is entered by its own file.
var providers = worldtest.Table[provider]{}

// one and another are two providers, where one is ill and another must not feel it.
func one() string     { return worldtest.Providers()[0] }
func another() string { return worldtest.Providers()[1] }
