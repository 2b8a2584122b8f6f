package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/migrations"
)

// migrationFiles are the steps by which the tables came to be. A step that was released never changes; a new one
// follows it.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// serves reads the first line of a step: "-- serves: <version>" names the lowest version whose programs can go on with
// what the step makes of the tables.
func serves(step migrations.Step) (int, error) {
	line, _, _ := strings.Cut(step.SQL, "\n")
	text, ok := strings.CutPrefix(line, "-- serves: ")
	version, err := strconv.Atoi(text)
	if !ok || err != nil || version < 1 || version > step.Version {
		return 0, fmt.Errorf("migration %s should begin with -- serves: <version>", step.Name)
	}
	return version, nil
}

// Migrate brings the tables of a database up to date without opening anything that is sealed, and tells their version
// before and after: 0 for a database without tables. Gateways of the version before may go on meanwhile where the steps
// say so.
func Migrate(ctx context.Context, rest string) (from, to int, err error) {
	s, err := connect(ctx, rest)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = s.Close() }()
	err = s.alone(ctx, func(c *pgx.Conn) error {
		if err := fit(ctx, c); err != nil {
			return err
		}
		before, err := history(ctx, c)
		if err != nil {
			return err
		}
		if err := migrate(ctx, c, migrationFiles); err != nil {
			return err
		}
		after, err := history(ctx, c)
		from, to = len(before), len(after)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("postgres: %w", err)
	}
	return from, to, nil
}

// lockLimit is how long a step waits for a table that is in use. Whoever else comes to the table waits behind it.
const lockLimit = 500 * time.Millisecond

// migrate applies the steps that are missing, wholly or not at all, within a transaction that no other process shares.
// It refuses tables whose history differs, and newer ones unless their steps say that this program can go on with them.
//
// What changes a table waits until nobody uses it, and everybody else behind that: as long as a dump takes, if there is
// one. So steps wait a moment alone; then the error is errInUse, and whoever waited gets on before the next try.
func migrate(ctx context.Context, c *pgx.Conn, files fs.FS) error {
	steps, err := migrations.Load(files)
	if err != nil {
		return err
	}
	applied, err := history(ctx, c)
	if err != nil {
		return err
	}
	if err := fits(applied, steps); err != nil || len(applied) >= len(steps) {
		return err
	}
	if _, err := c.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", lockLimit.Milliseconds())); err != nil {
		return err
	}
	for _, step := range steps[len(applied):] {
		if err := apply(ctx, c, step); err != nil {
			if state := code(err); state == lockNotAvailable || state == deadlock {
				err = fmt.Errorf("%w: %w", errInUse, err)
			}
			return fmt.Errorf("migration %s: %w", step.Name, err)
		}
	}
	_, err = c.Exec(ctx, "SET LOCAL lock_timeout TO DEFAULT")
	return err
}

// past is a step that the tables have been through.
type past struct {
	checksum string
	serves   int
}

// fits refuses tables whose history is not that of steps.
func fits(applied []past, steps []migrations.Step) error {
	for i, step := range applied {
		switch {
		case i >= len(steps) && step.serves > len(steps):
			return fmt.Errorf("%w: it has version %d, made by a newer Kontor; this one knows %d", ErrSchema,
				len(applied), len(steps))
		case i < len(steps) && step.checksum != steps[i].Checksum:
			return fmt.Errorf("%w: it was made by another form of migration %s", ErrSchema, steps[i].Name)
		}
	}
	return nil
}

// history lists the steps that the tables have been through.
func history(ctx context.Context, c *pgx.Conn) ([]past, error) {
	var tables, own int
	const count = `SELECT count(*), count(*) FILTER (WHERE tablename = 'schema_migrations')
		FROM pg_tables WHERE schemaname = current_schema()`
	if err := c.QueryRow(ctx, count).Scan(&tables, &own); err != nil {
		return nil, err
	}
	if tables == 0 {
		return nil, nil
	}
	if own == 0 {
		return nil, fmt.Errorf("%w: its tables are another program's", ErrSchema)
	}
	rows, err := c.Query(ctx, "SELECT version, checksum, serves FROM schema_migrations ORDER BY version")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var applied []past
	for rows.Next() {
		var version int
		var step past
		if err := rows.Scan(&version, &step.checksum, &step.serves); err != nil {
			return nil, err
		}
		if version != len(applied)+1 {
			return nil, fmt.Errorf("%w: migration %d is missing", ErrSchema, len(applied)+1)
		}
		applied = append(applied, step)
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
func apply(ctx context.Context, c *pgx.Conn, step migrations.Step) error {
	lowest, err := serves(step)
	if err != nil {
		return err
	}
	const history = `CREATE TABLE IF NOT EXISTS schema_migrations (
		version    INTEGER PRIMARY KEY,
		name       TEXT NOT NULL,
		checksum   TEXT NOT NULL,
		serves     INTEGER NOT NULL,
		apply_time BIGINT NOT NULL
	)`
	for _, script := range []string{history, step.SQL} {
		if _, err := c.PgConn().Exec(ctx, script).ReadAll(); err != nil {
			return err
		}
	}
	_, err = c.Exec(ctx, "INSERT INTO schema_migrations (version, name, checksum, serves, apply_time) VALUES "+
		"($1, $2, $3, $4, $5)", step.Version, step.Name, step.Checksum, lowest, columns.Micros(time.Now()))
	return err
}
