package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/test/worldtest"
)

// patience bounds how long a test waits for what must come.
const patience = 20 * time.Second

// worldOptions describe a world. The zero value follows consents quickly, by webhook and by polling, with the real clock.
type worldOptions struct {
	step    time.Duration        // between two statuses that come by themselves at a provider
	clock   *sandbox.ManualClock // of the providers; nil for the real one
	still   bool                 // no webhooks, and next to no polling
	fimento fimento.Behaviour
}

// world is two played providers, a gateway in front of them, and what stands around.
type world struct {
	*worldtest.Both
	dir     string
	options worldOptions
	gateway *gateway
	// public is where providers and browsers reach the gateway's callbacks. It stays when the gateway starts again.
	public *httptest.Server
	target atomic.Pointer[url.URL]
	// app has the caller's own pages, to which customers return.
	app *app

	mu      sync.Mutex
	clients map[string]*client
	secrets map[string]string // what must stand nowhere, with what it is
}

// The clients of every world.
const (
	lending = "lending" // may do everything
	reader  = "reader"  // may read everything
	clerk   = "clerk"   // may read customers
	acme    = "acme"    // may do everything, for another tenant
	nordic  = "nordic"  // may do everything, for a tenant that has Fimento alone
	german  = "german"  // may do everything, for a tenant that has finoOS alone
)

var clientScopes = []struct{ id, tenant, scopes string }{
	{lending, "default", `"*"`},
	{reader, "default", "customers.read, consents.read, banking.read, insights.read, documents.read, providers.read"},
	{clerk, "default", "customers.read"},
	{acme, "acme", `"*"`},
	{nordic, "nordic", `"*"`},
	{german, "german", `"*"`},
}

// keyOf is the key of a client.
func keyOf(client string) string {
	sum := sha256.Sum256([]byte("end-to-end key of " + client))
	return "kontor_" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// newWorld makes a world for one test.
func newWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	w, err := startWorld(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("last words of the gateway:\n%s", w.lastWords())
		}
		os.RemoveAll(w.dir)
	})
	return w
}

func startWorld(o worldOptions) (*world, error) {
	dir, err := os.MkdirTemp("", "kontor-world-")
	if err != nil {
		return nil, err
	}
	core := sandbox.Options{Seed: *seed, Step: o.step}
	if o.clock != nil {
		core.Clock = o.clock
	}
	running, err := worldtest.Start(context.Background(), core, fimento.Config{Behaviour: o.fimento})
	if err != nil {
		return nil, err
	}
	w := &world{Both: running, dir: dir, options: o, app: newApp(), clients: map[string]*client{}, secrets: map[string]string{
		fimento.DefaultPassword: "Fimento's password", finoos.DemoSecret: "finoOS's secret",
	}}
	for _, c := range clientScopes {
		w.secrets[keyOf(c.id)] = "a client's key"
	}
	w.public = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(w.target.Load()) },
		// While the gateway is away nobody answers.
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     discardLog,
	})
	if err := os.WriteFile(w.path("kontor.yaml"), []byte(w.config()), 0o600); err != nil {
		return nil, err
	}
	if err := w.start(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// config is the gateway's configuration.
func (w *world) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\", admin: \"127.0.0.1:0\"}\npublic_url: %s\nstore: \"sqlite:%s\"\n",
		w.public.URL, w.path("kontor.db"))
	fimentoBlock := fmt.Sprintf("      fimento: {base_url: %q, username: %s, password: \"${file:fimento.secret}\", partner_bank: %q}\n",
		w.FimentoURL, fimento.DefaultName, fimento.DefaultPartnerBankID)
	finoosBlock := fmt.Sprintf("      finoos: {base_url: %q, name: %s, secret: \"${env:FINOOS_SECRET}\"}\n",
		w.FinoOSURL+finoos.BasePath, finoos.DemoName)
	b.WriteString("tenants:\n")
	for _, tenant := range []struct{ id, providers string }{
		{"default", fimentoBlock + finoosBlock}, {"acme", fimentoBlock + finoosBlock}, {"nordic", fimentoBlock}, {"german", finoosBlock},
	} {
		fmt.Fprintf(&b, "  %s:\n    redirect_uris: [%q]\n    providers:\n%s", tenant.id, w.app.URL+"/back/*", tenant.providers)
	}
	b.WriteString("clients:\n")
	for _, c := range clientScopes {
		hash := sha256.Sum256([]byte(keyOf(c.id)))
		fmt.Fprintf(&b, "  - {id: %s, tenant: %s, key_sha256: %s, scopes: [%s]}\n", c.id, c.tenant, hex.EncodeToString(hash[:]), c.scopes)
	}
	b.WriteString("log: {level: debug}\nheartbeat: 300ms\n")
	if w.options.still {
		b.WriteString("webhooks: false\npolling: {min_interval: 1h, max_interval: 1h}\n")
	} else {
		b.WriteString("polling: {min_interval: 50ms, max_interval: 1s}\n")
	}
	return b.String()
}

// start starts the gateway and waits until it listens.
func (w *world) start() error {
	if err := os.WriteFile(w.path("fimento.secret"), []byte(fimento.DefaultPassword+"\n"), 0o600); err != nil {
		return err
	}
	g, err := startGateway(w.dir, "FINOOS_SECRET="+finoos.DemoSecret)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, w.lastWords())
	}
	target, err := url.Parse(g.http)
	if err != nil {
		return err
	}
	w.target.Store(target)
	w.gateway = g
	return nil
}

// stop stops the gateway as an operator does and demands that it ends well.
func (w *world) stop() error {
	w.forget()
	return w.gateway.stop()
}

