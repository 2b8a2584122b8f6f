// Package chaos tests what callers see while providers misbehave: the built gateway runs as a process of its own in
// front of the played providers, whose faults are in the tests' hands. What callers got is counted here, what the
// providers were asked is counted at them.
//
// The bars stand beside what they are about: brownouts, hangs and broken bodies (brownout_test.go, bodies_test.go),
// tokens (tokens_test.go), many equal reads and large answers (reads_test.go), and a seeded mix of everything under
// steady load (run_test.go), which `make chaos` runs for some minutes and every test run for some seconds.
//
// How a single guard works is tested where the guard is, in internal/providers/upstream, internal/follow and
// internal/once.
package chaos

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"kontor.dev/kontor/test/worldtest"
)

var (
	seed    = flag.Int64("seed", time.Now().UnixNano(), "decides the people that the providers have, and the faults")
	minutes = flag.Float64("minutes", 0.1, "how long the mix of faults goes on")
)

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)
	os.Exit(worldtest.Main(m, "chaos", &binary, false, nil))
}
