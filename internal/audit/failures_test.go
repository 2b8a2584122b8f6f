package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// gated is a database whose Updates wait, are counted, and fail as told.
type gated struct {
	store.Store

	mu      sync.Mutex
	updates int
	failure error
	// entered receives before an Update runs; it goes on when it can receive from gate. Both nil for at once.
	entered chan struct{}
	gate    chan struct{}
}

func (g *gated) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	g.mu.Lock()
	g.updates++
	failure := g.failure
	g.mu.Unlock()
	if g.gate != nil {
		g.entered <- struct{}{}
		select {
		case <-g.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if failure != nil {
		return failure
	}
	return g.Store.Update(ctx, tenant, fn)
}

func (g *gated) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failure = err
}

type trailed struct {
	*Trail

	t   *testing.T
	db  *gated
	log bytes.Buffer
}

func newTrail(t *testing.T) *trailed {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "kontor.db"), keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &trailed{t: t, db: &gated{Store: db}}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.Trail = &Trail{
		Store: &service.Store{Store: w.db, Log: slog.New(slog.DiscardHandler)}, Clock: time.Now, Log: log,
		Noted: make(chan struct{}, 1),
	}
	return w
}

// call is the context of a call of a client, from a connection of its own.
func call(tenant, client string, n int) context.Context {
	return identity.WithCall(context.Background(), identity.Call{
		Client: identity.Identity{ClientID: client, Tenant: tenant}, Trail: &identity.Trail{},
		Peer: fmt.Sprintf("192.0.2.1:%d", n), RequestID: fmt.Sprint("r-", n),
	})
}

// entries reads a tenant's trail.
func (w *trailed) entries(tenant string) (entries []store.Audit) {
	w.t.Helper()
	err := w.db.View(context.Background(), tenant, func(r store.Reader) (err error) {
		entries, err = r.AuditTrail(0, 100_000)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return entries
}

var (
	errDown  = kerr.New(errorv1.Error_PROVIDER_UNAVAILABLE, "down")
	errScope = kerr.New(errorv1.Error_SCOPE_MISSING, "no scope")
)

// TestFailuresShareCommits has calls fail while the store is at work on one of them.
func TestFailuresShareCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		w.db.entered, w.db.gate = make(chan struct{}, 100), make(chan struct{})
		const calls = 2*256 + 1
		var group sync.WaitGroup
		for i := range calls {
			if i == 1 {
				<-w.db.entered // the first is at work alone
			}
			group.Go(func() {
				if told := w.Failure(call("t", "c", i), "CreateConsent", "", errDown); !errors.Is(told, errDown) {
					t.Errorf("the caller is told %v", told)
				}
			})
		}
		synctest.Wait()
		close(w.db.gate)
		group.Wait()
		if w.db.updates != 3 {
			t.Errorf("%d failures took %d transactions, want 3", calls, w.db.updates)
		}
		seen := map[string]bool{}
		for _, e := range w.entries("t") {
			seen[e.RequestID] = true
		}
		if len(seen) != calls {
			t.Errorf("%d of %d failures are in the audit", len(seen), calls)
		}
		select {
		case <-w.Noted:
		default:
			t.Error("the sealer is not told")
		}
	})
}

// TestFailuresDoNotWaitForTheStore: entries are written together, and who has acted makes nobody else wait for a store
// that is away.
func TestFailuresDoNotWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		w.db.fail(store.ErrAway)
		began := time.Now()
		for i, want := range []errorv1.Error_Reason{
			errorv1.Error_OUTCOME_UNKNOWN, errorv1.Error_STORE_UNAVAILABLE,
		} {
			ctx := call("t", "c", i)
			if want == errorv1.Error_OUTCOME_UNKNOWN {
				identity.TrailOf(ctx).Acted()
			}
			told := w.Failure(ctx, "CreateConsent", "", errDown)
			if kerr.Reason(told) != want || time.Since(began) > 0 {
				t.Errorf("the caller is told %v after %s, want %s at once", told, time.Since(began), want)
			}
		}
	})
}

