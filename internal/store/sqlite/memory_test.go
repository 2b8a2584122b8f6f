package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "modernc.org/sqlite"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/storetest"
)

// openAloneAt opens a store that keeps rows in memory.
func openAloneAt(tb testing.TB, path string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), path, keystest.StoreKey(), Options{Alone: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// TestMemoryAsWithout does the same with rows in memory and without, at random: writes, claims, deletions, erasures,
// clocks that go back. Each consent is read by itself after each step.
func TestMemoryAsWithout(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	var hits atomic.Uint64
	t.Cleanup(func() {
		if hits.Load() == 0 {
			t.Error("nothing was read from memory")
		}
	})
	for round := range uint64(4) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed+round)
			plain := filepath.Join(t.TempDir(), "plain.db")
			alone := openAloneAt(t, filepath.Join(t.TempDir(), "alone.db"))
			storetest.Compare(t, seed+round, 150, map[string]storetest.Prepared{
				"plain":     {Open: func() store.Database { return openAt(t, plain) }},
				"in memory": {Open: func() store.Database { return alone }},
			})
			hits.Add(alone.memory.hits)
		})
	}
}

// version reads a consent by itself.
func version(t *testing.T, s *Store, id string) int64 {
	t.Helper()
	c, err := s.Consent(context.Background(), tenant, id)
	if err != nil {
		t.Error(err)
		return 0
	}
	return c.Version
}

// touch changes a consent.
func touch(tx store.Tx, id string) error {
	c, err := tx.Consent(id)
	if err != nil {
		return err
	}
	return tx.UpdateConsent(c)
}

// TestRowsAreDroppedWithTheCommit has a consent read between the statement that changes it and the COMMIT, which waits
// for another Update in line. What is read then must not be kept.
func TestRowsAreDroppedWithTheCommit(t *testing.T) {
	s := openAloneAt(t, filepath.Join(t.TempDir(), "kontor.db"))
	setUp(t, s, "c")
	s.writer.shareFor *= 1000
	first, err := s.writer.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var updates sync.WaitGroup
	update := func(fn func(store.Tx) error) {
		updates.Go(func() {
			if err := s.Update(t.Context(), tenant, fn); err != nil {
				t.Error(err)
			}
		})
	}
	changed, read := make(chan struct{}), make(chan struct{})
	update(func(tx store.Tx) error { return touch(tx, "c") })
	awaitLine(t, s, 1)
	update(func(store.Tx) error { // the first one's change is made, and not committed
		close(changed)
		<-read
		return nil
	})
	awaitLine(t, s, 2)
	first.pass()
	<-changed
	if got := version(t, s, "c"); got != 1 {
		t.Errorf("version %d was read before it was committed", got)
	}
	close(read)
	updates.Wait()
	if got := version(t, s, "c"); got != 2 {
		t.Errorf("version %d is read after version 2 was committed", got)
	}
}

// TestRowsAreDroppedBeforeTheCommit looks for a row at the moment of the COMMIT: from then on a View may show the new
// one.
func TestRowsAreDroppedBeforeTheCommit(t *testing.T) {
	s := openAloneAt(t, filepath.Join(t.TempDir(), "kontor.db"))
	setUp(t, s, "c")
	version(t, s, "c")
	first, err := s.writer.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commits := 0
	err = first.conn.sql.Raw(func(c any) error {
		c.(driver.HookRegisterer).RegisterCommitHook(func() int32 {
			commits++
			if row, miss := s.memory.get(consentKey{tenant, "c"}); row != nil || miss != nil {
				t.Error("during the COMMIT the row is there, or may be kept")
			}
			return 0
		})
		return nil
	})
	first.pass()
	if err != nil {
		t.Fatal(err)
	}
	inUpdate(t, s, func(tx store.Tx) error { return touch(tx, "c") })
	if commits != 1 {
		t.Errorf("%d commits were looked at", commits)
	}
}

