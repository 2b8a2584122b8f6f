package security

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/test/worldtest"
)

// patience bounds how long a test waits for what must come.
const patience = 30 * time.Second

// The clients of a world. All but the rival belong to the same tenant.
const (
	owner  = "owner"  // may do everything
	rival  = "rival"  // may do everything, for another tenant with accounts of its own at the providers
	reader = "reader" // may read everything
	porter = "porter" // may do everything with providers
	clerk  = "clerk"  // may do everything with customers
)

var clients = []struct{ id, tenant, scopes string }{
	{owner, "default", `"*"`},
	{rival, "other", `"*"`},
	{reader, "default", "customers.read, consents.read, banking.read, insights.read, documents.read, providers.read"},
	{porter, "default", "providers.write"},
	{clerk, "default", "customers.write"},
}

// fimentoPassword is what both tenants log in with, of the kind that encodings change.
const fimentoPassword = "s3cr3t/pass+word%of&fimento"

// keyOf is the key of a client.
func keyOf(client string) string {
	sum := sha256.Sum256([]byte("key of " + client))
	return "kontor_" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// world is a gateway for two tenants, each of which has both providers to itself, and all that the gateway says.
type world struct {
	// default's providers, and the other tenant's
	ours, theirs *worldtest.Both
	dir          string
	process      *exec.Cmd
	ended        chan error
	gateway      string
	grpc         string
	http, admin  string
	// front stands where a load balancer does, before REST and callbacks.
	front  *httptest.Server
	target atomic.Pointer[url.URL]
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
	w := &world{gateway: o.gateway, dir: t.TempDir(), ended: make(chan error, 1), traces: newTraces(t)}
	for i, running := range []**worldtest.Both{&w.ours, &w.theirs} {
		r, err := worldtest.Start(context.Background(),
			// Seeds apart, or both tenants' providers would give the same ids.
			sandbox.Options{Seed: *seed + int64(i), Step: 20 * time.Millisecond}, fimento.Config{Password: fimentoPassword})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		*running = r
	}
	w.front = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(w.target.Load())
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
	w.write(t, "kontor.yaml", w.config(o))
	w.write(t, "fimento.secret", fimentoPassword+"\n")
	w.start(t)
	t.Cleanup(func() { w.stop(t) })
	return w
}

// extras add to the gateway's configuration.
var extras []func() string

func (w *world) config(o worldOptions) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\", admin: \"127.0.0.1:0\"}\npublic_url: %s\nstore: \"sqlite:%s\"\n",
		w.front.URL, w.path("kontor.db"))
	b.WriteString("tenants:\n")
	for _, tenant := range []struct {
		id      string
		running *worldtest.Both
	}{{"default", w.ours}, {"other", w.theirs}} {
		fmt.Fprintf(&b, "  %s:\n    redirect_uris: [\"https://app.example.com/*\"]\n    providers:\n", tenant.id)
		fmt.Fprintf(&b, "      fimento: {base_url: %q, username: %s, password: \"${file:fimento.secret}\", partner_bank: %q}\n",
			tenant.running.FimentoURL, fimento.DefaultName, fimento.DefaultPartnerBankID)
		fmt.Fprintf(&b, "      finoos: {base_url: %q, name: %s, secret: \"${env:FINOOS_SECRET}\"}\n",
			tenant.running.FinoOSURL+finoos.BasePath, finoos.DemoName)
	}
	b.WriteString("clients:\n")
	for _, c := range clients {
		hash := sha256.Sum256([]byte(keyOf(c.id)))
		fmt.Fprintf(&b, "  - {id: %s, tenant: %s, key_sha256: %s, scopes: [%s]}\n", c.id, c.tenant, hex.EncodeToString(hash[:]), c.scopes)
	}
	fmt.Fprintf(&b, "log: {level: debug}\nheartbeat: 200ms\npolling: {min_interval: %s, max_interval: 1h}\ntelemetry: {otlp_endpoint: %q}\n",
		o.minInterval, w.traces.endpoint)
	b.WriteString("limits: {requests_per_second: 100000, burst: 100000}\n")
	for _, extra := range extras {
		b.WriteString(extra())
	}
	return b.String()
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the gateway and waits until it is ready.
func (w *world) start(t *testing.T) {
	t.Helper()
	log, err := os.Create(w.path("gateway.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the process has it
	ready := w.path("ready.json")
	w.process = exec.Command(cmp.Or(w.gateway, gatewayPath), "serve", "--config", w.path("kontor.yaml"), "--ready-file", ready)
	w.process.Env = append(os.Environ(), "FINOOS_SECRET="+finoos.DemoSecret)
	w.process.Stdout, w.process.Stderr = log, log
	if err := w.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { w.ended <- w.process.Wait() }()
	var at struct{ GRPC, HTTP, Admin string }
	eventually(t, "the gateway to be ready", func() bool {
		select {
		case err := <-w.ended:
			t.Fatalf("the gateway ended: %v\n%s", err, w.read(t, "gateway.log"))
		default:
		}
		content, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(content, &at) == nil
	})
	w.grpc, w.http, w.admin = at.GRPC, at.HTTP, at.Admin
	target, err := url.Parse(at.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	w.target.Store(target)
}

// stop stops the gateway as an operator does, once.
func (w *world) stop(t *testing.T) {
	if w.process == nil {
		return
	}
	_ = w.process.Process.Signal(syscall.SIGTERM)
	w.process = nil
	select {
	case err := <-w.ended:
		if err != nil {
			t.Errorf("the gateway did not end well: %v", err)
		}
	case <-time.After(patience):
		t.Error("the gateway did not end after SIGTERM")
	}
}

func (w *world) read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(w.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (w *world) metrics(t *testing.T) []byte {
	t.Helper()
	resp, err := http.Get(w.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// calls counts all that was asked of a tenant's providers.
func calls(r *worldtest.Both) int {
	return len(r.FimentoCore.Calls.All()) + len(r.FinoOSCore.Calls.All())
}

// stubs call the gateway as one client.
type stubs struct {
	conn      *grpc.ClientConn
	customers customerv1.CustomerServiceClient
	consents  consentv1.ConsentServiceClient
	banking   bankingv1.BankingServiceClient
	insights  insightsv1.InsightsServiceClient
	documents documentsv1.DocumentServiceClient
	providers providerv1.ProviderServiceClient
}

func (w *world) stubs(t *testing.T, authorization string) *stubs {
	t.Helper()
	conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearer(authorization)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &stubs{
		conn, customerv1.NewCustomerServiceClient(conn), consentv1.NewConsentServiceClient(conn), bankingv1.NewBankingServiceClient(conn),
		insightsv1.NewInsightsServiceClient(conn), documentsv1.NewDocumentServiceClient(conn), providerv1.NewProviderServiceClient(conn),
	}
}

// bearer is a key or token as gRPC credentials; empty for a caller without one.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

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
func (c *traces) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
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

// must gives a stub's answer, or ends the test.
func must[T any](answer T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}
