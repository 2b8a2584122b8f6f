// Package postgrestest gives tests a database in PostgreSQL.
package postgrestest

import (
	"context"
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
	base := os.Getenv(Variable)
	if base == "" {
		tb.Fatalf("%s is not set: make test-go and scripts/postgres.sh <command> start a server and set it", Variable)
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
	defer func() { _ = admin.Close(context.WithoutCancel(tb.Context())) }()
	if _, err := admin.Exec(tb.Context(), "CREATE SCHEMA "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c, err := pgx.Connect(context.Background(), base)
		if err != nil {
			tb.Error(err)
			return
		}
		defer func() { _ = c.Close(context.Background()) }()
		if _, err := c.Exec(context.Background(), "DROP SCHEMA "+name+" CASCADE"); err != nil {
			tb.Error(err)
		}
	})
	query := address.Query()
	query.Set("search_path", name)
	address.RawQuery = query.Encode()
	return strings.TrimPrefix(address.String(), "postgres:")
}
