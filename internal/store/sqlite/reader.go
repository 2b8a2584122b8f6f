package sqlite

import (
	"context"
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// reader is a store.Reader within one transaction, and what System's methods read with.
type reader struct {
	ctx context.Context // The transaction's, whose life it shares: without it nothing more is done.
	run context.Context // What statements run with: ctx, or one that does not end.
	c   *conn
	// tenant is whose rows these are; empty for System's own work.
	tenant string
	columns.Opener

	// failed is the first error other than those that store documents. After it nothing more is done: SQLite may have
	// ended the transaction by itself, and what followed would be committed statement by statement.
	failed error
}

// tx is a store.Tx.
type tx struct {
	reader
	// touched are the logs whose followers to wake.
	touched map[store.Log]store.Cursor
	// changed are the consents whose rows it changed.
	changed changes
	// purge says that rows were deleted that must not stay in the write-ahead log.
	purge bool
}

// fail notes an error that ends the transaction.
func (r *reader) fail(err error) error {
	if r.failed == nil {
		r.failed = fmt.Errorf("sqlite: %w", err)
		r.c.health.NoteRead(err)
	}
	return r.failed
}

// ready tells whether there may be a further statement.
func (r *reader) ready() error {
	if r.failed == nil {
		if err := r.ctx.Err(); err != nil {
			return r.fail(err)
		}
	}
	return r.failed
}

// own refuses a row of another tenant.
func (t *tx) own(tenant string) error {
	if t.failed == nil && tenant != t.tenant {
		return t.fail(store.ErrTenant)
	}
	return t.failed
}

// exec runs a statement and returns how many rows it changed. A violated constraint undoes the statement alone, so the
// transaction can go on.
func (r *reader) exec(query string, args ...any) (int, error) {
	if err := r.ready(); err != nil {
		return 0, err
	}
	result, err := r.c.exec(r.run, query, args...)
	switch code(err) {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return 0, store.ErrExists
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return 0, store.ErrNotFound
	}
	if err != nil {
		return 0, r.fail(err)
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return 0, r.fail(err)
	}
	return int(changed), nil
}

// all returns what scan makes of each row.
func all[T any](r *reader, scan func(columns.Row) (T, error), query string, args ...any) ([]T, error) {
	if err := r.ready(); err != nil {
		return nil, err
	}
	statement, err := r.c.prepare(r.run, query)
	if err != nil {
		return nil, r.fail(err)
	}
	rows, err := statement.QueryContext(r.run, args...)
	if err != nil {
		return nil, r.fail(err)
	}
	var found []T
	for err == nil && rows.Next() {
		var value T
		if value, err = scan(rows); err == nil {
			found = append(found, value)
		}
	}
	if err := errors.Join(err, rows.Close(), rows.Err()); err != nil {
		return nil, r.fail(err)
	}
	return found, nil
}

// one returns what scan makes of the only row, or ErrNotFound.
func one[T any](r *reader, scan func(columns.Row) (T, error), query string, args ...any) (T, error) {
	found, err := all(r, scan, query, args...)
	if err != nil || len(found) == 0 {
		var none T
		if err == nil {
			err = store.ErrNotFound
		}
		return none, err
	}
	return found[0], nil
}

// exists tells whether a query has a row.
func (r *reader) exists(query string, args ...any) (bool, error) {
	_, err := one(r, columns.Only[int], query, args...)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