// TestFailuresUnderLoad has 1,600 callers fail five times each, beside others who write: every failure is in the audit
// when its caller is told, and they cost few transactions.
func TestFailuresUnderLoad(t *testing.T) {
	t.Parallel()
	w := newTrail(t)
	const callers, each = 1600, 5
	stop := make(chan struct{})
	var writers, group sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := w.db.Store.Update(t.Context(), "busy", func(tx store.Tx) error {
					return tx.AppendAudit(&store.Audit{Tenant: "busy", Method: "m", Time: noon})
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range callers {
		group.Go(func() {
			for i := range each {
				if told := w.Failure(call("t", "c", n*each+i), "CreateConsent", "", errDown); !errors.Is(told, errDown) {
					t.Errorf("the caller is told %v", told)
				}
			}
		})
	}
	group.Wait()
	close(stop)
	writers.Wait()
	seen := map[string]bool{}
	for _, e := range w.entries("t") {
		seen[e.RequestID] = true
	}
	if len(seen) != callers*each || w.db.updates > callers*each/10 {
		t.Errorf("%d of %d failures are in the audit, in %d transactions", len(seen), callers*each, w.db.updates)
	}
	t.Logf("%d failures in %d transactions", len(seen), w.db.updates)
}

// TestTenantsDoNotWaitForEachOther holds one tenant's entries up.
func TestTenantsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		w.db.entered, w.db.gate = make(chan struct{}, 2), make(chan struct{})
		var group sync.WaitGroup
		for _, tenant := range []string{"a", "b"} {
			group.Go(func() { _ = w.Failure(call(tenant, "c", 1), "CreateConsent", "", errDown) })
		}
		<-w.db.entered
		<-w.db.entered // although the other's is not done
		close(w.db.gate)
		group.Wait()
	})
}

// TestUnauditedFailures has a store that takes nothing: callers are told that, and not what happened, unless it may
// have happened at a provider. All who wait are told at once.
func TestUnauditedFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		w.db.fail(errors.New("disk full"))
		w.db.entered, w.db.gate = make(chan struct{}, 10), make(chan struct{})
		acted := func(effect bool, ok bool) context.Context {
			ctx := call("t", "c", 1)
			observed, end := Observed{nobody{}}.Start(ctx, providers.CallInfo{})
			end(providers.CallOutcome{OK: ok, Acted: effect})
			return context.WithoutCancel(observed)
		}
		unknown := kerr.New(errorv1.Error_OUTCOME_UNKNOWN, "who knows")
		tests := []struct {
			ctx     context.Context
			failure error
			want    errorv1.Error_Reason
		}{
			{call("t", "c", 1), errDown, errorv1.Error_STORE_UNAVAILABLE},
			{call("t", "c", 1), errScope, errorv1.Error_STORE_UNAVAILABLE},
			{call("t", "c", 1), unknown, errorv1.Error_OUTCOME_UNKNOWN},
			{acted(true, true), errDown, errorv1.Error_OUTCOME_UNKNOWN},
			{acted(true, false), errDown, errorv1.Error_OUTCOME_UNKNOWN},
			{acted(false, true), errDown, errorv1.Error_STORE_UNAVAILABLE},
			{context.Background(), errDown, errorv1.Error_STORE_UNAVAILABLE}, // without a trail
		}
		var group sync.WaitGroup
		for _, test := range tests {
			group.Go(func() {
				if told := kerr.Reason(w.Failure(test.ctx, "CreateConsent", "", test.failure)); told != test.want {
					t.Errorf("for %v the caller is told %v, want %v", kerr.Reason(test.failure), told, test.want)
				}
			})
		}
		synctest.Wait()
		close(w.db.gate)
		group.Wait()
		if w.db.updates > 3 { // the first alone, then all who waited; those without a tenant on their own
			t.Errorf("the store was asked %d times", w.db.updates)
		}
		if err := w.NoteAlone(acted(true, true), "SyncConnection", ""); kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN {
			t.Errorf("a change at the provider that cannot be noted: %v", err)
		}
		if err := w.NoteAlone(call("t", "c", 1), "GetInsights", ""); kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE {
			t.Errorf("a read that cannot be noted: %v", err)
		}
	})
}

