package sqlite

import "kontor.dev/kontor/internal/store"

func scanCallback(row row) (*store.Callback, error) {
	var c store.Callback
	var hash []byte
	var createTime, expireTime, visitTime int64
	if err := row.Scan(&hash, &c.Kind, &c.Tenant, &c.Provider, &c.Resource, &c.Flow, &createTime,
		&expireTime, &c.Outcome, &visitTime, &c.Settled); err != nil {
		return nil, err
	}
	copy(c.Hash[:], hash)
	c.CreateTime, c.ExpireTime, c.VisitTime = instant(createTime), instant(expireTime), instant(visitTime)
	return &c, nil
}

const selectCallbacks = `
	SELECT hash, kind, tenant, provider, resource, flow, create_time, expire_time, outcome, visit_time, settled
	FROM callbacks WHERE hash = ? AND kind = ? `

// callback finds a token of any tenant.
func (r *reader) callback(kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	return one(r, scanCallback, selectCallbacks, hash[:], string(kind))
}

func (r *reader) Callback(kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	return one(r, scanCallback, selectCallbacks+"AND tenant = ?", hash[:], string(kind), r.tenant)
}

func (t *tx) UpdateCallback(c *store.Callback) error {
	if err := t.own(c.Tenant); err != nil {
		return err
	}
	changed, err := t.exec("UPDATE callbacks SET outcome = ?, visit_time = ?, settled = ? WHERE hash = ? AND "+
		"kind = ? AND tenant = ?",
		c.Outcome, micros(c.VisitTime), c.Settled, c.Hash[:], string(c.Kind), t.tenant)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return err
}

func (t *tx) InsertCallback(c *store.Callback) error {
	if err := t.own(c.Tenant); err != nil {
		return err
	}
	_, err := t.exec(`
		INSERT INTO callbacks (hash, kind, tenant, provider, resource, flow, create_time, expire_time, outcome,
		visit_time, settled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Hash[:], string(c.Kind), c.Tenant, c.Provider, c.Resource, c.Flow, micros(c.CreateTime),
		micros(c.ExpireTime), c.Outcome, micros(c.VisitTime), c.Settled)
	return err
}