// forget closes the clients' connections: a gateway that starts again has other ports.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.clients {
		c.close()
	}
	clear(w.clients)
}

// restart stops the gateway, does what is to happen while it is away, and starts it again on other ports.
func (w *world) restart(t *testing.T, meanwhile func()) {
	t.Helper()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if meanwhile != nil {
		meanwhile()
	}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
}

// close ends the world. The gateway must stop with code 0, and no secret may have come out of it.
func (w *world) close() error {
	metrics := w.metrics()
	err := w.stop()
	w.public.Close()
	w.app.Close()
	return errors.Join(err, w.Close(), w.leaks(metrics))
}

// secret notes what must stand in no log, metric or database.
func (w *world) secret(value, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[value] = what
}

// leaks looks for secrets in what the gateway left behind.
func (w *world) leaks(metrics []byte) error {
	// The unguessable parts of the addresses that the gateway gave the providers.
	for _, call := range append(w.FimentoCore.Calls.All(), w.FinoOSCore.Calls.All()...) {
		for _, token := range callbackTokens(call.Body) {
			w.secret(token, "a callback's token")
		}
	}
	places := map[string][]byte{"metrics": metrics}
	files, err := filepath.Glob(w.path("*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		switch name := filepath.Base(file); name {
		case "kontor.yaml", "fimento.secret": // they are meant to hold secrets
		default:
			if places[name], err = os.ReadFile(file); err != nil {
				return err
			}
		}
	}
	if len(places["gateway.log"]) == 0 || len(places["kontor.db"]) == 0 || len(metrics) == 0 {
		return errors.New("there is no log, database or metric to look for secrets in")
	}
	var found []error
	for place, content := range places {
		for secret, what := range w.secrets {
			if bytes.Contains(content, []byte(secret)) {
				found = append(found, fmt.Errorf("%s stands in %s", what, place))
			}
		}
	}
	return errors.Join(found...)
}

func (w *world) metrics() []byte {
	resp, err := http.Get(w.gateway.admin + "/metrics")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return body
}

// lastWords is the end of the gateway's log.
func (w *world) lastWords() string {
	log, _ := os.ReadFile(w.path("gateway.log"))
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// core is the provider's part of the sandbox that counts calls and has the faults.
func (w *world) core(provider string) *sandbox.Core {
	if provider == "fimento" {
		return w.FimentoCore
	}
	return w.FinoOSCore
}

// gateway is a running process.
type gateway struct {
	process           *exec.Cmd
	done              chan error
	grpc, http, admin string
}

// startGateway runs `gateway serve` with the kontor.yaml of a folder and waits until it is ready.
func startGateway(dir string, env ...string) (*gateway, error) {
	log, err := os.OpenFile(filepath.Join(dir, "gateway.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has it
	ready := filepath.Join(dir, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	g := &gateway{process: exec.Command(binary, "serve", "--config", filepath.Join(dir, "kontor.yaml"), "--ready-file", ready), done: make(chan error, 1)}
	g.process.Env = append(os.Environ(), env...)
	g.process.Stdout, g.process.Stderr = log, log
	started := make(chan error)
	go func() {
		// On Linux a child dies with the thread that made it: this one stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		dieWithParent(g.process)
		err := g.process.Start()
		started <- err
		if err == nil {
			g.done <- g.process.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for {
		select {
		case <-tick.C:
			if content, err := os.ReadFile(ready); err == nil {
				return g, g.addresses(content)
			}
		case err := <-g.done:
			return nil, fmt.Errorf("the gateway ended before it was ready: %w", err)
		case <-timeout:
			_ = g.process.Process.Kill()
			return nil, errors.New("the gateway did not get ready")
		}
	}
}

func (g *gateway) addresses(ready []byte) error {
	var at struct{ GRPC, HTTP, Admin string }
	if err := json.Unmarshal(ready, &at); err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	if at.GRPC == "" || at.HTTP == "" || at.Admin == "" {
		return errors.New("ready file: an address is missing")
	}
	g.grpc, g.http, g.admin = at.GRPC, withScheme(at.HTTP), withScheme(at.Admin)
	return nil
}

func withScheme(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "http://" + address
}

// stop sends SIGTERM and waits for exit code 0.
func (g *gateway) stop() error {
	if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the gateway was gone already: %w", err)
	}
	select {
	case err := <-g.done:
		if err != nil {
			return fmt.Errorf("the gateway did not end well after SIGTERM: %w", err)
		}
		return nil
	case <-time.After(patience):
		_ = g.process.Process.Kill()
		return errors.New("the gateway did not end after SIGTERM")
	}
}

// app is the caller's web site. It shows a page wherever a customer arrives and remembers where that was.
type app struct {
	*httptest.Server
	mu       sync.Mutex
	arrivals []*url.URL
}

func newApp() *app {
	a := &app{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/back/") {
			http.NotFound(rw, r)
			return
		}
		a.mu.Lock()
		a.arrivals = append(a.arrivals, r.URL)
		a.mu.Unlock()
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(rw, `<!doctype html><title>Back</title><p id="arrived">Welcome back.</p>`)
	}))
	return a
}

// back is an address of the app, such as back("success", "17").
func (a *app) back(outcome, visit string) string {
	return a.URL + "/back/" + outcome + "?visit=" + visit
}

// arrivedAt tells at which addresses of a visit customers arrived.
func (a *app) arrivedAt(visit string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var at []string
	for _, u := range a.arrivals {
		if u.Query().Get("visit") == visit {
			at = append(at, a.URL+u.String())
		}
	}
	return at
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for: %s", what)
		}
		<-tick.C
	}
}
