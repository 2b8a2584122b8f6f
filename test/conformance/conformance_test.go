// Package conformance runs the suite of the seam over every adapter, in front of the provider as the sandbox plays it.
// Each provider has a file of its own, which states facts about it and lets the played one misbehave.
package conformance

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/sandbox"
)

const seed = 1

// play serves a played provider until the test ends, with statuses that follow each other quickly. A nil clock is the
// machine's.
func play[P http.Handler](
	t *testing.T, clock sandbox.Clock, player func(core *sandbox.Core) P,
) (p P, core *sandbox.Core, url string) {
	t.Helper()
	core = sandbox.NewCore(sandbox.Options{Seed: seed, Step: time.Millisecond, Clock: clock})
	p = player(core)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	if closer, ok := any(p).(interface {
		Close(ctx context.Context) error
	}); ok {
		t.Cleanup(func() { _ = closer.Close(context.WithoutCancel(t.Context())) })
	}
	return p, core, server.URL
}

// withFaults gives a harness the controls that every played provider has.
func withFaults(core *sandbox.Core, h providertest.Harness) providertest.Harness {
	h.Fail = func(_ testing.TB, operation string, status int) func() {
		return inject(core, sandbox.Fault{Operation: operation, Status: status})
	}
	h.Garble = func(_ testing.TB, operation string) func() {
		return inject(core, sandbox.Fault{Operation: operation, Malformed: true})
	}
	h.Cut = func(_ testing.TB, operation string) func() {
		return inject(core, sandbox.Fault{Operation: operation, HangUp: sandbox.HangUpAfter})
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

func inject(core *sandbox.Core, fault sandbox.Fault) (undo func()) {
	id := core.Faults.Add(fault)
	return func() { core.Faults.Remove(id) }
}
