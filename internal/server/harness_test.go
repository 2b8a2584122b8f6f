package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	kontor "kontor.dev/kontor"
	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/telemetry"
)

// The keys of the tests' clients.
const (
	allKey    = "key-all"    // may do everything
	spareKey  = "key-spare"  // another key of the same client
	readerKey = "key-reader" // may only read consents
	nobodyKey = "key-nobody" // nobody's
)

// canary stands where a secret or a person's data would stand. It must show nowhere but where a test puts it.
const canary = "CANARY199503096316"

// seen is what a service saw of a call.
type seen struct {
	identity       identity.Identity
	call           providers.Call
	requestID      string
	peer           string
	idempotencyKey string
	lastEventID    string
	deadline       time.Duration
	metadata       metadata.MD
}

// consents is a service whose answers a test sets.
type consents struct {
	consentv1.UnimplementedConsentServiceServer
	get    func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error)
	create func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error)
	update func(context.Context, *consentv1.UpdatePartnerBankRequest) (*consentv1.PartnerBank, error)
	watch  func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error
	list   func(context.Context, *consentv1.ListConsentsRequest) (*consentv1.ListConsentsResponse, error)
	quiet  bool // keeps no calls
	mu     sync.Mutex
	calls  []seen
}

func (c *consents) note(ctx context.Context) {
	if c.quiet {
		return
	}
	s := seen{
		identity: identity.From(ctx), call: providers.CallOf(ctx), requestID: identity.RequestID(ctx),
		peer:           identity.Peer(ctx),
		idempotencyKey: identity.IdempotencyKey(ctx), lastEventID: identity.LastEventID(ctx),
	}
	s.metadata, _ = metadata.FromIncomingContext(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		s.deadline = time.Until(deadline)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, s)
}

func (c *consents) last(t *testing.T) seen {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) == 0 {
		t.Fatal("the service was not called")
	}
	return c.calls[len(c.calls)-1]
}

func (c *consents) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}

func (c *consents) GetConsent(ctx context.Context, r *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
	c.note(ctx)
	if c.get != nil {
		return c.get(ctx, r)
	}
	return &consentv1.Consent{Name: r.GetName(), Status: consentv1.Consent_AUTHORIZED}, nil
}

func (c *consents) CreateConsent(ctx context.Context, r *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
	c.note(ctx)
	if c.create != nil {
		return c.create(ctx, r)
	}
	return r.GetConsent(), nil
}

func (c *consents) UpdatePartnerBank(
	ctx context.Context, r *consentv1.UpdatePartnerBankRequest,
) (*consentv1.PartnerBank, error) {
	c.note(ctx)
	return c.update(ctx, r)
}

func (c *consents) ListConsents(
	ctx context.Context, r *consentv1.ListConsentsRequest,
) (*consentv1.ListConsentsResponse, error) {
	c.note(ctx)
	if c.list != nil {
		return c.list(ctx, r)
	}
	return &consentv1.ListConsentsResponse{}, nil
}

func (c *consents) WatchConsents(
	r *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer,
) error {
	c.note(s.Context())
	return c.watch(r, s)
}

// documents echoes shipments.
type documents struct {
	documentsv1.UnimplementedDocumentServiceServer
}

func (documents) CreateShipment(
	_ context.Context, r *documentsv1.CreateShipmentRequest,
) (*documentsv1.Shipment, error) {
	shipment := r.GetShipment()
	shipment.Pdf = nil
	return shipment, nil
}

// callbackFakes are callbacks whose answers a test sets.
type callbackFakes struct {
	webhook  func(provider, token string, body []byte) error
	redirect func(token, outcome string, query url.Values) (string, error)
	report   func(token string, query url.Values) error
}

func (c *callbackFakes) Webhook(
	_ context.Context, provider, token string, _ http.Header, body func() ([]byte, error),
) error {
	if c.webhook == nil {
		return kerr.ErrUnknownCallback
	}
	text, err := body()
	if err != nil {
		return err
	}
	return c.webhook(provider, token, text)
}

func (c *callbackFakes) RedirectAddress(context.Context, string, string, url.Values) (string, error) {
	return "https://app.example.com/looked", nil
}

func (c *callbackFakes) Redirect(_ context.Context, token, outcome string, query url.Values) (string, error) {
	if c.redirect == nil {
		return "", kerr.ErrUnknownCallback
	}
	return c.redirect(token, outcome, query)
}

