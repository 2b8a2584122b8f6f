package postgres

import (
	"flag"
	"path/filepath"
	"testing"
	"time"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
	"kontor.dev/kontor/internal/store/storetest"
)

var (
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "decides what is done on both engines")
	steps = flag.Int("steps", 100, "how much that is, in each of four rounds")
)

// TestAsOnSQLite does the same on both engines, at random.
func TestAsOnSQLite(t *testing.T) {
	t.Parallel()
	for round := range uint64(4) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", *seed+round)
			rest, path := newSchema(t), filepath.Join(t.TempDir(), "kontor.db")
			storetest.Compare(t, *seed+round, *steps, map[string]storetest.Prepared{
				"PostgreSQL": prepared(t, rest, rest),
				"SQLite": {Open: func() store.Database {
					db, err := sqlite.Open(t.Context(), path, keystest.StoreKey(), sqlite.Options{})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() {
						if err := db.Close(); err != nil {
							t.Error(err)
						}
					})
					return db
				}},
			})
		})
	}
}
