package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// TestTablesAreListed compares the tables that can be filled with those that the migrations make: what a later one
// adds must be copied, too, or be named here.
func TestTablesAreListed(t *testing.T) {
	t.Parallel()
	own := []string{
		"epoch.base", "epoch.id", "epoch.make_time", "epoch.value", // Fill makes it of the origin
		"commits.committed", "commits.id", // for some minutes
		"log_gone.log", "log_gone.position", // Fill makes it of the origin
		"quotas.tenant", "quotas.client", "quotas.level", "quotas.wanted", "quotas.time", "quotas.full_time", // for seconds
	}
	rest := newSchema(t)
	openAt(t, rest)
	rows, err := sqlOn(t, rest).Query(t.Context(), `
		SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name <> 'schema_migrations'`)
	if err != nil {
		t.Fatal(err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
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

// given is a source of a test's own.
type given struct {
	origin store.Origin
	rows   map[string]func(columns []string, fn func([]any) error) error
}

func (g given) Origin() store.Origin { return g.origin }

func (g given) Rows(_ context.Context, table string, columns []string, fn func([]any) error) error {
	if rows := g.rows[table]; rows != nil {
		return rows(columns, fn)
	}
	return nil
}

func (given) Keys(context.Context, *keys.StoreKey) (*keys.Keys, error) {
	return nil, errors.New("not asked for")
}

func (given) ViewAudit(context.Context, func(store.AuditTrails) error) error { return nil }
func (given) Close() error                                                   { return nil }

func unchecked(store.AuditTrails) error { return nil }

// entry gives a row of the consent log.
func entry(names []string, position int64) []any {
	row := make([]any, len(names))
	for i, name := range names {
		switch name {
		case "position", "sequence":
			row[i] = position
		case "type", "settled":
			row[i] = int64(1)
		case "tenant", "consent_id", "owner":
			row[i] = "x"
		case "event", "resource":
			row[i] = []byte{}
		}
	}
	return row
}

// withKeys adds what the copy of a source must have to be opened.
func (g given) withKeys(t *testing.T) given {
	t.Helper()
	rest := newSchema(t)
	openAt(t, rest)
	for _, table := range []string{"working_keys", "audit_roll"} {
		g.rows[table] = func(names []string, fn func([]any) error) error {
			rows, err := sqlOn(t, rest).Query(t.Context(), "SELECT "+strings.Join(names, ", ")+" FROM "+table)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				values, err := rows.Values()
				if err != nil {
					return err
				}
				for i, value := range values {
					if n, ok := value.(int32); ok {
						values[i] = int64(n)
					}
				}
				if err := fn(values); err != nil {
					return err
				}
			}
			return rows.Err()
		}
	}
	for _, log := range []string{"log_floors"} {
		g.rows[log] = func(names []string, fn func([]any) error) error {
			for _, name := range []string{"consents", "shipments"} {
				row := make([]any, len(names))
				for i, column := range names {
					row[i] = int64(0)
					if column == "log" {
						row[i] = name
					}
				}
				if err := fn(row); err != nil {
					return err
				}
			}
			return nil
		}
	}
	g.rows["pulse"] = func(names []string, fn func([]any) error) error {
		return fn([]any{int64(1), int64(0), int64(0)})
	}
	return g
}

// TestFill fills a database from a source whose positions are far above the numbers of transactions, and whose newest
// entries were deleted: cursors of it are good, the log ends where it ended, and what comes later lies behind.
func TestFill(t *testing.T) {
	t.Parallel()
	for name, top := range map[string]int64{"few": 7, "many": 1 << 50} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const epoch, gone = "0123456789abcdef", 5
			made := time.UnixMicro(1_700_000_000_000_000).UTC()
			from := given{
				origin: store.Origin{
					Epoch: epoch, CreateTime: made,
					Heads: map[store.Log]int64{store.ConsentLog: top + gone, store.ShipmentLog: 0}, AuditHead: 3,
				},
				rows: map[string]func([]string, func([]any) error) error{
					"consent_log": func(names []string, fn func([]any) error) error {
						return errors.Join(fn(entry(names, top-1)), fn(entry(names, top)))
					},
				},
			}.withKeys(t)
			rest := newSchema(t)
			// Somebody's transaction that was there before must not hold back what is copied.
			dallies := sqlOn(t, rest)
			if _, err := dallies.Exec(t.Context(), "BEGIN; SELECT pg_current_xact_id()"); err != nil {
				t.Fatal(err)
			}
			moved, err := Fill(t.Context(), rest, from, unchecked)
			if err != nil {
				t.Fatal(err)
			}
			if at := slices.IndexFunc(moved, func(m store.Moved) bool { return m.Table == "consent_log" }); at < 0 ||
				moved[at].Rows != 2 || moved[at].Found != 2 {
				t.Errorf("moved are %v", moved)
			}
			s := openAt(t, rest)
			if s.epoch != epoch || !s.made.Equal(made) {
				t.Errorf("it is %s, made at %s", s.epoch, s.made)
			}
			before := store.NewCursor(store.ConsentLog, epoch, top+gone)
			if head, err := s.System().Head(t.Context(), store.ConsentLog); err != nil || head != before {
				t.Errorf("the log ends at %s, %v, want %s", head, err, before)
			}
			if _, err := dallies.Exec(t.Context(), "COMMIT"); err != nil {
				t.Fatal(err)
			}
			setUp(t, s, "a")
			if _, err := appendNext(t.Context(), s, "a", "later"); err != nil {
				t.Fatal(err)
			}
			calm(t, dallies)
			later, err := s.System().TailConsents(t.Context(), before, 9)
			if err != nil || len(later) != 1 || later[0].Event.Key != "later" {
				t.Errorf("behind it come %v, %v", later, err)
			}
			beyond := store.NewCursor(store.ConsentLog, epoch, top+gone+1)
			if _, err := s.System().TailConsents(t.Context(), beyond, 9); name == "few" && err != nil {
				t.Errorf("a cursor before the newest: %v", err)
			}
		})
	}
}

