// Package example tells apart the gateway and the example that is made for its tests.
package example

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNothingOfTheTestsIsInTheGateway: the example adapter and the played provider before it are never linked into the
// binary that operators get.
func TestNothingOfTheTestsIsInTheGateway(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "./cmd/gateway")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	for _, pkg := range packages {
		ours, found := strings.CutPrefix(pkg, "kontor.dev/kontor/")
		if found && (strings.HasPrefix(ours, "test/") || strings.HasSuffix(ours, "test")) {
			t.Errorf("the gateway has %s", pkg)
		}
	}
	if len(packages) < 100 {
		t.Errorf("the list of the gateway's packages has only %d", len(packages))
	}
}
