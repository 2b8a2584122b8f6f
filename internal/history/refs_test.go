package history_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/store"
)

// tokenBank is a provider that gives out a token for each consent, and another one with most answers.
type tokenBank struct {
	keeper providers.StateKeeper

	mu   sync.Mutex
	seen []string // the tokens that came, in order
}

func (b *tokenBank) came(ref providers.ConsentRef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, ref.State.Reveal())
}

func (b *tokenBank) last() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[len(b.seen)-1]
}

func (b *tokenBank) CreateConsent(context.Context, providers.NewConsent) (*providers.CreatedConsent, error) {
	return &providers.CreatedConsent{
		Ref:  providers.ConsentRef{ID: "one", Market: "SE", State: secret.New("canary-created")},
		Link: providers.Link{URI: "https://bank.example.com/link", TTL: 24 * time.Hour},
	}, nil
}

func (b *tokenBank) GetConsent(_ context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	b.came(ref)
	ref.State = secret.New("canary-read")
	end := time.Date(2001, time.January, 1, 0, 0, 0, 0, time.UTC) // so that it can be prolonged
	return &providers.ConsentState{Ref: &ref, ValidUntil: end, Observations: []providers.Observation{
		{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
	}}, nil
}

func (b *tokenBank) RevokeConsent(_ context.Context, ref providers.ConsentRef) error {
	b.came(ref)
	return nil
}

func (b *tokenBank) RenewLink(
	_ context.Context,
	ref providers.ConsentRef,
	_ providers.Flow,
) (*providers.Issued, error) {
	b.came(ref)
	ref.State = secret.New("canary-renewed")
	return &providers.Issued{
		Link: providers.Link{URI: "https://bank.example.com/again", TTL: time.Hour},
		Ref:  &ref,
	}, nil
}

func (b *tokenBank) ListAccounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	b.came(ref)
	gone, leave := context.WithCancel(ctx)
	leave() // the caller has left: the new token must not be lost for it
	return nil, b.keeper.KeepState(gone, ref, secret.New("canary-kept"))
}

func (b *tokenBank) Transactions(
	context.Context,
	providers.ConsentRef,
	providers.Query,
) iter.Seq2[providers.Transaction, error] {
	return nil
}

func newTokenBank(t *testing.T, log *bytes.Buffer) (*tokenBank, *assemblytest.Gateway) {
	t.Helper()
	bank := &tokenBank{}
	p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
		o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		refs := assembly.NewRefs(o.Store, o.Logger)
		o.Refs, p.KeepsState, p.Consents, p.Links, p.Accounts = refs, true, bank, bank, bank
		bank.keeper = refs.Keeper("default", p.ID)
	})
	return bank, p
}

// What an adapter remembers comes back with the next call, whichever way it was given, and is not logged. (That it is
// stored sealed is the stores' suite's to see.)
func TestAdaptersRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		bank, p := newTokenBank(t, &log)
		row := p.Create(t)
		name := row.Resource.GetName()
		refresh := func() {
			t.Helper()
			if _, err := p.Follower.Refresh(p.Ctx, row); err != nil { // with the row as it was long ago
				t.Fatal(err)
			}
		}
		wantLast := func(want string) {
			t.Helper()
			if got := bank.last(); got != want {
				t.Errorf("the adapter got %q, want %q", got, want)
			}
		}
		refresh()
		wantLast("canary-created")
		refresh()
		wantLast("canary-read")
		accounts := func() {
			t.Helper()
			_, err := p.Servers.Banking.ListAccounts(p.Ctx, &bankingv1.ListAccountsRequest{Parent: name})
			if err != nil {
				t.Fatal(err)
			}
		}
		accounts()
		wantLast("canary-read")
		accounts()
		wantLast("canary-kept")
		renew := &consentv1.RenewConsentLinkRequest{Name: name}
		if _, err := p.Servers.Consent.RenewConsentLink(p.Ctx, renew); err != nil {
			t.Fatal(err)
		}
		refresh()
		wantLast("canary-renewed")
		if strings.Contains(log.String(), "canary") {
			t.Errorf("it is logged:\n%s", log.String())
		}
		if _, err := p.Servers.Consent.RevokeConsent(p.Ctx, &consentv1.RevokeConsentRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		wantLast("canary-read")
		ref := providers.ConsentRef{ID: "one"}
		if err := bank.keeper.KeepState(p.Ctx, ref, secret.New("late")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of a consent that has ended something is kept: %v", err)
		}
		ref.ID = "nobody's"
		if err := bank.keeper.KeepState(p.Ctx, ref, secret.New("x")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of a consent that is not there something is kept: %v", err)
		}
	})
}

// away is a database that cannot be reached until some time.
type away struct {
	store.Database

	until time.Time
}

func (a *away) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if time.Now().Before(a.until) {
		return store.ErrAway
	}
	return a.Database.Update(ctx, tenant, fn)
}

// What an adapter must remember is kept although the store is away for some time: the provider takes nothing older.
func TestAdaptersRememberWhatTheStoreMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		bank, p := newTokenBank(t, &log)
		row := p.Create(t)
		db := &away{Database: p.Database(), until: time.Now().Add(12 * time.Second)}
		keeper := assembly.NewRefs(db, slog.New(slog.DiscardHandler)).Keeper("default", row.Provider)
		if err := keeper.KeepState(p.Ctx, providers.ConsentRef{ID: row.ProviderRef}, secret.New("kept")); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
			t.Fatal(err)
		}
		if got := bank.last(); got != "kept" {
			t.Errorf("the adapter got %q", got)
		}
	})
}
