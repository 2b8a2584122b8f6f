// Package security proves what SECURITY.md promises, from outside: the built gateway runs as a process of its own in
// front of providers that the sandbox plays inside the test process, and whatever comes out of it (answers, log,
// metrics, traces, files, requests to providers) is searched.
//
//   - matrix_test.go: no RPC, by whichever front, gives anything to a caller who may not have it.
//   - canary_test.go: what must not be kept or said is nowhere, in whichever encoding.
//   - forged_test.go: webhooks and callbacks that nobody sent change nothing, and make no provider work.
//
// What each front refuses by itself (sizes, headers, time-outs) is tested beside it, in internal/server.
package security

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"kontor.dev/kontor/test/worldtest"
)

var seed = flag.Int64("seed", time.Now().UnixNano(), "decides the people, ids and accounts that the providers have")

// gatewayPath is the gateway under test.
var gatewayPath string

func TestMain(m *testing.M) {
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)
	os.Exit(worldtest.Main(m, "security", &gatewayPath, false, nil))
}
