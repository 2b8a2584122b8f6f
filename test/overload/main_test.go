// Package overload tests the gateway under more than it can take: floods of those who have no key or may not do what
// they ask for, readers that never read (attack_test.go), ten times the callers that it can serve (overload_test.go),
// and calls that wait for nobody, at up to three times the rate that it can serve (levels_test.go). The built gateway
// runs as a process of its own with the defaults that users get, but for the quota; its memory and its use of the
// processors are the system's figures.
//
// A test run sends little and looks at what callers get. `make attack`, `make overload` and `make rivals` send all of
// it, measure, and hold the bars; `make overload-levels` measures.
package overload

import (
	"flag"
	"os"
	"testing"

	"kontor.dev/kontor/test/worldtest"
)

var (
	full          = flag.Bool("full", false, "send all of it, and hold the bars of memory and goodput")
	greedyAt      = flag.String("greedy", "", "send calls to this gateway until interrupted, and nothing else")
	greedyCallers = flag.Int("callers", 0, "how many callers that are")

	seconds = flag.Float64("seconds", 10, "how long each load goes on, in full")
)

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if *greedyAt != "" {
		os.Exit(beGreedy())
	}
	os.Exit(worldtest.Main(m, "overload", &binary, false, nil))
}

// scaled is a size in full, and a small one in a test run.
func scaled(whole, small int) int {
	if *full {
		return whole
	}
	return small
}
