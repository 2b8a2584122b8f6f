package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/migrations"
)

const (
	// fillRows and fillBytes bound what is sent at once, and so what is held in memory.
	fillRows, fillBytes = 1000, 4 << 20
)

// seeded are tables in which the migrations put a row: the source's takes its place.
var seeded = map[string]bool{"log_floors": true, "pulse": true}

// Fill implements store.Driver's. All is one transaction: when it fails, or its process is killed, the server undoes
// it, and the database is as empty as before. Rows are read back and compared before it is committed.
//
// COPY would be faster, but refuses tables with row-level security: what is sent at once becomes rows by unnest.
func Fill(
	ctx context.Context, rest string, from store.Source, check func(store.AuditTrails) error,
) (moved []store.Moved, err error) {
	s, err := connect(ctx, rest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }() // What was committed stays so.
	err = s.alone(ctx, func(c *pgx.Conn) error {
		for _, step := range []func(context.Context, *pgx.Conn) error{fit, unhurried, vacant} {
			if err := step(ctx, c); err != nil {
				return err
			}
		}
		if err := migrate(ctx, c, migrationFiles); err != nil {
			return err
		}
		if err := unfilled(ctx, c); err != nil {
			return err
		}
		moved = nil
		for _, table := range columns.Tables() {
			m, err := fill(ctx, c, table, from)
			if err != nil {
				return fmt.Errorf("table %s: %w", table.Name, err)
			}
			moved = append(moved, m)
		}
		if err := settle(ctx, c, from.Origin()); err != nil {
			return err
		}
		if err := s.identify(ctx, c); err != nil {
			return err
		}
		r := &reader{
			ctx: ctx, c: &conn{Conn: c, s: s}, s: s, tenant: allTenants, own: none,
			Opener: columns.Opener{Epoch: s.epoch},
		}
		if err := check(trails{r}); err != nil {
			return err
		}
		return r.failed
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return moved, nil
}

// unhurried lifts limits that operators may have set for roles: a large store takes its time.
func unhurried(ctx context.Context, c *pgx.Conn) error {
	_, err := c.PgConn().Exec(ctx,
		"SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0").ReadAll()
	return err
}

// vacant refuses another program's tables, and such as a newer Kontor made: what those want of rows is not known here.
func vacant(ctx context.Context, c *pgx.Conn) error {
	applied, err := history(ctx, c)
	if err != nil {
		return err
	}
	steps, err := migrations.Load(migrationFiles)
	if err != nil {
		return err
	}
	if len(applied) > len(steps) {
		return fmt.Errorf("%w: it has version %d, made by a newer Kontor; this one knows %d", ErrSchema, len(applied),
			len(steps))
	}
	return nil
}

// unfilled refuses tables in which something stands.
func unfilled(ctx context.Context, c *pgx.Conn) error {
	for _, table := range columns.Tables() {
		if seeded[table.Name] {
			continue
		}
		var taken bool
		if err := c.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+table.Name+")").Scan(&taken); err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("%w: the database is not empty: a gateway was started with it, or a store copied there "+
				"(table %s has rows). Name an empty one; nothing is changed", store.ErrMove, table.Name)
		}
	}
	return nil
}

// fill copies the rows of a table, and compares what stands there afterwards with what was sent.
func fill(ctx context.Context, c *pgx.Conn, table columns.Table, from store.Source) (m store.Moved, err error) {
	if seeded[table.Name] {
		if _, err := c.Exec(ctx, "DELETE FROM "+table.Name); err != nil {
			return m, err
		}
	}
	sent, b := sum{}, newBatch(table)
	err = from.Rows(ctx, table.Name, table.Names(), func(values []any) error {
		if err := b.add(values); err != nil {
			return err
		}
		sent.add(values)
		if b.rows < fillRows && b.bytes < fillBytes {
			return nil
		}
		return b.send(ctx, c)
	})
	if err == nil {
		err = b.send(ctx, c)
	}
	if err != nil {
		return m, err
	}
	found := sum{}
	rows, err := c.Query(ctx, "SELECT "+strings.Join(table.Names(), ", ")+" FROM "+table.Name)
	if err != nil {
		return m, err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return m, err
		}
		found.add(values)
	}
	if err := rows.Err(); err != nil {
		return m, err
	}
	if found != sent {
		return m, fmt.Errorf("the copy is not what was sent: %d rows of %d, or other ones", found.rows, sent.rows)
	}
	_, err = c.Exec(ctx, "ANALYZE "+table.Name) // Gateways that begin now shall not plan for empty tables.
	return store.Moved{Table: table.Name, Rows: sent.rows, Found: found.rows}, err
}

// batch are rows that are sent at once: a list for each column.
type batch struct {
	table       columns.Table
	insert      string
	lists       []any
	rows, bytes int
}

