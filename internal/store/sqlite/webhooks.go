package sqlite

import (
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

func (r *reader) Webhook(key string) (*store.Webhook, error) {
	const query = "SELECT " + columns.WebhookNames + " FROM webhooks WHERE tenant = ? AND key = ?"
	return one(r, columns.Webhook, query, r.tenant, key)
}

func (t *tx) PutWebhook(w *store.Webhook) error {
	if err := t.own(w.Tenant); err != nil {
		return err
	}
	_, err := t.exec(`
		INSERT INTO webhooks (key, tenant, provider, registered, update_time) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant, key) DO UPDATE SET
			provider = excluded.provider, registered = excluded.registered, update_time = excluded.update_time`,
		w.Key, w.Tenant, w.Provider, w.Registered, columns.Micros(w.UpdateTime))
	if err != nil || !w.Registered {
		return err
	}
	const former = "tenant = ?1 AND provider = ?2 AND key <> ?3"
	for _, query := range []string{
		"DELETE FROM callbacks WHERE tenant = ?1 AND resource IN (SELECT key FROM webhooks WHERE " + former + ")",
		"DELETE FROM webhooks WHERE " + former,
	} {
		if _, err := t.exec(query, t.tenant, w.Provider, w.Key); err != nil {
			return err
		}
	}
	return nil
}
