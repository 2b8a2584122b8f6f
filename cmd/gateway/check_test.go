package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/keys/keystest"
)

// check runs `gateway check` on a configuration whose Fimento is at base.
func check(t *testing.T, base, redirect string, flags ...string) (output string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kontor.yaml")
	text := `public_url: https://kontor.example.com
store_key: ` + keystest.Text + `
tenants:
  default:
    redirect_uris: ["` + redirect + `"]
    providers:
      fimento: {base_url: "` + base + `", username: lender, password: canary, partner_bank: bank}
      finoos: {base_url: "` + base + `", name: lender, secret: canary}
clients: [{id: c, tenant: default, key_sha256: ` + strings.Repeat("5", 64) + `, scopes: ["*"]}]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = run(t.Context(), append([]string{"check", "--config", path}, flags...), &out, &out)
	return strings.ReplaceAll(out.String(), path, "kontor.yaml"), err
}

func TestCheck(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/auth/login" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"access_token": "canary", "valid_until": 3600}`))
	}))
	t.Cleanup(provider.Close)
	const app = "https://app.example.com/*"
	if out, err := check(t, provider.URL, app); err != nil || out != "kontor.yaml: ok\n" {
		t.Errorf("%q, %v", out, err)
	}
	out, err := check(t, provider.URL, app, "--online")
	if err == nil || out != `kontor.yaml: ok
tenants.default.providers.fimento: logged in
tenants.default.providers.finoos: login failed: credentials
` {
		t.Errorf("online: %q, %v", out, err)
	}
	// What only the services refuse is refused here, too.
	if out, err := check(t, provider.URL, "https://app.example.com/a/../*"); err == nil || strings.Contains(out, "ok") {
		t.Errorf("a redirect URI that browsers read differently: %q, %v", out, err)
	}
}
