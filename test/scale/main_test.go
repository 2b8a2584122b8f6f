// Package scale measures gateways that share a PostgreSQL, from outside: what an idle stream, an event, a call and a
// poll cost the database (counts_test.go), and how much one, two and four gateways do (bench_test.go). The built
// gateway runs as processes of its own; what it asks the database is counted on the wire.
//
// A test run is small and holds to what must not depend on the machine: counts. `make bench-replicas` is the measurement
// that docs/scaling.md tells of.
package scale

import (
	"flag"
	"os"
	"testing"

	"kontor.dev/kontor/test/worldtest"
)

var (
	full    = flag.Bool("full", false, "measure at full size")
	seconds = flag.Float64("seconds", 10, "how long each load goes on, in full")
	polled  = flag.Int("consents", 100_000, "how many consents are polled, in full")
	mode    = flag.String("mode", "", "default_query_exec_mode in the address of PostgreSQL")
)

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(worldtest.Main(m, "scale", &binary, false, nil))
}

// scaled is a size in full, and a small one in a test run.
func scaled(whole, small int) int {
	if *full {
		return whole
	}
	return small
}
