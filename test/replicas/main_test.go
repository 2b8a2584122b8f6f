// Package replicas tests three gateways that share one PostgreSQL, each a process of its own, while processes are
// killed, frozen and restarted, connections cut and the server restarted. What callers were told is held against what
// the gateways then show and what the played providers did.
//
// A test run does a little of each, `make chaos-postgres` all of it, and prints a table.
//
// How one store, or one room of a gateway, deals with others is tested where it stands: internal/store/postgres,
// internal/once, internal/follow, internal/watch.
package replicas

import (
	"context"
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
	os.Exit(worldtest.Main(m, "replicas", &binary, false, nil))
}

// scaled is a size in full, and a small one in a test run.
func scaled(whole, small int) int {
	if *full {
		return whole
	}
	return small
}

// newWorld starts three gateways.
func newWorld(t *testing.T, o replicatest.Options) *replicatest.World {
	t.Helper()
	o.Binary, o.Seed = binary, *seed
	return replicatest.New(t, o)
}

// random gives numbers for a test, for many at one time.
func random(stream uint64) func(n int) int { return replicatest.Random(*seed, stream) }

// watch has some follow everything who change the gateway now and then, over gRPC and REST in turn. They watch until
// the test ends.
func watch(t *testing.T, w *replicatest.World, count int, hangUp func() time.Duration) []*replicatest.Watcher {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	watching := make([]*replicatest.Watcher, count)
	for i := range watching {
		watching[i], _ = w.Watch(ctx, replicatest.WatchOptions{SSE: i%2 == 1, HangUp: hangUp})
	}
	return watching
}

// nowAndThen gives times to hang up after, around a second.
func nowAndThen(intn func(int) int) func() time.Duration {
	return func() time.Duration { return time.Duration(200+intn(1600)) * time.Millisecond }
}