// TestFillFails: whatever goes wrong on the way, the database is as it was before.
func TestFillFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		rows  func([]string, func([]any) error) error
		check error
		want  error
	}{
		"the source breaks off": {want: broken, rows: func(names []string, fn func([]any) error) error {
			return errors.Join(fn(entry(names, 1)), broken)
		}},
		"the check": {want: broken, check: broken},
		"a character that cannot be kept": {want: store.ErrMove, rows: func(names []string, fn func([]any) error) error {
			row := entry(names, 1)
			row[slices.Index(names, "owner")] = "a\x00b"
			return fn(row)
		}},
		"another kind of value": {want: errColumn, rows: func(names []string, fn func([]any) error) error {
			row := entry(names, 1)
			row[slices.Index(names, "sequence")] = "1"
			return fn(row)
		}},
		"a number that is none": {want: errColumn, rows: func(names []string, fn func([]any) error) error {
			row := entry(names, 1)
			row[slices.Index(names, "sequence")] = nil
			return fn(row)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := given{rows: map[string]func([]string, func([]any) error) error{}}.withKeys(t)
			from.rows["consent_log"] = c.rows
			rest := newSchema(t)
			_, err := Fill(t.Context(), rest, from, func(store.AuditTrails) error { return c.check })
			if !errors.Is(err, c.want) {
				t.Errorf("the error is %v, want %v", err, c.want)
			}
			if from, _, err := Migrate(t.Context(), rest); from != 0 || err != nil {
				t.Errorf("there are tables of version %d, %v", from, err)
			}
		})
	}
}

// TestFillRefuses: only an empty database is filled.
func TestFillRefuses(t *testing.T) {
	t.Parallel()
	from := given{rows: map[string]func([]string, func([]any) error) error{}}.withKeys(t)
	served, newer, strange := newSchema(t), newSchema(t), newSchema(t)
	openAt(t, served)
	if err := migrateWith(t, newer, stepsOf(t, "-- serves: 1\nSELECT 1;")); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlOn(t, strange).Exec(t.Context(), "CREATE TABLE theirs (x INTEGER)"); err != nil {
		t.Fatal(err)
	}
	for rest, want := range map[string]error{served: store.ErrMove, newer: ErrSchema, strange: ErrSchema} {
		if _, err := Fill(t.Context(), rest, from, unchecked); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	// Tables that were made beforehand, by who owns them, are filled.
	prepared := newSchema(t)
	if _, _, err := Migrate(t.Context(), prepared); err != nil {
		t.Fatal(err)
	}
	if _, err := Fill(t.Context(), prepared, from, unchecked); err != nil {
		t.Error(err)
	}
	openAt(t, prepared)
}
