// Package assemblytest gives tests all services over a store and a provider of their own, with time under control.
package assemblytest

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// Gateway is a provider that notes when it is asked, and the services that follow consents at it. Tests run
// in a bubble of synctest, so that hours pass at once and every time is exact.
type Gateway struct {
	*assembly.Services
	*Provider

	// Ctx is a client's with all scopes.
	Ctx context.Context //nolint:containedctx // of the one client that calls

	path    string // of the database
	options assembly.Options
	stop    func()
}

// Database is what the services keep their rows in.
func (p *Gateway) Database() store.Database { return p.options.Store }

// Stop ends what works in the background, as a process does that is told to stop.
func (p *Gateway) Stop() { p.stop() }

// Provider is what all gateways of a test ask.
type Provider struct {
	// Accounts is what the provider answers when accounts are read.
	Accounts func(context.Context) ([]providers.Account, error)
	// Asked is the consent that was asked for last.
	Asked providers.NewConsent

	mu    sync.Mutex
	asked map[string][]time.Time // by the consent's id at the provider
	state providers.ConsentState
	err   error
	only  map[string]error // in place of err, by the consent's id at the provider
	login error
	made  int
}

// Made counts the consents that were made.
func (p *Provider) Made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}

// played implements the ports; methods that no test needs are nil.
type played struct {
	providers.Consents
	providers.Accounts
	providers.Session
	p *Provider
}

func (s played) CreateConsent(_ context.Context, asked providers.NewConsent) (*providers.CreatedConsent, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.Asked = asked
	s.p.made++
	return &providers.CreatedConsent{
		Ref:  providers.ConsentRef{ID: fmt.Sprintf("process-%d", s.p.made), Market: "SE"},
		Link: providers.Link{URI: "https://bank.example.com/link", TTL: 24 * time.Hour},
	}, nil
}

func (s played) GetConsent(_ context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.asked[ref.ID] = append(s.p.asked[ref.ID], time.Now())
	err, ok := s.p.only[ref.ID]
	if !ok {
		err = s.p.err
	}
	if err != nil {
		return nil, err
	}
	state := s.p.state
	return &state, nil
}

func (s played) Check(context.Context) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.p.login
}

func (s played) ListAccounts(ctx context.Context, _ providers.ConsentRef) ([]providers.Account, error) {
	return s.p.Accounts(ctx)
}

// New makes both and follows consents until the test ends. Changes come before anything runs.
func New(tb testing.TB, changes ...func(*assembly.Options, *providers.Provider)) *Gateway {
	tb.Helper()
	p := &Gateway{Provider: &Provider{asked: map[string][]time.Time{}}, path: filepath.Join(tb.TempDir(), "kontor.db")}
	port := played{p: p.Provider}
	native := providers.Support{Level: providers.Native}
	provider := &providers.Provider{
		ID: "fimento", DisplayName: "Fimento", Markets: []providers.Market{providers.MarketSE}, Session: port,
		Consents: port, Links: port, Accounts: port, RepeatsConsents: true,
		Capabilities: map[providers.Capability]providers.Support{
			"CreateConsent": native, "GetConsent": native, "RenewConsentLink": native, "ListAccounts": native,
		},
	}
	p.options = assembly.Options{
		PublicURL: "https://kontor.example.com", Hold: 5 * time.Minute, HoldBytes: 128 << 20,
		Tenants: service.Tenants{"default": {
			Providers: []*providers.Provider{provider}, RedirectURIs: []string{"https://app.example.com/*"},
		}},
	}
	p.open(tb)
	for _, change := range changes {
		change(&p.options, provider)
	}
	p.begin(tb)
	p.run(tb)
	return p
}

// Beside gives the services of another process that shares database and provider. They follow consents, too.
func (p *Gateway) Beside(t *testing.T) *Gateway {
	t.Helper()
	other := &Gateway{Provider: p.Provider, path: p.path, options: p.options}
	other.open(t)
	other.begin(t)
	other.run(t)
	return other
}

