//go:build failover

package failover

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

var (
	full = flag.Bool("full", false, "do all of it")
	seed = flag.Int64("seed", time.Now().UnixNano(), "decides all that is random")
)

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)
	os.Exit(worldtest.Main(m, "failover", &binary, false, nil))
}

// scaled is a size in full, and a small one in a test run.
func scaled(whole, small int) int {
	if *full {
		return whole
	}
	return small
}

// random gives numbers for a test, for many at one time.
func random(stream uint64) func(n int) int { return replicatest.Random(*seed, stream) }
