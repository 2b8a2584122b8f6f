//go:build failover

package failover

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

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
func random(stream uint64) func(n int) int {
	var mu sync.Mutex
	source := rand.New(rand.NewPCG(uint64(*seed), stream))
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return source.IntN(n)
	}
}

// eventually waits until a condition holds, for as long as limit.
func eventually(t *testing.T, what string, limit time.Duration, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}
