package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/storetest"
)

// TestQuotasForget: a client that sends nothing is forgotten once its quota is whole, and not before.
func TestQuotasForget(t *testing.T) {
	t.Parallel()
	now := time.Now()
	q := quotas{perSecond: 1, burst: 120, clock: func() time.Time { return now }}
	for i := range 1000 {
		if err := q.take(quotaID{"hansa", fmt.Sprint("idle", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 120 {
		if err := q.take(quotaID{"hansa", "busy"}); err != nil {
			t.Fatal(err)
		}
	}
	if q.take(quotaID{"hansa", "busy"}) == nil {
		t.Error("there is more than the burst")
	}
	now = now.Add(61 * time.Second)
	if err := q.take(quotaID{"hansa", "other"}); err != nil {
		t.Error(err)
	}
	remembered := 0
	q.clients.Range(func(any, any) bool {
		remembered++
		return true
	})
	if remembered != 2 {
		t.Errorf("%d clients are remembered", remembered)
	}
	for range 61 {
		if err := q.take(quotaID{"hansa", "busy"}); err != nil {
			t.Fatal(err)
		}
	}
	if q.take(quotaID{"hansa", "busy"}) == nil {
		t.Error("a client that is not idle was forgotten, and its quota whole again")
	}
}

// quotaWorld is several processes that share clients' quotas.
type quotaWorld struct {
	t         *testing.T
	random    *rand.Rand
	ledger    *storetest.Quotas
	processes []*quotaProcess
	began     time.Time
	perSecond int
	burst     int
	lines     bytes.Buffer
	log       *slog.Logger
}

// quotaProcess is one of them.
type quotaProcess struct {
	*quotas

	end func()
}

// newQuotaWorld must be called in a bubble.
func newQuotaWorld(t *testing.T, processes, perSecond, burst int) *quotaWorld {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &quotaWorld{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), began: time.Now(), perSecond: perSecond, burst: burst,
		ledger: &storetest.Quotas{Clock: time.Now},
	}
	w.log = slog.New(slog.NewTextHandler(&w.lines, nil))
	for range processes {
		w.begin()
	}
	return w
}

// begin starts a process whose clock is somewhere else, and whose database takes its time.
func (w *quotaWorld) begin() *quotaProcess {
	apart := time.Duration(w.random.Int64N(int64(48*time.Hour))) - 24*time.Hour
	clock := func() time.Time { return time.Now().Add(apart) }
	p := &quotaProcess{quotas: &quotas{perSecond: rate.Limit(w.perSecond), burst: w.burst, clock: clock}}
	p.shared = &sharedQuotas{
		ledger: w.ledger, clock: clock, log: w.log, come: make(chan struct{}, 1),
		rate: store.QuotaRate{PerSecond: float64(w.perSecond), Burst: float64(w.burst)},
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.shared.run(ctx)
	}()
	p.end = func() { cancel(); <-done }
	w.t.Cleanup(p.end)
	w.processes = append(w.processes, p)
	return p
}

// granted is what clients got.
type granted struct {
	// at are the times since the world began.
	at      []time.Duration
	refused int
}

// bounds tells how much was granted within as long a time, beginning at any tenth of a second, as part of the rate.
func (g *granted) bounds(from, to, within time.Duration, perSecond int) (least, most float64) {
	least = math.Inf(1)
	for begin := from; begin+within <= to; begin += 100 * time.Millisecond {
		first, _ := slices.BinarySearch(g.at, begin)
		end, _ := slices.BinarySearch(g.at, begin+within)
		part := float64(end-first) / (within.Seconds() * float64(perSecond))
		least, most = min(least, part), max(most, part)
	}
	return least, most
}

// ask has a client send calls for a while, at random moments: so many in a second to each process, by the time since
// the world began.
func (w *quotaWorld) ask(
	client string, lasts time.Duration, demand func(process int, at time.Duration) float64,
) *granted {
	const step = 5 * time.Millisecond
	g := &granted{}
	for until := time.Now().Add(lasts); time.Now().Before(until); time.Sleep(step) {
		at := time.Since(w.began)
		for n, p := range w.processes {
			for calls := w.poisson(demand(n, at) * step.Seconds()); calls > 0; calls-- {
				if p.reserve(quotaID{"hansa", client}) == 0 {
					g.at = append(g.at, at)
				} else {
					g.refused++
				}
			}
		}
	}
	return g
}

func (w *quotaWorld) poisson(mean float64) int {
	n := 0
	for p := w.random.Float64(); p > math.Exp(-mean); p *= w.random.Float64() {
		n++
	}
	return n
}

// TestSharedQuotas has three processes serve one client.
func TestSharedQuotas(t *testing.T) {
	const perSecond, burst, lasts = 100, 300, time.Minute
	even := func(all float64) func(int, time.Duration) float64 {
		return func(int, time.Duration) float64 { return all / 3 }
	}
	var asked atomic.Int64
	slow := func(ctx context.Context) error {
		time.Sleep(time.Duration(asked.Add(37)%200) * time.Millisecond)
		return ctx.Err()
	}
	for _, tc := range []struct {
		name   string
		demand func(process int, at time.Duration) float64
		before func(context.Context) error
		// error says by which part the rate may differ within 10 s for who wants more than the quota; 0 for who does
		// not.
		error float64
	}{
		{"within, spread", even(90), slow, 0},
		{"within, at one process", func(n int, _ time.Duration) float64 { return []float64{90, 0, 0}[n] }, slow, 0},
		{"within, mostly at one", func(n int, _ time.Duration) float64 { return []float64{80, 9, 1}[n] }, slow, 0},
		{"within, from one to the next", func(n int, at time.Duration) float64 {
			if int(at/(7*time.Second))%3 == n {
				return 90
			}
			return 0
		}, slow, 0},
		{"twice as much, spread", even(200), nil, 0.05},
		{"twice as much, spread, slow database", even(200), slow, 0.05},
		{"ten times as much, spread", even(1000), slow, 0.05},
		{"twice as much, at one", func(n int, _ time.Duration) float64 { return []float64{200, 0, 0}[n] }, slow, 0.05},
		{"three times as much, mostly at one", func(n int, _ time.Duration) float64 { return []float64{270, 29, 1}[n] }, slow, 0.05},
		// Who comes to another process is let in there in the first second.
		{"twice as much, from one to the next", func(n int, at time.Duration) float64 {
			if int(at/(20*time.Second))%3 == n {
				return 200
			}
			return 0
		}, slow, 0.3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newQuotaWorld(t, 3, perSecond, burst)
				w.ledger.Before = tc.before
				quiet := &quotaWorld{
					began: w.began, processes: w.processes, random: rand.New(rand.NewPCG(w.random.Uint64(), 1)),
				}
				other := make(chan *granted, 1)
				go func() { other <- quiet.ask("another", lasts, even(90)) }()
				g := w.ask("one", lasts, tc.demand)
				if o := <-other; o.refused != 0 {
					t.Errorf("%d calls of another client were refused", o.refused)
				}
				settled := 20 * time.Second
				least10, most10 := g.bounds(settled, lasts, 10*time.Second, perSecond)
				least2, most2 := g.bounds(settled, lasts, 2*time.Second, perSecond)
				all := float64(len(g.at)) - perSecond*lasts.Seconds()
				t.Logf("%d granted, %d refused; of the rate within 10 s %.2f to %.2f, within 2 s %.2f to %.2f; %+.0f in sum",
					len(g.at), g.refused, least10, most10, least2, most2, all)
				switch {
				case tc.error == 0 && g.refused != 0:
					t.Errorf("%d of %d calls were refused", g.refused, g.refused+len(g.at))
				case tc.error == 0:
				case g.refused == 0:
					t.Error("nothing was refused")
				case least10 < 1-tc.error || most10 > 1+tc.error:
					t.Errorf("within 10 s there is %.2f to %.2f of the rate", least10, most10)
				case all > 3*burst:
					t.Errorf("%.0f more than the rate, want three bursts at most", all)
				}
			})
		})
	}
}

