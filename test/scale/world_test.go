package scale

import (
	"context"
	"fmt"
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

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/postgres"
	"kontor.dev/kontor/internal/store/postgres/postgrestest"
	"kontor.dev/kontor/internal/store/sqlite"
	"kontor.dev/kontor/test/worldtest"
)

// The tenants: one in which callers work, and one that has few consents and many watchers.
const worked, watched = "default", "watched"

func keyOf(tenant string) string { return worldtest.KeyOf("scale", tenant) }

// provider is the one that all ask: whichever is first.
func provider() *worldtest.Provider { return worldtest.Of(worldtest.Providers()[0]) }

// options describe a world.
type options struct {
	// engine is "postgres", or "sqlite" for one gateway.
	engine string
	// most is how many gateways there will be.
	most int
	// count says that what they ask the database is counted, and streams send heartbeats every second.
	count bool
	// polling is what stands in kontor.yaml; consents are left alone otherwise.
	polling string
}

// world is played providers and a store, with as many gateways as a test starts.
type world struct {
	*sandboxes.Running
	options

	// address is the store's, without a counter between.
	address  string
	replicas []*replica
	// up are those that run.
	up []*replica
}

// replica is a gateway.
type replica struct {
	dir     string
	env     []string
	counter *counter // nil where nothing is counted
	gateway *worldtest.Gateway
	// stubs call it, by tenant, each connection for a bounded number of streams.
	stubs map[string][]*worldtest.Stubs
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	running, err := worldtest.Play(context.Background(), sandbox.Options{Seed: 1, Step: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Running: running, options: o}
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if at, err := url.Parse(w.up[0].gateway.HTTP); err == nil {
			r.SetURL(at)
		}
	}})
	front.Config.ErrorLog = worldtest.DiscardLog
	front.Start()
	t.Cleanup(front.Close)
	dir := t.TempDir()
	w.address = "sqlite:" + filepath.Join(dir, "shared.db")
	if o.engine == "postgres" {
		w.address = newDatabase(t)
	}
	blocks := worldtest.Blocks(running, provider().ID)
	polling := o.polling
	if polling == "" {
		polling = "{min_interval: 1h, max_interval: 1h}"
	}
	cfg := worldtest.Config{
		PublicURL: front.URL,
		More: "limits: {requests_per_second: 1000000, burst: 1000000}\nwebhooks: false\nlog: {level: error}\n" +
			"polling: " + polling + "\n",
	}
	if o.count {
		cfg.More += "heartbeat: 1s\n"
	}
	for _, tenant := range []string{worked, watched} {
		cfg.Tenants = append(cfg.Tenants, worldtest.Tenant{
			ID: tenant, Redirects: "https://app.example.com/*", Providers: blocks,
		})
		cfg.Clients = append(cfg.Clients, worldtest.Client{
			ID: tenant, Tenant: tenant, Key: keyOf(tenant), Scopes: worldtest.Everything,
		})
	}
	for n := range o.most {
		w.add(t, cfg, filepath.Join(dir, fmt.Sprint("gateway", n)))
	}
	// Gateways end before all that they need.
	t.Cleanup(func() {
		w.stop(t)
		for _, r := range w.replicas {
			if t.Failed() {
				t.Log(worldtest.LastWords(r.dir))
			}
		}
	})
	return w
}