func (c *callbackFakes) ShipmentReport(
	_ context.Context, token string, query url.Values, body func() ([]byte, error),
) error {
	if c.report == nil {
		return kerr.ErrUnknownCallback
	}
	if _, err := body(); err != nil {
		return err
	}
	return c.report(token, query)
}

// output collects log lines.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// lines gives the log lines with a message.
func (o *output) lines(t *testing.T, message string) (found []map[string]any) {
	t.Helper()
	for line := range strings.Lines(o.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("not a log line: %s", line)
		}
		if entry["msg"] == message {
			found = append(found, entry)
		}
	}
	return found
}

// harness is a running server with everything around it.
type harness struct {
	*server.Server
	consents  *consents
	callbacks *callbackFakes
	log       *output
	stopping  chan struct{}
	conn      *grpc.ClientConn
	client    consentv1.ConsentServiceClient
	base      string // of HTTP
	admin     string
}

// prepare makes the options of a server with fake services.
func prepare(t testing.TB) (*harness, server.Options) {
	t.Helper()
	h := &harness{consents: &consents{}, callbacks: &callbackFakes{}, log: &output{}, stopping: make(chan struct{})}
	tel, err := telemetry.New(t.Context(), telemetry.Options{Log: h.log, Level: -8})
	if err != nil {
		t.Fatal(err)
	}
	limits := config.Defaults().Limits
	return h, server.Options{
		Listen: config.Listen{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Admin: "127.0.0.1:0"},
		Limits: limits, Shutdown: config.Shutdown{Timeout: 5 * time.Second}, Reflection: true,
		Services: func(to grpc.ServiceRegistrar) {
			customerv1.RegisterCustomerServiceServer(to, customerv1.UnimplementedCustomerServiceServer{})
			consentv1.RegisterConsentServiceServer(to, h.consents)
			bankingv1.RegisterBankingServiceServer(to, bankingv1.UnimplementedBankingServiceServer{})
			insightsv1.RegisterInsightsServiceServer(to, insightsv1.UnimplementedInsightsServiceServer{})
			documentsv1.RegisterDocumentServiceServer(to, documents{})
			providerv1.RegisterProviderServiceServer(to, providerv1.UnimplementedProviderServiceServer{})
		},
		Callbacks: h.callbacks, Telemetry: tel, OpenAPI: kontor.OpenAPI, Stopping: h.stopping,
		Authenticator: guard.NewKeys([]config.Client{
			{ID: "all", Tenant: "one", Keys: [][32]byte{sum(allKey), sum(spareKey)}, Scopes: []string{"*"}},
			{ID: "reader", Tenant: "two", Keys: [][32]byte{sum(readerKey)}, Scopes: []string{"consents.read"}},
		}),
	}
}

func start(t testing.TB, change ...func(*server.Options)) *harness {
	t.Helper()
	h, options := prepare(t)
	for _, c := range change {
		c(&options)
	}
	var err error
	h.Server, err = server.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Stop(context.Background()) })
	addresses := h.Addresses()
	h.base, h.admin = "http://"+addresses.HTTP, "http://"+addresses.Admin
	h.conn, err = grpc.NewClient(addresses.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.conn.Close() })
	h.client = consentv1.NewConsentServiceClient(h.conn)
	return h
}

func sum(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// as adds metadata to outgoing calls: "key", "value" pairs, after a key that is sent as authorization.
func as(ctx context.Context, key string, pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, append([]string{"authorization", "Bearer " + key}, pairs...)...)
}

// reply is an HTTP answer that has been read.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends an HTTP request with header pairs, a key among them or none.
func (h *harness) do(t *testing.T, method, path, key, body string, pairs ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Add(pairs[i], pairs[i+1])
	}
	return read(t, r)
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func read(t *testing.T, r *http.Request) reply {
	t.Helper()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

// err gives the error in an answer's body, which must be a google.rpc.Status.
func (r reply) err(t *testing.T) error {
	t.Helper()
	var st spb.Status
	if err := protojson.Unmarshal([]byte(r.body), &st); err != nil {
		t.Fatalf("the body is no Status: %v: %s", err, r.body)
	}
	return status.FromProto(&st).Err()
}

// open starts a streaming HTTP request and gives its answer and a reader of its lines.
func (h *harness) open(t *testing.T, path string, pairs ...string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+allKey)
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Add(pairs[i], pairs[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response, bufio.NewReader(response.Body)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(5 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}
