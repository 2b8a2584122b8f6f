package sqlite

import (
	"time"

	"kontor.dev/kontor/internal/store"
)

const selectIntents = `
	SELECT tenant, id, provider, operation, resource, idempotency_method, idempotency_key, state, create_time, update_time FROM intents `

func scanIntent(row row) (*store.Intent, error) {
	var i store.Intent
	var createTime, updateTime int64
	err := row.Scan(&i.Tenant, &i.ID, &i.Provider, &i.Operation, &i.Resource, &i.IdempotencyMethod, &i.IdempotencyKey, &i.State, &createTime, &updateTime)
	if err != nil {
		return nil, err
	}
	i.CreateTime, i.UpdateTime = instant(createTime), instant(updateTime)
	return &i, nil
}

func (r *reader) OpenIntents(limit int) ([]*store.Intent, error) {
	return all(r, scanIntent, selectIntents+"WHERE state = 'open' ORDER BY create_time, id LIMIT ?", max(limit, 0))
}

func (r *reader) Intent(tenant, id string) (*store.Intent, error) {
	return one(r, scanIntent, selectIntents+"WHERE tenant = ? AND id = ?", tenant, id)
}

func (t *tx) InsertIntent(i *store.Intent) error {
	_, err := t.exec(`
		INSERT INTO intents (
			tenant, id, provider, operation, resource, idempotency_method, idempotency_key, state, create_time, update_time
		) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.Tenant, i.ID, i.Provider, i.Operation, i.Resource, i.IdempotencyMethod, i.IdempotencyKey, string(i.State),
		micros(i.CreateTime), micros(i.UpdateTime))
	return err
}

func (t *tx) UpdateIntent(tenant, id string, state store.IntentState, at time.Time) error {
	changed, err := t.exec("UPDATE intents SET state = ?, update_time = ? WHERE tenant = ? AND id = ?", string(state), micros(at), tenant, id)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return err
}

func (t *tx) DeleteIntentsBefore(updated time.Time) (int, error) {
	return t.exec("DELETE FROM intents WHERE state <> 'open' AND update_time < ?", micros(updated))
}