// add makes a gateway's folder.
func (w *world) add(t *testing.T, cfg worldtest.Config, dir string) {
	t.Helper()
	r := &replica{dir: dir}
	w.replicas = append(w.replicas, r)
	address := w.address
	if w.count {
		at, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		r.counter = newCounter(t, at.Host)
		at.Host = r.counter.listener.Addr().String()
		address = at.String()
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if first := w.replicas[0]; first != r {
		w.copy(t, first.dir, dir, "store_key.secret")
	}
	env, err := cfg.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.env = env
	file := filepath.Join(dir, "kontor.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for n, line := range lines {
		if strings.HasPrefix(line, "store: ") {
			lines[n] = fmt.Sprintf("store: %q", address)
		}
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (*world) copy(t *testing.T, from, to, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(from, name))
	if err == nil {
		err = os.WriteFile(filepath.Join(to, name), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newDatabase makes a database of a test's own and gives its address.
func newDatabase(t *testing.T) string {
	t.Helper()
	at := postgrestest.NewDatabase(t)
	if query := at.Query(); *mode != "" {
		query.Set("default_query_exec_mode", *mode)
		at.RawQuery = query.Encode()
	}
	return at.String()
}

// start has n gateways run.
func (w *world) start(t *testing.T, n int) {
	t.Helper()
	var starting errgroup.Group
	for _, r := range w.replicas[len(w.up):n] {
		w.up = append(w.up, r)
		starting.Go(func() (err error) {
			r.stubs = map[string][]*worldtest.Stubs{}
			r.gateway, err = worldtest.StartGateway(binary, r.dir, r.env...)
			return err
		})
	}
	if err := starting.Wait(); err != nil {
		t.Fatal(err)
	}
}

// stop ends all gateways as an operator does.
func (w *world) stop(t *testing.T) {
	t.Helper()
	for _, r := range w.up {
		for _, all := range r.stubs {
			for _, stubs := range all {
				stubs.Close()
			}
		}
		if r.gateway == nil {
			continue
		}
		if err := r.gateway.Stop(); err != nil {
			t.Error(err)
		}
		r.gateway = nil
	}
	w.up = nil
}

// perConnection is how many calls and streams share a connection: fewer than it may have.
const perConnection = 90

// as gives stubs for the numbered call or stream of a tenant's client. Numbers begin at 0 and leave none out.
func (r *replica) as(tenant string, number int) (*worldtest.Stubs, error) {
	for len(r.stubs[tenant]) <= number/perConnection {
		stubs, err := worldtest.Dial(r.gateway.GRPC, keyOf(tenant))
		if err != nil {
			return nil, err
		}
		r.stubs[tenant] = append(r.stubs[tenant], stubs)
	}
	return r.stubs[tenant][number/perConnection], nil
}

// on gives stubs of a gateway for a tenant, for one caller.
func (w *world) on(t *testing.T, gateway int, tenant string) *worldtest.Stubs {
	t.Helper()
	stubs, err := w.up[gateway].as(tenant, 0)
	if err != nil {
		t.Fatal(err)
	}
	return stubs
}

// request asks for a consent of a new customer.
func request(reference string) *consentv1.CreateConsentRequest {
	asked := &consentv1.CreateConsentRequest{
		RequestId: uuid.NewString(),
		Consent: &consentv1.Consent{
			Provider: provider().ID, Market: provider().Market, Reference: optional.Of(reference),
			RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of("https://app.example.com/success"),
				Error:   optional.Of("https://app.example.com/error"),
				Exit:    optional.Of("https://app.example.com/exit"),
			},
		},
	}
	if provider().TakesPsu {
		asked.Psu = &consentv1.Psu{NationalId: sandbox.GoodNationalID, FirstName: "Elin", LastName: "Sandström"}
	}
	return asked
}

// authorized makes a consent whose data can be read.
func (w *world) authorized(t *testing.T) *consentv1.Consent {
	t.Helper()
	ctx, stubs := worldtest.AsPSU(t.Context()), w.on(t, 0, worked)
	made := worldtest.Must(stubs.Consents.CreateConsent(ctx, request("")))(t)
	scene := worldtest.Scene{Played: w.Played[provider().ID], Stubs: stubs, Visit: func(address string) error {
		resp, err := worldtest.NoRedirects.Get(address)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}}
	if err := provider().Approve(ctx, scene, made); err != nil {
		t.Fatal(err)
	}
	worldtest.Eventually(t, "the consent's data", func() bool {
		fresh, err := stubs.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: made.GetName(), Refresh: true})
		return err == nil && fresh.GetStatus() == consentv1.Consent_AUTHORIZED &&
			fresh.GetDataStage() == consentv1.DataStage_READY
	})
	return made
}

func create(ctx context.Context, stubs *worldtest.Stubs, reference string) (*consentv1.Consent, error) {
	return stubs.Consents.CreateConsent(ctx, request(reference))
}

func get(ctx context.Context, stubs *worldtest.Stubs, consent string) error {
	_, err := stubs.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: consent})
	return err
}

