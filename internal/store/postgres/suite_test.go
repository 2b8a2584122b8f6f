package postgres

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/storetest"
)

// addressVariable names the environment's variable that has a server's address.
const addressVariable = "KONTOR_TEST_POSTGRES"

// newSchema makes a schema of a test's own, and gives the address of the database with it.
func newSchema(tb testing.TB) string {
	tb.Helper()
	base := os.Getenv(addressVariable)
	if base == "" {
		tb.Fatalf("%s is not set: make test-go, or scripts/postgres.sh <command>, starts a server and sets it",
			addressVariable)
	}
	address, err := url.Parse(base)
	if err != nil {
		tb.Fatal(err)
	}
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	admin, err := pgx.Connect(tb.Context(), base)
	if err != nil {
		tb.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(tb.Context()))
	if _, err := admin.Exec(tb.Context(), "CREATE SCHEMA "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c, err := pgx.Connect(context.Background(), base)
		if err != nil {
			tb.Error(err)
			return
		}
		defer c.Close(context.Background())
		if _, err := c.Exec(context.Background(), "DROP SCHEMA "+name+" CASCADE"); err != nil {
			tb.Error(err)
		}
	})
	query := address.Query()
	query.Set("search_path", name)
	address.RawQuery = query.Encode()
	return strings.TrimPrefix(address.String(), "postgres:")
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
	for limit := time.Now().Add(10 * time.Second); now < until; {
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
		copied := "COPY (SELECT * FROM " + table + ") TO STDOUT (FORMAT binary)"
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
		var mu sync.Mutex
		var watch *pgx.Conn
		return storetest.Prepared{
			Open:   func() store.Database { return openAt(t, rest) },
			Stored: func() []byte { return stored(t, rest) },
			Settled: func() {
				mu.Lock()
				defer mu.Unlock()
				if watch == nil {
					watch = sqlOn(t, rest)
				}
				calm(t, watch)
			},
		}
	}, 3)
}
