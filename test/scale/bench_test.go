package scale

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/test/worldtest"
)

// row is what was measured of one number of gateways on one engine.
type row struct {
	engine   string
	gateways int
	// Each second, and the CPU of gateways and server for each call.
	creates, reads, gets load
	// own and others are how long after the answer events came to streams of all gateways, while creates went on.
	delays delays
	// perStream is the gateways' memory for each idle stream; idle is CPU time in a second while all are idle, of
	// gateways and server.
	streams          int
	perStream        int64
	idle, idleServer float64
	toAll            delays // one event to all
	polls            load
	claim            delays
	tail             time.Duration // to read an entry of the log
}

// load is what a load achieved.
type load struct {
	each            float64       // in a second
	gateway, server time.Duration // CPU for each
	xids            float64       // numbers of transactions taken by each
	wal             int64         // bytes written ahead for each
}

func (l load) String() string {
	return fmt.Sprintf("%.0f/s, %.2f+%.2f ms", l.each, ms(l.gateway), ms(l.server))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// delays are a median and the slowest hundredth.
type delays struct{ p50, p99 time.Duration }

func (d delays) String() string { return fmt.Sprintf("%.1f / %.1f ms", ms(d.p50), ms(d.p99)) }

func delaysOf(all []time.Duration) delays {
	if len(all) == 0 {
		return delays{}
	}
	slices.Sort(all)
	return delays{all[len(all)/2], all[len(all)*99/100]}
}

// callers is how many ask at the same time, over all gateways.
const callers = 32

// TestBench measures; in a test run it only sees that all of it works.
func TestBench(t *testing.T) {
	var rows []*row
	for _, engine := range []string{"sqlite", "postgres"} {
		gateways := []int{1}
		if engine == "postgres" {
			gateways = []int{1, scaled(2, 3)}
			if *full {
				gateways = append(gateways, 4)
			}
		}
		w := newWorld(t, options{engine: engine, most: gateways[len(gateways)-1]})
		var of []*row
		for _, n := range gateways {
			r := &row{engine: engine, gateways: n}
			w.start(t, n)
			w.calls(t, r)
			t.Logf("%s, %d gateways: calls are measured", engine, n)
			w.streams(t, r)
			t.Logf("%s, %d gateways: streams are measured", engine, n)
			of = append(of, r)
		}
		samples := w.samples(t)
		w.stop(t)
		w.fill(t, samples, scaled(*polled, 300))
		t.Logf("%s: there are consents to poll", engine)
		for _, r := range of {
			w.polls(t, r)
			t.Logf("%s, %d gateways: polls are measured", engine, r.gateways)
			w.stop(t)
		}
		w.sizes(t)
		rows = append(rows, of...)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	line := func(what string, cell func(*row) any) {
		fmt.Fprint(out, what)
		for _, r := range rows {
			fmt.Fprintf(out, "\t%v", cell(r))
		}
		fmt.Fprintln(out)
	}
	line("", func(r *row) any { return fmt.Sprintf("%s, %d", r.engine, r.gateways) })
	line("CreateConsent", func(r *row) any { return r.creates })
	line("ListAccounts", func(r *row) any { return r.reads })
	line("GetConsent", func(r *row) any { return r.gets })
	line("polls", func(r *row) any { return r.polls })
	line("event behind the answer, creates going on", func(r *row) any { return r.delays })
	line("streams", func(r *row) any { return r.streams })
	line("KiB for each stream", func(r *row) any { return r.perStream >> 10 })
	line("idle with them: CPU ms/s, gateways + server", func(r *row) any {
		return fmt.Sprintf("%.0f + %.0f", 1000*r.idle, 1000*r.idleServer)
	})
	line("one event to all of them", func(r *row) any { return r.toAll })
	line("a claim of 16", func(r *row) any { return r.claim })
	line("transaction numbers for a create, a read, a poll", func(r *row) any {
		return fmt.Sprintf("%.1f, %.1f, %.1f", r.creates.xids, r.reads.xids, r.polls.xids)
	})
	line("KiB written ahead for a create, a read, a poll", func(r *row) any {
		return fmt.Sprintf("%d, %d, %d", r.creates.wal>>10, r.reads.wal>>10, r.polls.wal>>10)
	})
	line("an entry of the log, read among 256", func(r *row) any { return r.tail })
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
}

// during is how long a load goes on.
func during() time.Duration {
	return time.Duration(scaled(int(*seconds*1000), 300)) * time.Millisecond
}

// load has callers call for a while. Each gets the number of its call.
func (w *world) load(t *testing.T, call func(ctx context.Context, s *worldtest.Stubs, n int) error) load {
	t.Helper()
	var group errgroup.Group
	var calls atomic.Int64
	ctx, began, before := worldtest.AsPSU(t.Context()), time.Now(), w.meter(t)
	for n := range callers {
		stubs, err := w.up[n%len(w.up)].as(worked, n/len(w.up))
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() error {
			for time.Since(began) < during() {
				if err := call(ctx, stubs, int(calls.Add(1))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return w.meter(t).since(before, int(calls.Load()), time.Since(began))
}

// calls measures calls, and how late events are meanwhile.
func (w *world) calls(t *testing.T, r *row) {
	t.Helper()
	made := w.authorized(t)
	watch := w.watch(t, worked, 1)
	var mu sync.Mutex
	var events atomic.Int64
	answered := map[string]time.Time{}
	run := uuid.NewString()
	r.creates = w.load(t, func(ctx context.Context, s *worldtest.Stubs, n int) error {
		reference := fmt.Sprint(run, n)
		made, err := create(ctx, s, reference)
		if err != nil {
			return err
		}
		events.Add(int64(made.GetEventCount()))
		mu.Lock()
		defer mu.Unlock()
		answered[reference] = time.Now()
		return nil
	})
	worldtest.Eventually(t, "all events", func() bool { return watch.got.Load() >= events.Load()*int64(len(w.up)) })
	watch.end()
	var late []time.Duration
	for reference, at := range answered {
		for _, came := range watch.of(reference) {
			late = append(late, max(came.Sub(at), 0))
		}
	}
	r.delays = delaysOf(late)
	r.reads = w.load(t, func(ctx context.Context, s *worldtest.Stubs, _ int) error {
		return read(ctx, s, made.GetName())
	})
	r.gets = w.load(t, func(ctx context.Context, s *worldtest.Stubs, _ int) error {
		return get(ctx, s, made.GetName())
	})
}

// streams measures many streams that have nothing to send, and one event to all.
func (w *world) streams(t *testing.T, r *row) {
	t.Helper()
	each := scaled(10_000, 60) / len(w.up)
	r.streams = each * len(w.up)
	resident := func() (sum int64) {
		for _, up := range w.up {
			sum += up.gateway.Resident()
		}
		return sum
	}
	was := resident()
	watch := w.watch(t, watched, each)
	defer watch.end()
	before, began := w.meter(t), time.Now()
	<-time.After(during())
	now := w.meter(t)
	r.perStream = (resident() - was) / int64(r.streams)
	r.idle = (now.gateways - before.gateways).Seconds() / time.Since(began).Seconds()
	r.idleServer = (now.server - before.server).Seconds() / time.Since(began).Seconds()
	var late []time.Duration
	for n := range scaled(5, 2) {
		reference := uuid.NewString()
		made := worldtest.Must(create(t.Context(), w.on(t, n%len(w.up), watched), reference))(t)
		answered, want := time.Now(), r.streams*int(made.GetEventCount())
		worldtest.Eventually(t, "the event at all streams", func() bool { return len(watch.of(reference)) >= want })
		for _, came := range watch.of(reference) {
			late = append(late, max(came.Sub(answered), 0))
		}
	}
	r.toAll = delaysOf(late)
}

// sample is a consent as it stands, with its history.
type sample struct {
	row    *store.Consent
	events []consent.Event
}

// samples makes a few consents that wait for their customers.
func (w *world) samples(t *testing.T) []sample {
	t.Helper()
	names := make([]string, 20)
	for i := range names {
		names[i] = worldtest.Must(create(t.Context(), w.on(t, 0, worked), ""))(t).GetName()
	}
	w.stop(t) // A store in a file is one process's.
	db := w.open(t)
	defer db.Close()
	all := make([]sample, len(names))
	err := db.View(t.Context(), worked, func(r store.Reader) (err error) {
		for i, name := range names {
			id := strings.TrimPrefix(name, "consents/")
			if all[i].row, err = r.Consent(id); err != nil {
				return err
			}
			if all[i].events, err = r.Events(id, 0, 100); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// due is when consents that are to be polled now are due, in microseconds since 1970.
const due = 1

// fill puts consents into the store that are all due. No gateway runs.
func (w *world) fill(t *testing.T, samples []sample, consents int) {
	t.Helper()
	db := w.open(t)
	defer db.Close()
	const together = 100
	var group errgroup.Group
	group.SetLimit(4)
	for from := 0; from < consents; from += together {
		group.Go(func() error {
			return db.Update(t.Context(), worked, func(tx store.Tx) error {
				for i := from; i < min(from+together, consents); i++ {
					if err := insert(tx, samples[i%len(samples)]); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// insert puts another consent like a sample into the store.
func insert(tx store.Tx, like sample) error {
	row, id := *like.row, uuid.NewString()
	row.ID, row.NextPoll, row.Version = id, time.UnixMicro(due), 0
	row.Resource = proto.CloneOf(like.row.Resource)
	row.Resource.Name = "consents/" + id
	if err := tx.InsertConsent(&row); err != nil {
		return err
	}
	for _, event := range like.events {
		if err := tx.AppendEvent(id, event, row.Resource); err != nil {
			return err
		}
	}
	return nil
}

// polls measures how fast gateways get through what is due.
func (w *world) polls(t *testing.T, r *row) {
	t.Helper()
	w.makeDue(t)
	if w.engine == "postgres" {
		r.claim, r.tail = w.claims(t)
		w.makeDue(t)
	}
	w.start(t, r.gateways)
	first := w.asked()
	worldtest.Eventually(t, "the first polls", func() bool { return w.asked() > first })
	before, began, from := w.meter(t), time.Now(), w.asked()
	<-time.After(during())
	now, asked := w.meter(t), w.asked()-from
	r.polls = now.since(before, asked, time.Since(began))
}

// makeDue makes all consents due again. In a file they are so from the beginning.
func (w *world) makeDue(t *testing.T) {
	t.Helper()
	if w.engine != "postgres" {
		return
	}
	w.exec(t, fmt.Sprintf("UPDATE consents SET next_poll = %d, claim_owner = '', claim_until = 0 "+
		"WHERE next_poll <> 0", due), "VACUUM ANALYZE consents")
}

// claims measures how long it takes to claim what is due, and to read an entry of the log as a tailer does.
func (w *world) claims(t *testing.T) (claim delays, entry time.Duration) {
	t.Helper()
	db := w.open(t)
	defer db.Close()
	var took []time.Duration
	for range scaled(200, 3) {
		began := time.Now()
		got, err := db.System().ClaimDue(t.Context(), began, "bench", time.Hour,
			[]store.Share{{Tenant: worked, Provider: provider().ID, Limit: 16}})
		if err != nil || len(got) != 16 {
			t.Fatalf("%d were claimed, %v", len(got), err)
		}
		took = append(took, time.Since(began))
	}
	entries, at, began := 0, store.Cursor(""), time.Now()
	for range scaled(100, 2) {
		page, err := db.System().TailConsents(t.Context(), at, 256)
		if err != nil || len(page) == 0 {
			t.Fatalf("%d entries, %v", len(page), err)
		}
		entries, at = entries+len(page), page[len(page)-1].Cursor
	}
	return delaysOf(took), time.Since(began) / time.Duration(entries)
}

// exec runs statements that see all tenants' rows.
func (w *world) exec(t *testing.T, statements ...string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	for _, statement := range append([]string{"SET kontor.tenant = '*'"}, statements...) {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// sizes prints what rows take, with their indexes.
func (w *world) sizes(t *testing.T) {
	t.Helper()
	if w.engine != "postgres" {
		return
	}
	c, err := pgx.Connect(t.Context(), w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), "SET kontor.tenant = '*'"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{
		"consents", "consent_log", "customers", "data_keys", "idempotency", "intents", "callbacks", "audit", "commits",
	} {
		var rows, all, bare int64
		err := c.QueryRow(t.Context(), fmt.Sprintf("SELECT count(*), pg_total_relation_size('%[1]s'), "+
			"pg_relation_size('%[1]s') FROM %[1]s", table)).Scan(&rows, &all, &bare)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%-12s %8d rows, %6d KiB, %5d bytes each, of which %d in the table itself\n", table, rows, all>>10,
			all/max(rows, 1), bare/max(rows, 1))
	}
}
