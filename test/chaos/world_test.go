package chaos

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

const patience = worldtest.Patience

// options describe a world. The zero value leaves the providers alone unless a caller asks something.
type options struct {
	follow  bool          // follow consents by webhook and by polling
	timeout time.Duration // of calls without a deadline
	usual   bool          // limits that users get, instead of ones that are in no test's way
	// played replaces providers' dialects, by id.
	played []sandbox.Dialect
	// between puts something between the gateway and a provider, by the provider's id.
	between map[string]func(http.Handler) http.Handler
}

// world is the played providers and a gateway in front of them.
type world struct {
	*sandboxes.Running
	*worldtest.Stubs
	dir     string
	env     []string // that the gateway runs in
	gateway *worldtest.Gateway
	conns   []*worldtest.Stubs // a connection carries a bounded number of calls at a time
}

// key is that of the only client.
var key = worldtest.KeyOf("chaos", "chaos")

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	core := sandbox.Options{Seed: *seed, Step: 2 * time.Millisecond}
	running, err := worldtest.Play(context.Background(), core, o.played...)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Running: running, dir: t.TempDir()}
	t.Cleanup(func() {
		if w.gateway != nil {
			w.stop(t)
		}
		if err := running.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(worldtest.LastWords(w.dir))
		}
	})
	blocks := worldtest.Blocks(running)
	for i, block := range blocks {
		if o.between[block.ID] != nil {
			front := httptest.NewServer(o.between[block.ID](block.Player))
			t.Cleanup(front.Close)
			blocks[i].URL = front.URL
		}
	}
	cfg := worldtest.Config{
		HTTP:    freePort(t),
		Tenants: []worldtest.Tenant{{ID: "default", Redirects: "https://app.example.com/*", Providers: blocks}},
		Clients: []worldtest.Client{{ID: "chaos", Tenant: "default", Key: key, Scopes: worldtest.Everything}},
		More:    "log: {level: info}\n",
	}
	if !o.usual {
		cfg.More += fmt.Sprintf(
			"limits: {requests_per_second: 100000, burst: 100000, max_in_flight: 10000, timeout: %s}\n",
			cmp.Or(o.timeout, time.Minute))
	}
	cfg.PublicURL = "http://" + cfg.HTTP
	if o.follow {
		cfg.More += "polling: {min_interval: 100ms, max_interval: 2s}\n"
	} else {
		cfg.More += "webhooks: false\npolling: {min_interval: 1h, max_interval: 1h}\n"
	}
	if w.env, err = cfg.Write(w.dir); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	return w
}

// start runs the gateway until it is ready.
func (w *world) start(t *testing.T) {
	t.Helper()
	var err error
	if w.gateway, err = worldtest.StartGateway(binary, w.dir, w.env...); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		stubs, err := worldtest.Dial(w.gateway.GRPC, key)
		if err != nil {
			t.Fatal(err)
		}
		w.conns = append(w.conns, stubs)
	}
	w.Stubs = w.conns[0]
}

// stop ends the gateway as an operator does.
func (w *world) stop(t *testing.T) {
	t.Helper()
	for _, conn := range w.conns {
		conn.Close()
	}
	w.conns = nil
	if err := w.gateway.Stop(); err != nil {
		t.Error(err)
	}
	w.gateway = nil
}

func (w *world) core(provider string) *sandbox.Core { return w.Played[provider].Core }

// logins counts how often the gateway logged in.
func (w *world) logins(provider string) int {
	return w.core(provider).Calls.Count(worldtest.Of(provider).Login)
}

// reads counts the provider's part of what callers read.
func (w *world) reads(provider string) int {
	return w.core(provider).Calls.Count(worldtest.Of(provider).Read)
}

// newConsent is a request for a consent of a new customer.
func newConsent(provider string) *consentv1.CreateConsentRequest {
	request := &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider: provider, Market: worldtest.Of(provider).Market, RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of("https://app.example.com/success"),
				Error:   optional.Of("https://app.example.com/error"),
				Exit:    optional.Of("https://app.example.com/exit"),
			},
		},
		RequestId: uuid.NewString(),
	}
	if worldtest.Of(provider).TakesPsu {
		request.Psu = &consentv1.Psu{NationalId: sandbox.GoodNationalID, FirstName: "Elin", LastName: "Sandström"}
	}
	return request
}

// decide lets the customer approve.
func (w *world) decide(ctx context.Context, consent *consentv1.Consent) error {
	id := strings.TrimPrefix(consent.GetProvider(), "providers/")
	return worldtest.Of(id).Approve(ctx, worldtest.Scene{
		Played: w.Played[id], Stubs: w.Stubs, Visit: func(address string) error {
			resp, err := worldtest.NoRedirects.Get(address)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		},
	}, consent)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	worldtest.Eventually(t, what, condition)
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

// authorized makes consents whose data can be read and gives their names.
func (w *world) authorized(t *testing.T, provider string, count int) []string {
	t.Helper()
	names := make([]string, count)
	group, ctx := errgroup.WithContext(worldtest.AsPSU(t.Context()))
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
	consent, err := w.Consents.CreateConsent(ctx, newConsent(provider))
	if err != nil {
		return "", err
	}
	if err := w.decide(ctx, consent); err != nil {
		return "", err
	}
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		fresh, err := w.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: consent.GetName(), Refresh: true})
		if err != nil {
			return "", err
		}
		if fresh.GetDataStage() == consentv1.DataStage_READY && fresh.GetStatus() == consentv1.Consent_AUTHORIZED {
			return fresh.GetName(), nil
		}
	}
	return "", errors.New("the consent did not get ready")
}

// listAccounts is the read by which the bars are measured: one call at the provider.
func (w *world) listAccounts(ctx context.Context, conn int, consent string) error {
	_, err := w.conns[conn%len(w.conns)].Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: consent})
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
	resp, err := http.Get(w.gateway.Admin + "/metrics")
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
	resp, err := http.Get(w.gateway.Admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ Degraded map[string]string }
	if resp.StatusCode != http.StatusOK {
		t.Fatalf(
			"/readyz answers %d: a provider that is down is no reason to take the gateway out of service",
			resp.StatusCode,
		)
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return body.Degraded
}
