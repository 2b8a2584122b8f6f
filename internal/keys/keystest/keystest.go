// Package keystest gives tests a store key that is the same in every process.
package keystest

import (
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/secret"
)

// Text is the store key, as a configuration has it. Everybody knows it.
const Text = "CIetSxJiClgKMHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLmNyeXB0by50aW5rLkFlc0djbUtleRIiGiAAAQIDBAUGBwgJCgsM" +
	"DQ4PEBESExQVFhcYGRobHB0eHxgBEAEYh61LIAE"

// StoreKey gives the store key.
func StoreKey() *keys.StoreKey {
	key, err := keys.Parse(secret.New(Text))
	if err != nil {
		panic(err)
	}
	return key
}
