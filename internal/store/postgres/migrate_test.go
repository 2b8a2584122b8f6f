package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/migrations"
)

// TestManyBegin opens an empty database ten times at once: its tables and keys are made once, whatever transactions are
// unless they say so.
func TestManyBegin(t *testing.T) {
	t.Parallel()
	for _, isolation := range []string{"read committed", "repeatable read"} {
		t.Run(isolation, func(t *testing.T) {
			t.Parallel()
			beginTogether(t, with(t, newSchema(t), "default_transaction_isolation", isolation))
		})
	}
}

func beginTogether(t *testing.T, rest string) {
	t.Helper()
	const processes = 10
	var group sync.WaitGroup
	var opened [processes]*Store
	for n := range opened {
		group.Go(func() {
			var err error
			if opened[n], err = Open(t.Context(), rest, keystest.StoreKey()); err != nil {
				t.Errorf("process %d: %v", n, err)
			}
		})
	}
	group.Wait()
	for _, s := range opened {
		if s == nil {
			continue
		}
		if opened[0] != nil && s.epoch != opened[0].epoch {
			t.Errorf("the epochs are %s and %s", s.epoch, opened[0].epoch)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	c := sqlOn(t, rest)
	var steps, keys int
	const query = "SELECT (SELECT count(*) FROM schema_migrations), (SELECT count(*) FROM working_keys)"
	newest := len(stepsOf(t))
	if err := c.QueryRow(t.Context(), query).Scan(&steps, &keys); err != nil || steps != newest || keys == 0 {
		t.Errorf("%d steps and %d keys, %v", steps, keys, err)
	}
	if from, to, err := Migrate(t.Context(), rest); from != newest || to != newest || err != nil {
		t.Errorf("from %d to %d, %v", from, to, err)
	}
}

// TestMigrate makes the tables without a store key.
func TestMigrate(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	newest := len(stepsOf(t))
	for _, want := range []int{0, newest} {
		if from, to, err := Migrate(t.Context(), rest); from != want || to != newest || err != nil {
			t.Errorf("from %d to %d, %v; want from %d to %d", from, to, err, want, newest)
		}
	}
	setUp(t, openAt(t, rest), "a")
}

// stepsOf are the steps that there are, and further ones.
func stepsOf(t *testing.T, further ...string) fstest.MapFS {
	t.Helper()
	steps, err := migrations.Load(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, step := range steps {
		files["migrations/"+step.Name+".sql"] = &fstest.MapFile{Data: []byte(step.SQL)}
	}
	for i, script := range further {
		files["migrations/000"+string(rune('1'+len(steps)+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(script)}
	}
	return files
}

// migrateWith brings the tables to what the steps make.
func migrateWith(t *testing.T, rest string, files fstest.MapFS) error {
	t.Helper()
	s, err := connect(t.Context(), rest)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.alone(t.Context(), func(c *pgx.Conn) error { return migrate(t.Context(), c, files) })
}

// TestNewerTables: while tables are brought to a newer version that says so, programs of this one go on, and begin;
// others are refused.
func TestNewerTables(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	running := openAt(t, rest)
	setUp(t, running, "a")
	expand := "-- serves: 1\nALTER TABLE consents ADD COLUMN further TEXT NOT NULL DEFAULT '';"
	if err := migrateWith(t, rest, stepsOf(t, expand)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{running, openAt(t, rest)} {
		if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
			t.Errorf("with newer tables: %v", err)
		}
	}
	contract := fmt.Sprintf("-- serves: %d\n", len(stepsOf(t))+1) + "ALTER TABLE consents DROP COLUMN market;"
	if err := migrateWith(t, rest, stepsOf(t, expand, contract)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), rest, keystest.StoreKey()); !errors.Is(err, ErrSchema) {
		t.Errorf("tables that this program cannot use: %v, want %v", err, ErrSchema)
	}
}

// TestMigrateBesideALongReader changes a table that somebody reads for long, as a dump does: those who serve get on
// meanwhile, and the table is changed when the reader has ended.
func TestMigrateBesideALongReader(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	setUp(t, s, "a")
	dump, c := sqlOn(t, rest), sqlOn(t, rest)
	if _, err := dump.Exec(t.Context(), "BEGIN; LOCK TABLE consents IN ACCESS SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	files := stepsOf(t, "-- serves: 1\nALTER TABLE consents ADD COLUMN further TEXT NOT NULL DEFAULT '';")
	go func() { migrated <- migrateWith(t, rest, files) }()
	for waits := false; !waits; {
		if err := c.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE relation = 'consents'::regclass "+
			"AND mode = 'AccessExclusiveLock' AND NOT granted)").Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	// If the step waited on, this would end by statementLimit.
	if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
		t.Errorf("while a step waits for a table: %v", err)
	}
	if _, err := dump.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Errorf("when the table is free: %v", err)
	}
}

// TestRefusedTables opens what is not as the steps made it, and steps that fail.
func TestRefusedTables(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"another form": "UPDATE schema_migrations SET checksum = 'x'",
		"one missing":  "DELETE FROM schema_migrations WHERE version = 1",
		"none":         "DELETE FROM schema_migrations",
		"a stranger's": "DROP TABLE schema_migrations",
	} {
		rest := newSchema(t)
		openAt(t, rest)
		if _, err := sqlOn(t, rest).Exec(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), rest, keystest.StoreKey()); !errors.Is(err, ErrSchema) {
			t.Errorf("%s: %v, want %v", name, err, ErrSchema)
		}
	}
	rest, failing := newSchema(t), fmt.Sprintf("%04d_step", len(stepsOf(t))+1)
	for name, script := range map[string]string{
		"a mistake": "-- serves: 1\nCREATE TABLE half (id INTEGER); SELECT nonsense;", "no line": "SELECT 1;",
		"ahead of itself": "-- serves: 9\nSELECT 1;",
	} {
		if err := migrateWith(t, rest, stepsOf(t, script)); err == nil || !strings.Contains(err.Error(), failing) {
			t.Errorf("%s: %v, want one that names the step", name, err)
		}
		var tables int
		if err := sqlOn(t, rest).QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = "+
			"current_schema()").Scan(&tables); err != nil || tables != 0 {
			t.Errorf("%s: %d tables are left, %v", name, tables, err)
		}
	}
}

