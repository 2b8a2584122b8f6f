package once

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/slot"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// process is one life of the gateway, as far as idempotency goes.
type process struct {
	*Runner
	t   *testing.T
	ctx context.Context //nolint:containedctx // of the one client that calls
	now time.Time
}

// live gives a way to begin a life of the gateway on one store; it ends without a word when a killed call ends it. The
// lives may follow each other, or go on beside each other.
func live(t *testing.T) (begin func(now time.Time) *process) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "kontor.db"), keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return func(now time.Time) *process {
		p := &process{t: t, now: now, ctx: identity.With(t.Context(), identity.Identity{ClientID: "c", Tenant: "t"})}
		log := slog.New(slog.DiscardHandler)
		p.Runner = &Runner{
			Store: &service.Store{Store: s, Log: log}, Leases: s.System(), Sweeps: s.System(),
			Keys:  s.Keys(),
			Clock: func() time.Time { return p.now }, Log: log, Process: uuid.NewString(),
		}
		if err := p.Repair(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p
	}
}

const testKey = "3b0a6a0e-0000-4000-8000-000000000001"

// killed is what a handler never returns from.
type killed struct{}

// call makes a creating request of a reference. With work nil it succeeds at once.
func (p *process) call(reference string, work func(context.Context, *Attempt) error) (*customerv1.Customer, error) {
	request := &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Reference: optional.Of(reference)}, RequestId: testKey,
	}
	return Do(p.ctx, p.Runner, "CreateCustomer", request,
		func(ctx context.Context, a *Attempt) (*customerv1.Customer, error) {
			if work != nil {
				if err := work(ctx, a); err != nil {
					return nil, err
				}
			}
			answer := &customerv1.Customer{Name: service.CustomerName(a.NewID())}
			return answer, p.Store.Update(ctx, a.Tenant, func(tx store.Tx) error { return a.Done(tx, answer) })
		})
}

// die makes a call that the process does not survive: what happens after the work is no longer stored.
func (p *process) die(reference string, work func(context.Context, *Attempt)) {
	p.t.Helper()
	if _, err := p.call(reference, func(ctx context.Context, a *Attempt) error {
		work(ctx, a)
		panic(killed{})
	}); kerr.Reason(err) != errorv1.Error_INTERNAL {
		p.t.Fatalf("a call that was killed ended with %v", err)
	}
}

var provider = &providers.Provider{ID: "finoos"}

// TestUnknownOutcomeIsPinnedAtOnce stops the process right after an intent was closed as unknown: the key
// must not have become free.
func TestUnknownOutcomeIsPinnedAtOnce(t *testing.T) {
	begin := live(t)
	begin(time.Now()).die("a", func(ctx context.Context, a *Attempt) {
		if err := a.Intend(ctx, provider, "send_shipment", "shipments/1", nil); err != nil {
			t.Error(err)
		}
		_ = a.Abandon(ctx, &providers.Error{Kind: providers.KindUnavailable, MayHaveHappened: true}, nil)
	})
	_, err := begin(time.Now()).call("a", nil)
	if kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN || kerr.Metadata(err)["shipment"] != "shipments/1" {
		t.Errorf("the repetition ended with %v", err)
	}
}

// TestReleasedKey stops the process before anything could have happened: the same request goes on, with the
// same ids; another is refused.
func TestReleasedKey(t *testing.T) {
	begin := live(t)
	first := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var id, providerKey string
	begin(first).die("a", func(_ context.Context, a *Attempt) {
		id, providerKey = a.NewID(), a.ProviderKey()
		if a.Resumed {
			t.Error("the first attempt takes itself for a repetition")
		}
	})
	begin(first.Add(time.Minute)).die("a", func(context.Context, *Attempt) {})
	p := begin(first.Add(time.Hour))
	if _, err := p.call("b", nil); kerr.Reason(err) != errorv1.Error_IDEMPOTENCY_KEY_REUSED {
		t.Errorf("another request with the key ended with %v", err)
	}
	answer, err := p.call("a", func(_ context.Context, a *Attempt) error {
		if !a.Resumed || a.NewID() != id || a.ProviderKey() != providerKey {
			t.Errorf("resumed %t, id %s and %s, key %s and %s", a.Resumed, id, a.NewID(), providerKey, a.ProviderKey())
		}
		return nil
	})
	if err != nil || answer.GetName() != service.CustomerName(id) {
		t.Errorf("the repetition gave %v, %v", answer, err)
	}
	parsed := uuid.MustParse(id)
	if made := time.Unix(parsed.Time().UnixTime()); parsed.Version() != 7 || parsed.Variant() != uuid.RFC4122 ||
		!made.Equal(first) {
		t.Errorf("%s is no UUID of version 7 of the first attempt's time", id)
	}
}