func read(ctx context.Context, stubs *worldtest.Stubs, consent string) error {
	_, err := stubs.Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: consent})
	return err
}

// asked is how many calls the gateways made to the provider, logins aside.
func (w *world) asked() (calls int) {
	all := w.Played[provider().ID].Core.Calls
	operations := map[string]bool{} // all that were lately called
	for _, call := range all.All() {
		operations[call.Operation] = provider().Calls(call.Operation)
	}
	for operation, counts := range operations {
		if counts {
			calls += all.Count(operation)
		}
	}
	return calls
}

// open opens the store beside the gateways, or in their place.
func (w *world) open(t *testing.T) store.Database {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.replicas[0].dir, "store_key.secret"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.Parse(secret.New(strings.TrimSpace(string(text))))
	if err != nil {
		t.Fatal(err)
	}
	var db store.Database
	if rest, ok := strings.CutPrefix(w.address, "sqlite:"); ok {
		db, err = sqlite.Open(t.Context(), rest, key, sqlite.Options{})
	} else {
		db, err = postgres.Open(t.Context(), strings.TrimPrefix(w.address, "postgres:"), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// watchers are streams of a tenant's consents over all gateways that run.
type watchers struct {
	cancel context.CancelFunc
	ended  sync.WaitGroup
	// states counts the streams that have the present state, got the events that came to all together.
	states, got atomic.Int64

	mu sync.Mutex
	// at is when events came to each stream, by the consent's reference.
	at map[string][]time.Time
}

// streamsBegin is how many streams may begin at a time.
const streamsBegin = 500

// watch opens n streams on each gateway and waits until all have the present state.
func (w *world) watch(t *testing.T, tenant string, n int) *watchers {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	all := &watchers{cancel: cancel, at: map[string][]time.Time{}}
	t.Cleanup(all.end)
	began := func(streams int) {
		worldtest.Eventually(t, fmt.Sprintf("the present state of %d streams", streams), func() bool {
			return all.states.Load() >= int64(streams)
		})
	}
	opened := 0
	for _, r := range w.up {
		for i := range n {
			stubs, err := r.as(tenant, i)
			if err != nil {
				t.Fatal(err)
			}
			// A gateway refuses those who come when some thousands wait already.
			opened++
			began(opened - streamsBegin)
			stream, err := stubs.Consents.WatchConsents(ctx, &consentv1.WatchConsentsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			all.ended.Go(func() { all.follow(ctx, t, stream) })
		}
	}
	began(opened)
	return all
}

func (a *watchers) follow(
	ctx context.Context, t *testing.T, stream consentv1.ConsentService_WatchConsentsClient,
) {
	for follows := false; ; {
		message, err := stream.Recv()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			t.Errorf("a stream ended: %v", err)
			return
		}
		// The first token comes with the end of the present state.
		if !follows && message.GetResumeToken() != "" {
			follows = true
			a.states.Add(1)
		}
		if message.GetKind() != consentv1.WatchConsentsResponse_EVENT {
			continue
		}
		now, reference := time.Now(), message.GetConsent().GetReference()
		a.mu.Lock()
		a.at[reference] = append(a.at[reference], now)
		a.mu.Unlock()
		a.got.Add(1)
	}
}

// of gives when the events of a consent came, to all streams together.
func (a *watchers) of(reference string) []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]time.Time(nil), a.at[reference]...)
}

// end ends the streams.
func (a *watchers) end() {
	a.cancel()
	a.ended.Wait()
}
