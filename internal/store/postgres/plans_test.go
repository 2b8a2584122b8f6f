package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
)

// listener notes the statements of stores, each with the arguments that it first came with.
type listener struct {
	mu    sync.Mutex
	heard map[string][]any
}

func (l *listener) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heard == nil {
		l.heard = map[string][]any{}
	}
	if _, ok := l.heard[data.SQL]; !ok {
		l.heard[data.SQL] = data.Args
	}
	return ctx
}

func (*listener) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// overheard opens a store whose statements are noted.
func (l *listener) overheard(t *testing.T, rest string) *Store {
	t.Helper()
	set, err := parse(rest)
	if err != nil {
		t.Fatal(err)
	}
	set.pool.ConnConfig.Tracer = l
	s, err := open(t.Context(), set, keystest.StoreKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// full makes a database with many rows in each table that grows, of one tenant, and gives its address and a connection.
func full(t *testing.T) (rest string, c *pgx.Conn) {
	t.Helper()
	rest = newSchema(t)
	openAt(t, rest)
	c = sqlOn(t, rest)
	const rows = 20_000
	for _, fill := range []string{
		"data_keys SELECT 'hansa', 'c' || n, 'x'", "customers SELECT 'hansa', 'c' || n, ('r' || n)::bytea, 'x'",
		"customer_users SELECT 'hansa', 'c' || n, 'p', 'u' || n",
		`consents (tenant, id, customer_id, provider, provider_ref, user_id, partner_bank, market, valid_until, withdrawals,
			flow, reference, status, resource, next_poll, poll_step, last_poll, last_read, missing_since, missing_count,
			ended, claim_owner, claim_until, deleted)
		SELECT 'hansa', 's' || lpad(n::text, 6, '0'), 'c' || n, 'p' || n % 3, 'ref' || n, '', '', 'SE', 0, '{}', 1,
			('r' || n)::bytea, n % 7, 'x', n % 2 * n, 0, 0, n, 0, 0, false,
			CASE n % 1000 WHEN 0 THEN 'o' || n ELSE '' END, 0, CASE n % 100 WHEN 0 THEN 1 WHEN 1 THEN 2 ELSE 0 END`,
		`consent_log SELECT n, 'hansa', 's' || lpad((n % 4000)::text, 6, '0'), n / 4000 + 1, 1, 'c' || n, 'x', 'x',
			('k' || n)::bytea, n % 2 = 0`,
		"shipments SELECT 'hansa', 'h' || lpad(n::text, 6, '0'), CASE WHEN n % 10 > 0 THEN 'c' || n END, 'p', n % 3, 'x', 1",
		"shipment_log SELECT n, 'hansa', 'h' || lpad((n % 10000)::text, 6, '0'), 'c' || n, 'x'",
		"callbacks SELECT ('h' || n)::bytea, 'redirect', 'hansa', 'p', 's' || n, 1, n, n, '', 0, false",
		`idempotency SELECT 'hansa', 'm', 'k' || n, 'x', 'o' || n, n, n % 100 > 0, 'c' || n, 's' || n, false, 'x', 'x', n`,
		`intents SELECT 'hansa', 'i' || n, 'p', 'create', 'consents/s', 'c' || n, 'm', 'k' || n,
			CASE n % 100 WHEN 0 THEN 'open' ELSE 'done' END, 'o' || n, n, n, n`,
		"deletion_receipts SELECT 'hansa', 'd' || n, 'x'",
		"audit SELECT n, n, 'hansa', 'c', 'm', 'consents/s', '', '', 'OK', 0, 0, n, 'x'",
		"audit_checkpoints SELECT 'hansa', n, n, 'x', n, 'x'",
		"commits SELECT gen_random_uuid(), true",
	} {
		statement := fmt.Sprintf("INSERT INTO %s FROM generate_series(1, %d) n", fill, rows)
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, table := range []string{"user_claims", "flow_claims"} {
		of := map[string]string{
			"user_claims": "SELECT tenant, id, 'p', 'o' || id, 1 FROM customers",
			"flow_claims": "SELECT tenant, id, 'o' || id, 1 FROM consents",
		}
		if _, err := c.Exec(t.Context(), "INSERT INTO "+table+" "+of[table]); err != nil {
			t.Fatal(err)
		}
	}
	// Each by its name: tables of other tests go meanwhile.
	if _, err := c.Exec(t.Context(), `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
			EXECUTE format('ANALYZE %I', name);
		END LOOP; END $$`); err != nil {
		t.Fatal(err)
	}
	return rest, c
}

// small are tables with a row, or a few for each account of a provider, tenant or day.
var small = []string{
	"epoch", "working_keys", "log_floors", "log_marks", "log_gone", "audit_seals", "audit_roll", "pulse",
	"provider_pauses", "webhooks",
	"schema_migrations", "quotas",
}

// sorted are parts of statements that may sort, since what they find is little: one consent's entries, a page, what was
// asked for by its ids at a provider, and small tables.
var sorted = []string{
	"consent_id = $", "UNION ALL", ") found ORDER", "provider_ref = ANY", "audit_seals", "schema_migrations",
}

// TestPlans does with a large database what gateways do all the time, and looks at how the server finds the rows of
// each statement: by an index, in order, rather than by reading or sorting a table.
func TestPlans(t *testing.T) {
	t.Parallel()
	rest, c := full(t)
	var l listener
	s := l.overheard(t, rest)
	everyList(t, s)
	readOften(t, s)
	writeOften(t, s)
	checked := 0
	for statement, args := range l.heard {
		word, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
		switch word {
		case "SELECT", "WITH", "UPDATE", "DELETE", "INSERT":
		default:
			continue
		}
		if strings.Contains(statement, "pg_") && strings.Contains(statement, "max(position) FROM log_gone)") ||
			strings.Contains(statement, "pg_tables") || strings.Contains(statement, "pg_class") { // at the start
			continue
		}
		checked++
		for _, step := range planOf(t, c, statement, args...) {
			table, reads := strings.CutPrefix(step, "Seq Scan on ")
			table, _, _ = strings.Cut(table, " ")
			if reads && !slices.Contains(small, table) {
				t.Errorf("%s\n  of %v is carried out by: %s", statement, args, step)
			}
			if strings.HasPrefix(step, "Sort ") && !slices.ContainsFunc(sorted, func(part string) bool {
				return strings.Contains(statement, part)
			}) {
				t.Errorf("%s\n  of %v is carried out by: %s", statement, args, step)
			}
		}
	}
	if checked < 80 {
		t.Errorf("only %d statements were met", checked)
	}
}

// planOf gives the steps by which the server would carry out a statement.
func planOf(t *testing.T, c *pgx.Conn, statement string, args ...any) (steps []string) {
	t.Helper()
	rows, err := c.Query(t.Context(), "EXPLAIN "+statement, args...)
	if err == nil {
		var lines []string
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		for _, line := range lines {
			steps = append(steps, strings.TrimLeft(line, " ->"))
		}
	}
	if err != nil {
		t.Errorf("%s: %v", statement, err)
	}
	return steps
}

// everyList asks for lists by every filter. What the rows hold does not open, which comes after they were found.
func everyList(t *testing.T, s *Store) {
	t.Helper()
	for n := range 64 {
		var consents store.ConsentFilter
		var shipments store.ShipmentFilter
		page := store.Page{Size: 100}
		if n&1 != 0 {
			consents.CustomerID, shipments.CustomerID = "c7", "c7"
		}
		if n&2 != 0 {
			consents.Reference = store.Lookup("r7")
		}
		if n&4 != 0 {
			consents.Provider = "p1"
		}
		if n&32 != 0 {
			page = store.Page{Size: 1000, After: "s010000"}
		}
		consents.Statuses = []consentv1.Consent_Status{1, 2, 3}[:n>>3&3]
		if n&8 != 0 {
			shipments.Status = 1
		}
		ask(t, s, func(r store.Reader) error { return second(r.Consents(consents, page)) })
		ask(t, s, func(r store.Reader) error { return second(r.Shipments(shipments, page)) })
	}
}

// ask has a query be made. What becomes of it is nothing to these tests.
func ask(t *testing.T, s *Store, fn func(store.Reader) error) {
	t.Helper()
	_ = s.View(t.Context(), tenant, fn)
}

func second[T any](_ T, err error) error { return err }

// readOften reads what gateways read all the time.
func readOften(t *testing.T, s *Store) {
	t.Helper()
	consents := store.NewCursor(store.ConsentLog, s.epoch, 19_990)
	shipments := store.NewCursor(store.ShipmentLog, s.epoch, 19_990)
	some := time.UnixMicro(19_000)
	for _, fn := range []func(store.Reader) error{
		func(r store.Reader) error { return second(r.Customer("c7")) },
		func(r store.Reader) error { return second(r.CustomerByReference(store.Lookup("r7"))) },
		func(r store.Reader) error { return second(r.CustomersByUser("p", []string{"u7", "u8"})) },
		func(r store.Reader) error { return second(r.Customers(store.Page{Size: 100})) },
		func(r store.Reader) error { return second(r.Receipt("d7")) },
		func(r store.Reader) error { return second(r.Consent("s000007")) },
		func(r store.Reader) error { return second(r.ConsentsByProviderRef("p1", []string{"ref7"})) },
		func(r store.Reader) error { return second(r.OthersRead("p1", "s000007", some)) },
		func(r store.Reader) error { return second(r.Events("s000007", 0, 100)) },
		func(r store.Reader) error { return second(r.UnsettledEvents("s000007")) },
		func(r store.Reader) error { return second(r.KnownEvents("s000007", []string{"a", "b"})) },
		func(r store.Reader) error { return second(r.FlowClaim("s000007")) },
		func(r store.Reader) error { return second(r.Shipment("h000007")) },
		func(r store.Reader) error { return second(r.ConsentEntries("", consents, 25)) },
		func(r store.Reader) error { return second(r.ConsentEntries("s000007", consents, 25)) },
		func(r store.Reader) error { return second(r.ShipmentEntries("", shipments, 25)) },
		func(r store.Reader) error { return second(r.ShipmentEntries("h000007", shipments, 25)) },
		func(r store.Reader) error { return second(r.Head(store.ConsentLog)) },
		func(r store.Reader) error { return second(r.Newest(store.ConsentLog, []string{"s000007"}, "")) },
		func(r store.Reader) error { return second(r.Newest(store.ShipmentLog, []string{"h000007"}, "")) },
		func(r store.Reader) error { return second(r.Idempotency("m", "k7")) },
		func(r store.Reader) error { return second(r.Intent("i7")) },
		func(r store.Reader) error { return second(r.OpenIntents("m", "k100")) },
		func(r store.Reader) error { return second(r.AuditTrail(19_990, 100)) },
		func(r store.Reader) error { return second(r.AuditBefore(19_990)) },
		func(r store.Reader) error { return second(r.AuditChain()) },
		func(r store.Reader) error { return second(r.AuditCheckpoints(19_990, 100)) },
		func(r store.Reader) error { return second(r.AuditCheckpointBefore(some)) },
		func(r store.Reader) error { return second(r.Callback(store.CallbackRedirect, [32]byte{1})) },
		func(r store.Reader) error { return second(r.Webhook("w")) },
	} {
		ask(t, s, fn)
	}
	ctx, y := t.Context(), s.System()
	_, _ = y.TailConsents(ctx, consents, 256)
	_, _ = y.TailShipments(ctx, shipments, 256)
	_, _ = y.ExpiredIntents(ctx, some, 100)
	_, _ = y.Callback(ctx, store.CallbackRedirect, [32]byte{1})
	_, _ = y.AuditTrail(ctx, 19_990, 100)
	_, _ = y.AuditTenants(ctx)
	_, _ = y.Backlog(ctx, time.UnixMicro(100))
}

// writeOften writes what gateways write all the time, and sweeps.
func writeOften(t *testing.T, s *Store) {
	t.Helper()
	ctx, y := t.Context(), s.System()
	setUp(t, s, "a")
	if _, err := appendNext(ctx, s, "a", "key"); err != nil {
		t.Fatal(err)
	}
	now := time.UnixMicro(100)
	lease := store.Lease{Owner: "me", Until: now.Add(time.Minute)}
	shipment := &store.Shipment{Tenant: tenant, ID: "b", CustomerID: "customer", Resource: &documentsv1.Shipment{}}
	for _, fn := range []func(store.Tx) error{
		func(tx store.Tx) error { return tx.SettleEvents("a", []int64{1}) },
		func(tx store.Tx) error { return tx.ClaimFlow("a", now, lease) },
		func(tx store.Tx) error { return tx.ReleaseFlow("a", lease.Owner) },
		func(tx store.Tx) error { return tx.ClaimUser("customer", "p", now, lease) },
		func(tx store.Tx) error { return tx.ReleaseUser("customer", "p", lease.Owner) },
		func(tx store.Tx) error { return tx.InsertShipment(shipment) },
		func(tx store.Tx) error { return tx.AppendShipment("b", shipment.Resource) },
		func(tx store.Tx) error { return tx.UpdateShipment(shipment) },
		func(tx store.Tx) error { return second(tx.DeleteConsent("a", 100)) },
		func(tx store.Tx) error { return second(tx.DeleteCustomer("customer", 100)) },
	} {
		if err := s.Update(ctx, tenant, fn); err != nil {
			t.Errorf("an Update: %v", err)
		}
	}
	_, _ = y.ClaimDue(ctx, now, "me", time.Minute, []store.Share{{Tenant: tenant, Provider: "p1", Limit: 10}})
	claim := store.Claim{Lease: lease, Number: 1}
	_ = y.RenewClaims(ctx, []*store.Consent{
		{Tenant: tenant, ID: "s000007", Claim: claim}, {Tenant: tenant, ID: "s000008", Claim: claim},
	}, now)
	_ = y.RenewLeases(ctx, []string{"me"}, now)
	_, _ = y.DeleteCallbacksBefore(ctx, now, 100)
	_, _ = y.DeleteIdempotencyBefore(ctx, now, 100)
	_, _ = y.DeleteIntentsBefore(ctx, now, 100)
	_, _ = y.DeleteShipmentsBefore(ctx, now, 100)
	_, _ = y.FinishErasures(ctx, 100)
	_, _ = y.TrimLog(ctx, store.ShipmentLog, now, now, 100)
	_, _ = y.Beat(ctx, now)
}
