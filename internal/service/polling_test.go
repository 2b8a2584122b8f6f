package service

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// polled is a provider that notes when it is asked, and a service that follows consents at it. Tests run in a bubble of synctest, so that hours
// pass at once and every time is exact.
type polled struct {
	*Service
	ctx context.Context

	mu       sync.Mutex
	asked    map[string][]time.Time // by the consent's id at the provider
	state    providers.ConsentState
	err      error
	accounts func(context.Context) ([]providers.Account, error)
	made     int
}

// played implements the ports; methods that no test needs are nil.
type played struct {
	providers.Consents
	providers.Accounts
	providers.Session
	p *polled
}

func (s played) CreateConsent(context.Context, providers.NewConsent) (*providers.CreatedConsent, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
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
	if s.p.err != nil {
		return nil, s.p.err
	}
	state := s.p.state
	return &state, nil
}

func (s played) ListAccounts(ctx context.Context, _ providers.ConsentRef) ([]providers.Account, error) {
	return s.p.accounts(ctx)
}

// newPolled makes both and follows consents until the test ends.
func newPolled(t *testing.T) *polled {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "kontor.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &polled{asked: map[string][]time.Time{}}
	port := played{p: p}
	native := providers.Support{Level: providers.Native}
	provider := &providers.Provider{
		ID: "fimento", DisplayName: "Fimento", Markets: []providers.Market{providers.MarketSE}, Session: port, Consents: port, Accounts: port,
		Capabilities: map[providers.Capability]providers.Support{"CreateConsent": native, "GetConsent": native, "ListAccounts": native},
	}
	pepper := sha256.Sum256([]byte("pepper"))
	p.Service, err = New(Options{
		Store: db, PublicURL: "https://kontor.example.com",
		Tenants: map[string]Tenant{"default": {
			Providers: []*providers.Provider{provider}, RedirectURIs: []string{"https://app.example.com/*"}, Pepper: pepper[:],
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = p.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ran
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p.ctx = identity.With(ctx, identity.Identity{ClientID: "test", Tenant: "default", Scopes: []string{"*"}})
	return p
}

// create asks for a consent and gives its row.
func (p *polled) create(t *testing.T) *store.Consent {
	t.Helper()
	made, err := p.Servers().Consent.CreateConsent(p.ctx, &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider: "fimento", Market: "SE", RedirectUris: &consentv1.Consent_RedirectUris{Success: "https://app.example.com/done"},
		},
		Psu: &consentv1.Psu{NationalId: "199503096316"},
	})
	if err != nil {
		t.Fatal(err)
	}
	row, _, err := p.loadConsent(p.ctx, made.GetName())
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d) // the bubble's
	synctest.Wait()
}

func (p *polled) times(row *store.Consent) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.asked[row.ProviderRef]...)
}

func (p *polled) report(state providers.ConsentState, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.err = state, err
}

func TestPollingBacksOffAndSpreadsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t)
		began := time.Now()
		var rows []*store.Consent
		for range 20 {
			rows = append(rows, p.create(t))
		}
		pass(2 * time.Hour)
		seconds := map[time.Time]bool{}
		for _, row := range rows {
			last, want := began, 5*time.Second
			times := p.times(row)
			if len(times) < 24 || len(times) > 32 {
				t.Fatalf("asked %d times in two hours", len(times))
			}
			for i, at := range times {
				// One fifth at most is added at random, and the follower looks once a second.
				if wait := at.Sub(last); wait < want || wait > want+want/5+time.Second {
					t.Fatalf("read %d came after %s, want %s to %s", i, wait, want, want+want/5+time.Second)
				}
				last, want = at, min(2*want, 5*time.Minute)
			}
			seconds[times[20].Truncate(time.Second)] = true
		}
		if len(seconds) < 15 {
			t.Errorf("20 consents that began together are read within %d different seconds later on", len(seconds))
		}
	})
}

func TestPollingStopsWhenNothingIsToBeExpected(t *testing.T) {
	for name, observations := range map[string][]providers.Observation{
		"revoked": {{Key: "r", Type: consentv1.ConsentEvent_REVOKED, ProviderCode: "customerDeniedConsent"}},
		"ready": {
			{Key: "b", Type: consentv1.ConsentEvent_BANK_AUTHORIZED, ConnectionID: "bank"},
			{Key: "f", Type: consentv1.ConsentEvent_FETCH_COMPLETED, ConnectionID: "bank"},
			{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
		},
		"expired": nil, // the link runs out after a day, and is given an hour of grace
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPolled(t)
				row := p.create(t)
				p.report(providers.ConsentState{Observations: observations}, nil)
				pass(10 * time.Second)
				if len(p.times(row)) == 0 {
					t.Fatal("it was never read")
				}
				if observations == nil {
					pass(26 * time.Hour)
				}
				before := len(p.times(row))
				pass(3 * time.Hour)
				if more := len(p.times(row)) - before; more > 0 {
					t.Errorf("read %d more times", more)
				}
				// A hint is news all the same.
				p.hintAt(t, row)
				pass(2 * time.Second)
				if more := len(p.times(row)) - before; more != 1 {
					t.Errorf("a hint led to %d reads, want 1", more)
				}
				pass(3 * time.Hour)
				if more := len(p.times(row)) - before; more != 1 {
					t.Errorf("a hint led to %d reads in the long run, want 1", more)
				}
			})
		})
	}
}

