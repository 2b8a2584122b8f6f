package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository's.
var root = filepath.Join("..", "..")

// binary is the gateway that configurations are shown to: the one that KONTOR_GATEWAY names, or one that is built.
var binary string

func TestMain(m *testing.M) {
	os.Exit(withGateway(m.Run))
}

func withGateway(run func() int) int {
	dir, err := os.MkdirTemp("", "kontor-deploy-")
	if err == nil {
		defer os.RemoveAll(dir)
		if binary = os.Getenv("KONTOR_GATEWAY"); binary == "" {
			binary = filepath.Join(dir, "gateway")
			build := exec.Command("go", "build", "-o", binary, "./cmd/gateway")
			build.Dir = root
			var out []byte
			if out, err = build.CombinedOutput(); err != nil {
				err = fmt.Errorf("%w\n%s", err, out)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		return 1
	}
	return run()
}

// newStoreKey has the gateway make one.
func newStoreKey(t *testing.T) string {
	t.Helper()
	key, err := exec.CommandContext(t.Context(), binary, "keys", "store").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

// placed writes a configuration into a new folder, and files below the places that it names: each place is replaced by
// a folder there. It gives the configuration's path.
func placed(t *testing.T, text string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "var", "lib", "kontor"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, content := range files {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range []string{"/run/secrets/", "/var/lib/kontor/", "/etc/kontor/"} {
		text = strings.ReplaceAll(text, place, filepath.Join(dir, place)+"/")
	}
	config := filepath.Join(dir, "kontor.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// checked has the gateway check a configuration, with files that lie where it looks for them. It gives what check said.
func checked(t *testing.T, text string, files map[string]string, env ...string) (string, error) {
	t.Helper()
	check := exec.CommandContext(t.Context(), binary, "check", "--config", placed(t, text, files))
	check.Env = append(os.Environ(), env...)
	out, err := check.CombinedOutput()
	return string(out), err
}
