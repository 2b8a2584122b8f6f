package scale

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/worldtest"
)

// look is the transaction by which a gateway looks where both logs end.
const look = "read log_ends log_ends"

// tails counts the reads of the consents' log by the tailer, for all streams of a gateway.
func (c counts) tails() int { return c.with("FROM consent_log WHERE position > $4") }

// own counts the reads of the consents' log by streams of their own.
func (c counts) own() int { return c.with("FROM consent_log WHERE tenant = $4") }

// looks waits until each gateway has looked so often from now on, and gives what they asked since the last time.
func (w *world) looks(t *testing.T, n int) (asked []counts) {
	t.Helper()
	looked := func(r *replica) int { return r.counter.soFar().transactions[look] }
	want := map[*replica]int{}
	for _, r := range w.up {
		want[r] = looked(r) + n
	}
	worldtest.Eventually(t, fmt.Sprintf("%d looks at the log by each gateway", n), func() bool {
		return !slices.ContainsFunc(w.up, func(r *replica) bool { return looked(r) < want[r] })
	})
	for _, r := range w.up {
		asked = append(asked, r.counter.take())
	}
	return asked
}

// caughtUp waits until no stream reads the log by itself any more, as each does when it begins.
func (w *world) caughtUp(t *testing.T) {
	t.Helper()
	for {
		if !slices.ContainsFunc(w.looks(t, 2), func(c counts) bool { return c.own() > 0 }) {
			return
		}
	}
}

// TestIdleStreams has one stream on each of three gateways, then many: the database is asked for no more.
func TestIdleStreams(t *testing.T) {
	w := newWorld(t, options{engine: "postgres", most: 3, count: true})
	w.start(t, 3)
	watch := w.watch(t, watched, 1)
	const rounds = 15 // three seconds
	sum := func(all []counts) (transactions, looked, log int) {
		for _, c := range all {
			transactions += c.all()
			looked += c.transactions[look]
			log += c.tails() + c.own()
		}
		return transactions, looked, log
	}
	w.caughtUp(t)
	one, onesLooks, _ := sum(w.looks(t, rounds))
	watch.end()

	each := scaled(1000, 50)
	w.watch(t, watched, each)
	w.caughtUp(t)
	all := w.looks(t, rounds)
	many, manysLooks, log := sum(all)
	t.Logf("three gateways, while each looked %d times: one stream each, %d transactions, of which %d looks; %d each: "+
		"%d, of which %d looks", rounds, one, onesLooks, each, many, manysLooks)
	for n, c := range all {
		t.Logf("gateway %d with %d streams: %v", n, each, c.transactions)
	}
	// Each stream sends a heartbeat every second: one that cost something would be seen thrice.
	if log != 0 || many-manysLooks > one-onesLooks+each {
		t.Errorf("with %d streams on each gateway, %d transactions were made besides looks, with one %d; the log was "+
			"read %d times although there was nothing new", each, many-manysLooks, one-onesLooks, log)
	}
}

// TestOneRead has many streams on three gateways get one event: each gateway reads it once, in one transaction.
func TestOneRead(t *testing.T) {
	w := newWorld(t, options{engine: "postgres", most: 3, count: true})
	w.start(t, 3)
	each := scaled(334, 40)
	all := w.watch(t, watched, each)
	total := each * len(w.up)
	const tries = 30
	var reads []int
	for n := range tries {
		w.caughtUp(t)
		reference := fmt.Sprint("event ", n)
		made := worldtest.Must(create(t.Context(), w.on(t, n%len(w.up), watched), reference))(t)
		want := total * int(made.GetEventCount()) // all of one transaction
		worldtest.Eventually(t, "the events at all streams", func() bool { return len(all.of(reference)) >= want })
		reads = reads[:0]
		// What is told again leads to nothing: by a NOTIFY, and by a look.
		for i, c := range w.looks(t, 3) {
			if own := c.own(); own != 0 {
				t.Errorf("streams of gateway %d read the log themselves, %d times", i, own)
			}
			reads = append(reads, c.tails())
		}
		if got := len(all.of(reference)); got != want {
			t.Fatalf("%d events came %d times to %d streams", made.GetEventCount(), got, total)
		}
		t.Logf("%d events at once to %d streams on three gateways: %v reads", made.GetEventCount(), total, reads)
		// While another transaction of the same server is under way, an event cannot be seen yet, and who was told
		// of it reads in vain. Whoever else tests beside this one does so now and then.
		if slices.Max(reads) == 1 {
			return
		}
		if slices.Max(reads) > 10 {
			t.Fatalf("%d streams on three gateways take %v reads", total, reads)
		}
	}
	t.Errorf("one event is never read once by each gateway, of %d; the last was %v times", tries, reads)
}

// TestTransactions counts the transactions of calls and polls, as docs/scaling.md has them.
func TestTransactions(t *testing.T) {
	w := newWorld(t, options{engine: "postgres", most: 1, count: true})
	w.start(t, 1)
	consent := w.authorized(t)
	stubs, counter := w.on(t, 0, worked), w.up[0].counter
	for _, c := range []struct {
		what string
		do   func(context.Context) error
		want int
	}{
		{"CreateConsent", func(ctx context.Context) error {
			_, err := create(ctx, stubs, "")
			return err
		}, 4},
		{"GetConsent", func(ctx context.Context) error { return get(ctx, stubs, consent.GetName()) }, 1},
		{"ListAccounts", func(ctx context.Context) error { return read(ctx, stubs, consent.GetName()) }, 2},
		{"GetConsent with refresh", func(ctx context.Context) error {
			_, err := stubs.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{
				Name: consent.GetName(), Refresh: true,
			})
			return err
		}, 3},
	} {
		const calls = 20
		ctx := worldtest.AsPSU(t.Context())
		counter.take()
		for range calls {
			if err := c.do(ctx); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
		}
		each, told := perCall(counter.take(), calls)
		t.Logf("%s: %d transactions: %s", c.what, each, told)
		if each != c.want {
			t.Errorf("%s takes %d transactions, docs/scaling.md says %d", c.what, each, c.want)
		}
	}
}

// perCall tells which transactions each of some calls made. What a gateway does by itself meanwhile is rarer.
func perCall(c counts, calls int) (each int, told string) {
	var words []string
	for _, what := range slices.Sorted(maps.Keys(c.transactions)) {
		if n := (c.transactions[what] + calls/4) / calls; n > 0 {
			each += n
			words = append(words, fmt.Sprintf("%d x %s", n, what))
		}
	}
	return each, strings.Join(words, ", ")
}

// TestPolls counts the transactions of reads in the background that bring no news.
func TestPolls(t *testing.T) {
	w := newWorld(t, options{
		engine: "postgres", most: 1, count: true, polling: "{min_interval: 100ms, max_interval: 100ms}",
	})
	w.start(t, 1)
	for range 8 {
		worldtest.Must(create(t.Context(), w.on(t, 0, worked), ""))(t)
	}
	counter, polls := w.up[0].counter, scaled(500, 100)
	began := w.asked()
	worldtest.Eventually(t, "polls", func() bool { return w.asked() > began+20 })
	began = w.asked()
	counter.take()
	from := time.Now()
	worldtest.Eventually(t, "polls", func() bool { return w.asked() >= began+polls })
	taken, asked := counter.take(), w.asked()-began
	t.Logf("%d polls in %s: %.1f transactions each: %v", asked, time.Since(from).Round(time.Millisecond),
		float64(taken.all())/float64(asked), taken.transactions)
	if most := 6 * asked; taken.all() > most+20 {
		t.Errorf("%d polls took %d transactions", asked, taken.all())
	}
}
