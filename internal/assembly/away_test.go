package assembly_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// The store goes away here just after a provider did what it was asked to, as while a standby takes over.

// absent is a database that is away from a time on, for as long as it lasts.
type absent struct {
	store.Database

	// from gives the time, zero while it is not known.
	from func() time.Time

	mu    sync.Mutex
	lasts time.Duration
}

func (a *absent) away() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	from := a.from()
	if since := time.Since(from); !from.IsZero() && since >= 0 && since < a.lasts {
		return fmt.Errorf("%w: connection refused", store.ErrAway)
	}
	return nil
}

// end has the database come back.
func (a *absent) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lasts = 0
}

func (a *absent) View(ctx context.Context, tenant string, fn func(store.Reader) error) error {
	if err := a.away(); err != nil {
		return err
	}
	return a.Database.View(ctx, tenant, fn)
}

func (a *absent) Consent(ctx context.Context, tenant, id string) (*store.Consent, error) {
	if err := a.away(); err != nil {
		return nil, err
	}
	return a.Database.Consent(ctx, tenant, id)
}

func (a *absent) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if err := a.away(); err != nil {
		return err
	}
	return a.Database.Update(ctx, tenant, fn)
}

// absence gives a gateway whose store goes away once the provider did so much for a call.
func absence(
	t *testing.T, name string, after int, lasts time.Duration,
) (*assemblytest.Gateway, *world, *absent, at) {
	t.Helper()
	a := &absent{from: func() time.Time { return time.Time{} }, lasts: lasts}
	p, w, about := writing(t, name, func(db store.Database, _ *world) store.Database {
		a.Database = db
		return a
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.from = func() time.Time { return w.nth(after) }
	return p, w, a, about
}

// waitsFor is how long a call waits for the store at most, and a bit.
const waitsFor = 16 * time.Second

// TestStoreComesBack has the store go away after each effect of each method that writes, for as long as a failover
// takes: the call waits, and what the provider did is stored as if nothing had been.
func TestStoreComesBack(t *testing.T) {
	const lasts = 12 * time.Second
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			var usual map[string]int
			for after, effects := 0, 1; after <= effects; after++ {
				synctest.Test(t, func(t *testing.T) {
					outage := lasts
					if after == 0 {
						outage = 0
					}
					p, w, _, about := absence(t, name, after, outage)
					began := time.Now()
					err := write.call(identity.WithTrail(p.Ctx), p, about)
					took := time.Since(began)
					if err != nil || took < outage || took > outage+time.Second {
						t.Errorf("away after effect %d: %v after %s", after, err, took)
					}
					if after == 0 {
						usual, effects = maps.Clone(w.effects), w.count()
						return
					}
					if !maps.Equal(w.effects, usual) {
						t.Errorf("away after effect %d: the provider did %v, want %v", after, w.effects, usual)
					}
					if write.once == "" {
						return
					}
					again := write.call(identity.WithTrail(p.Ctx), p, about)
					if again != nil || w.count() != effects {
						t.Errorf("away after effect %d: the key's answer is %v, and the provider did %v", after, again, w.effects)
					}
				})
			}
		})
	}
}

// TestStoreStaysAway: a call waits for some time and not for ever. What was done is never denied, and never done twice.
func TestStoreStaysAway(t *testing.T) {
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, w, a, about := absence(t, name, 1, time.Hour)
				began := time.Now()
				err := write.call(identity.WithTrail(p.Ctx), p, about)
				if took := time.Since(began); kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN || took > waitsFor {
					t.Errorf("%v after %s", err, took)
				}
				a.end()
				again := write.call(identity.WithTrail(p.Ctx), p, about)
				met := again == nil || kerr.Reason(again) == errorv1.Error_OUTCOME_UNKNOWN
				for _, reason := range write.met {
					met = met || kerr.Reason(again) == reason
				}
				if !met {
					t.Errorf("the second answer is %v", again)
				}
				if n := w.count(write.once); write.once != "" && n > 1 {
					t.Errorf("the provider did it %d times", n)
				}
				assemblytest.Pass(time.Minute)
			})
		})
	}
}

// TestCallersLeaveMeanwhile: a caller whose time is over while the store is away learns that, and what the provider did
// is stored all the same.
func TestCallersLeaveMeanwhile(t *testing.T) {
	for name, write := range writes {
		if write.once == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, w, _, about := absence(t, name, 1, 10*time.Second)
				ctx, cancel := context.WithTimeout(identity.WithTrail(p.Ctx), 2*time.Second)
				defer cancel()
				began := time.Now()
				err := write.call(ctx, p, about)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2*time.Second {
					t.Errorf("%v after %s", err, time.Since(began))
				}
				assemblytest.Pass(10 * time.Second)
				done := w.count()
				if err := write.call(identity.WithTrail(p.Ctx), p, about); err != nil || w.count() != done {
					t.Errorf("the key's answer is %v, and the provider did %v", err, w.effects)
				}
			})
		})
	}
}

