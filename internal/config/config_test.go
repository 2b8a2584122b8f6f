package config_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/providers"
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
	found, ok := map[string]string{
		"SOUTH_SECRET": envSecret, "SUFFIX": "x", "EMPTY": "", "STORE_KEY": storeKey.Reveal(),
	}[name]
	return found, ok
}

func readFile(name string) ([]byte, error) {
	content, ok := map[string]string{
		"/run/secrets/north": fileSecret + "\r\n\n", "s1": "one\n", "s2": "two",
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
	c, problems := parse(full(t))
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
	want := []config.Provider{{ID: "north", Kind: "north"}, {ID: "south", Kind: "south"}}
	targets := checkProviders(t, c.Tenants["default"].Providers, want)
	f, _ := targets[0].(*north)
	if diff := cmp.Diff(&north{
		BaseURL: "https://north.example.com/api/", Username: "lender", Password: secret.New(fileSecret),
		Bank:       "62a1f0c7",
		Operations: providers.Overrides{"login": "POST /auth/login2"},
	}, f); diff != "" {
		t.Errorf("north (-want +got):\n%s", diff)
	}
	s, _ := targets[1].(*south)
	if diff := cmp.Diff(&south{
		BaseURL: "http://127.0.0.1:9999/api/v1", Name: "12345", Secret: secret.New(envSecret), Version: "2020-06-16",
		Colour: 2,
		Wait:   90 * time.Second, Reads: 4, Fast: true, Tags: []tag{"one", "two"},
		Extra:    map[string]language{"sv": "fi"},
		Identity: &identity{CertFile: "south.crt", KeyFile: "/etc/kontor/south.key"},
	}, s); diff != "" {
		t.Errorf("south (-want +got):\n%s", diff)
	}
	// A tenant may have two of a kind, in the order of the file.
	want = []config.Provider{{ID: "south-two", Kind: "south"}, {ID: "south", Kind: "south"}}
	targets = checkProviders(t, c.Tenants["other"].Providers, want)
	if two, _ := targets[0].(*south); two.Name != "a-x-b" || two.Secret.Reveal() != "onetwo" || two.BaseURL != "" {
		t.Errorf("south-two: %+v", two)
	}
	if one, _ := targets[1].(*south); one.Name != "b" || one.Secret.Reveal() != "c" {
		t.Errorf("south: %+v", one)
	}
	if uris := c.Tenants["default"].RedirectURIs; !slices.Equal(uris,
		[]string{"https://app.example.com/*", "http://127.0.0.1:3000/done"}) {
		t.Errorf("redirect_uris: %v", uris)
	}
	clients := []config.Client{
		{
			ID: "lending", Tenant: "default", Keys: [][32]byte{sha256.Sum256([]byte("test"))},
			Scopes:       []string{"consents.write", "banking.read"},
			Expires:      time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC),
			Addresses:    []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::7/128")},
			Certificates: [][32]byte{sha256.Sum256(nil)},
		},
		{
			ID: "ops", Tenant: "other",
			Keys: [][32]byte{sha256.Sum256([]byte("test2")), sha256.Sum256([]byte("test3"))}, Scopes: []string{"*"},
		},
	}
	if !reflect.DeepEqual(c.Clients, clients) {
		t.Errorf("clients: %v", c.Clients)
	}
	if !c.Insecure || !slices.Equal(c.TrustedProxies, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24"),
	}) {
		t.Errorf("insecure %t, trusted_proxies %v", c.Insecure, c.TrustedProxies)
	}
	if !reflect.DeepEqual(c.OIDC, []config.OIDC{
		{
			Issuer: "https://login.example.com/realms/a", Audience: "kontor", Tenant: "default", ScopesClaim: "scope",
			ClientIDClaim: "sub", MaxLifetime: time.Hour,
		},
		{
			Issuer: "http://127.0.0.1:9998", Audience: "api://kontor", TenantClaim: "org", ScopesClaim: "roles",
			ClientIDClaim: "azp", Scopes: []string{"consents.read"}, MaxLifetime: 15 * time.Minute,
		},
	}) {
		t.Errorf("oidc: %+v", c.OIDC)
	}
	if !slices.Equal(c.CORS.AllowedOrigins, []string{"https://app.example.com", "http://localhost:3000"}) {
		t.Errorf("cors: %v", c.CORS)
	}
	if *c.TLS != (config.TLS{
		CertFile: "tls.crt", KeyFile: "/etc/kontor/tls.key", ClientCAFile: "clients.pem", Admin: true,
	}) || c.Log != (config.Log{Level: slog.LevelDebug, Format: "text"}) {
		t.Errorf("tls %v, log %v", c.TLS, c.Log)
	}
	if c.Limits != (config.Limits{
		RequestsPerSecond: 10, Burst: 20, MaxInFlight: 30, MaxStreams: 40, MaxRequestBytes: 1 << 20,
		MaxBodyBytes: 4 << 20, MaxConnections: 50, MaxConnectionsPerAddress: 5,
		Timeout:       30 * time.Second,
		ConnectionAge: 10 * time.Minute, ConnectionAgeGrace: time.Minute,
	}) {
		t.Errorf("limits: %+v", c.Limits)
	}
	if c.Audit.Retention != 90*24*time.Hour || c.Watch.Retention != 48*time.Hour ||
		c.Shipments.Retention != 24*time.Hour {
		t.Errorf("audit: %v, watch: %v, shipments: %v", c.Audit, c.Watch, c.Shipments)
	}
	if c.Reads != (config.Reads{Hold: 90 * time.Second, HoldBytes: 32 << 20}) {
		t.Errorf("reads: %+v", c.Reads)
	}
	if c.Telemetry.OTLPEndpoint != "http://collector:4317" || c.Heartbeat != 5*time.Second || c.Webhooks ||
		!c.Reflection ||
		c.Polling != (config.Polling{
			MinInterval: time.Second, MaxInterval: time.Minute, IdleInterval: 6 * time.Hour,
		}) ||
		c.Shutdown != (config.Shutdown{Delay: 2 * time.Second, Timeout: 10 * time.Second}) {
		t.Errorf("got %+v", c)
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if out := fmt.Sprintf(format,
			c) + fmt.Sprintf(format,
			*c) + fmt.Sprintf(format,
			f) + fmt.Sprintf(format, s); strings.Contains(out, "canary") || strings.Contains(out, storeKey.Reveal()) {
			t.Errorf("%s shows a secret", format)
		}
	}
}

