package guard

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/tap"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/slot"
)

// take takes a turn that must be there.
func take(t *testing.T, from turns) (done func()) {
	t.Helper()
	done, ok := from.take(t.Context())
	if !ok {
		t.Fatal("there is no turn")
	}
	return done
}

// TestTurns: who finds no turn waits for most of the time that is left, and not for ever.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := make(turns, 1)
		done := take(t, all)
		time.AfterFunc(100*time.Millisecond, done)
		began := time.Now()
		next := take(t, all)
		if waited := time.Since(began); waited != 100*time.Millisecond {
			t.Errorf("the turn came after %s", waited)
		}
		done() // It gives back one turn, however often it is called.
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		began = time.Now()
		if _, ok := all.take(ctx); ok || time.Since(began) != 150*time.Millisecond {
			t.Errorf("a turn that does not come: %t after %s", ok, time.Since(began))
		}
		next()
		take(t, all)()
		took := time.Now()
		take(t, all) // Whoever has it works for longer than anybody should.
		take(t, all)()
		if held := time.Since(took); held != longTurn {
			t.Errorf("a turn lasted %s", held)
		}
	})
}

// TestTurnsWithoutADeadline: also who has time is told in the end.
func TestTurnsWithoutADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := make(turns) // None ever comes.
		began := time.Now()
		if _, ok := all.take(t.Context()); ok || time.Since(began) != longestWait {
			t.Errorf("%t after %s", ok, time.Since(began))
		}
	})
}

// TestExpiredCallsHaveNoTurn: who has left is not worked on, also when the turn comes at that moment.
func TestExpiredCallsHaveNoTurn(t *testing.T) {
	// With one processor whoever is woken runs when the test waits.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for i := range 20 {
		all := make(turns, 1)
		all <- struct{}{}
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() {
			if _, ok := all.take(ctx); ok {
				t.Error("it has a turn")
			}
		})
		for range 10 {
			runtime.Gosched() // It waits.
		}
		if i%2 == 0 {
			cancel()
			<-all
		} else {
			<-all
			cancel()
		}
		ended.Wait()
		if len(all) != 0 {
			t.Error("the turn was not given back")
		}
	}
}

// TestTurnsOfCalls: a client has so many calls that are worked on and more that wait for somebody else; those of
// another client do not wait for them.
func TestTurnsOfCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		end := make(chan struct{})
		var working, waiting int
		var mu sync.Mutex
		var during func(context.Context)
		g.consents.during = func(ctx context.Context) {
			mu.Lock()
			working++
			mu.Unlock()
			<-end
			slot.Wait(ctx)
			slot.Wait(ctx)
			mu.Lock()
			waiting++
			mu.Unlock()
			time.Sleep(time.Minute)
		}
		id := identity.Identity{Tenant: "one", ClientID: "reader"}
		hold, _ := g.calls.take(id, 1) // The client is not forgotten.
		defer hold()
		all := cap(g.calls.turnsOf(id))
		g.consents.during, during = nil, g.consents.during
		a := g.admit(t)
		if err := g.get(a.Context()); err != nil || len(g.calls.turnsOf(id)) != 1 {
			t.Errorf("a call has %d turns until it is over: %v", len(g.calls.turnsOf(id)), err)
		}
		if a.Done(); len(g.calls.turnsOf(id)) != 0 {
			t.Error("its turn outlives it")
		}
		g.consents.during = during
		var calls sync.WaitGroup
		for range 2 * all {
			calls.Go(func() {
				a, err := g.Admit(t.Context(), head(bearerKey))
				if err != nil {
					t.Error(err)
					return
				}
				defer a.Done()
				if err := g.get(a.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if working != all {
			t.Errorf("%d calls are worked on, want %d", working, all)
		}
		if other := g.calls.turnsOf(identity.Identity{Tenant: "two", ClientID: "reader"}); len(other) != 0 {
			t.Error("another client has fewer turns")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		late, err := g.Admit(ctx, head(bearerKey))
		if err != nil {
			t.Fatal(err)
		}
		err = g.get(late.Context())
		if kerr.Reason(err) != errorv1.Error_GATEWAY_RATE_LIMITED || kerr.Retry(err) == 0 {
			t.Errorf("one too many: %v", err)
		}
		late.Done()
		close(end)
		synctest.Wait()
		if waiting != 2*all {
			t.Errorf("%d calls wait for somebody else, want %d", waiting, 2*all)
		}
		calls.Wait()
		if left := len(g.calls.turnsOf(id)); left != 0 || g.Usage().Calls != 1 {
			t.Errorf("%d turns are taken when all is over, %+v", left, g.Usage())
		}
	})
}

// TestCountersBeginAtZero: an alert looks at the increase of a counter, so each is there before the first failure.
func TestCountersBeginAtZero(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	families, err := g.telemetry.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]bool{}
	for _, family := range families {
		if family.GetName() != "kontor_rpc_requests_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counted["/"+labels["service"]+"/"+labels["method"]+" "+labels["reason"]] = m.GetCounter().GetValue() == 0
		}
	}
	for method := range g.rules {
		for _, reason := range []errorv1.Error_Reason{errorv1.Error_INTERNAL, errorv1.Error_GATEWAY_RATE_LIMITED} {
			if !counted[method+" "+reason.String()] {
				t.Errorf("%s has no counter of %s at zero", method, reason)
			}
		}
	}
}

// TestDeadlinesAreTold: a caller's library cancels a call whose time is over, a moment before the gateway's own clock
// says so. That is a deadline that passed; a caller who leaves with time left is one who left.
func TestDeadlinesAreTold(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	for left, want := range map[time.Duration]errorv1.Error_Reason{
		-time.Second:      errorv1.Error_DEADLINE_EXCEEDED,
		deadlineAhead / 2: errorv1.Error_DEADLINE_EXCEEDED,
		time.Minute:       errorv1.Error_CANCELLED,
	} {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(left))
		for _, failure := range []error{context.Canceled, kerr.New(errorv1.Error_CANCELLED, "the caller went away")} {
			r := g.rules[consentv1.ConsentService_GetConsent_FullMethodName]
			c := g.begin(ctx, r, sender{transport: "grpc"})
			if got := kerr.Reason(c.end(nil, failure)); got != want {
				t.Errorf("with %s left a cancelled call ends with %s", left, got)
			}
		}
		cancel()
	}
}

// TestStrangersHeadersAreForgotten: the library keeps the headers of a call until its answer is written, so those of a
// stranger who may never read it are emptied.
func TestStrangersHeadersAreForgotten(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	for key, kept := range map[string]bool{"Bearer other": false, bearerKey: true} {
		md := metadata.Pairs("authorization", key, "x-large", "x")
		info := &tap.Info{FullMethodName: consentv1.ConsentService_GetConsent_FullMethodName, Header: md}
		ctx, err := g.Tap(metadata.NewIncomingContext(t.Context(), md), info)
		if err != nil {
			t.Fatal(err)
		}
		c := g.begin(ctx, g.rules[info.FullMethodName], g.senderOf(ctx))
		_ = c.end(nil, c.enter())
		c.leave()
		if (len(md) > 0) != kept {
			t.Errorf("of the headers with %s are left: %v", key, md)
		}
	}
}
