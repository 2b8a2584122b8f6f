package crash

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

// The clients.
const (
	clientID   = "lending" // may do everything
	clerkID    = "clerk"   // may read customers
	tenantName = "default"
)

var key, clerkKey = worldtest.KeyOf("crash", clientID), worldtest.KeyOf("crash", clerkID)

// world is the played providers behind gates, and a gateway that comes and goes.
type world struct {
	*sandboxes.Running
	t       *testing.T
	dir     string
	env     []string // that the gateway runs in
	gates   map[string]*gate
	gateway *worldtest.Gateway
	client  *worldtest.Stubs
}

// options change a world.
type options struct {
	config string // further lines of kontor.yaml
	store  string // the store's address; "" for that which the environment says
	// reached gives where the gateway finds a provider, given where its gate is, by the provider's id.
	reached map[string]func(gate string) string
}

// newWorld starts everything.
func newWorld(t *testing.T, o options) *world {
	t.Helper()
	running, err := worldtest.Play(context.Background(), sandbox.Options{Seed: *seed, Step: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Running: running, t: t, dir: t.TempDir(), gates: map[string]*gate{}}
	t.Cleanup(func() {
		if w.gateway != nil {
			w.gateway.Kill()
		}
		for _, gate := range w.gates {
			gate.Close()
		}
		_ = running.Close()
		if t.Failed() {
			t.Log(worldtest.LastWords(w.dir))
		}
	})
	blocks := worldtest.Blocks(running)
	for i, block := range blocks {
		w.gates[block.ID] = newGate(block.Played)
		blocks[i].URL = w.gates[block.ID].URL
		if reached := o.reached[block.ID]; reached != nil {
			blocks[i].URL = reached(blocks[i].URL)
		}
	}
	w.env = must(worldtest.Config{
		PublicURL: "http://127.0.0.1:9", Store: o.store,
		Tenants: []worldtest.Tenant{{ID: tenantName, Redirects: "https://app.example.com/*", Providers: blocks}},
		Clients: []worldtest.Client{
			{ID: clientID, Tenant: tenantName, Key: key, Scopes: worldtest.Everything},
			{ID: clerkID, Tenant: tenantName, Key: clerkKey, Scopes: "customers.read"},
		},
		More: "webhooks: false\npolling: {min_interval: 1h, max_interval: 1h}\n" +
			"limits: {requests_per_second: 100000, burst: 100000}\n" + o.config,
	}.Write(w.dir))(t)
	w.start()
	return w
}

// start starts the gateway and waits until it listens.
func (w *world) start() {
	w.t.Helper()
	w.gateway = must(worldtest.StartGateway(binary, w.dir, w.env...))(w.t)
	client := must(worldtest.Dial(w.gateway.GRPC, key))(w.t)
	w.t.Cleanup(client.Close)
	w.client = client
}

// kill ends the gateway by SIGKILL and returns once it is gone.
func (w *world) kill() { w.gateway.Kill() }

// restart kills the gateway, unless something else did, and starts it again.
func (w *world) restart() {
	w.t.Helper()
	w.kill()
	w.client.Close()
	w.start()
}

// eventually waits until a condition holds.
func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	worldtest.Eventually(w.t, what, condition)
}

// context is what calls are made with.
func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), worldtest.Patience)
	w.t.Cleanup(cancel)
	return worldtest.AsPSU(ctx)
}

// must gives an answer, or ends the test.
func must[T any](answer T, err error) func(*testing.T) T { return worldtest.Must(answer, err) }

// reason is Kontor's reason of an error, empty for one that the gateway did not make.
func reason(err error) string { return worldtest.Reason(err) }

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// run runs another command of the gateway with the world's configuration and gives what it printed.
func (w *world) run(args ...string) string {
	w.t.Helper()
	out, err := w.tryRun(args...)
	if err != nil {
		w.t.Fatalf("gateway %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (w *world) tryRun(args ...string) (string, error) {
	cmd := exec.Command(binary, append(args, "--config", w.path("kontor.yaml"))...)
	cmd.Env = append(os.Environ(), w.env...)
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return errOut.String(), err
	}
	return string(out), nil
}
