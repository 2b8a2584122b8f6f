package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// migrationFiles are the steps by which the tables came to be. A step that was released never changes; a new one
// follows it.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step, from the version below its own.
type migration struct {
	version   int
	name, sql string
	checksum  string
}

// loadMigrations reads the files in order: 0001_<name>.sql, 0002_<name>.sql and so on.
func loadMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	steps := make([]migration, len(names))
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(path.Base(name), ".sql")
		number, _, _ := strings.Cut(base, "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 || len(number) != 4 {
			return nil, fmt.Errorf("migration %s should have number %04d", base, i+1)
		}
		sum := sha256.Sum256(text)
		steps[i] = migration{version: i + 1, name: base, sql: string(text), checksum: hex.EncodeToString(sum[:])}
	}
	return steps, nil
}

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
	steps, err := loadMigrations(files)
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
		if checksum != steps[i].checksum {
			return fmt.Errorf("%w: it was made by another form of migration %s", ErrSchema, steps[i].name)
		}
	}
	for _, step := range steps[len(applied):] {
		if err := step.apply(ctx, c); err != nil {
			return fmt.Errorf("migration %s: %w", step.name, err)
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

// apply takes the step, within the transaction of all steps.
func (m migration) apply(ctx context.Context, c *conn) error {
	const history = `CREATE TABLE IF NOT EXISTS schema_migrations (
		version    INTEGER PRIMARY KEY,
		name       TEXT NOT NULL,
		checksum   TEXT NOT NULL,
		apply_time INTEGER NOT NULL
	) STRICT`
	for _, script := range []string{history, m.sql} {
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
	_, err := c.sql.ExecContext(ctx, record, m.version, m.name, m.checksum, micros(time.Now()))
	return err
}
