// Package e2e tests Kontor as its callers and operators meet it: the built gateway runs as a process of its own, in
// front of all providers, which the sandbox plays inside the test process so that their clocks, faults and effects are
// in the tests' hands. What is asked of the gateway goes over gRPC and over REST; what it did is counted at the
// providers.
//
// The cases in test/cases state one call each and are run over both transports (cases_test.go). The other files hold
// what takes more than one call: streams, idempotency, callbacks, whole flows, and a customer's browser.
//
// Nothing here knows how the gateway works inside. A world (world_test.go) is the providers, a gateway, and what stands
// around them: the address that providers and browsers reach it at, and the caller's own web pages. What concerns one
// provider alone is in the files that are called as it (fimento_test.go and the like); the others go over all providers
// by what each has entered into one table (providers_test.go).
package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/test/worldtest"
)

var seed = flag.Int64("seed", time.Now().UnixNano(), "decides the people, ids and accounts that the providers have")

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)
	os.Exit(worldtest.Main(m, "e2e", &binary, true, closeShared))
}

// shared is a world that many tests use, each with customers of its own. It is made when the first of them asks for it.
type shared struct {
	name    string
	options worldOptions
	once    sync.Once
	world   *world
	err     error
}

// live follows consents as an operator would have it, only faster.
var live = &shared{name: "live", options: worldOptions{step: 20 * time.Millisecond}}

// still never asks a provider by itself, so that every call there comes from the RPC under test. There is one for each
// provider, whose cases run one after the other.
var still = sync.OnceValue(func() map[string]*shared {
	all := map[string]*shared{}
	for _, id := range worldtest.Providers() {
		all[id] = &shared{name: "still-" + id, options: worldOptions{step: 5 * time.Millisecond, still: true}}
	}
	return all
})

func (s *shared) get(t *testing.T) *world {
	t.Helper()
	s.once.Do(func() { s.world, s.err = startWorld(s.options) })
	if s.err != nil {
		t.Fatalf("world %s: %v", s.name, s.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("world %s: %s", s.name, worldtest.LastWords(s.world.dir))
		}
	})
	return s.world
}

// closeShared stops the shared worlds and tells what went wrong with that.
func closeShared() error {
	var failed error
	for _, s := range append(slices.Collect(maps.Values(still())), live) {
		if s.world != nil {
			if err := s.world.close(); err != nil {
				failed = cmp.Or(failed, fmt.Errorf("world %s: %w", s.name, err))
			}
			os.RemoveAll(s.world.dir)
		}
	}
	return failed
}
