package postgres

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

var write = flag.Bool("write", false, "write schema.txt anew, after a migration was added")

// TestSchemaIsDescribed compares schema.txt with what the migrations make.
func TestSchemaIsDescribed(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	if _, _, err := Migrate(t.Context(), rest); err != nil {
		t.Fatal(err)
	}
	rows, err := sqlOn(t, rest).Query(t.Context(), catalog)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		o, err := scanObject(row)
		return strings.Join([]string{o.kind, o.name, o.table, o.definition}, "\t") + "\n", err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	now := strings.Join(lines, "")
	if *write {
		if err := os.WriteFile("schema.txt", []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if now != described {
		t.Errorf("schema.txt is not what the migrations make: write it by go test -run Described ./... -write\n%s", now)
	}
}

// TestForeignObjects plants what takes part in transactions, and changes what the migrations made: each is named.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	for want, plant := range map[string]string{
		"trigger ear on customers, which Kontor did not make": `CREATE TRIGGER ear BEFORE UPDATE ON customers
			FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
		"view eye, which Kontor did not make":                  "CREATE VIEW eye AS SELECT tenant FROM audit",
		"sequence count, which Kontor did not make":            "CREATE SEQUENCE count",
		"rule mute on audit, which Kontor did not make":        "CREATE RULE mute AS ON DELETE TO audit DO INSTEAD NOTHING",
		"index hold on audit, which Kontor did not make":       "CREATE UNIQUE INDEX hold ON audit (tenant, position)",
		"index audit_by_tenant on audit, which is missing":     "DROP INDEX audit_by_tenant",
		"table audit_roll, which was changed":                  "ALTER TABLE audit_roll ADD COLUMN more TEXT",
		"table pulse, which was changed":                       "ALTER TABLE pulse ALTER COLUMN probes SET DEFAULT 1",
		"policy tenants on consents, which is missing":         "DROP POLICY tenants ON consents",
		"policy everybody on audit, which Kontor did not make": "CREATE POLICY everybody ON audit USING (true)",
		"policy tenants on consents, which was changed":        "ALTER POLICY tenants ON consents USING (true)",
		"function log_ends, which was changed":                 "ALTER FUNCTION log_ends SECURITY DEFINER",
		"table extra, which Kontor did not make":               "CREATE TABLE extra (x TEXT)",
		"constraint x on audit, which Kontor did not make":     "ALTER TABLE audit ADD CONSTRAINT x CHECK (time > 0)",
		"index audit_by_tenant on audit, which was changed": "DROP INDEX audit_by_tenant; " +
			"CREATE INDEX audit_by_tenant ON audit (tenant, position) WHERE tenant = 'a'",
		"row-level security of all rows on intents, which was changed": "ALTER TABLE intents NO FORCE ROW LEVEL SECURITY",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			rest := newSchema(t)
			if _, _, err := Migrate(t.Context(), rest); err != nil {
				t.Fatal(err)
			}
			named := func() []string {
				archive, err := OpenArchive(t.Context(), rest)
				if err != nil {
					t.Fatal(err)
				}
				defer archive.Close()
				names, err := archive.Foreign(t.Context())
				if err != nil {
					t.Error(err)
				}
				return names
			}
			if names := named(); len(names) != 0 {
				t.Errorf("there are %q at first", names)
			}
			if _, err := sqlOn(t, rest).Exec(t.Context(), plant, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
			if names := named(); !slices.Contains(names, want) {
				t.Errorf("there are %q", names)
			}
		})
	}
}

// TestForeignInNewerTables: what a newer version added is not named, what guards the tables is.
func TestForeignInNewerTables(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	expand := "-- serves: 1\nCREATE TABLE further (tenant TEXT); ALTER TABLE consents ADD COLUMN further TEXT;" +
		"ALTER TABLE further ENABLE ROW LEVEL SECURITY; CREATE POLICY tenants ON further USING (false);"
	if err := migrateWith(t, rest, stepsOf(t, expand)); err != nil {
		t.Fatal(err)
	}
	archive, err := OpenArchive(t.Context(), rest)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if names, err := archive.Foreign(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("there are %q, %v", names, err)
	}
	if _, err := sqlOn(t, rest).Exec(t.Context(), `ALTER TABLE audit NO FORCE ROW LEVEL SECURITY;
		DROP POLICY tenants ON consents; CREATE RULE mute AS ON DELETE TO further DO INSTEAD NOTHING`,
		pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if names, err := archive.Foreign(t.Context()); err != nil || len(names) != 3 {
		t.Errorf("there are %q, %v", names, err)
	}
}
