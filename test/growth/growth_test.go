// Package growth deletes from a store that has grown, while others write to it: retention of the audit, a customer with
// very much, and the room that both leave. Ordinary tests count the rows of each transaction; with -full it is a
// measurement at the sizes that docs/operations.md tells of: make bench-growth.
package growth

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/service/customers"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/test/worldtest"
)

var full = flag.Bool("full", false, "measure at full size")

const tenant = "default"

// mostRows is how many rows one transaction may remove, with some for what goes beside.
const mostRows = 200 + 10

// world is a store, and what removes from it in a gateway.
type world struct {
	tb  testing.TB
	ctx context.Context //nolint:containedctx // of the one client that calls
	db  store.Database
	// rows counts what is in the store from outside; nil for a measurement.
	rows *sql.DB

	mu  sync.Mutex
	now time.Time
	// most is how many rows fewer there were after one transaction than before.
	most int64
}

func newWorld(tb testing.TB, count bool) *world {
	tb.Helper()
	return newWorldIn(tb, tb.TempDir(), count)
}

func newWorldIn(tb testing.TB, dir string, count bool) *world {
	tb.Helper()
	db, err := worldtest.OpenStore(tb.Context(), dir, keystest.StoreKey())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	w := &world{
		tb: tb, db: db, now: time.Now(),
		ctx: identity.With(tb.Context(), identity.Identity{ClientID: "test", Tenant: tenant, Scopes: []string{"*"}}),
	}
	if count {
		if w.rows, err = worldtest.Rows(tb.Context(), dir); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { w.rows.Close() })
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// counting is the store of a world, of which each transaction is looked at from outside.
type counting struct {
	store.Database

	w *world
}

func (c counting) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if c.w.rows == nil {
		return c.Database.Update(ctx, tenant, fn)
	}
	before := c.w.count()
	err := c.Database.Update(ctx, tenant, fn)
	c.w.most = max(c.w.most, before-c.w.count())
	return err
}

// count gives how many rows there are that may be very many.
func (w *world) count() (n int64) {
	w.tb.Helper()
	const query = "SELECT (SELECT count(*) FROM audit) + (SELECT count(*) FROM consents) + " +
		"(SELECT count(*) FROM consent_log) + (SELECT count(*) FROM shipments) + (SELECT count(*) FROM shipment_log) + " +
		"(SELECT count(*) FROM callbacks)"
	if err := w.rows.QueryRow(query).Scan(&n); err != nil {
		w.tb.Fatal(err)
	}
	return n
}

