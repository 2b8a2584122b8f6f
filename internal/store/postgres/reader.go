package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// reader is a store.Reader within one transaction, and what System's methods read with.
type reader struct {
	ctx context.Context // The transaction's, whose life it shares: without it nothing more is done.
	c   *conn
	s   *Store
	// tenant is whose rows these are; empty for System's own work.
	tenant string
	columns.Opener

	// lock says that rows that are read by their ids are kept from others until the end, since they may be changed.
	lock bool
	// absent are the rows that were looked for by a key and not found, while lock holds.
	absent map[string]bool
	// owner and wrapped are whose consent was read last, while lock holds, and the data key: "" for nobody's. Whoever
	// changes what was read needs not read the key again.
	owner   string
	wrapped []byte
	// own are the positions that the transaction itself gives.
	own positions
	// asked counts the queries.
	asked int
	// failed is the first error other than those that store documents. After it the server takes no more statements.
	failed error
}

// tx is a store.Tx.
type tx struct {
	reader
	// touched are the logs whose followers to wake, with the places behind the newest entries.
	touched map[store.Log]store.Cursor
	// wrote says that there was a statement that may have changed something.
	wrote bool
	// given counts the positions that were given.
	given int64
}

// fail notes an error that ends the transaction.
func (r *reader) fail(err error) error {
	if r.failed == nil {
		r.failed = fmt.Errorf("postgres: %w", err)
		r.s.health.NoteRead(err)
	}
	return r.failed
}

// broken notes an error of a statement.
func (r *reader) broken(err error) error {
	if r.ctx.Err() != nil {
		return r.fail(r.ctx.Err())
	}
	return r.fail(databaseError{unlimited(r.ctx, err)})
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

// mine refuses a row of another tenant.
func (t *tx) mine(tenant string) error {
	if t.failed == nil && tenant != t.tenant {
		return t.fail(store.ErrTenant)
	}
	return t.failed
}

// kept gives values as PostgreSQL can keep them.
func kept(args []any) []any {
	for i, arg := range args {
		switch value := arg.(type) {
		case string:
			args[i] = plain(value)
		case []string:
			all := make([]string, len(value))
			for i := range value {
				all[i] = plain(value[i])
			}
			args[i] = all
		}
	}
	return args
}

// exec runs a statement and returns how many rows it changed. One that may meet a taken key has ON CONFLICT DO NOTHING:
// an error would end the transaction.
func (t *tx) exec(query string, args ...any) (int, error) {
	if err := t.ready(); err != nil {
		return 0, err
	}
	t.wrote = true
	limited, cancel := t.s.limited(t.ctx)
	defer cancel()
	tag, err := t.c.Exec(limited, query, kept(args)...)
	if err != nil {
		return 0, t.broken(err)
	}
	return int(tag.RowsAffected()), nil
}

// send runs statements that are sent at once, as exec does each.
func (t *tx) send(batch *pgx.Batch) error {
	if err := t.ready(); err != nil || batch.Len() == 0 {
		return err
	}
	t.wrote = true
	limited, cancel := t.s.limited(t.ctx)
	defer cancel()
	if err := t.c.SendBatch(limited, batch).Close(); err != nil {
		return t.broken(err)
	}
	return nil
}

// insert is exec for a statement with ON CONFLICT DO NOTHING; ErrExists when there was one.
func (t *tx) insert(query string, args ...any) error {
	n, err := t.exec(query+" ON CONFLICT DO NOTHING", args...)
	if err == nil && n == 0 {
		err = store.ErrExists
	}
	return err
}

// insertAbsent is insert for a row that the transaction may have looked for by a key. When it did not find the row
// then, and somebody else has inserted it since, the transaction runs again.
func (t *tx) insertAbsent(key, query string, args ...any) error {
	err := t.insert(query, args...)
	if errors.Is(err, store.ErrExists) && t.absent[key] {
		return t.fail(errTurn)
	}
	return err
}

// sought notes when what was looked for by a key is not there.
func sought[T any](r *reader, key string, found T, err error) (T, error) {
	if r.lock && errors.Is(err, store.ErrNotFound) {
		if r.absent == nil {
			r.absent = map[string]bool{}
		}
		r.absent[key] = true
	}
	return found, err
}

// guarded is exec for a statement that may violate a unique key: then it alone is undone, and the error is ErrExists.
func (t *tx) guarded(query string, args ...any) (int, error) {
	if _, err := t.exec("SAVEPOINT guarded"); err != nil {
		return 0, err
	}
	limited, cancel := t.s.limited(t.ctx)
	defer cancel()
	tag, err := t.c.Exec(limited, query, kept(args)...)
	if code(err) == uniqueViolation {
		if _, err := t.exec("ROLLBACK TO guarded"); err != nil {
			return 0, err
		}
		return 0, store.ErrExists
	}
	if err != nil {
		return 0, t.broken(err)
	}
	_, err = t.exec("RELEASE guarded")
	return int(tag.RowsAffected()), err
}

// locking is what stands behind a query of one row by its id.
func (r *reader) locking(table string) string {
	if !r.lock {
		return ""
	}
	return " FOR NO KEY UPDATE OF " + table
}

// all returns what scan makes of each row.
func all[T any](r *reader, scan func(columns.Row) (T, error), query string, args ...any) ([]T, error) {
	if err := r.ready(); err != nil {
		return nil, err
	}
	r.asked++
	limited, cancel := r.s.limited(r.ctx)
	defer cancel()
	rows, err := r.c.Query(limited, query, kept(args)...)
	if err != nil {
		return nil, r.broken(err)
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		value, err := scan(rows)
		if err != nil {
			return nil, r.fail(err)
		}
		found = append(found, value)
	}
	if err := rows.Err(); err != nil {
		return nil, r.broken(err)
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

// missingOrConflict tells why a row was not changed: the query finds it, or it is not there.
func (t *tx) missingOrConflict(query string, args ...any) error {
	switch found, err := t.exists(query, args...); {
	case err != nil:
		return err
	case found:
		return store.ErrConflict
	default:
		return store.ErrNotFound
	}
}
