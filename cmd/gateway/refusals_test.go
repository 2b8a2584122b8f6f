package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
)

// good is a configuration that is served, with a certificate, keys and secrets in files beside it.
const good = `listen: {grpc: "127.0.0.1:0", http: "127.0.0.1:0", admin: "127.0.0.1:0"}
public_url: https://kontor.example.com
store: "sqlite:FOLDER/data/kontor.db"
store_key: "${file:store.key}"
tls: {cert_file: tls.crt, key_file: tls.key, client_ca_file: clients.pem}
tenants:
  default:
    redirect_uris: ["https://app.example.com/*"]
    providers:
      berlin:
        kind: finoos
        name: lender
        secret: "${file:finoos.secret}"
        operations:
          connect: POST /users/{userID}/banking/connect2
clients:
  - id: c
    tenant: default
    key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    scopes: ["*"]
    certificate: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
`

// certificateFor makes a certificate for this machine, and its key, as PEM.
func certificateFor(t *testing.T) (certificate, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"kontor.example.com"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

// furnish writes a configuration with all that it refers to.
func furnish(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	// Others may enter, so that what they may read there is theirs to read.
	for folder := dir; folder != filepath.Dir(os.TempDir()) && strings.HasPrefix(folder, os.TempDir()); {
		if folder != os.TempDir() {
			if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // on purpose
				t.Fatal(err)
			}
		}
		folder = filepath.Dir(folder)
	}
	storeKey, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	certificate, private := certificateFor(t)
	other, _ := certificateFor(t)
	for name, content := range map[string]string{
		"store.key": storeKey.Reveal(), "finoos.secret": "canary", "tls.crt": certificate, "tls.key": private,
		"clients.pem": other, "other.crt": other, "nothing.pem": "nothing",
		"kontor.yaml": strings.ReplaceAll(text, "FOLDER", dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// outcome runs a command on the kontor.yaml of a folder and gives what it refuses, empty when nothing.
func outcome(t *testing.T, command, dir string, flags ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // who serves stops at once
	var out bytes.Buffer
	err := run(ctx, append([]string{command, "--config", filepath.Join(dir, "kontor.yaml")}, flags...), &out, &out)
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), dir+"/", "")
}

// wantWarning sees that a configuration with an exposed secret is served, with a warning that names key and line.
func wantWarning(t *testing.T, dir, want string) {
	t.Helper()
	cfg, err := config.Load(filepath.Join(dir, "kontor.yaml"), served)
	if err != nil {
		t.Fatalf("serve refuses: %v", err)
	}
	var text bytes.Buffer
	warn(cfg, slog.New(slog.NewTextHandler(&text, nil)))
	line, rest, _ := strings.Cut(want, ": ")
	key, cause, _ := strings.Cut(rest, ": ")
	for _, part := range []string{"level=WARN", "line=" + line, "key=" + key, cause} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("without %q: %s", part, text.String())
		}
	}
	if strings.Contains(text.String(), "canary") {
		t.Errorf("a value is shown: %s", text.String())
	}
}