// TestRowLevelSecurity asks for all rows without naming a tenant, and in the transaction of another one.
func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	setUp(t, s, "a")
	if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
		t.Fatal(err)
	}
	c := sqlOn(t, rest)
	rows, err := c.Query(t.Context(), `
		SELECT c.relname::text FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant'
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 19 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	for set, want := range map[string]int{"''": 0, "'stranger'": 0, "'hansa'": 3, "'*'": 3} {
		if _, err := c.Exec(t.Context(), "SET kontor.tenant = "+set); err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, table := range tables {
			var n int
			if err := c.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if table == "customers" || table == "consents" || table == "consent_log" {
				found += n
			} else if n > 0 && want == 0 {
				t.Errorf("with %s, %s has %d rows", set, table, n)
			}
		}
		if found != want {
			t.Errorf("with %s there are %d rows, want %d", set, found, want)
		}
	}
	// Queries that forget the tenant.
	err = s.View(t.Context(), "stranger", func(r store.Reader) error {
		found, err := all(r.(*reader), r.(*reader).Opener.Consent, selectConsents)
		if len(found) != 0 {
			t.Errorf("a stranger sees %d consents", len(found))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	err = s.Update(t.Context(), "stranger", func(x store.Tx) error {
		changed, err := x.(*tx).exec("UPDATE consents SET status = $1", int32(consentv1.Consent_REVOKED))
		if changed != 0 {
			t.Errorf("a stranger changes %d consents", changed)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	archive, err := OpenArchive(t.Context(), rest)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for _, statement := range []string{
		"ALTER TABLE consents NO FORCE ROW LEVEL SECURITY",
		"CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
		"CREATE TRIGGER planted BEFORE INSERT ON audit EXECUTE FUNCTION planted()",
	} {
		if names, err := archive.Foreign(t.Context()); err != nil || strings.Contains(strings.Join(names, ""), "audit") {
			t.Errorf("before %s: %v, %v", statement, names, err)
		}
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := archive.Foreign(t.Context()); err != nil || len(names) != 3 {
		t.Errorf("foreign are %q, %v", names, err)
	}
	if err := archive.Backup(t.Context(), "", ""); !errors.Is(err, store.ErrBackup) {
		t.Errorf("a backup: %v", err)
	}
}

// servedBy lets the role kontor_served serve with the tables at an address, and gives its own. further are statements
// that their owner runs then.
func servedBy(t *testing.T, rest string, further ...string) (served string) {
	t.Helper()
	address, err := url.Parse("postgres:" + rest)
	if err != nil {
		t.Fatal(err)
	}
	schema := address.Query().Get("search_path")
	owner := sqlOn(t, rest)
	for _, statement := range append([]string{
		"GRANT USAGE ON SCHEMA " + schema + " TO kontor_served",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA " + schema + " TO kontor_served",
	}, further...) {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	address.User = url.User("kontor_served")
	return strings.TrimPrefix(address.String(), "postgres:")
}

// TestServedByAnotherRole serves with a role that does not own the tables, as docs/operations.md has it: it cannot turn
// row-level security off, nor change tables.
func TestServedByAnotherRole(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	if _, _, err := Migrate(t.Context(), rest); err != nil {
		t.Fatal(err)
	}
	served := servedBy(t, rest)
	s := openAt(t, served)
	setUp(t, s, "a")
	if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
		t.Error(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	spent := []store.QuotaSpent{{Tenant: "hansa", Client: "one", Spent: 1, Wanted: 1}}
	if _, err := s.Quotas().SpendQuotas(t.Context(), store.QuotaRate{PerSecond: 1, Burst: 1}, spent); err != nil {
		t.Error(err)
	}
	c := sqlOn(t, served)
	for _, statement := range []string{
		"ALTER TABLE consents DISABLE ROW LEVEL SECURITY", "DROP POLICY tenants ON consents", "TRUNCATE audit",
		"CREATE TRIGGER planted BEFORE INSERT ON audit EXECUTE FUNCTION suppress_redundant_updates_trigger()",
	} {
		if _, err := c.Exec(t.Context(), statement); code(err) != "42501" {
			t.Errorf("%s: %v, want that it may not", statement, err)
		}
	}
}

// TestRoleWithoutRights: a role that lacks a right is refused at the start, with the table's name.
func TestRoleWithoutRights(t *testing.T) {
	t.Parallel()
	for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		rest := newSchema(t)
		if _, _, err := Migrate(t.Context(), rest); err != nil {
			t.Fatal(err)
		}
		served := servedBy(t, rest, "REVOKE "+right+" ON shipments, webhooks FROM kontor_served")
		s, err := Open(t.Context(), served, keystest.StoreKey())
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "permission denied for table shipments, webhooks") {
			t.Errorf("without %s: %v, want that it is denied", right, err)
		}
	}
}

// TestBaseStays begins with a migration while another process serves, whose events come from transactions with higher
// numbers than that of the migration: they are no reason to count otherwise than those who serve.
func TestBaseStays(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	setUp(t, s, "a")
	begins, err := connect(t.Context(), rest)
	if err != nil {
		t.Fatal(err)
	}
	defer begins.Close()
	err = begins.alone(t.Context(), func(c *pgx.Conn) error {
		if err := migrate(t.Context(), c, stepsOf(t, "-- serves: 1\nCREATE TABLE further (id INTEGER);")); err != nil {
			return err
		}
		for range 3 {
			if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
				return err
			}
		}
		return begins.identify(t.Context(), c)
	})
	if err != nil || begins.base != s.base {
		t.Errorf("who begins adds %d to the numbers of transactions, who serves %d; %v", begins.base, s.base, err)
	}
}

// TestNumbersBeginAnew moves the tables to where transactions have lower numbers, as a dump does: what comes later lies
// behind what was there.
func TestNumbersBeginAnew(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	setUp(t, s, "a")
	if _, err := appendNext(t.Context(), s, "a", "before"); err != nil {
		t.Fatal(err)
	}
	const far = 1 << 55
	if _, err := sqlOn(t, rest).Exec(t.Context(), "UPDATE consent_log SET position = position + $1", far); err != nil {
		t.Fatal(err)
	}
	moved := openAt(t, rest)
	if _, err := appendNext(t.Context(), moved, "a", "after"); err != nil {
		t.Fatal(err)
	}
	calm(t, sqlOn(t, rest))
	entries, err := moved.System().TailConsents(t.Context(), "", 9)
	if err != nil || len(entries) != 2 || entries[1].Event.Key != "after" || !entries[1].Cursor.Behind(entries[0].Cursor) {
		t.Errorf("the log is %+v, %v", entries, err)
	}
	head, err := moved.System().Head(t.Context(), store.ConsentLog)
	if err != nil || head != entries[1].Cursor {
		t.Errorf("the head is %s, %v", head, err)
	}
}
