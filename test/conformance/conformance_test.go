// Package conformance runs the suite of the seam over every adapter, in front of the providers as the sandbox plays
// them. Each adapter has a file of its own with its harness; what they share is here.
package conformance

import (
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

const seed = 1

// noRetries shows each fault as it is.
var noRetries = providers.Policy{Retries: -1}

// play plays one provider.
func play(t *testing.T, d sandbox.Dialect) *sandboxes.Played {
	t.Helper()
	running, err := sandboxes.Start(t.Context(), sandboxes.Options{
		Options: sandbox.Options{Seed: seed, Step: time.Millisecond}, Dialects: []sandbox.Dialect{d},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() })
	return running.Played[d.ID]
}

// controls fills in what the suite does to a played provider.
func controls(core *sandbox.Core, h providertest.Harness) providertest.Harness {
	inject := func(t *testing.T, fault sandbox.Fault) func() {
		t.Helper()
		id := core.Faults.Add(fault)
		return func() { core.Faults.Remove(id) }
	}
	h.Fail = func(t *testing.T, operation string, status int) func() {
		t.Helper()
		return inject(t, sandbox.Fault{Operation: operation, Status: status})
	}
	h.Garble = func(t *testing.T, operation string) func() {
		t.Helper()
		return inject(t, sandbox.Fault{Operation: operation, Malformed: true})
	}
	h.Calls = func(operation string) int {
		if operation != "" {
			return core.Calls.Count(operation)
		}
		total := 0
		for _, call := range core.Calls.All() {
			if call.Operation != sandbox.OperationPage {
				total++
			}
		}
		return total
	}
	return h
}
