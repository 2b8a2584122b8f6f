package sqlite

import (
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectCallbacks = "SELECT " + columns.CallbackNames + " FROM callbacks WHERE hash = ? AND kind = ? "

// callback finds a token of any tenant.
func (r *reader) callback(kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	return one(r, columns.Callback, selectCallbacks, hash[:], string(kind))
}

func (r *reader) Callback(kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	return one(r, columns.Callback, selectCallbacks+"AND tenant = ?", hash[:], string(kind), r.tenant)
}

func (t *tx) UpdateCallback(c *store.Callback) error {
	if err := t.own(c.Tenant); err != nil {
		return err
	}
	changed, err := t.exec("UPDATE callbacks SET outcome = ?, visit_time = ?, settled = ? WHERE hash = ? AND "+
		"kind = ? AND tenant = ?",
		c.Outcome, columns.Micros(c.VisitTime), c.Settled, c.Hash[:], string(c.Kind), t.tenant)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return err
}

func (t *tx) InsertCallback(c *store.Callback) error {
	if err := t.own(c.Tenant); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO callbacks ("+columns.CallbackNames+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		columns.CallbackValues(c)...)
	return err
}
