package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// TestTablesAreListed compares the tables that can be copied with those that the migrations make: what a later one adds
// must be copied, too, or be named here.
func TestTablesAreListed(t *testing.T) {
	t.Parallel()
	own := []string{
		"epoch.id", "epoch.value", // which Origin tells
		"consents.update_time", // which a backup's file of keys goes by
		"pulse.room",           // which fills the disk for a moment
	}
	rows, err := raw(t, openNew(t).files.path).Query(`
		SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name <> 'schema_migrations' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var there []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		there = append(there, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, table := range columns.Tables() {
		for _, column := range table.Names() {
			own = append(own, table.Name+"."+column)
		}
	}
	slices.Sort(there)
	slices.Sort(own)
	if !slices.Equal(there, own) {
		t.Errorf("there are\n%s\nand listed are\n%s", strings.Join(there, " "), strings.Join(own, " "))
	}
}

// rowsOf reads a table of a source.
func rowsOf(t *testing.T, s *Source, table string, names ...string) (found [][]any) {
	t.Helper()
	if err := s.Rows(t.Context(), table, names, func(values []any) error {
		found = append(found, slices.Clone(values))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestSource reads a file: it tells an empty blob from none, where the logs ended although their newest entries are
// gone, and changes nothing. Meanwhile no gateway gets the file.
func TestSource(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	path := s.files.path
	setUp(t, s, "a", "b")
	if _, err := raw(t, path).Exec("UPDATE consents SET state = x'', redirects = NULL; " +
		"INSERT INTO sqlite_sequence (name, seq) VALUES ('consent_log', 41)"); err != nil {
		t.Fatal(err)
	}
	epoch := s.epoch
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	source, err := OpenSource(t.Context(), path, keystest.StoreKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("another one gets the file: %v", err)
	}
	origin := source.Origin()
	if origin.Epoch != epoch || !origin.CreateTime.Equal(s.made) || origin.Heads[store.ConsentLog] != 41 ||
		origin.Heads[store.ShipmentLog] != 0 || origin.AuditHead != 0 {
		t.Errorf("its origin is %+v", origin)
	}
	for _, row := range rowsOf(t, source, "consents", "state", "redirects", "version", "tenant") {
		state, ok := row[0].([]byte)
		if !ok || state == nil || row[1] != nil || row[2] != int64(1) || row[3] != tenant {
			t.Errorf("a row is %#v", row)
		}
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
	again, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestSourceIsRefused: what cannot be copied as a whole is not opened, and not made.
func TestSourceIsRefused(t *testing.T) {
	t.Parallel()
	closed := func(change string) string {
		s := openNew(t)
		path := s.files.path
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if change != "" {
			db := raw(t, path)
			if _, err := db.Exec(change); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	served := closed("")
	lock, err := Lock(served)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	text, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	other, err := keys.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	garbled := filepath.Join(t.TempDir(), "garbled.db")
	if err := os.WriteFile(garbled, bytes.Repeat([]byte("no database "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "none", "kontor.db")
	for name, c := range map[string]struct {
		path string
		key  *keys.StoreKey
		want error
	}{
		"in use": {path: served, want: ErrLocked},
		"of an older version": {
			path: closed("DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)"),
			want: ErrSchema,
		},
		"with a trigger": {
			path: closed("CREATE TRIGGER ear AFTER INSERT ON audit BEGIN DELETE FROM audit; END"), want: ErrSchema,
		},
		"a backup's copy": {path: closed("CREATE TABLE " + withoutKeys + " (time INTEGER)"), want: store.ErrBackup},
		"never opened":    {path: closed("DELETE FROM working_keys"), want: store.ErrMove},
		"another key":     {path: closed(""), key: other, want: keys.ErrOtherStoreKey},
		"no database":     {path: garbled, want: ErrCorrupt},
		"missing":         {path: missing, want: os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			key := c.key
			if key == nil {
				key = keystest.StoreKey()
			}
			if _, err := OpenSource(t.Context(), c.path, key); !errors.Is(err, c.want) {
				t.Errorf("the error is %v, want %v", err, c.want)
			}
		})
	}
	if _, err := os.Stat(filepath.Dir(missing)); err == nil {
		t.Error("a folder was made")
	}
}
