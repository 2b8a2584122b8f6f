package postgres

import (
	"errors"
	"os"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/store"
)

// TestRestored does what docs/operations.md has done to a database that was restored: cursors from before are refused,
// and positions go on behind all that the lost time can have had.
func TestRestored(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin = `"UPDATE epoch SET `
	_, text, found := strings.Cut(string(guide), begin)
	assignments, _, ended := strings.Cut(text, `"`)
	if !found || !ended {
		t.Fatalf("the guide has no %s...", begin)
	}
	rest := newSchema(t)
	s := openAt(t, rest)
	setUp(t, s, "a")
	head := func(s *Store) (store.Cursor, int64) {
		t.Helper()
		cursor, err := s.System().Head(t.Context(), store.ConsentLog)
		if err != nil {
			t.Fatal(err)
		}
		position, err := cursor.Position(store.ConsentLog, s.epoch)
		if err != nil {
			t.Fatal(err)
		}
		return cursor, position
	}
	c := sqlOn(t, rest)
	add := func(s *Store, key string) {
		t.Helper()
		if _, err := appendNext(t.Context(), s, "a", key); err != nil {
			t.Fatal(err)
		}
		calm(t, c)
	}
	add(s, "before")
	before, lost := head(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "UPDATE epoch SET "+assignments); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, rest)
	if _, err := s.System().TailConsents(t.Context(), before, 9); !errors.Is(err, store.ErrCursor) {
		t.Errorf("a cursor from before: %v, want %v", err, store.ErrCursor)
	}
	add(s, "after")
	if _, now := head(s); (now-lost)>>20 < 900_000_000 {
		t.Errorf("positions go on at %d, behind %d", now, lost)
	}
}
