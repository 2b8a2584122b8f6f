package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"kontor.dev/kontor/internal/store/migrations"
)

// object is a table, index, trigger or view, as the file describes it.
type object struct{ kind, name, table, definition string }

func (o object) String() string { return o.kind + " " + o.name }

// expected are the objects that the migrations make, by kind and name.
var expected = sync.OnceValues(func() (found map[string]object, err error) {
	steps, err := migrations.Load(migrationFiles)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx := context.Background()
	c, err := newConn(ctx, db, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for _, step := range steps {
		if err := apply(ctx, c, step); err != nil {
			return nil, err
		}
	}
	return objects(ctx, c)
})

// objects lists what a file has, but for the statistics that SQLite makes for itself, and for the table that marks a
// backup's copy, which is no store: see hasKeys.
func objects(ctx context.Context, c *conn) (_ map[string]object, err error) {
	rows, err := c.sql.QueryContext(ctx, `
		SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema
		WHERE NOT (type = 'table' AND (name GLOB 'sqlite_stat[1-4]' OR name = '`+withoutKeys+`'))`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found := map[string]object{}
	for rows.Next() {
		var o object
		if err := rows.Scan(&o.kind, &o.name, &o.table, &o.definition); err != nil {
			return nil, err
		}
		found[o.String()] = o
	}
	return found, rows.Err()
}

// foreign lists what a file has that the migrations did not make, such as a trigger that changes what is written, and
// what they made and was changed or removed since. The file must have been through all of them.
func foreign(ctx context.Context, c *conn) (names []string, err error) {
	want, err := expected()
	if err != nil {
		return nil, err
	}
	have, err := objects(ctx, c)
	if err != nil {
		return nil, err
	}
	for name, o := range have {
		switch known, ok := want[name]; {
		case !ok:
			names = append(names, fmt.Sprintf("%s on %s, which Kontor did not make", name, o.table))
		case known != o:
			names = append(names, name+", which was changed")
		}
	}
	for name := range want {
		if _, ok := have[name]; !ok {
			names = append(names, name+", which is missing")
		}
	}
	slices.Sort(names)
	return names, nil
}

// onlyOurs refuses a file with anything foreign: whatever stands there takes part in each transaction.
func onlyOurs(ctx context.Context, c *conn) error {
	names, err := foreign(ctx, c)
	if err != nil || len(names) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", ErrSchema, strings.Join(names, "; "))
}

// Foreign implements store.Archive.
func (r *ReadOnly) Foreign(ctx context.Context) ([]string, error) {
	c, err := r.readers.get(ctx)
	if err != nil {
		return nil, asCorrupt(err)
	}
	defer r.readers.put(c)
	return foreign(ctx, c)
}
