package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed gives the names in a folder but for the lock.
func listed(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != backupLock {
			names = append(names, entry.Name())
		}
	}
	return names
}

// TestBackupReachesTheDisk notes in which order a backup is synchronised and gets its name, and lets each step fail.
func TestBackupReachesTheDisk(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	appendAudit(t, s, "kept")
	r := openReadOnly(t, s.files.path)
	folder := t.TempDir()
	to := filepath.Join(folder, "backup.db")
	there := func() bool {
		_, err := os.Lstat(to)
		return err == nil
	}
	var steps []string
	step := func(name string, named bool) {
		if there() != named {
			t.Errorf("at %s the backup has its name: %t", name, !named)
		}
		steps = append(steps, name)
	}
	var failing string
	failed := errors.New("the disk is broken")
	r.disk = disk{
		copied: func(string) { step("copied", false) },
		sync: func(file *os.File) error {
			name := "file"
			if _, err := os.Lstat(to + ".keys"); err != nil {
				name = "keys"
			}
			step(name, false)
			if info, err := file.Stat(); err != nil || info.Size() == 0 {
				t.Errorf("what is synchronised has %d bytes, %v", info.Size(), err)
			}
			if failing == name {
				return failed
			}
			return file.Sync()
		},
		syncFolder: func(path string) error {
			name := "folder"
			if !there() {
				name = "keys' folder"
			}
			step(name, name == "folder")
			if failing == name {
				return failed
			}
			return syncFolder(path)
		},
	}
	for _, failing = range []string{"keys", "keys' folder", "file", "folder"} {
		if err := os.Remove(to + ".keys"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := r.Backup(t.Context(), to, to+".keys"); !errors.Is(err, failed) {
			t.Errorf("a backup whose %s is not on the disk: %v", failing, err)
		}
		left := listed(t, folder)
		if failing == "keys" && len(left) > 0 || len(left) > 1 || len(left) == 1 && left[0] != "backup.db.keys" {
			t.Errorf("%s: it left %v", failing, left)
		}
	}
	if err := os.Remove(to + ".keys"); err != nil {
		t.Fatal(err)
	}
	failing, steps = "", nil
	if err := r.Backup(t.Context(), to, to+".keys"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(steps, []string{"copied", "keys", "keys' folder", "file", "folder"}) {
		t.Errorf("the steps are %v", steps)
	}
	if left := listed(t, folder); !slices.Equal(left, []string{"backup.db", "backup.db.keys"}) {
		t.Errorf("the folder has %v", left)
	}
}

// TestDamagedBackups damages the copy right after it was written.
func TestDamagedBackups(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	for range 200 {
		appendAudit(t, s, strings.Repeat("m", 100))
	}
	r := openReadOnly(t, s.files.path)
	for name, damage := range map[string]func(string){
		"a page overwritten": func(path string) {
			write(t, path, func(file *os.File, size int64) error {
				_, err := file.WriteAt([]byte(strings.Repeat("x", 4096)), size/4096/2*4096)
				return err
			})
		},
		"cut off": func(path string) {
			write(t, path, func(file *os.File, size int64) error { return file.Truncate(size / 2) })
		},
		"emptied": func(path string) {
			write(t, path, func(file *os.File, _ int64) error { return file.Truncate(0) })
		},
		"an index of other values": func(path string) {
			db := raw(t, path)
			defer db.Close()
			// The index then has other values than its table.
			result, err := db.Exec("PRAGMA writable_schema = ON; UPDATE sqlite_schema " +
				"SET sql = replace(sql, '(tenant, position)', '(tenant, method)') WHERE name = 'audit_by_tenant'")
			if err != nil {
				t.Fatal(err)
			}
			if changed, err := result.RowsAffected(); changed != 1 {
				t.Fatal(changed, err)
			}
		},
		"keys cut off": func(path string) {
			write(t, keysBeside(t, path), func(file *os.File, size int64) error { return file.Truncate(size - 1) })
		},
		"a byte of the keys": func(path string) {
			write(t, keysBeside(t, path), func(file *os.File, size int64) error {
				_, err := file.WriteAt([]byte("\x00"), size/2)
				return err
			})
		},
		"another version's": func(path string) {
			db := raw(t, path)
			defer db.Close()
			if _, err := db.Exec("UPDATE schema_migrations SET checksum = 'x'"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		folder := t.TempDir()
		r.disk.copied = damage
		err := r.Backup(t.Context(), filepath.Join(folder, "backup.db"), filepath.Join(folder, "keys"))
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) && !errors.Is(err, errKeysDamaged) {
			t.Errorf("%s: %v, want %v, %v or %v", name, err, ErrCorrupt, ErrSchema, errKeysDamaged)
		}
		if left := listed(t, folder); len(left) > 0 {
			t.Errorf("%s: it left %v", name, left)
		}
	}
}

// keysBeside gives the file of keys that is written beside a copy.
func keysBeside(t *testing.T, copied string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(copied), partialPrefix+"*"+partialSuffix))
	files = slices.DeleteFunc(files, func(name string) bool { return name == copied })
	if err != nil || len(files) != 1 {
		t.Fatalf("beside the copy there is %v, %v", files, err)
	}
	return files[0]
}

// write changes a file.
func write(t *testing.T, path string, do func(file *os.File, size int64) error) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = do(file, info.Size())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestBackupsOfOneFolder has a second backup begin while the first one is at work, and finds what an earlier one left.
func TestBackupsOfOneFolder(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	r := openReadOnly(t, s.files.path)
	folder := t.TempDir()
	for _, name := range []string{
		partialPrefix + "1" + partialSuffix, partialPrefix + "1" + partialSuffix + "-journal", "kept.db", ".kontor-backup",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := openReadOnly(t, s.files.path)
	r.disk.copied = func(path string) {
		err := second.Backup(t.Context(), filepath.Join(folder, "second.db"), filepath.Join(folder, "keys"))
		if !errors.Is(err, ErrLocked) {
			t.Errorf("a second one: %v, want %v", err, ErrLocked)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("the second one removed what the first one writes: %v", err)
		}
	}
	if err := r.Backup(t.Context(), filepath.Join(folder, "first.db"), filepath.Join(folder, "keys")); err != nil {
		t.Fatal(err)
	}
	if left := listed(t, folder); !slices.Equal(left, []string{".kontor-backup", "first.db", "kept.db", "keys"}) {
		t.Errorf("the folder has %v", left)
	}
	// A file that appeared meanwhile stays.
	r.disk.copied = func(string) {
		if err := os.WriteFile(filepath.Join(folder, "third.db"), []byte("another's"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := r.Backup(t.Context(), filepath.Join(folder, "third.db"), filepath.Join(folder, "keys"))
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that appeared meanwhile: %v", err)
	}
	if content, err := os.ReadFile(filepath.Join(folder, "third.db")); string(content) != "another's" {
		t.Errorf("it was overwritten with %d bytes, %v", len(content), err)
	}
}

// TestCopiesAreLikeTheirSource: a copy is as its source was made, so that a restored store is.
func TestCopiesAreLikeTheirSource(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "from.db"), filepath.Join(t.TempDir(), "to.db")
	for _, path := range []string{from, to} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := map[string]int{"page_size": 8192, "auto_vacuum": 2, "user_version": 7, "application_id": 8}
	db := raw(t, from)
	db.SetMaxOpenConns(1)
	for _, name := range []string{"page_size", "auto_vacuum", "user_version", "application_id"} { // the first ones first
		value := settings[name]
		if _, err := db.Exec(fmt.Sprintf("PRAGMA %s = %d", name, value)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(`CREATE TABLE "a ""b" (x INTEGER PRIMARY KEY AUTOINCREMENT, y); CREATE INDEX i ON "a ""b" (y);
		CREATE TABLE c (x); INSERT INTO c VALUES (1); INSERT INTO "a ""b" (x) VALUES (1), (5);
		DELETE FROM "a ""b" WHERE x = 5`,
	); err != nil {
		t.Fatal(err)
	}
	if err := copyStore(t.Context(), from, "ro", to, []string{"c"}, nil); err != nil {
		t.Fatal(err)
	}
	copied := raw(t, to)
	for name, want := range settings {
		var got int
		if err := copied.QueryRow("PRAGMA " + name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", name, got, err, want)
		}
	}
	var last, rows, left, indexes int
	if err := copied.QueryRow(`SELECT (SELECT seq FROM sqlite_sequence), (SELECT count(*) FROM "a ""b"),
		(SELECT count(*) FROM c), (SELECT count(*) FROM sqlite_schema WHERE type = 'index')`,
	).Scan(&last, &rows, &left, &indexes); err != nil || last != 5 || rows != 1 || left != 0 || indexes != 1 {
		t.Errorf("position %d, %d rows, %d in the table left empty, %d indexes, %v", last, rows, left, indexes, err)
	}
}
