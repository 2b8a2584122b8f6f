package sqlite

import (
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectIntents = "SELECT " + columns.IntentNames + " FROM intents "

func (r *reader) Intent(id string) (*store.Intent, error) {
	return one(r, columns.Intent, selectIntents+"WHERE tenant = ? AND id = ?", r.tenant, id)
}

func (r *reader) OpenIntents(method, key string) ([]*store.Intent, error) {
	return all(r, columns.Intent,
		selectIntents+"WHERE tenant = ? AND idempotency_method = ? AND idempotency_key = ? AND state = 'open'",
		r.tenant, method, key)
}

// expiredIntents lists those of all tenants.
func (r *reader) expiredIntents(now time.Time, limit int) ([]*store.Intent, error) {
	return all(r, columns.Intent,
		selectIntents+"WHERE state = 'open' AND lease_until <= ? ORDER BY lease_until LIMIT ?",
		columns.Micros(now), max(limit, 0))
}

func (t *tx) InsertIntent(i *store.Intent) error {
	if err := t.own(i.Tenant); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO intents ("+columns.IntentNames+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		columns.IntentValues(i)...)
	return err
}

func (t *tx) UpdateIntent(id string, state store.IntentState, at time.Time) error {
	changed, err := t.exec("UPDATE intents SET state = ?, update_time = ? WHERE tenant = ? AND id = ?", string(state),
		columns.Micros(at), t.tenant, id)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return err
}
