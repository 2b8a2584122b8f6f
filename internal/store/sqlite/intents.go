package sqlite

import (
	"time"

	"kontor.dev/kontor/internal/store"
)

const selectIntents = `
	SELECT tenant, id, provider, operation, resource, customer_id, idempotency_method, idempotency_key, state,
	owner, lease_until, create_time,
		update_time
	FROM intents `

func scanIntent(row row) (*store.Intent, error) {
	var i store.Intent
	var leaseUntil, createTime, updateTime int64
	err := row.Scan(&i.Tenant, &i.ID, &i.Provider, &i.Operation, &i.Resource, &i.CustomerID, &i.IdempotencyMethod,
		&i.IdempotencyKey, &i.State,
		&i.Lease.Owner, &leaseUntil, &createTime, &updateTime)
	if err != nil {
		return nil, err
	}
	i.Lease.Until, i.CreateTime, i.UpdateTime = instant(leaseUntil), instant(createTime), instant(updateTime)
	return &i, nil
}

func (r *reader) Intent(id string) (*store.Intent, error) {
	return one(r, scanIntent, selectIntents+"WHERE tenant = ? AND id = ?", r.tenant, id)
}

func (r *reader) OpenIntents(method, key string) ([]*store.Intent, error) {
	return all(r, scanIntent,
		selectIntents+"WHERE tenant = ? AND idempotency_method = ? AND idempotency_key = ? AND state = 'open'",
		r.tenant, method, key)
}

// expiredIntents lists those of all tenants.
func (r *reader) expiredIntents(now time.Time, limit int) ([]*store.Intent, error) {
	return all(r, scanIntent, selectIntents+"WHERE state = 'open' AND lease_until <= ? ORDER BY lease_until LIMIT ?",
		micros(now), max(limit, 0))
}

func (t *tx) InsertIntent(i *store.Intent) error {
	if err := t.own(i.Tenant); err != nil {
		return err
	}
	_, err := t.exec(`
		INSERT INTO intents (
			tenant, id, provider, operation, resource, customer_id, idempotency_method, idempotency_key, state,
			owner, lease_until, create_time,
			update_time
		) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.Tenant, i.ID, i.Provider, i.Operation, i.Resource, i.CustomerID, i.IdempotencyMethod, i.IdempotencyKey,
		string(i.State),
		i.Lease.Owner, micros(i.Lease.Until), micros(i.CreateTime), micros(i.UpdateTime))
	return err
}

func (t *tx) UpdateIntent(id string, state store.IntentState, at time.Time) error {
	changed, err := t.exec("UPDATE intents SET state = ?, update_time = ? WHERE tenant = ? AND id = ?", string(state),
		micros(at), t.tenant, id)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return err
}