func newBatch(table columns.Table) *batch {
	b := &batch{table: table, lists: make([]any, len(table.Columns))}
	types := map[columns.Kind]string{
		columns.Text: "text", columns.Number: "bigint", columns.Flag: "boolean", columns.Blob: "bytea",
	}
	lists := make([]string, len(table.Columns))
	for i, column := range table.Columns {
		lists[i] = fmt.Sprintf("$%d::%s[]", i+1, types[column.Kind])
	}
	names := strings.Join(table.Names(), ", ")
	b.insert = "INSERT INTO " + table.Name + " (" + names + ") SELECT " + names +
		" FROM unnest(" + strings.Join(lists, ", ") + ") AS given (" + names + ")"
	b.clear()
	return b
}

func (b *batch) clear() {
	b.rows, b.bytes = 0, 0
	for i, column := range b.table.Columns {
		switch column.Kind {
		case columns.Text:
			b.lists[i] = []*string(nil)
		case columns.Number:
			b.lists[i] = []int64(nil)
		case columns.Flag:
			b.lists[i] = []bool(nil)
		case columns.Blob:
			b.lists[i] = [][]byte(nil)
		}
	}
}

// errColumn says that a source has something in a column that cannot stand there.
var errColumn = errors.New("another kind of value than is kept there")

func (b *batch) add(values []any) error {
	for i, column := range b.table.Columns {
		var ok bool
		switch list := b.lists[i].(type) {
		case []*string:
			text, is := values[i].(string)
			ok = is || values[i] == nil
			if text != plain(text) {
				return fmt.Errorf("%w: column %s of a row has a character that PostgreSQL does not keep "+
					"(NUL, or one that is not UTF-8)", store.ErrMove, column.Name)
			}
			var value *string
			if is {
				value = &text
			}
			b.lists[i], b.bytes = append(list, value), b.bytes+len(text)
		case []int64:
			var value int64
			value, ok = values[i].(int64)
			b.lists[i] = append(list, value)
		case []bool:
			var value int64
			value, ok = values[i].(int64)
			b.lists[i] = append(list, value != 0)
		case [][]byte:
			value, is := values[i].([]byte)
			ok = is || values[i] == nil
			b.lists[i], b.bytes = append(list, value), b.bytes+len(value)
		}
		if !ok {
			return fmt.Errorf("column %s: %w", column.Name, errColumn)
		}
	}
	b.rows++
	return nil
}

func (b *batch) send(ctx context.Context, c *pgx.Conn) error {
	if b.rows == 0 {
		return nil
	}
	_, err := c.Exec(ctx, b.insert, b.lists...)
	b.clear()
	return err
}

// sum tells sets of rows apart, in whatever order they come: how many there are, and the sum of their hashes.
type sum struct {
	rows   int64
	hashes [4]uint64
}

func (s *sum) add(values []any) {
	hash := sha256.New()
	for _, value := range values {
		var kind byte
		var content []byte
		switch value := value.(type) {
		case nil:
		case string:
			kind, content = 't', []byte(value)
		case []byte:
			kind, content = 'b', value
		case int64:
			kind, content = 'n', binary.BigEndian.AppendUint64(nil, uint64(value))
		case int32:
			kind, content = 'n', binary.BigEndian.AppendUint64(nil, uint64(value))
		case bool:
			kind, content = 'n', make([]byte, 8)
			if value {
				content[7] = 1
			}
		}
		_, _ = hash.Write(binary.BigEndian.AppendUint64([]byte{kind}, uint64(len(content))))
		_, _ = hash.Write(content)
	}
	digest := hash.Sum(nil)
	for i := range s.hashes {
		s.hashes[i] += binary.BigEndian.Uint64(digest[8*i:])
	}
	s.rows++
}

// settle makes the tables those of the source's database, and ends leases and claims: whoever had them is gone.
//
// What the source's positions were they stay, so that cursors, exports and checkpoints are good; base puts those of
// later transactions behind them. Where the newest entry of a log was deleted, log_gone keeps its end.
func settle(ctx context.Context, c *pgx.Conn, origin store.Origin) error {
	last := origin.AuditHead
	for log, head := range origin.Heads {
		last = max(last, head)
		if _, err := c.Exec(ctx, "INSERT INTO log_gone (log, position) SELECT $1, $2::bigint WHERE $2::bigint > 0",
			string(log), head); err != nil {
			return err
		}
	}
	// By the lowest transaction that is under way, so that followers need not wait until it is over.
	if _, err := c.Exec(ctx, "UPDATE epoch SET value = $1, make_time = $2, base = greatest(base, "+
		"($3::bigint >> 20) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint)", origin.Epoch,
		columns.Micros(origin.CreateTime), last); err != nil {
		return err
	}
	for _, statement := range []string{
		"UPDATE idempotency SET lease_until = 0 WHERE NOT done",
		"UPDATE intents SET lease_until = 0 WHERE state = 'open'",
		"DELETE FROM user_claims",
		"DELETE FROM flow_claims",
		"UPDATE consents SET next_poll = 1, claim_owner = '', claim_until = 0 WHERE claim_owner <> '' AND " +
			"next_poll <> 0",
		"UPDATE consents SET claim_owner = '', claim_until = 0 WHERE claim_owner <> ''",
	} {
		if _, err := c.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