// checkProviders compares all of providers but their settings, whose targets it gives.
func checkProviders(t *testing.T, got, want []config.Provider) (targets []any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d providers, want %d", len(got), len(want))
	}
	for i, p := range got {
		if p.ID != want[i].ID || p.Kind != want[i].Kind {
			t.Errorf("provider %d is %s of kind %s, want %s of kind %s", i, p.ID, p.Kind, want[i].ID, want[i].Kind)
		}
		targets = append(targets, p.Settings.Target())
	}
	return targets
}

const least = `public_url: http://localhost:8080
tenants: {t: {redirect_uris: ["https://a.example"], providers: {south: {name: n, secret: s}}}}
clients: [{id: c, tenant: t, key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, scopes: ["*"]}]
store_key: ` + keystest.Text + "\n"

func TestDefaults(t *testing.T) {
	c, problems := parse(least)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := config.Defaults()
	want.PublicURL, want.Tenants, want.Clients, want.Store = c.PublicURL, c.Tenants, c.Clients, c.Store
	want.StoreKey = c.StoreKey
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got %+v", c)
	}
	if c.Store.Reveal() != "sqlite:./data/kontor.db" || c.Listen.GRPC != "127.0.0.1:9090" ||
		c.Listen.HTTP != "127.0.0.1:8080" ||
		c.Listen.Admin != "127.0.0.1:8081" || c.Heartbeat != 15*time.Second || !c.Webhooks || c.Reflection ||
		c.TLS != nil || c.Reads != (config.Reads{Hold: 5 * time.Minute, HoldBytes: 128 << 20}) ||
		c.Audit.Retention != 365*24*time.Hour || c.Watch.Retention != 30*24*time.Hour {
		t.Errorf("defaults differ from the design: %+v", c)
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
	path := write("kontor.yaml",
		strings.Replace(least, "secret: s", `secret: "${file:key.txt}", identity: {cert_file: a.crt, key_file: /b.key}`,
			1)+"tls: {cert_file: a.crt, key_file: /b.key, client_ca_file: ca.pem}\n")
	c, err := config.Load(path, config.Options{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := c.Tenants["t"].Providers[0].Settings.Target().(*south)
	if got := s.Secret.Reveal(); got != "s3cret" {
		t.Errorf("the secret is %q", got)
	}
	if s.Identity.CertFile != providers.File(filepath.Join(dir, "a.crt")) || s.Identity.KeyFile != "/b.key" {
		t.Errorf("the identity is %v", s.Identity)
	}
	if c.TLS.CertFile != filepath.Join(dir,
		"a.crt") || c.TLS.KeyFile != "/b.key" || c.TLS.ClientCAFile != filepath.Join(dir, "ca.pem") {
		t.Errorf("tls is %v", c.TLS)
	}

	_, err = config.Load(filepath.Join(dir, "none.yaml"), config.Options{Kinds: kinds})
	var problems config.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file gives %v", err)
	}
	if _, err = config.Load(dir, config.Options{Kinds: kinds}); err == nil {
		t.Error("a folder is no file")
	}
	broken := write("broken.yaml", strings.Replace(least, "scopes", "scope", 1))
	if _, err = config.Load(broken,
		config.Options{Kinds: kinds}); err == nil || !strings.HasPrefix(err.Error(),
		broken+":3: clients[0].scope: there is no such key\n") {
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
      north:
        base_url: https://n.example
        password: "${file:/canary}"
        operations:
          canary word: GET /canary
          read: GET /read
clients:
  - id: c
    tenant: nobody
    key_sha256: canary
    scopes: [consents.delete]
heartbeat: 15
`
	_, problems := parse(text)
	want := []string{
		`kontor.yaml:1: listen.grpc: must be an address with a port, such as 127.0.0.1:8080`,
		`kontor.yaml:1: store_key: is missing`,
		`kontor.yaml:2: public_url: must be an http(s) address without credentials, query or fragment`,
		`kontor.yaml:3: surprise: there is no such key`,
		`kontor.yaml:6: tenants.default.redirect_uris: must have at least one entry`,
		`kontor.yaml:8: tenants.default.providers.north.username: is missing`,
		`kontor.yaml:10: tenants.default.providers.north.password: cannot read the secret file: there is no such file`,
		`kontor.yaml:12: tenants.default.providers.north.operations.(key): there is no such operation`,
		`kontor.yaml:13: tenants.default.providers.north.operations.read: {id} is missing`,
		`kontor.yaml:16: clients[0].tenant: there is no such tenant`,
		"kontor.yaml:17: clients[0].key_sha256: must be the SHA-256 of a key in 64 hexadecimal digits, as `gateway keys new` prints it",
		`kontor.yaml:18: clients[0].scopes[0]: must be one of: *, customers.read, customers.write, consents.read, consents.write, banking.read, ` +
			`banking.write, insights.read, insights.write, documents.read, documents.write, providers.read, providers.write`,
		`kontor.yaml:19: heartbeat: must be a duration with its unit, such as 15s, from 100ms to 10m0s`,
	}
	if got := strings.Split(problems.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// One of several provider accounts must not hold all calls; a lone one may.
func TestCallersPerProvider(t *testing.T) {
	for name, test := range map[string]struct {
		accounts []int // of each tenant
		inFlight int
		want     int
	}{
		"one account":              {[]int{1}, 1000, 1000},
		"two accounts":             {[]int{2}, 1000, 300},
		"one account of each":      {[]int{1, 1, 1}, 1000, 300},
		"hardly any calls at once": {[]int{2}, 2, 1},
	} {
		cfg := config.Config{Tenants: map[string]config.Tenant{}}
		cfg.Limits.MaxInFlight = test.inFlight
		for i, count := range test.accounts {
			cfg.Tenants[fmt.Sprint(i)] = config.Tenant{Providers: make([]config.Provider, count)}
		}
		if got := cfg.CallersPerProvider(); got != test.want {
			t.Errorf("%s: %d callers, want %d", name, got, test.want)
		}
	}
}

// TestSecretFileSaysWhy: an operator must see whether a file is missing or its mode is wrong, and nothing of its
// name.
func TestSecretFileSaysWhy(t *testing.T) {
	for cause, want := range map[error]string{
		fs.ErrNotExist:       "store_key: cannot read the secret file: there is no such file",
		fs.ErrPermission:     "store_key: cannot read the secret file: this user may not",
		errors.New("canary"): "store_key: cannot read the secret file\n",
	} {
		_, problems := config.Parse("kontor.yaml", []byte(`store_key: "${file:canary}"`), config.Options{
			ReadFile: func(string) ([]byte, error) { return nil, &fs.PathError{Op: "open", Path: "canary", Err: cause} },
		})
		if got := problems.Error() + "\n"; !strings.Contains(got, want) || strings.Contains(got, "canary") {
			t.Errorf("%v: %s", cause, got)
		}
	}
}

// TestReadsOnlyWhatIsNeeded reads a configuration for who needs the store alone: no other secret is looked at, and what
// is wrong otherwise is found all the same.
func TestReadsOnlyWhatIsNeeded(t *testing.T) {
	var asked []string
	options := config.Options{
		Kinds: kinds, Reads: []string{"store", "store_key"},
		Env: func(name string) (string, bool) {
			asked = append(asked, name)
			return env(name)
		},
		ReadFile: func(path string) ([]byte, error) {
			asked = append(asked, path)
			return readFile(path)
		},
	}
	text := full(t)
	c, problems := config.Parse("kontor.yaml", []byte(text), options)
	if len(problems) > 0 {
		t.Error(problems)
	}
	if c.StoreKey.Reveal() != storeKey.Reveal() || c.Store.Reveal() != "sqlite:/var/lib/kontor/kontor.db" {
		t.Error("store and key are not those of the configuration")
	}
	if len(asked) != 1 {
		t.Errorf("it read %v", asked)
	}
	// Whatever else comes from elsewhere, and need not be there.
	for old, replacement := range map[string]string{
		"grpc: 127.0.0.1:0": "grpc: ${env:NONE}",
		"admin: :8081":      "admin: ${file:/none}",
		"public_url: https://kontor.example.com/base/": "public_url: ${env:NONE}",
		"base_url: https://north.example.com/api/":     "base_url: ${env:NONE}",
		"max_interval:":               "max_interval: ${env:NONE} #",
		"min_interval:":               "min_interval: ${env:NONE} #",
		"username: lender":            "username: ${env:NONE}",
		"kind: south":                 "kind: \"${env:NONE}\"",
		"client_ca_file: clients.pem": "client_ca_file: ${env:NONE}",
	} {
		changed := strings.Replace(text, old, replacement, 1)
		if changed == text {
			t.Fatalf("there is no %q", old)
		}
		if _, problems := config.Parse("kontor.yaml", []byte(changed), options); len(problems) > 0 {
			t.Errorf("%s: %v", replacement, problems)
		}
	}
	for _, more := range []string{
		"insecure: \"${env:NONE}\"\nlisten: {grpc: ':1'}\n",
		"tls: {cert_file: a, key_file: b, admin: \"${env:NONE}\"}\nlisten: {admin: ':1'}\n",
	} {
		if _, problems := config.Parse("kontor.yaml", []byte(least+more), options); len(problems) > 0 {
			t.Errorf("%s: %v", more, problems)
		}
	}
	for _, mutation := range []struct{ old, replacement, path string }{
		{"username: lender", "username: ${nowhere:NONE}", "tenants.default.providers.north.username"},
		{"username: lender", "usrname: lender", "tenants.default.providers.north.usrname"},
		{"public_url: https://kontor.example.com/base/", "public_url: nonsense", "public_url"},
		{"store_key: ${env:STORE_KEY}", "store_key: ${env:NONE}", "store_key"},
	} {
		changed := strings.Replace(text, mutation.old, mutation.replacement, 1)
		_, problems := config.Parse("kontor.yaml", []byte(changed), options)
		if !slices.ContainsFunc(problems, func(p config.Problem) bool { return p.Path == mutation.path }) {
			t.Errorf("%s: %v", mutation.replacement, problems)
		}
	}
}
