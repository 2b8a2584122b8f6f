package postgres

import (
	"fmt"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store/columns"
)

// patience is how long a test waits for what must come: much longer than it takes.
const patience = time.Minute

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !so(); {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestBeatComesLate: the time that a process tells is not that of when it began to wait. Else the clock would seem to go
// back, and the leases of what others have under way would be cut short.
func TestBeatComesLate(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	other, watcher := sqlOn(t, rest), sqlOn(t, rest)
	if _, err := other.Exec(t.Context(), "BEGIN; UPDATE pulse SET probes = probes + 1"); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	told := make(chan error, 1)
	go func() {
		back, err := s.System().Beat(t.Context(), now)
		if back != 0 {
			err = fmt.Errorf("the clock went back by %s, %w", back, err)
		}
		told <- err
	}()
	waitFor(t, "the row for over a second", func() (late bool) {
		if err := watcher.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_stat_activity WHERE $1 = "+
			"ANY(pg_blocking_pids(pid)) AND query_start < clock_timestamp() - interval '1.1 s'",
			other.PgConn().PID()).Scan(&late); err != nil {
			t.Fatal(err)
		}
		return late
	})
	later := columns.Micros(now.Add(clockSlack + time.Second/2))
	if _, err := other.Exec(t.Context(), fmt.Sprintf("UPDATE pulse SET time = %d; COMMIT", later)); err != nil {
		t.Fatal(err)
	}
	if err := <-told; err != nil {
		t.Error(err)
	}
}