// TestRowsAreNotKeptDuringTheCommit has reads of a row begin before, during and after the COMMIT that changes it.
func TestRowsAreNotKeptDuringTheCommit(t *testing.T) {
	key, row := consentKey{"t", "c"}, &columns.SealedConsent{}
	var change changes
	change.add("t", "c")
	kept := func(m *memory) bool { row, _ := m.get(key); return row != nil }

	m := newMemory(1 << 20)
	_, before := m.get(key)
	m.forget(change)
	m.keep(key, before, row)
	if kept(m) {
		t.Error("a row is kept whose read began before the commit")
	}
	_, during := m.get(key)
	_, other := m.get(consentKey{"t", "other"})
	m.keep(consentKey{"t", "other"}, other, row)
	m.settle()
	m.keep(key, during, row)
	if kept(m) {
		t.Error("a row is kept whose read began during the commit")
	}
	if row, _ := m.get(consentKey{"t", "other"}); row == nil {
		t.Error("a row that did not change is not kept")
	}
	_, after := m.get(key)
	m.keep(key, after, row)
	if !kept(m) {
		t.Error("a row is not kept whose read began after the commit")
	}
	_, before = m.get(consentKey{"t", "third"})
	m.forget(changes{all: true})
	_, during = m.get(key)
	m.settle()
	m.keep(key, during, row)
	m.keep(consentKey{"t", "third"}, before, row)
	if kept(m) || len(m.young)+len(m.old) > 0 {
		t.Error("a row is kept although any may have changed")
	}
	m.limit = 2 * row.Size()
	_, first := m.get(key)
	m.keep(key, first, row)
	_, second := m.get(consentKey{"t", "other"})
	m.keep(consentKey{"t", "other"}, second, row)
	if m.old[key] == nil {
		t.Fatal("the row is not among the old ones")
	}
	m.forget(change)
	m.settle()
	if kept(m) {
		t.Error("an old row is kept that has changed")
	}
}

// TestMemoryIsBounded keeps more rows than there is room for, and reads one of them all the time.
func TestMemoryIsBounded(t *testing.T) {
	row := &columns.SealedConsent{}
	m := newMemory(100 * row.Size())
	for i := range 1000 {
		key := consentKey{"t", fmt.Sprint(i)}
		if _, miss := m.get(key); miss != nil {
			m.keep(key, miss, row)
		}
		if n := len(m.young) + len(m.old); n > 100 {
			t.Fatalf("%d rows are kept, and there is room for 100", n)
		}
		if row, _ := m.get(consentKey{"t", "0"}); row == nil {
			t.Fatal("what is read again and again is dropped")
		}
	}
	if len(m.misses) > 0 {
		t.Errorf("%d reads are remembered that are over", len(m.misses))
	}
	before := len(m.young) + len(m.old)
	m.limit = 2*row.Size() - 1
	_, miss := m.get(consentKey{"t", "large"})
	m.keep(consentKey{"t", "large"}, miss, row)
	if n := len(m.young) + len(m.old); n != before || len(m.misses) > 0 {
		t.Errorf("a row that takes more than half of the limit leaves %d of %d rows, and %d misses", n, before,
			len(m.misses))
	}
}

// TestMemoryForgetsMisses: what is not there is not remembered, and a closed store answers nothing.
func TestMemoryForgetsMisses(t *testing.T) {
	s := openAloneAt(t, filepath.Join(t.TempDir(), "kontor.db"))
	setUp(t, s, "c")
	if _, err := s.Consent(t.Context(), tenant, "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a consent that is not there: %v", err)
	}
	version(t, s, "c")
	if len(s.memory.misses) > 0 || s.memory.young[consentKey{tenant, "c"}] == nil {
		t.Error("a read that is over is remembered, or a row is not")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Consent(t.Context(), tenant, "c"); !errors.Is(err, errClosed) {
		t.Errorf("a closed store: %v", err)
	}
}

// TestEndLeasesForgets ends claims of which rows in memory tell.
func TestEndLeasesForgets(t *testing.T) {
	s := openAloneAt(t, filepath.Join(t.TempDir(), "kontor.db"))
	setUp(t, s, "c")
	inUpdate(t, s, func(tx store.Tx) error {
		c, err := tx.Consent("c")
		if err != nil {
			return err
		}
		c.NextPoll = time.UnixMicro(1)
		return tx.UpdateConsent(c)
	})
	version(t, s, "c")
	shares := []store.Share{{Tenant: tenant, Provider: newConsent("c").Provider, Limit: 1}}
	claimed, err := s.System().ClaimDue(t.Context(), time.UnixMicro(2), "owner", time.Hour, shares)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%d are claimed: %v", len(claimed), err)
	}
	for _, want := range []bool{true, false} {
		c, err := s.Consent(t.Context(), tenant, "c")
		if err != nil || c.ClaimedUntil.IsZero() == want {
			t.Errorf("claimed until %v, want it claimed %t: %v", c.ClaimedUntil, want, err)
		}
		if err := s.EndLeases(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkConsent reads one of 64 consents by itself.
func BenchmarkConsent(b *testing.B) {
	for _, alone := range []bool{false, true} {
		b.Run(fmt.Sprint("memory=", alone), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "kontor.db")
			s := openAt(b, path)
			if alone {
				s.memory = newMemory(memoryLimit)
			}
			var consents []string
			for i := range 64 {
				consents = append(consents, fmt.Sprint("c", i))
			}
			setUp(b, s, consents...)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				if _, err := s.Consent(b.Context(), tenant, consents[n%64]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
