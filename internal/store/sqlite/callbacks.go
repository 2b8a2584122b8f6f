package sqlite

import "kontor.dev/kontor/internal/store"

func scanCallback(row row) (*store.Callback, error) {
	var c store.Callback
	var hash []byte
	var createTime, expireTime int64
	if err := row.Scan(&hash, &c.Kind, &c.Tenant, &c.Provider, &c.Resource, &c.Flow, &createTime,
		&expireTime); err != nil {
		return nil, err
	}
	copy(c.Hash[:], hash)
	c.CreateTime, c.ExpireTime = instant(createTime), instant(expireTime)
	return &c, nil
}

// callback finds a token of any tenant.
func (r *reader) callback(kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	return one(r, scanCallback, `
		SELECT hash, kind, tenant, provider, resource, flow, create_time, expire_time FROM callbacks WHERE hash = ?
		AND kind = ?`,
		hash[:], string(kind))
}

func (t *tx) InsertCallback(c *store.Callback) error {
	if err := t.own(c.Tenant); err != nil {
		return err
	}
	_, err := t.exec(`
		INSERT INTO callbacks (hash, kind, tenant, provider, resource, flow, create_time, expire_time) VALUES (?, ?,
		?, ?, ?, ?, ?, ?)`,
		c.Hash[:], string(c.Kind), c.Tenant, c.Provider, c.Resource, c.Flow, micros(c.CreateTime), micros(c.ExpireTime))
	return err
}

// deleteCallbacks removes what is bound to a consent or shipment. Their ids are unique, so the kind need not be asked.
const deleteCallbacks = "DELETE FROM callbacks WHERE tenant = ? AND resource = ?"
