package postgres

import (
	"strings"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// DeleteCustomer removes in the order in which rows refer to each other, as much as the limit allows.
func (t *tx) DeleteCustomer(id string, limit int) (removed store.Removed, err error) {
	found, err := t.exists("SELECT 1 FROM customers WHERE tenant = $1 AND id = $2 FOR UPDATE", t.tenant, id)
	if err != nil {
		return removed, err
	}
	if !found {
		return removed, store.ErrNotFound
	}
	left := max(limit, 1)
	if left, err = t.finishErasures(id, left); err != nil || left == 0 {
		return removed, err // There may be more.
	}
	for _, kind := range []struct {
		list  string
		erase func(ids []string) (gone int, err error)
		count *int
	}{
		{
			"SELECT id FROM consents WHERE tenant = $1 AND customer_id = $2 AND deleted = 1 ORDER BY id LIMIT $3",
			eachOf(t.eraseConsent), &removed.Consents,
		},
		{
			"SELECT id FROM shipments WHERE tenant = $1 AND customer_id = $2 ORDER BY id LIMIT $3", t.eraseShipments,
			&removed.Shipments,
		},
		{
			"SELECT id FROM intents WHERE tenant = $1 AND customer_id = $2 AND customer_id <> '' LIMIT $3",
			eachOf(t.deleteIntent), new(int),
		},
	} {
		ids, err := all(&t.reader, columns.Only[string], kind.list, t.tenant, id, left)
		if err != nil {
			return removed, err
		}
		gone, err := kind.erase(ids)
		*kind.count = gone
		if left -= gone; err != nil || left == 0 || gone < len(ids) {
			return removed, err // There may be more.
		}
	}
	records, err := t.exec(`
		DELETE FROM idempotency WHERE (tenant, method, key) IN (
			SELECT tenant, method, key FROM idempotency WHERE tenant = $1 AND customer_id = $2 AND customer_id <> ''
			LIMIT $3
		)`, t.tenant, id, left)
	if err != nil || records == left {
		return removed, err
	}
	if live, err := t.exists("SELECT 1 FROM consents WHERE tenant = $1 AND customer_id = $2 LIMIT 1", t.tenant,
		id); live || err != nil {
		return removed, err
	}
	if _, err := t.exec("DELETE FROM customers WHERE tenant = $1 AND id = $2", t.tenant, id); err != nil {
		return removed, err
	}
	err = t.eraseKey(id)
	removed.Done = err == nil
	return removed, err
}

// eachOf gives what erases several by what erases one.
func eachOf(erase func(id string) error) func(ids []string) (gone int, err error) {
	return func(ids []string) (int, error) {
		for i, id := range ids {
			if err := erase(id); err != nil {
				return i, err
			}
		}
		return len(ids), nil
	}
}

// deleteIntent removes an intent and the idempotency record that waits for it.
func (t *tx) deleteIntent(id string) error {
	_, err := t.exec(`
		DELETE FROM idempotency WHERE (tenant, method, key) IN (
			SELECT tenant, idempotency_method, idempotency_key FROM intents WHERE tenant = $1 AND id = $2
		)`, t.tenant, id)
	if err != nil {
		return err
	}
	_, err = t.exec("DELETE FROM intents WHERE tenant = $1 AND id = $2", t.tenant, id)
	return err
}

// eraseConsent removes what DeleteConsent left of a consent, but for the log's entry.
func (t *tx) eraseConsent(id string) error {
	_, err := t.exec("DELETE FROM consents WHERE tenant = $1 AND id = $2", t.tenant, id)
	return err
}

// deletedEvent is the one that stays.
const deletedEvent = consentv1.ConsentEvent_DELETED

// finishErasures erases what DeleteConsent left of a customer's consents, and tells how much of the limit is left.
func (t *tx) finishErasures(customerID string, limit int) (left int, err error) {
	unfinished, err := all(&t.reader, columns.Only[string],
		"SELECT id FROM consents WHERE tenant = $1 AND customer_id = $2 AND deleted = 2 ORDER BY id LIMIT $3",
		t.tenant, customerID, limit)
	if err != nil {
		return 0, err
	}
	for _, id := range unfinished {
		erased, err := t.erase(id, limit)
		if err != nil {
			return 0, err
		}
		if limit -= erased; limit <= 0 {
			return 0, nil
		}
	}
	return limit, nil
}

// erasures take what hangs on a deleted consent, some at a time: the answers that hold it, its callback tokens, and its
// entries in the log but for that of its deletion, which lies behind them.
var erasures = []string{
	`UPDATE idempotency SET erased = true, response = NULL, failure = NULL WHERE (tenant, method, key) IN (
		SELECT tenant, method, key FROM idempotency
		WHERE tenant = $1 AND consent_id = $2 AND consent_id <> '' AND NOT erased LIMIT $3
	)`,
	"DELETE FROM callbacks WHERE hash IN (SELECT hash FROM callbacks WHERE tenant = $1 AND resource = $2 LIMIT $3)",
	`DELETE FROM consent_log WHERE position IN (
		SELECT position FROM consent_log WHERE tenant = $1 AND consent_id = $2 AND type <> $4 ORDER BY sequence LIMIT $3
	)`,
}

// erase erases at most limit rows of a deleted consent, and tells how many. When it was fewer there are none left, and
// that is noted.
func (t *tx) erase(consentID string, limit int) (erased int, err error) {
	for _, statement := range erasures {
		args := []any{t.tenant, consentID, limit - erased, int32(deletedEvent)}
		if !strings.Contains(statement, "$4") {
			args = args[:3]
		}
		n, err := t.exec(statement, args...)
		if err != nil {
			return 0, err
		}
		if erased += n; erased >= limit {
			return erased, nil // There may be more.
		}
	}
	_, err = t.exec("UPDATE consents SET deleted = 1 WHERE tenant = $1 AND id = $2", t.tenant, consentID)
	return erased, err
}

// stripDeletion strips the entry of a consent's deletion.
func (t *tx) stripDeletion(consentID string) error {
	const deleted = int32(deletedEvent)
	left, err := all(&t.reader, t.ConsentEntry, selectConsentLog+
		"WHERE tenant = $1 AND consent_id = $2 AND type = $3 ORDER BY sequence DESC LIMIT 1", t.tenant, consentID,
		deleted)
	if err != nil {
		return err
	}
	for _, e := range left {
		event, resource, err := columns.StripEntry(e)
		if err != nil {
			return t.fail(err)
		}
		const strip = "UPDATE consent_log SET owner = '', event = $1, resource = $2, key = NULL WHERE tenant = $3 " +
			"AND consent_id = $4 AND sequence = $5"
		if _, err := t.exec(strip, event, resource, t.tenant, consentID, e.Event.Sequence); err != nil {
			return err
		}
	}
	return nil
}
