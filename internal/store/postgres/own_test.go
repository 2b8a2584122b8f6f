package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
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

// TestOwnWorkPassesCalls: leases are renewed, and the time is told, while calls wait for each other's connections.
func TestOwnWorkPassesCalls(t *testing.T) {
	t.Parallel()
	for _, connections := range []int{2, 8, 16} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			t.Parallel()
			s := openAt(t, with(t, newSchema(t), "pool_max_conns", fmt.Sprint(connections)))
			const calls = 40
			under, release, over := make(chan struct{}, calls), make(chan struct{}), make(chan error, calls)
			for range calls {
				go func() {
					over <- s.View(t.Context(), tenant, func(store.Reader) error {
						under <- struct{}{}
						<-release
						return nil
					})
				}()
			}
			for range connections - max(1, connections/8) {
				<-under
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			owners := []string{"owner"}
			now := time.Now()
			_, beat := s.System().Beat(ctx, now)
			_, due := s.System().ClaimDue(ctx, now, "owner", time.Minute, nil)
			if err := errors.Join(s.System().RenewLeases(ctx, owners, now), beat, due, s.Ping(ctx)); err != nil {
				t.Error(err)
			}
			if n := len(under); n > 0 {
				t.Errorf("%d more calls have connections", n)
			}
			close(release)
			for range calls {
				if err := <-over; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestTokensLeaveConnections has many tokens looked for, each of which takes long: calls have connections all the same.
func TestTokensLeaveConnections(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, with(t, rest, "pool_max_conns", "4"))
	setUp(t, s, "a")
	dallies := sqlOn(t, rest)
	if _, err := dallies.Exec(t.Context(), "BEGIN; LOCK TABLE callbacks"); err != nil {
		t.Fatal(err)
	}
	const lookups = 8
	found := make(chan error, lookups)
	for n := range lookups {
		go func() {
			_, err := s.System().Callback(t.Context(), store.CallbackRedirect, [32]byte{byte(n)})
			found <- err
		}()
	}
	waitFor(t, "a look for a token", func() bool { return s.pool.Stat().AcquiredConns() > 0 && len(s.lookups) > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 2 * lookups {
		if err := s.View(ctx, tenant, func(r store.Reader) error {
			_, err := r.Consent("a")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if n := s.pool.Stat().AcquiredConns(); n > 1 {
			t.Fatalf("%d looks for tokens have connections", n)
		}
	}
	if _, err := dallies.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	for range lookups {
		if err := <-found; !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	}
}

// TestBeatComesLate: the time that a process tells is not that of when it began to wait. Else the clock would seem to
// go back, and the leases of what others have under way would be cut short.
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
