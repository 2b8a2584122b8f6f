package replicatest

import "kontor.dev/kontor/test/worldtest"

// provider is what this package needs to know of a provider. What is optional says so.
type provider struct {
	// made counts what the provider has for all the CreateConsent that it was ever asked for: one for each, when
	// nothing was done twice.
	made func(w *World) int
	// finds says that a repetition finds what was made: no outcome is unknown.
	finds bool
	// kinds are further writes that this provider alone is asked for. Optional.
	kinds []*Kind
	// effects counts what those did, by the caller's key. Optional.
	effects func(w *World) map[string]int
}

// providers are all providers. Each is entered by its own file.
var providers = worldtest.Table[provider]{}
