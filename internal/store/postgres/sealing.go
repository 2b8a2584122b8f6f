package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// boxOf gives what seals an owner's columns; ErrNotFound when there is no such owner.
func (t *tx) boxOf(owner string) (*keys.Box, error) {
	if owner != "" && owner == t.owner {
		return t.opened(t.Box(t.tenant, owner, t.wrapped))
	}
	const query = "SELECT wrapped FROM data_keys WHERE tenant = $1 AND owner = $2"
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
	_, err := t.exec("INSERT INTO data_keys (tenant, owner, wrapped) VALUES ($1, $2, $3)", t.tenant, owner, wrapped)
	return err
}

// eraseKey erases an owner's data key: whatever it sealed cannot be read any more.
func (t *tx) eraseKey(owner string) error {
	t.owner = ""
	_, err := t.exec("DELETE FROM data_keys WHERE tenant = $1 AND owner = $2", t.tenant, owner)
	return err
}

// opened ends the transaction when a data key does not open.
func (t *tx) opened(box *keys.Box, err error) (*keys.Box, error) {
	if err != nil {
		return nil, t.fail(err)
	}
	return box, nil
}

// unlock opens the working keys, within a transaction that no other process shares. With the first ones it makes the
// audit's roll: a database that has keys and no roll had one.
func unlock(ctx context.Context, c *pgx.Conn, key *keys.StoreKey) (*keys.Keys, error) {
	before, err := ring{c}.WorkingKeys(ctx)
	if err != nil {
		return nil, err
	}
	opened, err := key.Unlock(ctx, ring{c})
	if err != nil {
		return nil, err
	}
	if len(before) == 0 {
		const insert = "INSERT INTO audit_roll (id, tenants, mac) VALUES (1, '[]', $1)"
		if _, err := c.Exec(ctx, insert, store.NewAuditRoll(opened, nil).MAC); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// ring is where the working keys stand. Whoever changes them has a transaction.
type ring struct{ c *pgx.Conn }

var _ keys.Ring = ring{}

// WorkingKeys implements keys.Ring.
func (r ring) WorkingKeys(ctx context.Context) (map[keys.Purpose][]byte, error) {
	rows, err := r.c.Query(ctx, "SELECT purpose, wrapped FROM working_keys")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	wrapped := map[keys.Purpose][]byte{}
	for rows.Next() {
		var purpose string
		var key []byte
		if err := rows.Scan(&purpose, &key); err != nil {
			return nil, err
		}
		wrapped[keys.Purpose(purpose)] = key
	}
	return wrapped, rows.Err()
}

// AddWorkingKeys implements keys.Ring.
func (r ring) AddWorkingKeys(ctx context.Context, wrapped map[keys.Purpose][]byte) error {
	const insert = "INSERT INTO working_keys (purpose, wrapped) VALUES ($1, $2) ON CONFLICT (purpose) DO NOTHING"
	for purpose, key := range wrapped {
		if _, err := r.c.Exec(ctx, insert, string(purpose), key); err != nil {
			return err
		}
	}
	return nil
}

// RewrapWorkingKey implements keys.Ring.
func (r ring) RewrapWorkingKey(ctx context.Context, purpose keys.Purpose, before, now []byte) error {
	const update = "UPDATE working_keys SET wrapped = $1 WHERE purpose = $2 AND wrapped = $3"
	_, err := r.c.Exec(ctx, update, now, string(purpose), before)
	return err
}
