package chaos

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
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

const (
	fimentoID = "fimento"
	finoosID  = "finoos"
	key       = "kontor_chaos-key-of-the-only-client-0000000000000"
	// patience bounds how long a test waits for what must come.
	patience = 30 * time.Second
)

// readOperation is the operation of each provider that one ListAccounts asks for.
var readOperation = map[string]string{fimentoID: fimento.OpInsights, finoosID: "get_logins"}

// loginOperation is the operation by which the gateway logs in.
var loginOperation = map[string]string{fimentoID: fimento.OpLogin, finoosID: "authenticate"}

// options describe a world. The zero value leaves the providers alone unless a caller asks something.
type options struct {
	follow  bool          // follow consents by webhook and by polling
	timeout time.Duration // of calls without a deadline
	fimento fimento.Behaviour
	// finoos puts something between the gateway and finoOS.
	finoos func(http.Handler) http.Handler
}

// world is two played providers and a gateway in front of them.
type world struct {
	*worldtest.Both
	dir         string
	http, admin string
	process     *exec.Cmd
	conns       []*grpc.ClientConn

	customers customerv1.CustomerServiceClient
	consents  consentv1.ConsentServiceClient
	banking   bankingv1.BankingServiceClient
	insights  insightsv1.InsightsServiceClient
	documents documentsv1.DocumentServiceClient
	providers providerv1.ProviderServiceClient
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	running, err := worldtest.Start(context.Background(), sandbox.Options{Seed: *seed, Step: 2 * time.Millisecond},
		fimento.Config{Behaviour: o.fimento})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Both: running, dir: t.TempDir()}
	t.Cleanup(func() {
		if w.process != nil {
			w.stop(t)
		}
		if err := running.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			w.lastWords(t)
		}
	})
	finoosURL := w.FinoOSURL
	if o.finoos != nil {
		front := httptest.NewServer(o.finoos(w.FinoOS))
		t.Cleanup(front.Close)
		finoosURL = front.URL
	}
	httpAddress := freePort(t)
	sum := sha256.Sum256([]byte(key))
	settings := "webhooks: false\npolling: {min_interval: 1h, max_interval: 1h}\n"
	if o.follow {
		settings = "polling: {min_interval: 100ms, max_interval: 2s}\n"
	}
	if o.timeout == 0 {
		o.timeout = time.Minute
	}
	err = os.WriteFile(filepath.Join(w.dir, "kontor.yaml"), fmt.Appendf(nil, `
listen: {grpc: "127.0.0.1:0", http: %q, admin: "127.0.0.1:0"}
public_url: "http://%[1]s"
store: "sqlite:%s"
tenants:
  default:
    redirect_uris: ["https://app.example.com/*"]
    providers:
      fimento: {base_url: %q, username: %q, password: "${file:fimento.secret}", partner_bank: %q}
      finoos: {base_url: %q, name: %q, secret: "${file:finoos.secret}"}
clients:
  - {id: chaos, tenant: default, key_sha256: %s, scopes: ["*"]}
limits: {requests_per_second: 100000, burst: 100000, max_in_flight: 10000, timeout: %s}
log: {level: info}
%s`, httpAddress, filepath.Join(w.dir, "kontor.db"), w.FimentoURL, fimento.DefaultName, fimento.DefaultPartnerBankID,
		finoosURL+finoos.BasePath, finoos.DemoName, hex.EncodeToString(sum[:]), o.timeout, settings), 0o600)
	for name, secret := range map[string]string{"fimento.secret": fimento.DefaultPassword, "finoos.secret": finoos.DemoSecret} {
		err = errors.Join(err, os.WriteFile(filepath.Join(w.dir, name), []byte(secret), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	w.start(t)
	return w
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs the gateway until it is ready.
func (w *world) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(w.dir, "gateway.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the process has it
	ready := filepath.Join(w.dir, "ready.json")
	_ = os.Remove(ready)
	w.process = exec.Command(binary, "serve", "--config", filepath.Join(w.dir, "kontor.yaml"), "--ready-file", ready)
	w.process.Stdout, w.process.Stderr = log, log
	if err := w.process.Start(); err != nil {
		t.Fatal(err)
	}
	var at struct{ GRPC, HTTP, Admin string }
	eventually(t, "the gateway to be ready", func() bool {
		content, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(content, &at) == nil
	})
	w.http, w.admin = at.HTTP, at.Admin
	for range 4 { // a connection carries a bounded number of calls at a time
		conn, err := grpc.NewClient(at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearer{}))
		if err != nil {
			t.Fatal(err)
		}
		w.conns = append(w.conns, conn)
	}
	conn := w.conns[0]
	w.customers, w.consents = customerv1.NewCustomerServiceClient(conn), consentv1.NewConsentServiceClient(conn)
	w.banking, w.insights = bankingv1.NewBankingServiceClient(conn), insightsv1.NewInsightsServiceClient(conn)
	w.documents, w.providers = documentsv1.NewDocumentServiceClient(conn), providerv1.NewProviderServiceClient(conn)
}

// stop ends the gateway as an operator does.
func (w *world) stop(t *testing.T) {
	t.Helper()
	for _, conn := range w.conns {
		conn.Close()
	}
	w.conns = nil
	if err := w.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("the gateway was gone already: %v", err)
	}
	if err := w.process.Wait(); err != nil {
		t.Errorf("the gateway did not end well: %v", err)
	}
	w.process = nil
}

func (w *world) lastWords(t *testing.T) {
	log, _ := os.ReadFile(filepath.Join(w.dir, "gateway.log"))
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	t.Logf("last words of the gateway:\n%s", strings.Join(lines[max(0, len(lines)-12):], "\n"))
}

func (w *world) core(provider string) *sandbox.Core {
	if provider == fimentoID {
		return w.FimentoCore
	}
	return w.FinoOSCore
}

func (w *world) logins(provider string) int {
	return w.core(provider).Calls.Count(loginOperation[provider])
}

func (w *world) reads(provider string) int {
	return w.core(provider).Calls.Count(readOperation[provider])
}

type bearer struct{}

func (bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + key}, nil
}
func (bearer) RequireTransportSecurity() bool { return false }