// hintAt gives a hint as a webhook does, about the consent as it is stored now.
func (p *polled) hintAt(t *testing.T, row *store.Consent) {
	t.Helper()
	err := p.view(p.ctx, func(r store.Reader) (err error) {
		row, err = r.Consent(row.Tenant, row.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.follower.hint(p.ctx, row)
}

func TestHintsWakeAtOnceAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t)
		row := p.create(t)
		pass(30 * time.Minute)
		before := len(p.times(row))
		began := time.Now()
		p.hintAt(t, row)
		synctest.Wait()
		if times := p.times(row); len(times) != before+1 || !times[before].Equal(began) {
			t.Errorf("a hint after a long silence led to reads at %v, want one at %v", times[before:], began)
		}
		const flood, interval = 10_000, 6 * time.Millisecond // one minute
		for range flood {
			p.hintAt(t, row)
			pass(interval)
		}
		times := p.times(row)[before:]
		if most := int(flood*interval/(5*time.Second)) + 1; len(times) > most || len(times) < most/2 {
			t.Errorf("%d hints in a minute led to %d reads, want at most %d", flood, len(times), most)
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < 5*time.Second {
				t.Errorf("two reads within %s", gap)
			}
		}
	})
}

func TestRateLimitsSlowAllConsents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t)
		rows := []*store.Consent{p.create(t)}
		p.report(providers.ConsentState{}, &providers.Error{Kind: providers.KindRateLimited, Provider: "fimento", RetryAfter: 10 * time.Minute})
		pass(8 * time.Second)
		if asked := len(p.times(rows[0])); asked != 1 {
			t.Fatalf("asked %d times", asked)
		}
		told := p.times(rows[0])[0]
		p.report(providers.ConsentState{}, nil)
		for range 9 {
			rows = append(rows, p.create(t))
		}
		for time.Since(told) < 10*time.Minute-time.Second {
			for _, row := range rows {
				p.hintAt(t, row)
			}
			pass(time.Second)
		}
		for i, row := range rows {
			if asked := len(p.times(row)); asked > 1 || i > 0 && asked > 0 {
				t.Fatalf("consent %d was read although the provider asked to be left alone", i)
			}
		}
		pass(10 * time.Second)
		for i, row := range rows {
			times := p.times(row)
			if len(times) == 0 || times[len(times)-1].Sub(told) < 10*time.Minute {
				t.Errorf("consent %d was not read when the time was over", i)
			}
		}
	})
}

func TestFailuresBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t)
		row := p.create(t)
		p.report(providers.ConsentState{}, &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"})
		pass(2 * time.Hour)
		if asked := len(p.times(row)); asked < 20 || asked > 32 {
			t.Errorf("asked %d times in two hours of failures", asked)
		}
	})
}

func TestConcurrentReadsShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t)
		row := p.create(t)
		p.report(providers.ConsentState{Observations: []providers.Observation{
			{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
		}}, nil)
		pass(10 * time.Second)
		calls := 0
		p.accounts = func(ctx context.Context) ([]providers.Account, error) {
			p.mu.Lock()
			calls++
			call := calls
			p.mu.Unlock()
			select {
			case <-time.After(time.Second):
				return []providers.Account{{ID: "account", Account: &bankingv1.Account{DisplayName: fmt.Sprint("of call ", call)}}}, nil
			case <-ctx.Done():
				return nil, &providers.Error{Kind: providers.KindCanceled, Provider: "fimento", Err: ctx.Err()}
			}
		}
		read := func(ctx context.Context) (*bankingv1.Account, error) {
			resp, err := p.Servers().Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: row.Resource.GetName()})
			if err != nil {
				return nil, err
			}
			return resp.GetAccounts()[0], nil
		}
		var callers sync.WaitGroup
		first, leave := context.WithCancel(p.ctx)
		callers.Go(func() {
			if _, err := read(first); err == nil {
				t.Error("the caller who left got an answer")
			}
		})
		synctest.Wait()
		for range 100 {
			callers.Go(func() {
				account, err := read(p.ctx)
				if err != nil || account.GetDisplayName() != "of call 1" {
					t.Errorf("got %v, %v", account, err)
					return
				}
				account.DisplayName = "changed by a caller" // its own copy; the race detector tells otherwise
			})
		}
		synctest.Wait()
		leave()
		callers.Wait()
		if calls != 1 {
			t.Errorf("101 identical reads made %d provider calls", calls)
		}
		if account, err := read(p.ctx); err != nil || account.GetDisplayName() != "of call 2" {
			t.Errorf("a later read got %v, %v: nothing may outlive its call", account, err)
		}

		// Who changed something does not get the answer to a question that was asked before.
		calls = 0
		callers.Go(func() { _, _ = read(p.ctx) })
		synctest.Wait()
		p.reads.changed()
		if account, err := read(p.ctx); err != nil || account.GetDisplayName() != "of call 2" {
			t.Errorf("a read after a write got %v, %v", account, err)
		}
		callers.Wait()
	})
}