type nobody struct{}

func (nobody) Start(ctx context.Context, _ providers.CallInfo) (context.Context, func(providers.CallOutcome)) {
	return ctx, func(providers.CallOutcome) {}
}
func (nobody) BreakerChanged(string, providers.BreakerState, providers.BreakerState) {}

// TestCrowdOfFailures has more failures than may wait, and a store that answers late, or too late: then all are told in
// time, and nothing is left behind that waits.
func TestCrowdOfFailures(t *testing.T) {
	for takes, want := range map[time.Duration]errorv1.Error_Reason{
		failureTimeout - time.Second: errorv1.Error_PROVIDER_UNAVAILABLE,
		time.Hour:                    errorv1.Error_STORE_UNAVAILABLE,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newTrail(t)
			const calls = maxWaiting + 10
			w.db.entered, w.db.gate = make(chan struct{}, calls), make(chan struct{})
			begun := time.Now()
			time.AfterFunc(takes, func() { close(w.db.gate) })
			var group sync.WaitGroup
			for i := range calls {
				group.Go(func() {
					told := kerr.Reason(w.Failure(call("t", "c", i), "CreateConsent", "", errDown))
					if told != want || time.Since(begun) > failureTimeout {
						t.Errorf("after %v a caller is told %v, want %v", time.Since(begun), told, want)
					}
				})
			}
			synctest.Wait()
			if waiting := len(w.failures.room); waiting != maxWaiting {
				t.Errorf("%d wait, want %d", waiting, maxWaiting)
			}
			group.Wait()
			synctest.Wait()
			if len(w.failures.room) != 0 || len(w.failures.of) != 0 {
				t.Errorf("%d still wait, in %d lines", len(w.failures.room), len(w.failures.of))
			}
			entries := 0
			if want == errorv1.Error_PROVIDER_UNAVAILABLE {
				entries = calls
			}
			if n := len(w.entries("t")); n != entries {
				t.Errorf("%d failures are in the audit, want %d", n, entries)
			}
			time.Sleep(takes)
		})
	}
}

// run runs what counts, until the function that it gives is called.
func (w *trailed) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	synctest.Wait()
	return func() {
		cancel()
		running.Wait()
	}
}

// counted sums up what entries stand for, by client, and counts the entries.
func counted(entries []store.Audit) (calls map[string]int64, rows int) {
	calls = map[string]int64{}
	for _, e := range entries {
		calls[e.Actor] += max(e.Count, 1)
	}
	return calls, len(entries)
}

// TestRepeatedRefusalsAreCounted refuses one client 10,000 times in a minute, each time from another port.
func TestRepeatedRefusalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		stop := w.run()
		began := time.Now()
		const refused = 10_000
		for i := range refused {
			if told := w.Failure(call("t", "c", i), "CreateConsent", "", errScope); !errors.Is(told, errScope) {
				t.Fatalf("the caller is told %v", told)
			}
			time.Sleep(groupTime / (2 * refused))
		}
		for i := range 3 {
			_ = w.Failure(call("t", "other", i), "CreateConsent", "", errScope)
			_ = w.Failure(call("t", "c", i), "RevokeConsent", "", errScope)
			_ = w.Failure(call("u", "c", i), "CreateConsent", "", errScope)
		}
		time.Sleep(groupTime + flushEvery)
		entries := w.entries("t")
		calls, rows := counted(entries)
		if calls["c"] != refused+3 || calls["other"] != 3 || rows != singleRefusals+1+6 {
			t.Errorf("the audit has %d entries, which stand for %v calls", rows, calls)
		}
		for _, e := range entries {
			switch {
			case e.Count == 0 && (e.RequestID == "" || !strings.Contains(e.Peer, ":")):
				t.Errorf("an entry of its own is %+v", e)
			case e.Count > 0 && (e.Count != refused-singleRefusals || e.RequestID != "" || e.Peer != "192.0.2.1" ||
				e.Outcome != "SCOPE_MISSING" || e.Method != "CreateConsent" || e.FirstTime.Sub(began) > time.Second ||
				e.Time.Sub(e.FirstTime) < groupTime/3):
				t.Errorf("an entry that counts is %+v", e)
			}
		}
		// The next minute begins anew: each of the first ones has an entry.
		for i := range 5 {
			_ = w.Failure(call("t", "c", i), "CreateConsent", "", errScope)
		}
		if calls, after := counted(w.entries("t")); calls["c"] != refused+8 || after != rows+5 {
			t.Errorf("the audit has %d entries, which stand for %v calls", after, calls)
		}
		stop()
	})
}