// TestCheckRefusesWhatServeRefuses: the same faults, with the same words, whoever looks; each with key and line, and
// none with a value.
func TestCheckRefusesWhatServeRefuses(t *testing.T) {
	t.Parallel()
	dir := furnish(t, good)
	for _, command := range []string{"check", "serve"} {
		if got := outcome(t, command, dir); got != "" {
			t.Errorf("%s refuses what is right: %s", command, got)
		}
	}
	mode := func(name string, mode os.FileMode) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		old, new string
		files    func(t *testing.T, dir string)
		want     string // in the message, behind "kontor.yaml:"
	}{
		"a syntax":       {old: "tls: {", new: "tls: {{", want: "4: is not valid YAML"},
		"an unknown key": {old: "public_url", new: "public_uri", want: "2: public_uri: there is no such key"},
		"a bad duration": {old: "store_key:", new: "heartbeat: 5\nstore_key:", want: "4: heartbeat: must be"},
		"a missing secret": {
			old: "finoos.secret", new: "none.secret",
			want: "13: tenants.default.providers.berlin.secret: cannot read",
		},
		"a bad store":     {old: "sqlite:FOLDER", new: "mysql:FOLDER", want: "3: store: must be"},
		"a bad store key": {old: "${file:store.key}", new: "canary", want: "4: store_key: "},
		"a missing cert": {
			old: "cert_file: tls.crt", new: "cert_file: none.crt",
			want: "5: tls.cert_file: must be a certificate",
		},
		"another's cert": {
			old: "cert_file: tls.crt", new: "cert_file: other.crt",
			want: "5: tls.cert_file: must be a certificate",
		},
		"no authority": {
			old: "client_ca_file: clients.pem", new: "client_ca_file: nothing.pem",
			want: "5: tls.client_ca_file: must hold",
		},
		"a missing authority": {
			old: "client_ca_file: clients.pem", new: "client_ca_file: none.pem",
			want: "5: tls.client_ca_file: cannot be read",
		},
		"a certificate unused": {
			old:  ", client_ca_file: clients.pem",
			want: "21: clients[0].certificate: needs tls.client_ca_file",
		},
		"plain text": {
			old:  `listen: {grpc: "127.0.0.1:0", http: "127.0.0.1:0", admin: "127.0.0.1:0"}`,
			new:  `listen: {grpc: "127.0.0.1:0", http: "127.0.0.1:0", admin: "0.0.0.0:0"}`,
			want: "1: listen.admin: is in plain text",
		},
		"a confusing redirect": {
			old: "https://app.example.com/*", new: "https://app.example.com/..;/*",
			want: "8: tenants.default.redirect_uris[0]: must be",
		},
		"no kind": {
			old: "kind: finoos", new: "kind: canary",
			want: "11: tenants.default.providers.berlin.kind: must be one of",
		},
		"a provider's key": {
			old: "name: lender", new: "username: lender",
			want: "12: tenants.default.providers.berlin.username: there is no such key",
		},
		"a provider's value": {
			old: "name: lender", new: "name: lender\n        api_version: canary",
			want: "13: tenants.default.providers.berlin.api_version: must be",
		},
		"a plain base": {
			old: "name: lender", new: "name: lender\n        base_url: http://canary.example",
			want: "13: tenants.default.providers.berlin.base_url: must be https",
		},
		"an override's name": {
			old: "connect: POST", new: "conect: POST",
			want: "15: tenants.default.providers.berlin.operations.conect: there is no such operation",
		},
		"an override's words": {
			old: "connect: POST", new: "canary word: POST",
			want: "15: tenants.default.providers.berlin.operations.(key): there is no such operation",
		},
		"an override's form": {
			old: "connect: POST /users", new: "connect: POST users",
			want: "15: tenants.default.providers.berlin.operations.connect: must be of the form",
		},
		"an override's path": {
			old: "{userID}/banking", new: "me/banking",
			want: "15: tenants.default.providers.berlin.operations.connect: {userID} is missing",
		},
		"the example's key": {
			old:  "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			new:  `"` + strings.Repeat("0", 64) + `"`,
			want: "19: clients[0].key_sha256: is the example's",
		},
		"a client of nobody": {
			old: "    tenant: default", new: "    tenant: nobody",
			want: "18: clients[0].tenant: there is no such tenant",
		},
		"everybody is believed": {
			old: "tenants:", new: "trusted_proxies: ['::/0']\ntenants:",
			want: "6: trusted_proxies[0]: must not be everybody",
		},

		"a store below a file": {
			old: "FOLDER/data", new: "FOLDER/tls.crt/data", want: "3: store: lies in a folder that cannot be",
		},
		"a store in a file": {
			old: "FOLDER/data", new: "FOLDER/tls.crt", want: "3: store: lies in a folder that cannot be",
		},
		"a store that is a folder": {
			files: func(t *testing.T, dir string) {
				if err := os.MkdirAll(filepath.Join(dir, "data", "kontor.db"), 0o700); err != nil {
					t.Fatal(err)
				}
			},
			want: "3: store: is not a file",
		},
		"a store that leads nowhere": {
			files: func(t *testing.T, dir string) {
				if err := errors.Join(os.Mkdir(filepath.Join(dir, "data"), 0o700),
					os.Symlink(filepath.Join(dir, "none"), filepath.Join(dir, "data", "kontor.db"))); err != nil {
					t.Fatal(err)
				}
			},
			want: "3: store: is a link that leads nowhere",
		},
		"everybody's folder": {
			files: func(t *testing.T, dir string) {
				if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil { //nolint:gosec // on purpose
					t.Fatal(err)
				}
			},
			want: "3: store: lies in a folder that can be read by everybody",
		},
		"everybody's default folder": {
			old: `store: "sqlite:FOLDER/data/kontor.db"` + "\n",
			files: func(t *testing.T, dir string) {
				if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil { //nolint:gosec // on purpose
					t.Fatal(err)
				}
			},
			want: "1: store: lies in a folder that can be read by everybody",
		},

		"everybody's secret": {
			files: mode("finoos.secret", 0o604),
			want:  "13: tenants.default.providers.berlin.secret: comes from a file that can be read by everybody",
		},
		"everybody's key": {
			files: mode("tls.key", 0o644),
			want:  "5: tls.key_file: names a file that can be read by everybody",
		},
		"everybody's store": {
			files: mode("store.key", 0o444),
			want:  "4: store_key: comes from a file that can be read by everybody",
		},
		"everybody's address": {
			old: `"sqlite:FOLDER/data/kontor.db"`, new: `"${file:address}"`,
			files: func(t *testing.T, dir string) {
				if err := os.WriteFile(filepath.Join(dir, "address"), []byte("postgres://u:canary@h/db"),
					0o644); err != nil { //nolint:gosec // on purpose
					t.Fatal(err)
				}
			},
			want: "3: store: comes from a file that can be read by everybody",
		},
		"an inline secret": {
			old: `"${file:finoos.secret}"`, new: "canary", files: mode("kontor.yaml", 0o644),
			want: "13: tenants.default.providers.berlin.secret: is a secret in a file that can be read by everybody",
		},
		"a linked secret": {
			files: func(t *testing.T, dir string) {
				path := filepath.Join(dir, "finoos.secret")
				if err := errors.Join(os.Rename(path, path+".real"), os.Symlink("finoos.secret.real", path),
					os.Chmod(path+".real", 0o644)); err != nil {
					t.Fatal(err)
				}
			},
			want: "13: tenants.default.providers.berlin.secret: comes from a file that can be read by everybody",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good && c.files == nil {
				t.Fatal("nothing is wrong")
			}
			dir := furnish(t, text)
			if c.files != nil {
				c.files(t, dir)
			}
			checked := outcome(t, "check", dir)
			if strings.Contains(c.want, "by everybody") {
				if strings.Count(checked, c.want) > 1 {
					t.Errorf("told twice: %s", checked)
				}
				wantWarning(t, dir, c.want)
			} else if served := outcome(t, "serve", dir); checked != served {
				t.Errorf("check refuses\n%s\nserve refuses\n%s", checked, served)
			}
			if !strings.Contains("\n"+checked, "\nkontor.yaml:"+c.want) {
				t.Errorf("got\n%s\nwant %s", checked, c.want)
			}
			if strings.Contains(checked, "canary") {
				t.Errorf("a value is shown: %s", checked)
			}
			for _, name := range []string{"kontor.db", "data/kontor.db", "none"} {
				if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
					t.Errorf("a store was made: %s", name)
				}
			}
		})
	}
	for name, c := range map[string]func(t *testing.T, dir string){
		"a configuration without secrets": mode("kontor.yaml", 0o644),
		"a group's secret":                mode("finoos.secret", 0o640),
		"a store's folder for nobody else": func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "data"), 0o750); err != nil {
				t.Fatal(err)
			}
		},
		"a folder for nobody else": func(t *testing.T, dir string) {
			mode("finoos.secret", 0o644)(t, dir)
			mode(".", 0o700)(t, dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := furnish(t, good)
			c(t, dir)
			for _, command := range []string{"check", "serve"} {
				if got := outcome(t, command, dir); got != "" {
					t.Errorf("%s refuses: %s", command, got)
				}
			}
		})
	}
}

