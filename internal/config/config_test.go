package config_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/secret"
)

// The secrets of the test configuration. None may show in a problem or in a printed Config.
const (
	fileSecret = "canary-file-secret"
	envSecret  = "canary-env-secret"
)

var storeKey = func() secret.String {
	key, err := keys.New()
	if err != nil {
		panic(err)
	}
	return key
}()

func env(name string) (string, bool) {
	found, ok := map[string]string{"FINOOS_SECRET": envSecret, "SUFFIX": "x", "EMPTY": "", "STORE_KEY": storeKey.Reveal()}[name]
	return found, ok
}

func readFile(name string) ([]byte, error) {
	content, ok := map[string]string{
		"/run/secrets/fimento": fileSecret + "\r\n\n", "s1": "one\n", "s2": "two",
		"/run/secrets/kontor-store": storeKey.Reveal() + "\n",
	}[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return []byte(content), nil
}

func full(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEverythingSet(t *testing.T) {
	c, problems := config.Parse("kontor.yaml", []byte(full(t)), env, readFile)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if c.Listen != (config.Listen{GRPC: "127.0.0.1:0", HTTP: "[::1]:8080", Admin: ":8081"}) {
		t.Errorf("listen: %v", c.Listen)
	}
	if c.PublicURL != "https://kontor.example.com/base" || c.Store.Reveal() != "sqlite:/var/lib/kontor/kontor.db" {
		t.Errorf("public_url %s, store %s", c.PublicURL, c.Store.Reveal())
	}
	if c.StoreKey.Reveal() != storeKey.Reveal() {
		t.Error("the store key is another")
	}
	f, o := c.Tenants["default"].Providers.Fimento, c.Tenants["default"].Providers.FinoOS
	if f.BaseURL != "https://fimento.example.com/api" || f.Username != "lender" || f.Password.Reveal() != fileSecret || f.PartnerBank != "62a1f0c7" ||
		f.Operations["login"] != "POST /auth/login2" {
		t.Errorf("fimento: %+v", f)
	}
	if o.BaseURL != "http://127.0.0.1:9999/api/v1" || o.Name != "12345" || o.Secret.Reveal() != envSecret || o.TokenPrefix != "Bearer" ||
		o.APIVersion != "2020-06-16" || o.Operations["disconnect"] != "DELETE /users/{userID}/banking" {
		t.Errorf("finoos: %+v", o)
	}
	if other := c.Tenants["other"].Providers; other.Fimento != nil || other.FinoOS.Name != "a-x-b" || other.FinoOS.Secret.Reveal() != "onetwo" ||
		other.FinoOS.BaseURL != config.FinoOSBaseURL {
		t.Errorf("other: %+v", other.FinoOS)
	}
	if uris := c.Tenants["default"].RedirectURIs; !slices.Equal(uris, []string{"https://app.example.com/*", "http://127.0.0.1:3000/done"}) {
		t.Errorf("redirect_uris: %v", uris)
	}
	want := []config.Client{
		{ID: "lending", Tenant: "default", Keys: [][32]byte{sha256.Sum256([]byte("test"))}, Scopes: []string{"consents.write", "banking.read"}},
		{ID: "ops", Tenant: "other", Keys: [][32]byte{sha256.Sum256([]byte("test2")), sha256.Sum256([]byte("test3"))}, Scopes: []string{"*"}},
	}
	if !reflect.DeepEqual(c.Clients, want) {
		t.Errorf("clients: %v", c.Clients)
	}
	if !slices.Equal(c.OIDC, []config.OIDC{
		{Issuer: "https://login.example.com/realms/a", Audience: "kontor", Tenant: "default", ScopesClaim: "scope", ClientIDClaim: "sub"},
		{Issuer: "http://127.0.0.1:9998", Audience: "api://kontor", TenantClaim: "org", ScopesClaim: "roles", ClientIDClaim: "azp"},
	}) {
		t.Errorf("oidc: %+v", c.OIDC)
	}
	if !slices.Equal(c.CORS.AllowedOrigins, []string{"https://app.example.com", "http://localhost:3000"}) {
		t.Errorf("cors: %v", c.CORS)
	}
	if *c.TLS != (config.TLS{CertFile: "tls.crt", KeyFile: "/etc/kontor/tls.key", ClientCAFile: "clients.pem"}) || c.Log != (config.Log{Level: slog.LevelDebug, Format: "text"}) {
		t.Errorf("tls %v, log %v", c.TLS, c.Log)
	}
	if c.Limits != (config.Limits{
		RequestsPerSecond: 10, Burst: 20, MaxInFlight: 30, MaxStreams: 40, MaxRequestBytes: 1 << 20, Timeout: 30 * time.Second,
		ConnectionAge: 10 * time.Minute, ConnectionAgeGrace: time.Minute,
	}) {
		t.Errorf("limits: %+v", c.Limits)
	}
	if c.Audit.Retention != 90*24*time.Hour {
		t.Errorf("audit: %v", c.Audit)
	}
	if c.Telemetry.OTLPEndpoint != "http://collector:4317" || c.Heartbeat != 5*time.Second || c.Webhooks || c.Reflection ||
		c.Polling != (config.Polling{MinInterval: time.Second, MaxInterval: time.Minute}) ||
		c.Shutdown != (config.Shutdown{Delay: 2 * time.Second, Timeout: 10 * time.Second}) {
		t.Errorf("got %+v", c)
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if out := fmt.Sprintf(format, c) + fmt.Sprintf(format, f) + fmt.Sprintf(format, o); strings.Contains(out, "canary") || strings.Contains(out, storeKey.Reveal()) {
			t.Errorf("%s shows a secret", format)
		}
	}
}

const least = `public_url: http://localhost:8080
tenants: {t: {redirect_uris: ["https://a.example"], providers: {finoos: {name: n, secret: s}}}}
clients: [{id: c, tenant: t, key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, scopes: ["*"]}]
`

func TestDefaults(t *testing.T) {
	c, problems := config.Parse("kontor.yaml", []byte(least), env, readFile)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := config.Defaults()
	want.PublicURL, want.Tenants, want.Clients, want.Store = c.PublicURL, c.Tenants, c.Clients, c.Store
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got %+v", c)
	}
	if c.Store.Reveal() != "sqlite:./data/kontor.db" || c.Listen.GRPC != "127.0.0.1:9090" || c.Listen.HTTP != "127.0.0.1:8080" ||
		c.Listen.Admin != "127.0.0.1:8081" || c.Heartbeat != 15*time.Second || !c.Webhooks || !c.Reflection || c.TLS != nil ||
		c.Audit.Retention != 365*24*time.Hour {
		t.Errorf("defaults differ from the design: %+v", c)
	}
}

func TestExample(t *testing.T) {
	data, err := os.ReadFile("../../kontor.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, problems := config.Parse("kontor.example.yaml", data, env, readFile); len(problems) > 0 {
		t.Error(problems)
	}
	// Every key must be in it, and what is commented out must be right as well: without the marks it parses, too.
	var open []string
	for line := range strings.Lines(string(data)) {
		trimmed := strings.TrimLeft(line, " ")
		if rest, ok := strings.CutPrefix(trimmed, "# "); ok && strings.Contains(rest, ":") && rest[0] >= 'a' && rest[0] <= 'z' {
			line = strings.Repeat(" ", len(line)-len(trimmed)) + rest
		} else if rest, ok := strings.CutPrefix(trimmed, "#   "); ok {
			line = strings.Repeat(" ", len(line)-len(trimmed)) + "  " + rest
		}
		open = append(open, line)
	}
	text := strings.Join(open, "")
	if _, problems := config.Parse("opened", []byte(text), env, readFile); len(problems) > 0 {
		t.Errorf("%v\n%s", problems, text)
	}
	for line := range strings.Lines(full(t)) {
		if key, _, ok := strings.Cut(strings.TrimLeft(line, " -"), ":"); ok && key != "other" && key != "disconnect" && !strings.Contains(text, key+":") {
			t.Errorf("the example lacks %s", key)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("key.txt", "s3cret\n")
	path := write("kontor.yaml", strings.Replace(least, "secret: s", `secret: "${file:key.txt}"`, 1)+"tls: {cert_file: a.crt, key_file: /b.key, client_ca_file: ca.pem}\n")
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Tenants["t"].Providers.FinoOS.Secret.Reveal(); got != "s3cret" {
		t.Errorf("the secret is %q", got)
	}
	if c.TLS.CertFile != filepath.Join(dir, "a.crt") || c.TLS.KeyFile != "/b.key" || c.TLS.ClientCAFile != filepath.Join(dir, "ca.pem") {
		t.Errorf("tls is %v", c.TLS)
	}

	_, err = config.Load(filepath.Join(dir, "none.yaml"))
	var problems config.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file gives %v", err)
	}
	if _, err = config.Load(dir); err == nil {
		t.Error("a folder is no file")
	}
	broken := write("broken.yaml", strings.Replace(least, "scopes", "scope", 1))
	if _, err = config.Load(broken); err == nil || !strings.HasPrefix(err.Error(), broken+":3: clients[0].scope: there is no such key\n") {
		t.Errorf("got %v", err)
	}
}

// TestAllAtOnce makes sure that one run names everything, in the order of the lines.
func TestAllAtOnce(t *testing.T) {
	text := `listen: {grpc: nonsense}
public_url: ftp://canary
surprise: canary
tenants:
  default:
    redirect_uris: []
    providers:
      fimento:
        base_url: https://f.example
        username: u
        password: "${file:/canary}"
clients:
  - id: c
    tenant: nobody
    key_sha256: canary
    scopes: [consents.delete]
heartbeat: 15
`
	_, problems := config.Parse("kontor.yaml", []byte(text), env, readFile)
	want := []string{
		`kontor.yaml:1: listen.grpc: must be an address with a port, such as 127.0.0.1:8080`,
		`kontor.yaml:2: public_url: must be an http(s) address without credentials, query or fragment`,
		`kontor.yaml:3: surprise: there is no such key`,
		`kontor.yaml:6: tenants.default.redirect_uris: must have at least one entry`,
		`kontor.yaml:11: tenants.default.providers.fimento.password: cannot read the secret file`,
		`kontor.yaml:14: clients[0].tenant: there is no such tenant`,
		"kontor.yaml:15: clients[0].key_sha256: must be the SHA-256 of a key in 64 hexadecimal digits, as `gateway keys new` prints it",
		`kontor.yaml:16: clients[0].scopes[0]: must be one of: *, customers.read, customers.write, consents.read, consents.write, banking.read, ` +
			`banking.write, insights.read, insights.write, documents.read, documents.write, providers.read, providers.write`,
		`kontor.yaml:17: heartbeat: must be a duration with its unit, such as 15s, from 100ms to 10m0s`,
	}
	if got := strings.Split(problems.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
