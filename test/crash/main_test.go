// Package crash tests what must hold when the gateway is killed, when a connection breaks, and when somebody asks
// afterwards what was done: that nothing acknowledged is lost, that nothing happens twice at a provider, that what
// may have happened is said to be unknown, that the audit has every change, and that a deletion leaves nothing behind
// but its receipt.
//
// The built gateway runs as a process of its own and is ended by SIGKILL. The providers are played inside the test
// process, behind a gate (gate_test.go) that can stop a request at a known moment; what happened is counted there and
// never at the gateway.
//
// How many random kills there are is decided by -kills, or KONTOR_CRASH_KILLS for `go test ./...`.
package crash

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"kontor.dev/kontor/test/worldtest"
)

var (
	seed  = flag.Int64("seed", time.Now().UnixNano(), "decides the people at the providers and the moments of kills")
	kills = flag.Int("kills", killsByDefault(), "how often the gateway is killed at random under load")
)

func killsByDefault() int {
	if n, err := strconv.Atoi(os.Getenv("KONTOR_CRASH_KILLS")); err == nil && n > 0 {
		return n
	}
	return 12
}

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	fmt.Printf("seed %d, kills %d\n", *seed, *kills)
	os.Exit(worldtest.Main(m, "crash", &binary, false, nil))
}