// TestCommandsSayWhatTheyDo: each has a sentence, an example of itself and its flags for who asks, and refuses what it
// does not understand.
func TestCommandsSayWhatTheyDo(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"sandbox", "serve", "check", "operations", "keys new", "keys store", "audit export", "audit verify", "backup",
		"restore", "store copy", "migrate", "version", "healthcheck",
	} {
		words := strings.Fields(command)
		for _, help := range []string{"--help", "-h", "-help"} {
			var out, errOut bytes.Buffer
			err := run(t.Context(), append(words, help), &out, &errOut)
			if !errors.Is(err, errHelped) || errOut.Len() > 0 ||
				!strings.HasPrefix(out.String(), "usage: gateway "+words[0]) ||
				!strings.Contains(out.String(), "example:\n  ") || !strings.Contains(out.String(), "gateway "+command) {
				t.Errorf("%s %s: %v\n%s%s", command, help, err, &out, &errOut)
			}
		}
		for _, wrong := range []string{"surprise", "--surprise", "-"} {
			var out, errOut bytes.Buffer
			err := run(t.Context(), append(words, wrong), &out, &errOut)
			if !errors.Is(err, errUsage) || out.Len() > 0 ||
				!strings.Contains(errOut.String(), "usage: gateway "+words[0]) {
				t.Errorf("%s %s: %v\n%s%s", command, wrong, err, &out, &errOut)
			}
		}
	}
	for _, words := range [][]string{
		{}, {"surprise"}, {"keys"}, {"audit"}, {"keys", "old"}, {"audit", "import"}, {"backup"},
		{"restore"}, {"restore", "--from", "copy.db"}, {"store"}, {"store", "move"}, {"store", "copy"},
	} {
		var out, errOut bytes.Buffer
		if err := run(t.Context(), words, &out, &errOut); !errors.Is(err, errUsage) || out.Len() > 0 {
			t.Errorf("%v: %v\n%s", words, err, &out)
		}
	}
}

// TestHealthcheckOverTLS asks an admin listener with a certificate.
func TestHealthcheckOverTLS(t *testing.T) {
	t.Parallel()
	certificate, private := certificateFor(t)
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(private))
	if err != nil {
		t.Fatal(err)
	}
	status := http.StatusOK
	admin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(status)
	}))
	admin.Config.ErrorLog = log.New(io.Discard, "", 0)
	admin.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	admin.StartTLS()
	t.Cleanup(admin.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	other, _ := certificateFor(t)
	wrong := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(wrong, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(flags ...string) error {
		var out bytes.Buffer
		words := append([]string{"healthcheck", "--admin", admin.Listener.Addr().String()}, flags...)
		return run(t.Context(), words, &out, &out)
	}
	if err := errors.Join(ask("--tls"), ask("--ca", ca)); err != nil {
		t.Error(err)
	}
	for _, flags := range [][]string{{}, {"--ca", wrong}, {"--ca", "none.pem"}, {"--tls", "--live"}} {
		if err := ask(flags...); err == nil {
			t.Errorf("%v is well", flags)
		}
	}
	status = http.StatusServiceUnavailable
	if err := ask("--tls"); err == nil {
		t.Error("one that is not ready is well")
	}
}