// Dying gives the services of another process of which nothing works in the background: it renews no lease and repairs
// nothing. To the others it is as one that died, as soon as its leases have run out.
func (p *Gateway) Dying(t *testing.T) *Gateway {
	t.Helper()
	other := &Gateway{Provider: p.Provider, path: p.path, options: p.options}
	other.open(t)
	other.begin(t)
	other.Ctx = client(context.Background())
	return other
}

// Second adds an account at another provider, "finoos", which answers as the first one does, to the same Provider.
func Second(o *assembly.Options, first *providers.Provider) *providers.Provider {
	second := *first
	second.ID, second.DisplayName = "finoos", "finoOS"
	tenant := o.Tenants["default"]
	tenant.Providers = append(slices.Clone(tenant.Providers), &second)
	o.Tenants["default"] = tenant
	return &second
}

// open opens the database.
func (p *Gateway) open(tb testing.TB) {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), p.path, keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	p.options.Store = db
	if p.options.Refs != nil { // another process has its own way to the database
		p.options.Refs = assembly.NewRefs(db, p.options.Logger)
	}
}

// begin puts the services together.
func (p *Gateway) begin(tb testing.TB) {
	tb.Helper()
	var err error
	if p.Services, err = assembly.New(p.options); err != nil {
		tb.Fatal(err)
	}
}

// client is the context of a client with all scopes.
func client(ctx context.Context) context.Context {
	return identity.With(ctx, identity.Identity{ClientID: "test", Tenant: "default", Scopes: []string{"*"}})
}

// run starts what works in the background, until the test ends.
func (p *Gateway) run(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = p.Run(ctx)
	}()
	p.stop = func() {
		cancel()
		<-ran
	}
	tb.Cleanup(p.stop)
	p.Ctx = client(ctx)
}

// Create asks for a consent and gives its row.
func (p *Gateway) Create(tb testing.TB) *store.Consent {
	tb.Helper()
	return p.CreateAt(tb, "fimento")
}

// CreateAt asks for a consent at a provider and gives its row.
func (p *Gateway) CreateAt(tb testing.TB, provider string) *store.Consent {
	tb.Helper()
	made, err := p.Servers.Consent.CreateConsent(p.Ctx, &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider: provider, Market: "SE",
			RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of("https://app.example.com/done"),
				Error:   optional.Of("https://app.example.com/failed"),
				Exit:    optional.Of("https://app.example.com/left"),
			},
		},
		Psu: &consentv1.Psu{NationalId: "199503096316"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	row, _, err := p.Load.Consent(p.Ctx, made.GetName())
	if err != nil {
		tb.Fatal(err)
	}
	return row
}

// Pass lets time go by.
func Pass(d time.Duration) {
	time.Sleep(d) // the bubble's
	synctest.Wait()
}

// Times gives when the provider was asked about a consent.
func (p *Provider) Times(row *store.Consent) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.asked[row.ProviderRef]...)
}

// Report decides what the provider answers when it is asked about a consent.
func (p *Provider) Report(state providers.ConsentState, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.err = state, err
}

// ReportOf decides what the provider answers when it is asked about one consent: an error, or as about all for nil.
func (p *Provider) ReportOf(row *store.Consent, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.only == nil {
		p.only = map[string]error{}
	}
	delete(p.only, row.ProviderRef)
	if err != nil {
		p.only[row.ProviderRef] = err
	}
}

// Login decides what the provider answers to logins.
func (p *Provider) Login(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.login = err
}

// HintAt gives a hint as a webhook does, about the consent as it is stored now.
func (p *Gateway) HintAt(t *testing.T, row *store.Consent) {
	t.Helper()
	err := p.Store.View(p.Ctx, row.Tenant, func(r store.Reader) (err error) {
		row, err = r.Consent(row.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Follower.Hint(p.Ctx, row)
}

func (s played) RenewLink(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	link := providers.Link{URI: "https://bank.example.com/again", TTL: 24 * time.Hour}
	return &providers.Issued{Link: link}, nil
}