// TestMadeUpNamesAreCounted: a client that makes up names does not fill the store with them, and hides none of another
// client's.
func TestMadeUpNamesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		stop := w.run()
		const refused, name = 5000, "consents/00000000-0000-4000-8000-%012x"
		for range 2 { // minutes
			_, before := counted(w.entries("t"))
			for i := range refused {
				_ = w.Failure(call("t", "c", i), "GetAccount", fmt.Sprintf(name, i), errScope)
			}
			_ = w.Failure(call("t", "other", 1), "GetAccount", fmt.Sprintf(name, 1), errScope)
			if _, rows := counted(w.entries("t")); rows != before+maxNames+singleRefusals+1 {
				t.Errorf("the audit has %d entries", rows-before)
			}
			time.Sleep(groupTime + flushEvery)
		}
		for _, e := range w.entries("t") {
			if (e.Resource == "") != (e.Count > 0) {
				t.Errorf("an entry is %+v", e)
			}
		}
		if calls, _ := counted(w.entries("t")); calls["c"] != 2*refused || calls["other"] != 2 {
			t.Errorf("the audit stands for %v calls", calls)
		}
		stop()
	})
}

// TestCountsSurviveAStop stops in the middle of a group, and refuses on, as calls that are late do.
func TestCountsSurviveAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		stop := w.run()
		refuse := func(n int) {
			for i := range n {
				if told := w.Failure(call("t", "c", i), "CreateConsent", "", errScope); !errors.Is(told, errScope) {
					t.Fatalf("the caller is told %v", told)
				}
			}
		}
		refuse(100)
		stop()
		refuse(20)
		if calls, rows := counted(w.entries("t")); calls["c"] != 120 || rows != singleRefusals+1+20 {
			t.Errorf("the audit has %d entries, which stand for %v calls", rows, calls)
		}
	})
}

// TestCountsSurviveAFullDisk has the store take nothing when the count is to be written: what was counted is written
// later, and until then callers are told that the store does not answer.
func TestCountsSurviveAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		stop := w.run()
		refuse := func() errorv1.Error_Reason {
			return kerr.Reason(w.Failure(call("t", "c", 1), "CreateConsent", "", errScope))
		}
		for range 100 {
			refuse()
		}
		w.db.fail(errors.New("disk full"))
		time.Sleep(groupTime + flushEvery)
		for range 20 {
			if told := refuse(); told != errorv1.Error_STORE_UNAVAILABLE {
				t.Fatalf("the caller is told %v", told)
			}
		}
		w.db.fail(nil)
		time.Sleep(flushEvery)
		synctest.Wait()
		if calls, rows := counted(w.entries("t")); calls["c"] != 100 || rows != singleRefusals+1 {
			t.Errorf("the audit has %d entries, which stand for %v calls", rows, calls)
		}
		for range 30 {
			refuse()
		}
		w.db.fail(errors.New("disk full"))
		stop()
		if !strings.Contains(w.log.String(), "refused calls are missing in the audit") {
			t.Error("what is lost is not logged")
		}
	})
}

// TestOnlyRefusalsAreCounted has a client's calls fail for other reasons: each has an entry.
func TestOnlyRefusalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		defer w.run()()
		for i := range 30 {
			_ = w.Failure(call("t", "c", i), "CreateConsent", "", errDown)
		}
		if _, rows := counted(w.entries("t")); rows != 30 {
			t.Errorf("the audit has %d entries of 30 calls", rows)
		}
	})
}
