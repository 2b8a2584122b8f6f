package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store/migrations"
)

// stepsOf makes migration files 0001_step.sql and so on.
func stepsOf(scripts ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, script := range scripts {
		files[fmt.Sprintf("migrations/%04d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(script)}
	}
	return files
}

// migrateFile migrates a file with the steps given, and closes it.
func migrateFile(t *testing.T, path string, files fstest.MapFS) error {
	t.Helper()
	if _, err := prepareFile(path); err != nil {
		t.Fatal(err)
	}
	p, err := newPool(path, writerSettings)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	c, err := p.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.put(c)
	err = migrate(t.Context(), c, files)
	if _, err := c.exec(t.Context(), "BEGIN"); err != nil {
		t.Errorf("a transaction is left open: %v", err)
	}
	c.rollback()
	return err
}

const (
	firstStep  = "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1), (2);"
	secondStep = "ALTER TABLE a ADD COLUMN y TEXT NOT NULL DEFAULT 'moved'; CREATE INDEX a_y ON a (y);"
)

// TestMigrations brings a file from one version to the next.
func TestMigrations(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	for _, files := range []fstest.MapFS{
		stepsOf(firstStep), stepsOf(firstStep), stepsOf(firstStep, secondStep), stepsOf(firstStep, secondStep),
	} {
		if err := migrateFile(t, path, files); err != nil {
			t.Fatal(err)
		}
	}
	db := raw(t, path)
	var rows, versions int
	if err := db.QueryRow("SELECT count(*) FROM a WHERE y = 'moved'").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d rows moved (%v), want 2", rows, err)
	}
	if err := db.QueryRow("SELECT count(*) FROM schema_migrations WHERE length(checksum) = 64 AND name LIKE '000__step' AND apply_time > 0").Scan(&versions); err != nil || versions != 2 {
		t.Errorf("%d versions recorded (%v), want 2", versions, err)
	}
}

// TestMigrationFails sees that a step that fails leaves nothing, and that it can be taken later.
func TestMigrationFails(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]string{
		"a mistake at the end": secondStep + "INSERT INTO none VALUES (1);",
		"a dangling reference": secondStep + `
			CREATE TABLE p (id INTEGER PRIMARY KEY) STRICT; PRAGMA defer_foreign_keys = ON;
			CREATE TABLE q (p INTEGER REFERENCES p (id)) STRICT; INSERT INTO q VALUES (7);`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kontor.db")
			err := migrateFile(t, path, stepsOf(firstStep, failing))
			if err == nil || !strings.Contains(err.Error(), "0002_step") {
				t.Errorf("error %v, want one that names the step", err)
			}
			if err := migrateFile(t, path, stepsOf(firstStep, secondStep)); err != nil {
				t.Errorf("with the step put right: %v", err)
			}
		})
	}
}

// TestForeignSchemas refuses files that are not what this version's migrations make.
func TestForeignSchemas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct{ change, says string }{
		"newer": {
			"INSERT INTO schema_migrations SELECT max(version) + 1, 'later', 'x', 1 FROM schema_migrations",
			"newer Kontor",
		},
		"changed": {"UPDATE schema_migrations SET checksum = 'x' WHERE version = 1", "0001_initial"},
		"gap":     {"DELETE FROM schema_migrations WHERE version = 1", "missing"},
		"another program's": {
			"DROP TABLE schema_migrations", "another program",
		},
	} {
		path := filepath.Join(dir, name+".db")
		s, err := Open(t.Context(), path, keystest.StoreKey(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		db := raw(t, path)
		if _, err := db.Exec(test.change); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		s, err = Open(t.Context(), path, keystest.StoreKey(), Options{})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, ErrSchema) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, test.says)
		}
	}
}

// TestFormerVersions opens a file of every version that was ever released, made by the migrations up to it.
func TestFormerVersions(t *testing.T) {
	t.Parallel()
	steps, err := migrations.Load(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	for n := range steps {
		former := fstest.MapFS{}
		for _, step := range steps[:n] {
			former["migrations/"+step.Name+".sql"] = &fstest.MapFile{Data: []byte(step.SQL)}
		}
		path := filepath.Join(t.TempDir(), "kontor.db")
		if err := migrateFile(t, path, former); err != nil {
			t.Fatalf("version %d: %v", n, err)
		}
		s := openAt(t, path)
		setUp(t, s, "consent")
		if _, err := appendNext(t.Context(), s, "consent", "detail"); err != nil {
			t.Errorf("version %d: %v", n, err)
		}
		events(t, s, "consent")
	}
}

func TestMigrationNumbers(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{
		{"0002_a.sql"}, {"0001_a.sql", "0003_b.sql"}, {"0001_a.sql", "0001_b.sql"}, {"1_a.sql"}, {"a.sql"},
	} {
		files := fstest.MapFS{}
		for _, name := range names {
			files["migrations/"+name] = &fstest.MapFile{}
		}
		if _, err := migrations.Load(files); err == nil {
			t.Errorf("%v are taken", names)
		}
	}
}
