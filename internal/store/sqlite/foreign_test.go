package sqlite

import (
	"errors"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/keys/keystest"
)

// TestForeignObjectsAreRefused plants what takes part in transactions, and changes what the migrations made. The file
// is not opened, and whoever only reads is told the names.
func TestForeignObjectsAreRefused(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]string{
		"trigger ear": "CREATE TRIGGER ear AFTER INSERT ON customers BEGIN DELETE FROM audit; END",
		"view eye":    "CREATE VIEW eye AS SELECT tenant FROM audit",
		"table extra": "CREATE TABLE extra (x TEXT REFERENCES customers (id))",
		"index hold":  "CREATE UNIQUE INDEX hold ON audit (tenant)",
		"index audit_by_tenant, which is missing": "DROP INDEX audit_by_tenant",
		"index audit_by_tenant, which was changed": "DROP INDEX audit_by_tenant;" +
			"CREATE INDEX audit_by_tenant ON audit (tenant) WHERE tenant = 'a'",
		"table audit_roll, which was changed": "ALTER TABLE audit_roll ADD COLUMN more TEXT",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openNew(t)
			path := s.files.path
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db := raw(t, path)
			db.SetMaxOpenConns(1)
			if _, err := db.Exec(plant); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := Open(t.Context(), path, keystest.StoreKey(), Options{})
			if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), name) {
				t.Errorf("opening gives %v", err)
			}
			if err == nil {
				_ = again.Close()
			}
			reader, err := OpenReadOnly(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if names, err := reader.Foreign(t.Context()); err != nil || len(names) != 1 ||
				!strings.Contains(names[0], name) {
				t.Errorf("reading finds %q, %v", names, err)
			}
		})
	}
	s := openNew(t)
	if _, err := raw(t, s.files.path).Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), s.files.path, keystest.StoreKey(), Options{})
	if err != nil {
		t.Fatalf("with statistics: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