// TestNobodyWaitsForTheStoreAtTheEnd: a process that ends is not held up.
func TestNobodyWaitsForTheStoreAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ending := make(chan struct{})
		began, provider := time.Now(), &faxes{}
		p := assemblytest.New(t, faxing(provider), func(o *assembly.Options, _ *providers.Provider) {
			o.Store = &absent{Database: o.Store, from: sinceSent(began, &provider.sent), lasts: time.Hour}
			o.Ending = ending
		})
		time.AfterFunc(3*time.Second, func() { close(ending) })
		ctx := identity.WithTrail(p.Ctx)
		identity.TrailOf(ctx).Acted()
		_, err := p.Servers.Documents.CreateShipment(ctx, faxRequest("key-1"))
		took := time.Since(began)
		if kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN || took != 3*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// sinceSent gives a time once something was sent.
func sinceSent(at time.Time, sent *atomic.Int32) func() time.Time {
	return func() time.Time {
		if sent.Load() == 0 {
			return time.Time{}
		}
		return at
	}
}

// refusing refuses all faxes.
type refusing struct{ faxes }

func (r *refusing) SendShipment(context.Context, providers.Shipment) error {
	r.sent.Add(1)
	return &providers.Error{Kind: providers.KindRejected, Provider: "fimento", Status: 400}
}

// TestRefusalsAreStored: a provider refused, and the store is away. That the write did not happen is stored once it is
// back: the key is free.
func TestRefusalsAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &refusing{}
		from := sinceSent(time.Now(), &provider.sent)
		p := assemblytest.New(t, faxing(&provider.faxes), func(o *assembly.Options, p *providers.Provider) {
			o.Store = &absent{Database: o.Store, from: from, lasts: 12 * time.Second}
			p.Shipments = provider
		})
		for sent := range int32(2) {
			_, err := p.Servers.Documents.CreateShipment(identity.WithTrail(p.Ctx), faxRequest("key-1"))
			if kerr.Reason(err) != errorv1.Error_PROVIDER_REJECTED || provider.sent.Load() != sent+1 {
				t.Errorf("%v, after %d faxes", err, provider.sent.Load())
			}
			assemblytest.Pass(time.Minute)
		}
	})
}

// TestRegistrationsAreStored: the store is away when a webhook is registered. The provider, which calls whatever
// address it was ever told, is told no other.
func TestRegistrationsAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, from := &registry{}, time.Now().Add(time.Second)
		assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
			o.Store = &absent{Database: o.Store, from: func() time.Time { return from }, lasts: 12 * time.Second}
			o.Webhooks, p.Webhooks = true, hook
		})
		assemblytest.Pass(time.Hour)
		if calls := hook.calls.Load(); calls != 1 {
			t.Errorf("%d addresses were told", calls)
		}
	})
}

// TestTakenOverWhileTheStoreIsAway: the store is away for two processes, of which one waits to store what the provider
// did until its lease is over. Whoever is first settles the key, the other sees it, and the provider did it once.
func TestTakenOverWhileTheStoreIsAway(t *testing.T) {
	// The lease lasts 15 s and begins before the provider is asked. It takes 5 s, then the store goes.
	const takes, first, second = 5 * time.Second, 13 * time.Second, 14 * time.Second
	for name, write := range writes {
		if write.once == "" {
			continue
		}
		for _, waits := range []bool{true, false} {
			t.Run(fmt.Sprint(name, "/who waits is first ", waits), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					mine, others := first, second
					if !waits {
						mine, others = second, first
					}
					p, w, a, about := absence(t, name, 1, others)
					w.takes = takes
					still := p.Dying(t)
					still.Store.Store = &absent{Database: still.Database(), lasts: mine, from: a.from}
					var stored error
					var calling sync.WaitGroup
					calling.Go(func() { stored = write.call(identity.WithTrail(still.Ctx), still, about) })
					assemblytest.Pass(takes + first + 500*time.Millisecond)
					if waits {
						calling.Wait()
						assemblytest.Pass(time.Second)
					}
					w.takes = 0
					again := write.call(identity.WithTrail(p.Ctx), p, about)
					calling.Wait()
					if n := w.count(write.once); n > 1 {
						t.Errorf("the provider did it %d times", n)
					}
					third := write.call(identity.WithTrail(p.Ctx), p, about)
					if kerr.Reason(third) != kerr.Reason(again) || (third == nil) != (again == nil) {
						t.Errorf("the key's answer is %v, then %v", again, third)
					}
					switch {
					case waits && (stored != nil || again != nil):
						t.Errorf("who waited was first and ended with %v; the other one's answer is %v", stored, again)
					case !waits && stored == nil:
						t.Errorf("who waited ended well although it was taken over: %v", again)
					}
				})
			})
		}
	}
}