// asPSU adds the end user's address.
func asPSU(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "psu-ip-address", "203.0.113.7")
}

// newConsent is a request for a consent of a new customer.
func newConsent(provider string) *consentv1.CreateConsentRequest {
	request := &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{Provider: provider, Market: "DE", RedirectUris: &consentv1.Consent_RedirectUris{
			Success: "https://app.example.com/success", Error: "https://app.example.com/error", Exit: "https://app.example.com/exit",
		}},
		RequestId: uuid.NewString(),
	}
	if provider == fimentoID {
		request.Consent.Market = "SE"
		request.Psu = &consentv1.Psu{NationalId: sandbox.GoodNationalID, FirstName: "Elin", LastName: "Sandström"}
	}
	return request
}

// authorized makes consents whose data can be read and gives their names.
func (w *world) authorized(t *testing.T, provider string, count int) []string {
	t.Helper()
	names := make([]string, count)
	group, ctx := errgroup.WithContext(asPSU(t.Context()))
	group.SetLimit(8)
	for i := range names {
		group.Go(func() (err error) {
			names[i], err = w.authorize(ctx, provider)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return names
}

func (w *world) authorize(ctx context.Context, provider string) (string, error) {
	consent, err := w.consents.CreateConsent(ctx, newConsent(provider))
	if err != nil {
		return "", err
	}
	if err := w.decide(ctx, consent); err != nil {
		return "", err
	}
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		fresh, err := w.consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: consent.GetName(), Refresh: true})
		if err != nil {
			return "", err
		}
		if fresh.GetDataStage() == consentv1.Consent_READY && fresh.GetStatus() == consentv1.Consent_AUTHORIZED {
			return fresh.GetName(), nil
		}
	}
	return "", errors.New("the consent did not get ready")
}

// decide lets the customer approve.
func (w *world) decide(ctx context.Context, consent *consentv1.Consent) error {
	if consent.GetProvider() == "providers/"+fimentoID {
		_, err := w.consents.SimulateDecision(ctx, &consentv1.SimulateDecisionRequest{Name: consent.GetName(), Decision: consentv1.Decision_APPROVED})
		return err
	}
	location, err := w.FinoOS.CompleteLogin(consent.GetProviderReference())
	if err != nil {
		return err
	}
	resp, err := noRedirects.Get(location)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

var noRedirects = &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// listAccounts is the read by which the bars are measured: one call at the provider.
func (w *world) listAccounts(ctx context.Context, conn int, consent string) error {
	_, err := bankingv1.NewBankingServiceClient(w.conns[conn%len(w.conns)]).ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: consent})
	return err
}

// reasonOf is the reason in an error, "" for none.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	if err != nil {
		return status.Code(err).String()
	}
	return ""
}

// metric sums up the samples of a metric whose labels contain all of some text.
func (w *world) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	resp, err := http.Get(w.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sum, found := 0.0, false
	lines := bufio.NewScanner(resp.Body)
samples:
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue samples
			}
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum, found = sum+value, true
	}
	if !found && len(labels) == 0 {
		t.Fatalf("there is no metric %s", name)
	}
	return sum
}

// degraded is what /readyz says of providers.
func (w *world) degraded(t *testing.T) map[string]string {
	t.Helper()
	resp, err := http.Get(w.admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ Degraded map[string]string }
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("/readyz answers %d: a provider that is down is no reason to take the gateway out of service", resp.StatusCode)
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return body.Degraded
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