// update changes the store in pieces.
func (w *world) update(n, each int, do func(tx store.Tx, i int) error) {
	w.tb.Helper()
	for from := 0; from < n; from += each {
		if err := w.db.Update(w.ctx, tenant, func(tx store.Tx) error {
			for i := from; i < min(n, from+each); i++ {
				if err := do(tx, i); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			w.tb.Fatal(err)
		}
	}
}

func (w *world) sealer(retention time.Duration) *audit.Sealer {
	return &audit.Sealer{
		Store: counting{w.db, w}, Tenants: w.db.System(), MAC: w.db.Keys(), Clock: w.clock,
		Log: slog.New(slog.DiscardHandler), Retention: retention,
	}
}

// retention fills the audit, seals it, and has it become old.
func (w *world) retention(rows int) (sweep func()) {
	w.tb.Helper()
	w.update(rows, 5000, func(tx store.Tx, i int) error {
		return tx.AppendAudit(&store.Audit{
			Time: w.clock(), Tenant: tenant, Actor: "web", Method: "GetConsent", Resource: fmt.Sprint("consents/", i),
			Peer: "192.0.2.1", RequestID: fmt.Sprint("request-", i), Outcome: audit.OK,
		})
	})
	if err := w.sealer(0).Seal(w.ctx, true); err != nil {
		w.tb.Fatal(err)
	}
	w.later(48 * time.Hour)
	return func() {
		if err := w.sealer(24*time.Hour).Seal(w.ctx, false); err != nil {
			w.tb.Error(err)
		}
		left := 0
		if err := w.db.View(w.ctx, tenant, func(r store.Reader) error {
			trail, err := r.AuditTrail(0, 10)
			left = len(trail)
			return err
		}); err != nil || left != 0 {
			w.tb.Errorf("%d entries are left, %v", left, err)
		}
	}
}

// eachConsent is how many rows a consent of the customer has, eachShipment those of a shipment.
const eachConsent, eachShipment = 9, 2

// deletion makes a customer with about so many rows: consents with entries and a token each, one consent with very many
// entries, and shipments.
func (w *world) deletion(rows int) (run func()) {
	w.tb.Helper()
	const customer = "customer"
	row := &store.Customer{
		Tenant: tenant, ID: customer, Users: map[string]string{},
		Resource: &customerv1.Customer{Name: service.CustomerName(customer)},
	}
	w.update(1, 1, func(tx store.Tx, _ int) error { return tx.InsertCustomer(row) })
	consentOf := func(tx store.Tx, id string) (*store.Consent, error) {
		c := &store.Consent{
			Tenant: tenant, ID: id, CustomerID: customer, Provider: "one", Ended: true,
			Resource: &consentv1.Consent{Name: service.ConsentName(id)},
		}
		return c, tx.InsertConsent(c)
	}
	event := func(tx store.Tx, c *store.Consent, n int) error {
		return tx.AppendEvent(c.ID, consent.Event{
			Sequence: int64(n) + 1, Key: fmt.Sprint("key-", n), Type: consentv1.ConsentEvent_SYNC_COMPLETED,
			ConnectionID: "bank", EventTime: w.clock(), ReceiveTime: w.clock(),
		}, c.Resource)
	}
	w.update(rows/2/eachConsent, 500, func(tx store.Tx, i int) error {
		c, err := consentOf(tx, fmt.Sprintf("consent-%08d", i))
		if err != nil {
			return err
		}
		for n := range eachConsent - 2 {
			if err := event(tx, c, n); err != nil {
				return err
			}
		}
		token := &store.Callback{Tenant: tenant, Kind: store.CallbackRedirect, Resource: c.ID}
		copy(token.Hash[:], c.ID)
		return tx.InsertCallback(token)
	})
	var long *store.Consent
	w.update(1, 1, func(tx store.Tx, _ int) (err error) {
		long, err = consentOf(tx, "consent-long")
		return err
	})
	w.update(rows/4, 5000, func(tx store.Tx, i int) error {
		err := event(tx, long, i)
		if err == nil && i == rows/4-1 { // All but the last are settled, as they are in a history that grew.
			settled := make([]int64, i)
			for n := range settled {
				settled[n] = int64(n) + 1
			}
			err = tx.SettleEvents(long.ID, settled)
		}
		return err
	})
	w.update(rows/4/eachShipment, 500, func(tx store.Tx, i int) error {
		s := &store.Shipment{
			Tenant: tenant, ID: fmt.Sprintf("shipment-%08d", i), CustomerID: customer, Provider: "other",
			Resource: &documentsv1.Shipment{},
		}
		if err := tx.InsertShipment(s); err != nil {
			return err
		}
		return tx.AppendShipment(s.ID, s.Resource)
	})
	return func() {
		db := &service.Store{Store: counting{w.db, w}, Log: slog.New(slog.DiscardHandler)}
		tenants := service.Tenants{tenant: {}}
		names := service.Names{Keys: w.db.Keys()}
		registry := &customers.Registry{
			Store: db, Tenants: tenants, Clock: w.clock, Load: &service.Loader{Store: db, Tenants: tenants},
			Keys: w.db.Keys(), Audit: &audit.Trail{Store: db, Clock: w.clock, Log: slog.New(slog.DiscardHandler)},
			History: &history.Writer{
				Store: db, Names: names, Clock: w.clock,
				NextPoll: func(*store.Consent) time.Time { return time.Time{} },
			},
		}
		receipt, err := registry.Delete(w.ctx, &once.Attempt{Tenant: row.Tenant}, row, "")
		if err != nil {
			w.tb.Errorf("%v, %v", receipt, err)
		}
	}
}

// TestRemovalsLeaveTheWriter removes what there is much of as the gateway does, and counts the rows of each
// transaction from outside.
func TestRemovalsLeaveTheWriter(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*world) func(){
		"the audit's retention": func(w *world) func() { return w.retention(1500) },
		"a customer's deletion": func(w *world) func() { return w.deletion(3000) },
	} {
		w := newWorld(t, true)
		remove := prepare(w)
		before := w.count()
		remove()
		if gone := before - w.count(); gone < 1000 || w.most > mostRows || w.most < 20 {
			t.Errorf("%s removed %d rows, and %d in one transaction", name, gone, w.most)
		}
	}
}

// probe writes one small row after another until it is told to stop, and gives how long each took.
func (w *world) probe(ctx context.Context) (took []time.Duration) {
	for len(took) == 0 || ctx.Err() == nil {
		began := time.Now()
		if err := w.db.Update(context.WithoutCancel(ctx), "prober", func(tx store.Tx) error {
			return tx.AppendAudit(&store.Audit{Tenant: "prober", Time: w.clock(), Method: "probe"})
		}); err != nil {
			w.tb.Error(err)
		}
		took = append(took, time.Since(began))
		time.Sleep(2 * time.Millisecond)
	}
	return took
}

// measured prints what others' writes took while something was done.
func (w *world) measured(what string, do func()) {
	ctx, stop := context.WithCancel(w.ctx)
	var took []time.Duration
	var probing sync.WaitGroup
	probing.Go(func() { took = w.probe(ctx) })
	began := time.Now()
	do()
	long := time.Since(began)
	stop()
	probing.Wait()
	slices.Sort(took)
	stats := w.db.Stats()
	fmt.Printf("%-34s %8s   others' writes: %6d, median %8s, p99 %8s, longest %8s   file %5d MiB, log %3d MiB\n", what,
		long.Round(100*time.Millisecond), len(took), took[len(took)/2].Round(100*time.Microsecond),
		took[len(took)*99/100].Round(100*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond),
		stats.Size>>20, stats.LogSize>>20)
}

// roomGivenBack gives all room back that is not kept, with a rest after each step, as the sweep does.
func (w *world) roomGivenBack() {
	const step = 100
	for given := step; given == step; {
		began := time.Now()
		var err error
		if given, err = w.db.System().GiveRoomBack(w.ctx, step); err != nil {
			w.tb.Fatal(err)
		}
		time.Sleep(2 * time.Since(began))
	}
}

// TestMeasured prints the longest write of others while a million entries of the audit are removed, a customer with
// 200,000 rows is deleted, and the room is given back.
func TestMeasured(t *testing.T) {
	audits, rows := 2000, 1000
	if *full {
		audits, rows = 1_000_000, 200_000
	}
	w := newWorld(t, false)
	w.measured("nothing", func() { time.Sleep(time.Second) })
	sweep := w.retention(audits)
	remove := w.deletion(rows)
	w.measured(fmt.Sprintf("retention of %d audit rows", audits), sweep)
	w.measured(fmt.Sprintf("deletion of a customer, %d rows", rows), remove)
	w.measured("room given back", w.roomGivenBack)
	if *full && worldtest.Stores() == worldtest.SQLite { // PostgreSQL keeps the room for what comes.
		if size := w.db.Stats().Size; size > 64<<20 {
			t.Errorf("the file still has %d MiB", size>>20)
		}
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(worldtest.Run(m))
}
