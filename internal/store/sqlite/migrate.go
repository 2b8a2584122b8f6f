package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/migrations"
)

// migrationFiles are the steps by which the tables came to be. A step that was released never changes; a new one
// follows it.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrate takes the file at path for this process, brings its tables up to date without opening anything that is
// sealed, and tells their version before and after: 0 for a file without tables, or none, which is made.
func Migrate(ctx context.Context, path string) (from, to int, err error) {
	lock, err := Lock(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if err = errors.Join(err, lock.Close()); err != nil {
			err = fmt.Errorf("sqlite: %s: %w", path, err)
		}
	}()
	file, err := prepareFile(path)
	if err != nil {
		return 0, 0, err
	}
	p, err := newPool(file, append([]pragma{{"busy_timeout", busyTimeout, busyTimeout}}, settings...))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	c, err := p.get(ctx)
	if err != nil {
		return 0, 0, asCorrupt(err)
	}
	defer p.put(c)
	if err := errors.Join(c.check(ctx), c.hasKeys(ctx)); err != nil {
		return 0, 0, asCorrupt(err)
	}
	before, err := appliedChecksums(ctx, c)
	if err != nil {
		return 0, 0, err
	}
	if err := migrate(ctx, c, migrationFiles); err != nil {
		return 0, 0, err
	}
	after, err := appliedChecksums(ctx, c)
	return len(before), len(after), err
}

// migrate applies the steps that are missing, wholly or not at all, and refuses a file whose history differs. Of
// several processes that open a file at the same time, one makes the tables and the others find them.
func migrate(ctx context.Context, c *conn, files fs.FS) (err error) {
	steps, err := migrations.Load(files)
	if err != nil {
		return err
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			c.rollback()
		}
	}()
	applied, err := appliedChecksums(ctx, c)
	if err != nil {
		return err
	}
	if len(applied) > len(steps) {
		return fmt.Errorf("%w: it has version %d, made by a newer Kontor; this one knows %d", ErrSchema, len(applied),
			len(steps))
	}
	for i, checksum := range applied {
		if checksum != steps[i].Checksum {
			return fmt.Errorf("%w: it was made by another form of migration %s", ErrSchema, steps[i].Name)
		}
	}
	for _, step := range steps[len(applied):] {
		if err := apply(ctx, c, step); err != nil {
			return fmt.Errorf("migration %s: %w", step.Name, err)
		}
	}
	_, err = c.exec(context.Background(), "COMMIT")
	committed = err == nil
	return err
}

// appliedChecksums lists the checksums of the steps that the file has been through.
func appliedChecksums(ctx context.Context, c *conn) ([]string, error) {
	var tables, own int
	const count = `SELECT count(*),
		count(*) FILTER (WHERE name = 'schema_migrations')
		FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`
	if err := c.sql.QueryRowContext(ctx, count).Scan(&tables, &own); err != nil {
		return nil, err
	}
	if tables == 0 {
		return nil, nil
	}
	if own == 0 {
		return nil, fmt.Errorf("%w: its tables are another program's", ErrSchema)
	}
	rows, err := c.sql.QueryContext(ctx, "SELECT version, checksum FROM schema_migrations ORDER BY version")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var applied []string
	for rows.Next() {
		var version int
		var checksum string
		if err := rows.Scan(&version, &checksum); err != nil {
			return nil, err
		}
		if version != len(applied)+1 {
			return nil, fmt.Errorf("%w: migration %d is missing", ErrSchema, len(applied)+1)
		}
		applied = append(applied, checksum)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(applied) == 0 {
		return nil, fmt.Errorf("%w: migration 1 is missing", ErrSchema)
	}
	return applied, nil
}

// apply takes a step, within the transaction of all steps.
func apply(ctx context.Context, c *conn, m migrations.Step) error {
	const history = `CREATE TABLE IF NOT EXISTS schema_migrations (
		version    INTEGER PRIMARY KEY,
		name       TEXT NOT NULL,
		checksum   TEXT NOT NULL,
		apply_time INTEGER NOT NULL
	) STRICT`
	for _, script := range []string{history, m.SQL} {
		if _, err := c.sql.ExecContext(ctx, script); err != nil {
			return err
		}
	}
	var table string
	switch err := c.sql.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check`).Scan(&table); {
	case err == nil:
		return fmt.Errorf("table %s refers to rows that do not exist", table)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	const record = "INSERT INTO schema_migrations (version, name, checksum, apply_time) VALUES (?, ?, ?, ?)"
	_, err := c.sql.ExecContext(ctx, record, m.Version, m.Name, m.Checksum, columns.Micros(time.Now()))
	return err
}
