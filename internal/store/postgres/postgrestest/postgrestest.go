// Package postgrestest gives tests a database in PostgreSQL.
package postgrestest

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Variable names the environment's variable that has a server's address.
const Variable = "KONTOR_TEST_POSTGRES"

// NewSchema makes a schema of a test's own, which goes when the test ends, and gives the address of the database with
// it, without its scheme.
func NewSchema(tb testing.TB) string {
	tb.Helper()
	address, name := base(tb), newName()
	run(tb.Context(), tb, "CREATE SCHEMA "+name)
	tb.Cleanup(func() { run(context.Background(), tb, "DROP SCHEMA "+name+" CASCADE") })
	query := address.Query()
	query.Set("search_path", name)
	address.RawQuery = query.Encode()
	return strings.TrimPrefix(address.String(), "postgres:")
}

// NewDatabase makes a database of a test's own, which goes when the test ends, and gives its address.
func NewDatabase(tb testing.TB) *url.URL {
	tb.Helper()
	address, name := base(tb), newName()
	run(tb.Context(), tb, "CREATE DATABASE "+name)
	tb.Cleanup(func() {
		// Who is connected still is ended first, and not by WITH (FORCE): that fails while the server vacuums there, of
		// which a DROP DATABASE without it takes care.
		run(context.Background(), tb, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+
			"' AND backend_type = 'client backend'")
		run(context.Background(), tb, "DROP DATABASE "+name)
	})
	address.Path = "/" + name
	return address
}

// base is the address of the server, and of the database on it that all tests share.
func base(tb testing.TB) *url.URL {
	tb.Helper()
	text := os.Getenv(Variable)
	if text == "" {
		tb.Fatalf("%s is not set: make test-go and scripts/postgres.sh <command> start a server and set it", Variable)
	}
	address, err := url.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return address
}

func newName() string { return "test_" + strings.ReplaceAll(uuid.NewString(), "-", "") }

// run runs a statement on a connection of its own.
func run(ctx context.Context, tb testing.TB, statement string) {
	tb.Helper()
	c, err := pgx.Connect(ctx, base(tb).String())
	if err != nil {
		tb.Error(err)
		return
	}
	_, err = c.Exec(ctx, statement)
	if err := errors.Join(err, c.Close(context.WithoutCancel(ctx))); err != nil {
		tb.Error(err)
	}
}
