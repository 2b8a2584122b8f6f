package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

const patience = worldtest.Patience

// worldOptions describe a world. The zero value follows consents quickly, by webhook and by polling, with the real
// clock.
type worldOptions struct {
	step  time.Duration        // between two statuses that come by themselves at a provider
	clock *sandbox.ManualClock // of the providers; nil for the real one
	still bool                 // no webhooks, and next to no polling
	idle  time.Duration        // between two reads of a consent that stands; zero for the default
	// played replaces providers' dialects, by id.
	played []sandbox.Dialect
}

// world is the played providers, a gateway in front of them, and what stands around.
type world struct {
	*sandboxes.Running
	dir     string
	options worldOptions
	gateway *worldtest.Gateway
	env     []string // that the gateway runs in
	// public is where providers and browsers reach the gateway's callbacks. It stays when the gateway starts again.
	public *httptest.Server
	target atomic.Pointer[url.URL]
	// app has the caller's own pages, to which customers return.
	app *app

	mu      sync.Mutex
	clients map[string]*client
	secrets map[string]string // what must stand nowhere, with what it is
}

// The clients of every world, beside one for each provider that a tenant has alone.
const (
	lending = "lending" // may do everything
	reader  = "reader"  // may read everything
	clerk   = "clerk"   // may read customers
	acme    = "acme"    // may do everything, for another tenant
)

// clients are all of them.
func clients() []worldtest.Client {
	all := []worldtest.Client{
		{ID: lending, Tenant: "default", Scopes: worldtest.Everything},
		{
			ID: reader, Tenant: "default",
			Scopes: "customers.read, consents.read, banking.read, insights.read, documents.read, providers.read",
		},
		{ID: clerk, Tenant: "default", Scopes: "customers.read"},
		{ID: acme, Tenant: acme, Scopes: worldtest.Everything},
	}
	for _, id := range worldtest.Providers() {
		alone := providers.Of(id).alone
		all = append(all, worldtest.Client{ID: alone, Tenant: alone, Scopes: worldtest.Everything})
	}
	for i := range all {
		all[i].Key = keyOf(all[i].ID)
	}
	return all
}

// keyOf is the key of a client.
func keyOf(client string) string { return worldtest.KeyOf("end-to-end", client) }

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
			t.Log(worldtest.LastWords(w.dir))
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
	running, err := worldtest.Play(context.Background(), core, o.played...)
	if err != nil {
		return nil, err
	}
	w := &world{
		Running: running, dir: dir, options: o, app: newApp(), clients: map[string]*client{},
		secrets: worldtest.Secrets(running),
	}
	for _, c := range clients() {
		w.secrets[c.Key] = "a client's key"
	}
	w.public = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(w.target.Load()) },
		// While the gateway is away nobody answers.
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     worldtest.DiscardLog,
	})
	if err := w.configure(w.config()); err != nil {
		return nil, err
	}
	if err := w.start(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// config is the gateway's configuration: two tenants with all providers, and one more for each that has it alone.
func (w *world) config() worldtest.Config {
	cfg := worldtest.Config{
		PublicURL: w.public.URL, Clients: clients(), More: "log: {level: debug}\nheartbeat: 300ms\n",
	}
	add := func(tenant string, providers ...string) {
		cfg.Tenants = append(cfg.Tenants, worldtest.Tenant{
			ID: tenant, Redirects: w.app.URL + "/back/*", Providers: worldtest.Blocks(w.Running, providers...),
		})
	}
	add("default")
	add(acme)
	for _, id := range worldtest.Providers() {
		add(providers.Of(id).alone, id)
	}
	if w.options.still {
		cfg.More += "webhooks: false\npolling: {min_interval: 1h, max_interval: 1h}\n"
	} else {
		polling := "min_interval: 50ms, max_interval: 1s"
		if w.options.idle > 0 {
			polling += ", idle_interval: " + w.options.idle.String()
		}
		cfg.More += "polling: {" + polling + "}\n"
	}
	return cfg
}

// configure writes the gateway's configuration for its next start.
func (w *world) configure(cfg worldtest.Config) (err error) {
	w.env, err = cfg.Write(w.dir)
	return err
}

// start starts the gateway and waits until it listens.
func (w *world) start() error {
	g, err := worldtest.StartGateway(binary, w.dir, w.env...)
	if err != nil {
		return err
	}
	target, err := url.Parse(g.HTTP)
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
	return w.gateway.Stop()
}

// leaks looks for secrets in what the gateway left behind.
func (w *world) leaks(metrics []byte) error {
	// The unguessable parts of the addresses that the gateway gave the providers, and the tokens that they gave it.
	for _, call := range worldtest.Calls(w.Running) {
		if fields := strings.Fields(call.Header.Get("Authorization")); len(fields) > 0 {
			w.secret(fields[len(fields)-1], "a provider's token")
		}
		for _, match := range worldtest.CallbackAddress.FindAllSubmatch(call.Body, -1) {
			w.secret(string(match[1]), "a callback's token")
		}
	}
	stored, err := worldtest.Stored(context.Background(), w.dir)
	if err != nil {
		return err
	}
	servers, err := worldtest.ServersLog()
	if err != nil {
		return err
	}
	places := map[string][]byte{"metrics": metrics, "the store": stored, "PostgreSQL's log": servers}
	files, err := filepath.Glob(w.path("*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if worldtest.HoldsSecrets(file) {
			continue
		}
		if places[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			return err
		}
	}
	if len(places["gateway.log"]) == 0 || len(stored) == 0 || len(metrics) == 0 {
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

// core is a provider's part of the sandbox, which counts its calls and has its faults.
func (w *world) core(provider string) *sandbox.Core { return w.Played[provider].Core }

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	worldtest.Eventually(t, what, condition)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// forget closes the clients' connections: a gateway that starts again has other ports.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.clients {
		c.Close()
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
	metrics, _ := w.gateway.Metrics()
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
