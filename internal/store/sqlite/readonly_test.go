package sqlite

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
)

func openReadOnly(t *testing.T, path string) *ReadOnly {
	t.Helper()
	r, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func appendAudit(t *testing.T, s *Store, method string) {
	t.Helper()
	inUpdate(t, s, func(tx store.Tx) error {
		return tx.AppendAudit(&store.Audit{Time: time.Now(), Tenant: tenant, Method: method, Outcome: "OK"})
	})
}

// methods lists the methods of the audit, as a reader sees them.
func methods(t *testing.T, view func(func(store.Reader) error) error) (found []string) {
	t.Helper()
	if err := view(func(r store.Reader) error {
		entries, err := r.AuditTrail(0, 100)
		for _, e := range entries {
			found = append(found, e.Method)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestReadOnlyBesideTheWriter reads what is committed while the store is in use, and keeps nobody from writing.
func TestReadOnlyBesideTheWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	defer s.Close()
	appendAudit(t, s, "first")
	r := openReadOnly(t, path)
	view := func(fn func(store.Reader) error) error { return r.View(t.Context(), tenant, fn) }
	if got := methods(t, view); len(got) != 1 {
		t.Errorf("read %v", got)
	}
	if err := view(func(reader store.Reader) error {
		within := func(fn func(store.Reader) error) error { return fn(reader) }
		before := methods(t, within)
		appendAudit(t, s, "second")
		if after := methods(t, within); len(before) != 1 || len(after) != 1 {
			t.Errorf("within one View, the state changed from %v to %v", before, after)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := methods(t, view); len(got) != 2 {
		t.Errorf("read %v", got)
	}
	c, err := r.readers.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.exec(t.Context(), "DELETE FROM audit"); err == nil {
		t.Error("a reader deleted something")
	}
	r.readers.put(c)
}

// TestReadOnlyRefuses wants the file of this version, and makes none.
func TestReadOnlyRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.db")
	if _, err := OpenReadOnly(t.Context(), missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made")
	}
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("garbage "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(t.Context(), garbage); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no database: %v, want %v", err, ErrCorrupt)
	}
	path := filepath.Join(dir, "newer.db")
	s := openAt(t, path)
	turn := s.writer.tryAcquire()
	if _, err := turn.conn.exec(t.Context(),
		"INSERT INTO schema_migrations (version, name, checksum, apply_time) SELECT max(version) + 1, 'next', 'x', 0 FROM schema_migrations"); err != nil {
		t.Fatal(err)
	}
	turn.pass()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(t.Context(), path); !errors.Is(err, ErrSchema) {
		t.Errorf("a newer version's file: %v, want %v", err, ErrSchema)
	}
}

// TestBackup copies a store that is in use, with what still stands in the write-ahead log.
func TestBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "kontor.db"))
	defer s.Close()
	appendAudit(t, s, "kept")
	r := openReadOnly(t, filepath.Join(dir, "kontor.db"))
	to, keysTo := filepath.Join(dir, "backup.db"), filepath.Join(dir, "backup.keys")
	if last := s.Stats().LastBackup; !last.IsZero() {
		t.Errorf("the last backup was at %s before there was any", last)
	}
	if made := s.Stats().CreateTime; time.Since(made).Abs() > time.Minute {
		t.Errorf("the store was made at %s", made)
	}
	if err := r.Backup(t.Context(), to, keysTo); err != nil {
		t.Fatal(err)
	}
	if last := s.Stats().LastBackup; time.Since(last).Abs() > time.Minute {
		t.Errorf("the last backup was at %s", last)
	}
	appendAudit(t, s, "later")
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v", info, err)
	}
	if err := r.Backup(t.Context(), to, keysTo); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that exists: %v, want %v", err, fs.ErrExist)
	}
	if err := r.Backup(t.Context(), filepath.Join(dir, "nowhere", "backup.db"), keysTo); err == nil {
		t.Error("a backup into a folder that does not exist was acknowledged")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*partial*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := Restore(t.Context(), filepath.Join(dir, "restored.db"), keystest.StoreKey(), pair(to, keysTo)); err != nil {
		t.Fatal(err)
	}
	restored := openAt(t, filepath.Join(dir, "restored.db"))
	defer restored.Close()
	if made := restored.Stats().CreateTime; made != s.Stats().CreateTime {
		t.Errorf("the restored store was made at %s", made)
	}
	got := methods(t, func(fn func(store.Reader) error) error { return restored.View(t.Context(), tenant, fn) })
	if len(got) != 1 || got[0] != "kept" {
		t.Errorf("the backup has %v", got)
	}
	// The reader reads on, and writes as little as before.
	if got := methods(t,
		func(fn func(store.Reader) error) error { return r.View(t.Context(), tenant, fn) }); len(got) != 2 {
		t.Errorf("after a backup: %v", got)
	}
}
