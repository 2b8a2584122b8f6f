// Package e2e tests Kontor as its callers and operators meet it: the built gateway runs as a process of its own, in front of both providers,
// which the sandbox plays inside the test process so that their clocks, faults and effects are in the tests' hands. What is asked of the
// gateway goes over gRPC and over REST; what it did is counted at the providers.
//
// The cases in test/cases state one call each and are run over both transports (cases_test.go). The other files hold what takes more than one
// call: streams, idempotency, callbacks, whole flows, and a customer's browser.
//
// Nothing here knows how the gateway works inside. A world (world_test.go) is a pair of providers, a gateway, and what stands around them: the
// address that providers and browsers reach it at, and the caller's own web pages.
package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var seed = flag.Int64("seed", time.Now().UnixNano(), "decides the people, ids and accounts that the providers have")

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testMain(m))
}

func testMain(m *testing.M) (code int) {
	fmt.Printf("seed %d\n", *seed)
	dir, err := os.MkdirTemp("", "kontor-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = gatewayBinary(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = m.Run()
	if err := closeShared(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		return 1
	}
	return code
}

// gatewayBinary gives the gateway that KONTOR_GATEWAY names, or builds it.
func gatewayBinary(dir string) (string, error) {
	if given := os.Getenv("KONTOR_GATEWAY"); given != "" {
		return filepath.Abs(given)
	}
	path := filepath.Join(dir, "gateway")
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "./cmd/gateway")...)
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/gateway: %w\n%s", err, out)
	}
	return path, nil
}

// shared is a world that many tests use, each with customers of its own. It is made when the first of them asks for it.
type shared struct {
	name    string
	options worldOptions
	once    sync.Once
	world   *world
	err     error
}

// The shared worlds.
var (
	// live follows consents as an operator would have it, only faster.
	live = &shared{name: "live", options: worldOptions{step: 20 * time.Millisecond}}
	// still never asks a provider by itself, so that every call there comes from the RPC under test. There is one for each provider, whose
	// cases run one after the other.
	stillFimento = &shared{name: "still-fimento", options: worldOptions{step: 5 * time.Millisecond, still: true}}
	stillFinoOS  = &shared{name: "still-finoos", options: worldOptions{step: 5 * time.Millisecond, still: true}}
)

func (s *shared) get(t *testing.T) *world {
	t.Helper()
	s.once.Do(func() { s.world, s.err = startWorld(s.options) })
	if s.err != nil {
		t.Fatalf("world %s: %v", s.name, s.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last words of the gateway of world %s:\n%s", s.name, s.world.lastWords())
		}
	})
	return s.world
}

// closeShared stops the shared worlds and tells what went wrong with that.
func closeShared() error {
	var failed error
	for _, s := range []*shared{live, stillFimento, stillFinoOS} {
		if s.world != nil {
			if err := s.world.close(); err != nil {
				failed = cmp.Or(failed, fmt.Errorf("world %s: %w", s.name, err))
			}
			os.RemoveAll(s.world.dir)
		}
	}
	return failed
}
