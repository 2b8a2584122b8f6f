package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// copySettings are those of a connection that writes a file that nobody reads before it is whole: whoever writes it
// puts it on the disk at the end, and removes it when anything fails.
var copySettings = []pragma{
	{"journal_mode", "OFF", "off"},
	{"synchronous", "OFF", "0"},
	{"secure_delete", "ON", "1"},
	{"trusted_schema", "OFF", "0"},
}

// copyStore writes a database as it stands at one moment into another file, which must be empty, but for the rows of
// the tables that it is told to leave empty: no byte of those comes into the file. It changes nothing in the database.
// While the moment lasts, also may read more of it, by the name of source.
func copyStore(
	ctx context.Context, from, mode, to string, empty []string, also func(context.Context, *sql.Conn) error,
) (err error) {
	p, err := newPool(to, copySettings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	defer p.put(c)
	c.broken = true // It is for this copy alone.
	if _, err := c.sql.ExecContext(ctx, "PRAGMA busy_timeout = "+busyTimeout); err != nil {
		return err
	}
	if _, err := c.sql.ExecContext(ctx, "ATTACH ? AS source", fileURI(from, mode, nil)); err != nil {
		return err
	}
	for _, name := range []string{"page_size", "auto_vacuum", "application_id", "user_version"} {
		var value int64
		if err := c.sql.QueryRowContext(ctx, "PRAGMA source."+name).Scan(&value); err != nil {
			return err
		}
		if _, err := c.sql.ExecContext(ctx, fmt.Sprintf("PRAGMA main.%s = %d", name, value)); err != nil {
			return err
		}
	}
	if _, err := c.sql.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := copyTables(ctx, c.sql, empty); err != nil {
		return err
	}
	if also != nil {
		if err := also(ctx, c.sql); err != nil {
			return err
		}
	}
	_, err = c.sql.ExecContext(ctx, "COMMIT")
	return err
}

// copyTables copies the tables of source, and makes their indexes afterwards.
func copyTables(ctx context.Context, c *sql.Conn, empty []string) error {
	objects, err := schemaOf(ctx, c)
	if err != nil {
		return err
	}
	counts := false // whether a table's positions are counted
	for _, o := range objects {
		if o.kind != "table" || strings.HasPrefix(o.name, "sqlite_") {
			counts = counts || o.name == "sqlite_sequence"
			continue
		}
		if _, err := c.ExecContext(ctx, o.sql); err != nil {
			return err
		}
		if slices.Contains(empty, o.name) {
			continue
		}
		name := `"` + strings.ReplaceAll(o.name, `"`, `""`) + `"`
		insert := "INSERT INTO main." + name + " SELECT * FROM source." + name //nolint:gosec,unqueryvet // the name is quoted
		if _, err := c.ExecContext(ctx, insert); err != nil {
			return err
		}
	}
	if counts {
		for _, statement := range []string{
			"DELETE FROM main.sqlite_sequence",
			"INSERT INTO main.sqlite_sequence SELECT * FROM source.sqlite_sequence",
		} {
			if _, err := c.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	for _, o := range objects {
		if o.kind != "table" && o.sql != "" { // What has no text comes with its table.
			if _, err := c.ExecContext(ctx, o.sql); err != nil {
				return err
			}
		}
	}
	return nil
}

// made is a table, an index or whatever else a database has, with the statement that makes it.
type made struct{ kind, name, sql string }

// schemaOf lists what source has. With it the moment begins that the copy shows.
func schemaOf(ctx context.Context, c *sql.Conn) (objects []made, err error) {
	rows, err := c.QueryContext(ctx, "SELECT type, name, coalesce(sql, '') FROM source.sqlite_schema ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var o made
		if err := rows.Scan(&o.kind, &o.name, &o.sql); err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, rows.Err()
}