// TestHeaderAndFieldAgree: of two keys that differ, neither is taken.
func TestHeaderAndFieldAgree(t *testing.T) {
	p := live(t)(time.Now())
	plain := p.ctx
	p.ctx = identity.WithIdempotencyKey(plain, "another")
	_, err := p.call("a", func(context.Context, *Attempt) error {
		t.Error("the work began")
		return nil
	})
	if kerr.Reason(err) != errorv1.Error_INVALID_FIELD {
		t.Errorf("two keys ended with %v", err)
	}
	p.ctx = identity.WithIdempotencyKey(plain, testKey)
	first, err := p.call("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.ctx = plain
	if again, err := p.call("a", nil); err != nil || again.GetName() != first.GetName() {
		t.Errorf("the same key without the header gave %v, %v", again, err)
	}
}

// TestProviderKeyIsTheRequests frees a key by a failure, and uses it for somebody else.
func TestProviderKeyIsTheRequests(t *testing.T) {
	p := live(t)(time.Now())
	keys := map[string]bool{}
	for _, reference := range []string{"a", "b"} {
		_, err := p.call(reference, func(_ context.Context, a *Attempt) error {
			keys[a.ProviderKey()], keys[a.NewID()] = true, true
			return kerr.New(errorv1.Error_PROVIDER_UNAVAILABLE, "down")
		})
		if kerr.Reason(err) != errorv1.Error_PROVIDER_UNAVAILABLE {
			t.Fatal(err)
		}
	}
	if len(keys) != 4 {
		t.Error("two requests have the same key at the provider, or the same id")
	}
}

// TestDetachedWorkKeepsItsPlace: work that goes on without its caller takes up the caller's place until it is over.
func TestDetachedWorkKeepsItsPlace(t *testing.T) {
	p := live(t)(time.Now())
	freed := make(chan struct{})
	place := slot.New(func() { close(freed) })
	ctx, leave := context.WithCancel(slot.With(p.ctx, place))
	begun, end := make(chan struct{}), make(chan struct{})
	left := make(chan error)
	go func() {
		_, err := Detached(ctx, p.Runner, func(context.Context) (int, error) {
			close(begun)
			<-end
			return 0, nil
		})
		left <- err
	}()
	<-begun
	leave()
	if err := <-left; err == nil {
		t.Error("who left got an answer")
	}
	place.Done()
	select {
	case <-freed:
		t.Error("the place is free although the work goes on")
	default:
	}
	close(end)
	<-freed
}

// TestWorkEndsWithItsCaller: until something is about to happen nobody's work is done any more, and the key is free;
// from then on it goes on.
func TestWorkEndsWithItsCaller(t *testing.T) {
	for _, goesOn := range []bool{false, true} {
		p := live(t)(time.Now())
		ctx, leave := context.WithCancel(p.ctx)
		ended, result := make(chan struct{}), error(nil)
		request := &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Reference: optional.Of("r")}, RequestId: testKey,
		}
		_, err := Do(ctx, p.Runner, "CreateCustomer", request, func(
			ctx context.Context, a *Attempt,
		) (*customerv1.Customer, error) {
			defer close(ended)
			if goesOn {
				if err := a.GoOn(ctx); err != nil {
					t.Error(err)
				}
			}
			leave()
			if !goesOn {
				<-ctx.Done()
				if a.GoOn(ctx) == nil {
					t.Error("it goes on without a caller")
				}
			}
			result = p.Store.Update(ctx, "t", func(store.Tx) error { return nil })
			return nil, result
		})
		<-ended
		p.running.Wait()
		// A caller who leaves while the work ends may still get its answer.
		if !goesOn && err == nil || (result == nil) != goesOn {
			t.Errorf("goes on %t: the caller got %v, the work %v", goesOn, err, result)
		}
		if _, err := p.call("r", nil); err != nil {
			t.Errorf("goes on %t: the key is not free: %v", goesOn, err)
		}
	}
}
