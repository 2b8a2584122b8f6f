package security

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

// The clients of a world. All but the rival belong to the same tenant.
const (
	owner  = "owner"  // may do everything
	rival  = "rival"  // may do everything, for another tenant with accounts of its own at the providers
	reader = "reader" // may read everything
	porter = "porter" // may do everything with providers
	clerk  = "clerk"  // may do everything with customers
)

var clients = []worldtest.Client{
	{ID: owner, Tenant: "default", Key: keyOf(owner), Scopes: worldtest.Everything},
	{ID: rival, Tenant: "other", Key: keyOf(rival), Scopes: worldtest.Everything},
	{
		ID: reader, Tenant: "default", Key: keyOf(reader),
		Scopes: "customers.read, consents.read, banking.read, insights.read, documents.read, providers.read",
	},
	{ID: porter, Tenant: "default", Key: keyOf(porter), Scopes: "providers.write"},
	{ID: clerk, Tenant: "default", Key: keyOf(clerk), Scopes: "customers.write"},
}

// keyOf is the key of a client.
func keyOf(client string) string { return worldtest.KeyOf("security", client) }

// dialects are those that replace the usual ones: a provider's file enters one where its secrets should be of a kind
// that encodings change.
var dialects = worldtest.Table[sandbox.Dialect]{}

// world is a gateway for two tenants, each of which has all providers to itself, and all that the gateway says.
type world struct {
	// default's providers, and the other tenant's
	ours, theirs *sandboxes.Running
	dir          string
	gateway      *worldtest.Gateway
	stopped      bool
	// front stands where a load balancer does, before REST and callbacks.
	front  *httptest.Server
	target *url.URL
	traces *traces

	mu   sync.Mutex
	urls strings.Builder // that callers and browsers asked for, callbacks aside
}

// worldOptions describe a world.
type worldOptions struct {
	// minInterval is polling.min_interval.
	minInterval time.Duration
	// gateway is the binary; empty for the one under test.
	gateway string
}

func newWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), traces: newTraces(t)}
	for i, running := range []**sandboxes.Running{&w.ours, &w.theirs} {
		// Seeds apart, or both tenants' providers would give the same ids.
		core := sandbox.Options{Seed: *seed + int64(i), Step: 20 * time.Millisecond}
		r, err := worldtest.Play(context.Background(), core, slices.Collect(maps.Values(dialects))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		*running = r
	}
	w.front = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(w.target)
			if !strings.HasPrefix(r.In.URL.Path, "/callbacks/") { // those hold their token by design
				w.mu.Lock()
				defer w.mu.Unlock()
				w.urls.WriteString(r.In.URL.String() + "\n")
			}
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
		// A caller who leaves a stream is no error.
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(w.front.Close)
	env := must(w.config(o).Write(w.dir))(t)
	w.gateway = must(worldtest.StartGateway(cmp.Or(o.gateway, gatewayPath), w.dir, env...))(t)
	w.target = must(url.Parse(w.gateway.HTTP))(t)
	t.Cleanup(func() { w.stop(t) })
	return w
}

func (w *world) config(o worldOptions) worldtest.Config {
	cfg := worldtest.Config{PublicURL: w.front.URL, Clients: clients, Tenants: []worldtest.Tenant{
		{ID: "default", Redirects: "https://app.example.com/*", Providers: worldtest.Blocks(w.ours)},
		{ID: "other", Redirects: "https://app.example.com/*", Providers: worldtest.Blocks(w.theirs)},
	}}
	cfg.More = fmt.Sprintf(`log: {level: debug}
heartbeat: 200ms
polling: {min_interval: %s, max_interval: 1h}
telemetry: {otlp_endpoint: %q}
limits: {requests_per_second: 100000, burst: 100000}
`, o.minInterval, w.traces.endpoint)
	for _, extra := range extras {
		cfg.More += extra()
	}
	return cfg
}

// stop stops the gateway as an operator does, once.
func (w *world) stop(t *testing.T) {
	if w.stopped {
		return
	}
	w.stopped = true
	if err := w.gateway.Stop(); err != nil {
		t.Error(err)
	}
}

// calls counts all that was asked of a tenant's providers.
func calls(r *sandboxes.Running) int { return len(worldtest.Calls(r)) }

func (w *world) stubs(t *testing.T, authorization string) *worldtest.Stubs {
	t.Helper()
	stubs := must(worldtest.Dial(w.gateway.GRPC, authorization))(t)
	t.Cleanup(stubs.Close)
	return stubs
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	worldtest.Eventually(t, what, condition)
}

// must gives a call's answer, or ends the test.
func must[T any](answer T, err error) func(t *testing.T) T { return worldtest.Must(answer, err) }

// extras add to the gateway's configuration.
var extras []func() string

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// traces is an OTLP collector that keeps all it gets, in text.
type traces struct {
	collector.UnimplementedTraceServiceServer
	endpoint string
	mu       sync.Mutex
	text     strings.Builder
}

func newTraces(t *testing.T) *traces {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &traces{endpoint: "http://" + listener.Addr().String()}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	collector.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return c
}

// Export implements the collector.
func (c *traces) Export(
	_ context.Context, request *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	raw, err := proto.Marshal(request) // texts stand in it as they are
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Write(raw)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (c *traces) all() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []byte(c.text.String())
}
