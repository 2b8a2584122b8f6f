package sqlite

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/storetest"
)

// openAt opens a store that is closed when the test ends.
func openAt(tb testing.TB, path string, extra ...pragma) *Store {
	tb.Helper()
	s, err := open(tb.Context(), path, keystest.StoreKey(), Options{}, extra)
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
	return openAt(tb, filepath.Join(tb.TempDir(), "kontor.db"))
}

// TestStore runs the suite, and then looks at how SQLite would carry out each of the queries that it met.
func TestStore(t *testing.T) {
	var mu sync.Mutex
	queries := map[string]bool{}
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Prepared {
			path := filepath.Join(t.TempDir(), "kontor.db")
			return storetest.Prepared{Stored: func() []byte { return filesOf(t, path) }, Open: func() store.Database {
				s := openAt(t, path)
				t.Cleanup(func() { // before it is closed
					for _, c := range connections(s) {
						mu.Lock()
						for query := range c.statements {
							queries[query] = true
						}
						mu.Unlock()
					}
				})
				return s
			}}
		})
	})
	s := openNew(t)
	if len(queries) < 60 {
		t.Errorf("the suite used only %d statements", len(queries))
	}
	for _, query := range slices.Sorted(maps.Keys(queries)) {
		checkPlan(t, s, query)
	}
}

// filesOf gives what the files of a store hold.
func filesOf(t *testing.T, path string) (all []byte) {
	t.Helper()
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) == 0 {
		t.Fatalf("files %v (%v)", names, err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}

// connections are those that a store has open and nobody uses; none when the test closed it.
func connections(s *Store) (open []*conn) {
	for range cap(s.readers.free) {
		select {
		case c := <-s.readers.free:
			if c != nil {
				open = append(open, c)
			}
			s.readers.free <- c
		default:
		}
	}
	if t := s.writer.tryAcquire(); t != nil {
		if t.conn != nil {
			open = append(open, t.conn)
		}
		t.pass()
	}
	return open
}

// checkPlan sees that a query finds its rows by an index, in order, rather than by reading or sorting a table.
func checkPlan(t *testing.T, s *Store, query string) {
	c, err := s.readers.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.readers.put(c)
	args := make([]any, strings.Count(query, "?"))
	rows, err := c.sql.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(step, "SCAN json_each"), strings.HasPrefix(step, "SCAN CONSTANT ROW"),
			step == "SCAN sqlite_sequence", step == "SCAN provider_pauses", // a few rows
			step == "SCAN user_claims", step == "SCAN flow_claims", // of what is at work, as the next
			step == "SCAN idempotency USING INDEX idempotency_open",
			step == "SCAN (subquery-1)", // of which the plan tells besides
			step == "SCAN epoch":        // one row
		case strings.HasPrefix(step, "SCAN"), strings.Contains(step, "TEMP B-TREE"):
			t.Errorf("%s\n  is carried out by: %s", query, step)
		}
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
}

// inUpdate runs a transaction that must succeed.
func inUpdate(tb testing.TB, s *Store, fn func(store.Tx) error) {
	tb.Helper()
	if err := s.Update(context.Background(), tenant, fn); err != nil {
		tb.Fatalf("Update: %v", err)
	}
}