// TestSharedQuotaAtOnce: processes that do not know of each other yet let in a burst each, and no more; what was too
// much is paid back, for ten seconds at most.
func TestSharedQuotaAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, burst = 100, 5000
		w := newQuotaWorld(t, 3, perSecond, burst)
		id := quotaID{"hansa", "one"}
		for n, p := range w.processes {
			for i := range 2 * burst {
				if wait := p.reserve(id); (wait == 0) != (i < burst) {
					t.Fatalf("process %d, call %d: wait %s", n, i, wait)
				}
			}
		}
		time.Sleep(2 * exchangeEvery)
		w.processes[1].reserve(id) // It may have been the first to tell, and have heard of nobody.
		time.Sleep(2 * exchangeEvery)
		refused := w.processes[1].take(id)
		wait := kerr.Retry(refused)
		if owed := store.QuotaDebt - 4*exchangeEvery; wait < owed || wait > owed+2*exchangeEvery {
			t.Fatalf("overdrawn, the wait is %s (%v), want %s", wait, refused, owed)
		}
		if w.processes[0].reserve(quotaID{"hansa", "another"}) != 0 || w.processes[0].reserve(quotaID{"norden", "one"}) != 0 {
			t.Error("another client is refused")
		}
		// What the caller is told is true.
		time.Sleep(wait - 20*time.Millisecond)
		if got := w.processes[1].reserve(id); got == 0 || got > 21*time.Millisecond {
			t.Errorf("20 ms before its time a call must wait %s", got)
		}
		time.Sleep(20 * time.Millisecond)
		if got := w.processes[1].reserve(id); got != 0 {
			t.Errorf("at its time a call must wait %s more", got)
		}
	})
}

