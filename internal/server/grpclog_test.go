package server_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestLibrariesLogNothing runs itself in a process of its own, with the libraries' logging turned all the way up, and
// reads what that process prints: what libraries say of a caller's headers quotes them.
func TestLibrariesLogNothing(t *testing.T) {
	const child = "KONTOR_TEST_CHILD"
	if os.Getenv(child) != "" {
		h := start(t)
		for _, header := range []string{"Content-Type", "Psu-Ip-Address", "Grpc-Timeout", "X-Forwarded-For", "Accept"} {
			h.do(t, "POST", "/v1/consents/1:revoke", allKey, "{}", header, canary+"; \x80=")
		}
		return
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLibrariesLogNothing$")
	command.Env = append(os.Environ(), child+"=1", "GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=99")
	printed, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	if strings.Contains(string(printed), canary) {
		t.Errorf("a header is printed: %s", printed)
	}
}
