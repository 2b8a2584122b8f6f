package postgres

import (
	"errors"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectIntents = "SELECT " + columns.IntentNames + " FROM intents "

func (r *reader) Intent(id string) (*store.Intent, error) {
	return one(r, columns.Intent, selectIntents+"WHERE tenant = $1 AND id = $2"+r.locking("intents"), r.tenant, id)
}

func (r *reader) OpenIntents(method, key string) ([]*store.Intent, error) {
	return all(r, columns.Intent,
		selectIntents+"WHERE tenant = $1 AND idempotency_method = $2 AND idempotency_key = $3 AND state = 'open'"+
			r.locking("intents"), r.tenant, method, key)
}

// expiredIntents lists those of all tenants.
func (r *reader) expiredIntents(now time.Time, limit int) ([]*store.Intent, error) {
	return all(r, columns.Intent,
		selectIntents+"WHERE state = 'open' AND lease_until <= $1 ORDER BY lease_until LIMIT $2",
		columns.Micros(now), max(limit, 0))
}

func (t *tx) InsertIntent(i *store.Intent) error {
	if err := t.mine(i.Tenant); err != nil {
		return err
	}
	return t.insert("INSERT INTO intents ("+columns.IntentNames+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "+
		"$11, $12, $13)", columns.IntentValues(i)...)
}

func (t *tx) UpdateIntent(id string, state store.IntentState, at time.Time) error {
	changed, err := t.exec("UPDATE intents SET state = $1, update_time = $2 WHERE tenant = $3 AND id = $4",
		string(state), columns.Micros(at), t.tenant, id)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return err
}

const selectCallbacks = "SELECT " + columns.CallbackNames + " FROM callbacks WHERE hash = $1 AND kind = $2 "

// callback finds a token of any tenant.
func (r *reader) callback(kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	return one(r, columns.Callback, selectCallbacks, hash[:], string(kind))
}

func (r *reader) Callback(kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	return one(r, columns.Callback, selectCallbacks+"AND tenant = $3"+r.locking("callbacks"), hash[:], string(kind),
		r.tenant)
}

func (t *tx) UpdateCallback(c *store.Callback) error {
	if err := t.mine(c.Tenant); err != nil {
		return err
	}
	changed, err := t.exec("UPDATE callbacks SET outcome = $1, visit_time = $2, settled = $3 WHERE hash = $4 AND "+
		"kind = $5 AND tenant = $6",
		c.Outcome, columns.Micros(c.VisitTime), c.Settled, c.Hash[:], string(c.Kind), t.tenant)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return err
}

func (t *tx) InsertCallback(c *store.Callback) error {
	if err := t.mine(c.Tenant); err != nil {
		return err
	}
	return t.insert("INSERT INTO callbacks ("+columns.CallbackNames+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "+
		"$10, $11)", columns.CallbackValues(c)...)
}

func (r *reader) Webhook(key string) (*store.Webhook, error) {
	const query = "SELECT " + columns.WebhookNames + " FROM webhooks WHERE tenant = $1 AND key = $2"
	found, err := one(r, columns.Webhook, query+r.locking("webhooks"), r.tenant, key)
	return sought(r, "webhook "+key, found, err)
}

func (t *tx) PutWebhook(w *store.Webhook) error {
	if err := t.mine(w.Tenant); err != nil {
		return err
	}
	const insert = "INSERT INTO webhooks (" + columns.WebhookNames + ") VALUES ($1, $2, $3, $4, $5)"
	err := t.insertAbsent("webhook "+w.Key, insert, w.Key, w.Tenant, w.Provider, w.Registered,
		columns.Micros(w.UpdateTime))
	if errors.Is(err, store.ErrExists) {
		_, err = t.exec("UPDATE webhooks SET provider = $3, registered = $4, update_time = $5 WHERE tenant = $1 AND "+
			"key = $2", w.Tenant, w.Key, w.Provider, w.Registered, columns.Micros(w.UpdateTime))
	}
	if err != nil || !w.Registered {
		return err
	}
	const former = "tenant = $1 AND provider = $2 AND key <> $3"
	for _, query := range []string{
		"DELETE FROM callbacks WHERE tenant = $1 AND resource IN (SELECT key FROM webhooks WHERE " + former + ")",
		"DELETE FROM webhooks WHERE " + former,
	} {
		if _, err := t.exec(query, t.tenant, w.Provider, w.Key); err != nil {
			return err
		}
	}
	return nil
}