// TestSharedQuotaWaits has a client that wants more than its quota come back when it was told to, with one call at a
// time to each process.
func TestSharedQuotaWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, burst = 10, 20
		w := newQuotaWorld(t, 3, perSecond, burst)
		w.ask("one", 30*time.Second, func(int, time.Duration) float64 { return 20 })
		p, id := w.processes[0], quotaID{"hansa", "one"}
		back, again := 0, 0
		for range 100 {
			wait := p.reserve(id)
			if wait == 0 {
				continue
			}
			if time.Sleep(wait); p.reserve(id) == 0 {
				back++
			} else {
				again++
			}
		}
		t.Logf("%d came back in time, %d had to wait again", back, again)
		if back < 20 || again > back/10 {
			t.Errorf("%d came back in time, %d had to wait again", back, again)
		}
	})
}

// TestSharedQuotaAlone takes the database away: each process counts by itself, which one line says, and together again
// once it is back.
func TestSharedQuotaAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, burst = 100, 200
		w := newQuotaWorld(t, 3, perSecond, burst)
		each := func(int, time.Duration) float64 { return 150 }
		w.ask("one", 20*time.Second, each)
		away := true
		w.ledger.Before = func(ctx context.Context) error {
			if !away {
				return nil
			}
			<-ctx.Done() // it does not answer
			return errors.New("away")
		}
		w.ask("one", 10*time.Second, each) // until all have noticed
		begin := time.Since(w.began)
		g := w.ask("one", time.Minute, each)
		least, _ := g.bounds(begin, begin+time.Minute, 10*time.Second, perSecond)
		if least < 2.9 {
			t.Errorf("while the database is away there is %.2f of the rate, want 3", least)
		}
		away = false
		w.ask("one", 20*time.Second, each)
		begin = time.Since(w.began)
		g = w.ask("one", time.Minute, each)
		least, most := g.bounds(begin, begin+time.Minute, 10*time.Second, perSecond)
		if least < 0.9 || most > 1.1 {
			t.Errorf("afterwards there is %.2f to %.2f of the rate", least, most)
		}
		for _, p := range w.processes {
			p.end()
		}
		for text, want := range map[string]int{"by this process alone": 3, "together with other processes again": 3} {
			if got := strings.Count(w.lines.String(), text); got != want {
				t.Errorf("the log says %d times %q, want %d:\n%s", got, text, want, w.lines.String())
			}
		}
	})
}

// TestSharedQuotaOutage: who keeps within their quota is not refused while the database is away, nor when it is back,
// whether it says so at once, after the time that it has, or much later.
func TestSharedQuotaOutage(t *testing.T) {
	for _, answers := range []time.Duration{0, exchangeLimit, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newQuotaWorld(t, 3, 100, 20)
			w.ledger.Before = func(context.Context) error {
				if at := time.Since(w.began); at > 10*time.Second && at < 2*time.Minute {
					time.Sleep(answers)
					return errors.New("away")
				}
				return nil
			}
			g := w.ask("one", 4*time.Minute, func(int, time.Duration) float64 { return 25 })
			if g.refused != 0 {
				t.Errorf("an answer after %s: %d calls were refused", answers, g.refused)
			}
		})
	}
}

