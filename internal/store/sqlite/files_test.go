//go:build unix

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	sqlite "modernc.org/sqlite"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
)

// moved is a store whose file can be moved away and back.
type moved struct {
	*Store

	t *testing.T
}

// newMoved has two consents with an event each.
func newMoved(t *testing.T) moved {
	t.Helper()
	s := openNew(t)
	setUp(t, s, "consent")
	if _, err := appendNext(t.Context(), s, "consent", "before"); err != nil {
		t.Fatal(err)
	}
	return moved{s, t}
}

func (m moved) away() { rename(m.t, m.files.path, m.files.path+".aside") }
func (m moved) back() { rename(m.t, m.files.path+".aside", m.files.path) }

// stored tells how many events are stored, once the file is back.
func (m moved) stored(want int) {
	m.t.Helper()
	if n := len(events(m.t, m.Store, "consent")); n != want {
		m.t.Errorf("%d events are stored, want %d", n, want)
	}
}

// TestNothingBeginsInLostFiles: the function of an Update does not run.
func TestNothingBeginsInLostFiles(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", "-wal"} {
		m := newMoved(t)
		rename(t, m.files.path+suffix, m.files.path+".aside")
		ran := false
		err := m.Update(t.Context(), tenant, func(store.Tx) error { ran = true; return nil })
		if !errors.Is(err, errGone) || ran {
			t.Errorf("without kontor.db%s the function ran: %t, and it ended with %v", suffix, ran, err)
		}
		rename(t, m.files.path+".aside", m.files.path+suffix)
		m.stored(1)
	}
}

// TestNothingIsCommittedIntoLostFiles moves the file away while a transaction is open: nothing of it is durable.
func TestNothingIsCommittedIntoLostFiles(t *testing.T) {
	t.Parallel()
	m := newMoved(t)
	err := m.Update(t.Context(), tenant, func(tx store.Tx) error {
		c, err := tx.Consent("consent")
		if err != nil {
			return err
		}
		c.Resource.EventCount = 2
		m.away()
		return tx.UpdateConsent(c)
	})
	if !errors.Is(err, errGone) {
		t.Errorf("it ended with %v", err)
	}
	m.back()
	m.stored(1)
}

// onCommit has something done in the midst of the next COMMIT.
func (m moved) onCommit(do func()) {
	m.t.Helper()
	turn, err := m.writer.acquire(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer turn.pass()
	if err := turn.conn.sql.Raw(func(c any) error {
		c.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 {
			if do != nil {
				do()
				do = nil
			}
			return 0
		})
		return nil
	}); err != nil {
		m.t.Fatal(err)
	}
}

// TestNothingIsAcknowledgedIntoLostFiles moves the file away in the midst of the COMMIT. What is in it then may be
// durable, but is not acknowledged, and not run again.
func TestNothingIsAcknowledgedIntoLostFiles(t *testing.T) {
	t.Parallel()
	m := newMoved(t)
	m.onCommit(m.away)
	runs := 0
	err := m.Update(t.Context(), tenant, func(tx store.Tx) error {
		runs++
		return tx.PauseProvider("fimento", time.Now())
	})
	if !errors.Is(err, errGone) || runs != 1 {
		t.Errorf("after %d runs it ended with %v", runs, err)
	}
	m.back()
	m.stored(1)
	// A log that lost what SQLite believes to be in it.
	turn, err := m.writer.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer turn.pass()
	if err := turn.kept(); err != nil {
		t.Fatal(err)
	}
	if frames, err := turn.conn.frames(); err != nil || frames == 0 {
		t.Fatalf("the log has %d pages, %v", frames, err)
	}
	content, err := os.ReadFile(m.files.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	truncate(t, m.files.path+"-wal", 0)
	if err := turn.kept(); !errors.Is(err, errTruncated) {
		t.Errorf("after the log was cut off: %v", err)
	}
	if err := os.WriteFile(m.files.path+"-wal", content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPingLooksAtTheFiles: also right after a good write.
func TestPingLooksAtTheFiles(t *testing.T) {
	t.Parallel()
	m := newMoved(t)
	for range cap(m.readers.free) { // No connection is opened later, which would look, too.
		if err := m.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	m.away()
	if err := m.Ping(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("without the file: %v", err)
	}
	m.back()
	if err := m.Ping(t.Context()); err != nil {
		t.Errorf("with the file again: %v", err)
	}
}

// TestCutOffFiles: a file may not be shorter than it was at any time, not only than it was when it was opened.
func TestCutOffFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s, err := Open(t.Context(), path, keystest.StoreKey(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	setUp(t, s, "consent")
	onWriterTruncate(t, s)
	before := s.Stats().Size
	fillAudit(t, s, 2000, "some text that needs room in the file")
	onWriterTruncate(t, s)
	if err := s.Ping(t.Context()); err != nil || s.Stats().Size <= before {
		t.Fatalf("the file has %d bytes, and had %d, %v", s.Stats().Size, before, err)
	}
	fillAudit(t, s, 1, "")
	truncate(t, path, before)
	if err := s.Ping(t.Context()); !errors.Is(err, errTruncated) {
		t.Errorf("after it was cut off to where it once was: %v", err)
	}
	err = s.Update(t.Context(), tenant, func(store.Tx) error { t.Error("a transaction begins"); return nil })
	if !errors.Is(err, errTruncated) {
		t.Errorf("an Update ended with %v", err)
	}
}

// evil replaces the file just before it is opened.
type evil struct {
	driver.Connector

	opened  int
	replace func()
}

func (e *evil) Connect(ctx context.Context) (driver.Conn, error) {
	e.opened++
	if e.replace != nil {
		e.replace()
	}
	return e.Connector.Connect(ctx)
}

// TestConnectionsAreToTheFile: a stranger's file is not opened, and a connection to one that came in between is not
// used.
func TestConnectionsAreToTheFile(t *testing.T) {
	t.Parallel()
	m := newMoved(t)
	stranger := openAt(t, filepath.Join(t.TempDir(), "stranger.db"))
	if err := stranger.Close(); err != nil {
		t.Fatal(err)
	}
	replace := func() {
		m.away()
		rename(t, stranger.files.path, m.files.path)
	}
	c, err := newConnector(m.files.path, readerSettings, &m.files)
	if err != nil {
		t.Fatal(err)
	}
	base := &evil{Connector: c.Connector}
	c.Connector = base
	replace()
	if _, err := c.Connect(t.Context()); !errors.Is(err, errReplaced) || base.opened != 0 {
		t.Errorf("a file that was there before was opened %d times: %v", base.opened, err)
	}
	rename(t, m.files.path, stranger.files.path)
	m.back()
	conn, err := c.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	base.replace = replace
	if _, err := c.Connect(t.Context()); !errors.Is(err, errReplaced) || base.opened != 2 {
		t.Errorf("a file that came just before it was opened: %v", err)
	}
}
