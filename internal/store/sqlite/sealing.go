package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// boxOf gives what seals an owner's columns; ErrNotFound when there is no such owner.
func (t *tx) boxOf(owner string) (*keys.Box, error) {
	const query = "SELECT wrapped FROM data_keys WHERE tenant = ? AND owner = ?"
	wrapped, err := one(&t.reader, columns.Only[[]byte], query, t.tenant, owner)
	if err != nil {
		return nil, err
	}
	return t.opened(t.Box(t.tenant, owner, wrapped))
}

// newBox makes an owner's data key, to be kept by keepKey beside the owner's row, and gives what seals with it.
func (t *tx) newBox(owner string) (*keys.Box, []byte, error) {
	if t.failed != nil {
		return nil, nil, t.failed
	}
	box, wrapped, err := t.Keys.NewBox(t.tenant, owner)
	if err != nil {
		return nil, nil, t.fail(err)
	}
	return box, wrapped, nil
}

func (t *tx) keepKey(owner string, wrapped []byte) error {
	_, err := t.exec("INSERT INTO data_keys (tenant, owner, wrapped) VALUES (?, ?, ?)", t.tenant, owner, wrapped)
	return err
}

// eraseKey erases an owner's data key: whatever it sealed cannot be read any more.
func (t *tx) eraseKey(owner string) error {
	t.purge = true
	_, err := t.exec("DELETE FROM data_keys WHERE tenant = ? AND owner = ?", t.tenant, owner)
	return err
}

// opened ends the transaction when a data key does not open.
func (t *tx) opened(box *keys.Box, err error) (*keys.Box, error) {
	if err != nil {
		return nil, t.fail(err)
	}
	return box, nil
}

// unlock opens the working keys in one transaction. With the first ones it makes the audit's roll: a file that has keys
// and no roll had one.
func unlock(ctx context.Context, c *conn, key *keys.StoreKey) (_ *keys.Keys, err error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	committed := false
	defer func() {
		if !committed {
			c.rollback()
		}
	}()
	before, err := ring{c}.WorkingKeys(ctx)
	if err != nil {
		return nil, err
	}
	opened, err := key.Unlock(ctx, ring{c})
	if err != nil {
		return nil, err
	}
	if len(before) == 0 {
		const insert = "INSERT INTO audit_roll (id, tenants, mac) VALUES (1, '[]', ?)"
		if _, err := c.exec(context.Background(), insert, store.NewAuditRoll(opened, nil).MAC); err != nil {
			return nil, err
		}
	}
	_, err = c.exec(context.Background(), "COMMIT")
	committed = err == nil
	return opened, err
}

// ring is where the working keys stand. Whoever uses it has a transaction, in which it reads and writes.
type ring struct{ c *conn }

var _ keys.Ring = ring{}

// WorkingKeys implements keys.Ring.
func (r ring) WorkingKeys(ctx context.Context) (_ map[keys.Purpose][]byte, err error) {
	rows, err := r.c.sql.QueryContext(ctx, "SELECT purpose, wrapped FROM working_keys")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	wrapped := map[keys.Purpose][]byte{}
	for rows.Next() {
		var purpose keys.Purpose
		var key sql.RawBytes
		if err := rows.Scan(&purpose, &key); err != nil {
			return nil, err
		}
		wrapped[purpose] = append([]byte(nil), key...)
	}
	return wrapped, rows.Err()
}

// AddWorkingKeys implements keys.Ring.
func (r ring) AddWorkingKeys(ctx context.Context, wrapped map[keys.Purpose][]byte) error {
	const insert = "INSERT INTO working_keys (purpose, wrapped) VALUES (?, ?) ON CONFLICT (purpose) DO NOTHING"
	for purpose, key := range wrapped {
		if _, err := r.c.exec(context.WithoutCancel(ctx), insert, string(purpose), key); err != nil {
			return err
		}
	}
	return nil
}

// RewrapWorkingKey implements keys.Ring.
func (r ring) RewrapWorkingKey(ctx context.Context, purpose keys.Purpose, before, now []byte) error {
	const update = "UPDATE working_keys SET wrapped = ? WHERE purpose = ? AND wrapped = ?"
	_, err := r.c.exec(context.WithoutCancel(ctx), update, now, string(purpose), before)
	return err
}

// Keys implements store.Database.
func (s *Store) Keys() *keys.Keys { return s.keys }

// Keys implements store.Archive.
func (r *ReadOnly) Keys(ctx context.Context, key *keys.StoreKey) (*keys.Keys, error) {
	c, err := r.readers.get(ctx)
	if err != nil {
		return nil, err
	}
	defer r.readers.put(c)
	wrapped, err := ring{c}.WorkingKeys(ctx)
	if err != nil {
		return nil, err
	}
	return key.Open(wrapped)
}

// lostWithCustomer is what completing a record answers whose customer is gone: it went with them.
func lostWithCustomer(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return store.ErrClaimLost
	}
	return err
}