// TestSharedQuotaComesAndGoes replaces one process after the other while a client wants too much.
func TestSharedQuotaComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, burst = 100, 200
		w := newQuotaWorld(t, 3, perSecond, burst)
		each := func(int, time.Duration) float64 { return 100 }
		w.ask("one", 20*time.Second, each)
		for round := range 6 {
			gone := w.processes[0]
			w.processes = w.processes[1:]
			gone.end()
			w.ask("one", 5*time.Second, each)
			w.begin()
			begin := time.Since(w.began)
			g := w.ask("one", 25*time.Second, each)
			// The new one does not know of the others in its first second, and has a burst.
			_, most := g.bounds(begin, begin+10*time.Second, 10*time.Second, perSecond)
			least, after := g.bounds(begin+15*time.Second, begin+25*time.Second, 10*time.Second, perSecond)
			if most > 1.1+float64(burst)/(10*perSecond) || least < 0.9 || after > 1.1 {
				t.Errorf("round %d: %.2f of the rate at first, then %.2f to %.2f", round, most, least, after)
			}
		}
	})
}

// TestSharedQuotaCosts: what nobody uses costs nothing, a client that is calm hardly anything, and many share one
// statement.
func TestSharedQuotaCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newQuotaWorld(t, 1, 500, 20_000)
		p := w.processes[0]
		w.ask("calm", 100*time.Second, func(int, time.Duration) float64 { return 1 })
		if calls := w.ledger.Calls(); calls > 30 {
			t.Errorf("100 calls of a client cost %d exchanges", calls)
		}
		time.Sleep(time.Minute)
		before := w.ledger.Calls()
		time.Sleep(24 * time.Hour)
		if calls := w.ledger.Calls() - before; calls != 0 {
			t.Errorf("a day without calls costs %d exchanges", calls)
		}
		for n := range exchangeMost + 1 {
			for range 10 {
				p.reserve(quotaID{"hansa", fmt.Sprint(n)})
			}
		}
		time.Sleep(2 * exchangeEvery)
		if calls := w.ledger.Calls() - before; calls != 2 {
			t.Errorf("%d clients cost %d exchanges, want 2", exchangeMost+1, calls)
		}
		known := func() (n int) {
			p.clients.Range(func(any, any) bool { n++; return true })
			return n
		}
		if n := known(); n < exchangeMost+1 {
			t.Errorf("%d clients are known", n)
		}
		time.Sleep(2 * quotaSweep)
		p.reserve(quotaID{"hansa", "one"})
		if n := known(); n != 1 {
			t.Errorf("%d clients are remembered, want the one that asks", n)
		}
	})
}

// TestSharedQuotaInUse: a client that keeps within its quota at each process, and not at all together, is not
// forgotten again and again.
func TestSharedQuotaInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 100
		w := newQuotaWorld(t, 3, perSecond, 50)
		each := func(int, time.Duration) float64 { return 60 }
		w.ask("one", 20*time.Second, each)
		begin := time.Since(w.began)
		g := w.ask("one", 4*time.Minute, each)
		if _, most := g.bounds(begin, begin+4*time.Minute, 2*time.Second, perSecond); most > 1.25 {
			t.Errorf("within 2 s there is %.2f of the rate", most)
		}
	})
}

// TestSharedQuotaLeaps has clocks leap, and numbers be as large as they get.
func TestSharedQuotaLeaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newQuotaWorld(t, 1, 1_000_000, 1_000_000)
		p, id := w.processes[0], quotaID{"hansa", "one"}
		leap := time.Duration(0)
		clock := p.shared.clock
		p.clock = func() time.Time { return clock().Add(leap) }
		p.shared.clock = p.clock
		for _, leap = range []time.Duration{0, 20 * 365 * 24 * time.Hour, -365 * 24 * time.Hour, time.Hour, 0} {
			for range 10_000 {
				p.reserve(id)
			}
			time.Sleep(3 * exchangeEvery)
			if wait := p.reserve(id); wait != 0 {
				t.Errorf("after a leap of %s a call must wait %s", leap, wait)
			}
		}
		found, _ := p.clients.Load(id)
		c := found.(*quota)
		c.portion.spent, c.portion.wanted = math.MaxInt64, math.MaxInt64
		c.learn(p.clock(), store.QuotaLeft{Level: -1e7, Wanted: 1e300}, p.shared.rate)
		if wait := c.portion.wait(p.clock(), p.shared.rate); wait <= 0 || wait > store.QuotaDebt+2*exchangeEvery {
			t.Errorf("with more than there can be, a call must wait %s", wait)
		}
	})
}
