package yardstick

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Inserts are rows that Kontor wrote, to be written again by nothing but inserts, by one who writes: those of one call
// after the other, those of some calls in each transaction.
type Inserts struct {
	schema []string
	tables []table
	calls  int
}

type table struct {
	insert string
	rows   [][]any
}

// settings are those of durability and format that Kontor's writer has. What is left out are checks.
const settings = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=secure_delete(ON)" +
	"&_pragma=temp_store(MEMORY)"

// NewInserts takes the rows of a SQLite store in which calls that made a consent each left all there is.
func NewInserts(ctx context.Context, from *sql.DB) (*Inserts, error) {
	all := &Inserts{}
	var names []string
	if err := query(ctx, from, "SELECT coalesce(sql, ''), type, name FROM sqlite_schema "+
		"WHERE name NOT LIKE 'sqlite_%' AND type IN ('table', 'index') ORDER BY type DESC", func(row []any) {
		all.schema = append(all.schema, fmt.Sprint(row[0]))
		if row[1] == "table" {
			names = append(names, fmt.Sprint(row[2]))
		}
	}); err != nil {
		return nil, err
	}
	for _, name := range names {
		var columns []string
		if err := query(ctx, from, "SELECT name FROM pragma_table_info('"+name+"')", func(row []any) {
			columns = append(columns, fmt.Sprintf("%q", row[0]))
		}); err != nil {
			return nil, err
		}
		listed := strings.Join(columns, ", ")
		each := table{insert: fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", name, listed,
			strings.Join(strings.Split(strings.Repeat("?", len(columns)), ""), ", "))}
		err := query(ctx, from, "SELECT "+listed+" FROM "+name, func(row []any) { each.rows = append(each.rows, row) })
		if err != nil {
			return nil, err
		}
		if name == "consents" {
			all.calls = len(each.rows)
		}
		all.tables = append(all.tables, each)
	}
	if all.calls == 0 {
		return nil, errors.New("there are no consents")
	}
	return all, nil
}

func query(ctx context.Context, from *sql.DB, statement string, each func(row []any)) error {
	rows, err := from.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		each(row)
	}
	return rows.Err()
}

// Rows is how many rows each call left.
func (i *Inserts) Rows() float64 {
	var rows int
	for _, t := range i.tables {
		rows += len(t.rows)
	}
	return float64(rows) / float64(i.calls)
}

// Run writes all rows into a new database in a folder, those of so many calls in a transaction, and gives the calls of
// each second.
func (i *Inserts) Run(ctx context.Context, dir string, together int) (rate float64, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "inserts.db")+"?"+settings)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, statement := range i.schema {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return 0, err
		}
	}
	statements := make([]*sql.Stmt, len(i.tables))
	for n, t := range i.tables {
		statements[n], err = db.PrepareContext(ctx, t.insert) //nolint:sqlclosecheck // they end with the database
		if err != nil {
			return 0, err
		}
	}
	began := time.Now()
	for call := 0; call < i.calls; call += together {
		if err := i.write(ctx, db, statements, call, min(call+together, i.calls)); err != nil {
			return 0, err
		}
	}
	return float64(i.calls) / time.Since(began).Seconds(), nil
}

// write writes the rows of some calls.
func (i *Inserts) write(ctx context.Context, db *sql.DB, statements []*sql.Stmt, from, to int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for n, t := range i.tables {
		own := tx.StmtContext(ctx, statements[n]) //nolint:sqlclosecheck // it ends with the transaction
		for _, row := range t.rows[from*len(t.rows)/i.calls : to*len(t.rows)/i.calls] {
			if _, err := own.ExecContext(ctx, row...); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
	}
	return tx.Commit()
}
