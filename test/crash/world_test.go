package crash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

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
const patience = 20 * time.Second

var discardLog = log.New(io.Discard, "", 0)

// The clients.
const (
	key        = "kontor_crash-tests"       // may do everything
	clerkKey   = "kontor_crash-tests-clerk" // may read customers
	clientID   = "lending"
	clerkID    = "clerk"
	tenantName = "default"
)

// world is two played providers behind gates, and a gateway that comes and goes.
type world struct {
	*worldtest.Both
	t                       *testing.T
	dir                     string
	fimentoGate, finoosGate *gate
	process                 *exec.Cmd
	ended                   chan struct{}
	addresses               struct{ GRPC, HTTP, Admin string }
	client                  *client
}

// client has the stubs of one key.
type client struct {
	conn      *grpc.ClientConn
	customers customerv1.CustomerServiceClient
	consents  consentv1.ConsentServiceClient
	banking   bankingv1.BankingServiceClient
	insights  insightsv1.InsightsServiceClient
	documents documentsv1.DocumentServiceClient
	providers providerv1.ProviderServiceClient
}

// options change a world.
type options struct {
	config string // further lines of kontor.yaml
	// finoosURL is where the gateway finds finoOS, given where its gate is.
	finoosURL func(gate string) string
}

// newWorld starts everything.
func newWorld(t *testing.T, o options) *world {
	t.Helper()
	running, err := worldtest.Start(context.Background(), sandbox.Options{Seed: *seed, Step: time.Millisecond}, fimento.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Both: running, t: t, dir: t.TempDir(), fimentoGate: newGate(running.Fimento), finoosGate: newGate(running.FinoOS)}
	t.Cleanup(func() {
		w.kill()
		w.fimentoGate.Close()
		w.finoosGate.Close()
		_ = running.Close()
		if t.Failed() {
			t.Logf("last words of the gateway:\n%s", w.lastWords())
		}
	})
	finoosURL := w.finoosGate.URL
	if o.finoosURL != nil {
		finoosURL = o.finoosURL(finoosURL)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `listen: {grpc: "127.0.0.1:0", http: "127.0.0.1:0", admin: "127.0.0.1:0"}
public_url: http://127.0.0.1:9
store: "sqlite:%s"
tenants:
  %s:
    redirect_uris: ["https://app.example.com/*"]
    providers:
      fimento: {base_url: %q, username: %s, password: %q, partner_bank: %q}
      finoos: {base_url: %q, name: %s, secret: %q}
clients:
  - {id: %s, tenant: %s, key_sha256: %s, scopes: ["*"]}
  - {id: %s, tenant: %s, key_sha256: %s, scopes: [customers.read]}
webhooks: false
polling: {min_interval: 1h, max_interval: 1h}
limits: {requests_per_second: 100000, burst: 100000}
%s`, w.path("kontor.db"), tenantName,
		w.fimentoGate.URL, fimento.DefaultName, fimento.DefaultPassword, fimento.DefaultPartnerBankID,
		finoosURL+finoos.BasePath, finoos.DemoName, finoos.DemoSecret,
		clientID, tenantName, hash(key), clerkID, tenantName, hash(clerkKey), o.config)
	if err := os.WriteFile(w.path("kontor.yaml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	return w
}

func hash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// start starts the gateway and waits until it listens.
func (w *world) start() {
	w.t.Helper()
	logs, err := os.OpenFile(w.path("gateway.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer logs.Close() // the process has it
	ready := w.path("ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	w.process = exec.Command(binary, "serve", "--config", w.path("kontor.yaml"), "--ready-file", ready)
	w.process.Stdout, w.process.Stderr = logs, logs
	if err := w.process.Start(); err != nil {
		w.t.Fatal(err)
	}
	process, ended := w.process, make(chan struct{})
	w.ended = ended
	go func() {
		_ = process.Wait() // it is killed
		close(ended)
	}()
	w.eventually("the gateway listens", func() bool {
		select {
		case <-ended:
			w.t.Fatalf("the gateway ended before it was ready:\n%s", w.lastWords())
		default:
		}
		content, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(content, &w.addresses) == nil
	})
	w.client = w.newClient(key)
}

// newClient connects to the running gateway.
func (w *world) newClient(key string) *client {
	w.t.Helper()
	conn, err := grpc.NewClient(w.addresses.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearer(key)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return &client{
		conn: conn, customers: customerv1.NewCustomerServiceClient(conn), consents: consentv1.NewConsentServiceClient(conn),
		banking: bankingv1.NewBankingServiceClient(conn), insights: insightsv1.NewInsightsServiceClient(conn),
		documents: documentsv1.NewDocumentServiceClient(conn), providers: providerv1.NewProviderServiceClient(conn),
	}
}

// kill ends the gateway by SIGKILL and returns once it is gone.
func (w *world) kill() {
	if w.process == nil {
		return
	}
	_ = w.process.Process.Kill() // it may be gone already
	<-w.ended
}

// restart kills the gateway, unless something else did, and starts it again.
func (w *world) restart() {
	w.t.Helper()
	w.kill()
	w.client.conn.Close()
	w.start()
}

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
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return errOut.String(), err
	}
	return string(out), nil
}

// lastWords is the end of the gateway's log.
func (w *world) lastWords() string {
	content, _ := os.ReadFile(w.path("gateway.log"))
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// eventually waits until a condition holds.
func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("in vain waited until %s", what)
		}
	}
}

// context is what calls are made with.
func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	w.t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "psu-ip-address", "203.0.113.7")
}

// bearer is a client's key as gRPC credentials.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// reason is Kontor's reason of an error, empty for one that the gateway did not make.
func reason(err error) string { return info(err).GetReason() }

func info(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if found, ok := detail.(*errdetails.ErrorInfo); ok && found.GetDomain() == "kontor.dev" {
			return found
		}
	}
	return nil
}

// must gives an answer, or ends the test.
func must[T any](answer T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", reason(err), err)
		}
		return answer
	}
}
