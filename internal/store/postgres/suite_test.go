package postgres

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/postgres/postgrestest"
	"kontor.dev/kontor/internal/store/storetest"
)

// newSchema makes a schema of a test's own, and gives the address of the database with it.
func newSchema(tb testing.TB) string {
	tb.Helper()
	return postgrestest.NewSchema(tb)
}

// openAt opens a store that is closed when the test ends.
func openAt(tb testing.TB, rest string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), rest, keystest.StoreKey())
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return s
}

// openNew opens an empty store.
func openNew(tb testing.TB) *Store {
	tb.Helper()
	return openAt(tb, newSchema(tb))
}

// sqlOn opens a connection of a test's own, that sees the rows of all tenants.
func sqlOn(tb testing.TB, rest string) *pgx.Conn {
	tb.Helper()
	c, err := pgx.Connect(tb.Context(), "postgres:"+rest)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close(context.Background()) })
	if _, err := c.Exec(tb.Context(), "SET kontor.tenant = '*'"); err != nil {
		tb.Fatal(err)
	}
	return c
}

// calm waits until all transactions are over that were under way in the server.
func calm(tb testing.TB, c *pgx.Conn) {
	tb.Helper()
	var until, now uint64
	const query = "SELECT pg_snapshot_%s(pg_current_snapshot())::text::bigint"
	ctx := context.WithoutCancel(tb.Context())
	if err := c.QueryRow(ctx, fmt.Sprintf(query, "xmax")).Scan(&until); err != nil {
		tb.Error(err)
		return
	}
	for limit := time.Now().Add(time.Minute); now < until; {
		if err := c.QueryRow(ctx, fmt.Sprintf(query, "xmin")).Scan(&now); err != nil || time.Now().After(limit) {
			tb.Errorf("transactions below %d are not over, the lowest is %d, %v", until, now, err)
			return
		}
	}
}

// stored gives all that stands in the tables.
func stored(tb testing.TB, rest string) []byte {
	tb.Helper()
	c := sqlOn(tb, rest)
	rows, err := c.Query(tb.Context(), "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()")
	if err != nil {
		tb.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		tb.Fatal(err)
	}
	var all bytes.Buffer
	for _, table := range tables {
		copied := "COPY (TABLE " + table + ") TO STDOUT (FORMAT binary)"
		if _, err := c.PgConn().CopyTo(tb.Context(), &all, copied); err != nil {
			tb.Fatal(err)
		}
	}
	return all.Bytes()
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Prepared {
		t.Helper()
		rest := newSchema(t)
		return prepared(t, rest, rest)
	}, 3)
}

// prepared is a database that stores open at one address, and tests look into at another one.
func prepared(t *testing.T, rest, direct string) storetest.Prepared {
	t.Helper()
	var mu sync.Mutex
	var watch *pgx.Conn
	return storetest.Prepared{
		Open:   func() store.Database { return openAt(t, rest) },
		Stored: func() []byte { return stored(t, direct) },
		Settled: func() {
			mu.Lock()
			defer mu.Unlock()
			if watch == nil {
				watch = sqlOn(t, direct)
			}
			calm(t, watch)
		},
	}
}

// poolVariable names the environment's variable that has the address of a pgbouncer in transaction mode before the same
// server: a host and a port.
const poolVariable = "KONTOR_TEST_PGBOUNCER"

// newDatabase makes a database of a test's own, and gives its address through pgbouncer, which takes no settings of
// connections such as a schema, and that of the server.
func newDatabase(t *testing.T) (pooled, direct string) {
	t.Helper()
	pool := os.Getenv(poolVariable)
	if pool == "" {
		t.Fatalf("%s is not set: make test-go, or scripts/postgres.sh <command>, starts servers and sets it", poolVariable)
	}
	address := postgrestest.NewDatabase(t)
	query := address.Query()
	query.Set(listenParameter, address.Host)
	direct = strings.TrimPrefix(address.String(), "postgres:")
	address.Host, address.RawQuery = pool, query.Encode()
	return strings.TrimPrefix(address.String(), "postgres:"), direct
}

var pooled = flag.String("pooled", "", "on how many stores the suite runs through pgbouncer: some of 123")

// TestStoreThroughPgbouncer runs the suite with stores whose transactions each get another connection, for who asks for
// it: it makes a database for each test. TestThroughPgbouncer is for every day.
func TestStoreThroughPgbouncer(t *testing.T) {
	t.Parallel()
	for _, stores := range *pooled {
		t.Run(string(stores), func(t *testing.T) {
			t.Parallel()
			storetest.RunOn(t, func(t *testing.T) storetest.Prepared {
				t.Helper()
				pooled, direct := newDatabase(t)
				return prepared(t, pooled, direct)
			}, int(stores-'0'))
		})
	}
}

// TestThroughPgbouncer has several stores behind a pool that gives each transaction another connection: five
// connections for all. They are told of each other's entries by a connection that does not go through it.
func TestThroughPgbouncer(t *testing.T) {
	t.Parallel()
	rest, _ := newDatabase(t)
	stores := []*Store{openAt(t, rest), openAt(t, rest), openAt(t, rest)}
	setUp(t, stores[0], "a", "b", "c")
	wake, cancel := stores[2].System().Subscribe(store.ConsentLog)
	defer cancel()
	const each = 40
	var group sync.WaitGroup
	for n, s := range stores {
		group.Go(func() {
			for i := range each {
				if _, err := appendNext(t.Context(), s, []string{"a", "b", "c"}[(n+i)%3], fmt.Sprint(n, i)); err != nil &&
					!errors.Is(err, store.ErrConflict) {
					t.Errorf("store %d: %v", n, err)
				}
				if err := s.Ping(t.Context()); err != nil {
					t.Errorf("store %d: Ping: %v", n, err)
				}
				spent := []store.QuotaSpent{{Tenant: tenant, Client: "one", Spent: 1, Wanted: 1}}
				rate := store.QuotaRate{PerSecond: 1, Burst: 9}
				if _, err := s.Quotas().SpendQuotas(t.Context(), rate, spent); err != nil {
					t.Errorf("store %d: SpendQuotas: %v", n, err)
				}
			}
		})
	}
	group.Wait()
	select {
	case <-wake:
	case <-time.After(10 * time.Second):
		t.Error("nobody is told")
	}
	found := 0
	for _, id := range []string{"a", "b", "c"} {
		for key, n := range keysOf(t, stores[1], id) {
			if found += n; n != 1 {
				t.Errorf("event %s is there %d times", key, n)
			}
		}
	}
	if found < 2*each {
		t.Errorf("%d of %d events are there", found, 3*each)
	}
}
