// Package security proves what SECURITY.md promises, from outside: the built gateway runs as a process of its own in front of providers that
// the sandbox plays inside the test process, and whatever comes out of it (answers, log, metrics, traces, files, requests to providers) is
// searched.
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
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var seed = flag.Int64("seed", time.Now().UnixNano(), "decides the people, ids and accounts that the providers have")

// gatewayPath is the gateway under test.
var gatewayPath string

func TestMain(m *testing.M) {
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if given := os.Getenv("KONTOR_GATEWAY"); given != "" {
		path, err := filepath.Abs(given)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		gatewayPath = path
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "kontor-security-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gatewayPath = filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-o", gatewayPath, "./cmd/gateway")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build ./cmd/gateway: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
