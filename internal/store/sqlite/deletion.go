package sqlite

import (
	"encoding/json"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

// DeleteCustomer removes in the order in which rows refer to each other. Idempotency records carry no reference to a customer; those of the
// customer are found by what they answer, in which the customer, a consent or a shipment is named, and by the intents that wait with them.
func (t *tx) DeleteCustomer(tenant, id string) error {
	found, err := t.exists("SELECT 1 FROM customers WHERE tenant = ? AND id = ?", tenant, id)
	if err != nil {
		return err
	}
	if !found {
		return store.ErrNotFound
	}
	consents, err := all(&t.reader, column[string], "SELECT id FROM consents WHERE tenant = ? AND customer_id = ?", tenant, id)
	if err != nil {
		return err
	}
	shipments, err := all(&t.reader, column[string], "SELECT id FROM shipments WHERE tenant = ? AND customer_id = ?", tenant, id)
	if err != nil {
		return err
	}
	t.purge = true
	names := []string{"customers/" + id}
	for _, consent := range consents {
		names = append(names, "consents/"+consent)
		if err := t.stripLog(tenant, consent); err != nil {
			return err
		}
		if _, err := t.exec(deleteCallbacks, tenant, consent); err != nil {
			return err
		}
	}
	for _, shipment := range shipments {
		names = append(names, "shipments/"+shipment)
		if err := t.DeleteShipment(tenant, shipment); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := t.deleteRequests(tenant, name); err != nil {
			return err
		}
	}
	answered, err := list(names)
	if err != nil {
		return t.fail(err)
	}
	for _, statement := range []struct {
		query string
		args  []any
	}{
		{`DELETE FROM idempotency WHERE tenant = ? AND EXISTS (
			SELECT 1 FROM json_each(?) WHERE instr(response, CAST(value AS BLOB)) > 0 OR instr(failure, CAST(value AS BLOB)) > 0
		)`, []any{tenant, answered}},
		{"DELETE FROM consents WHERE tenant = ? AND customer_id = ?", []any{tenant, id}},
		{"DELETE FROM customers WHERE tenant = ? AND id = ?", []any{tenant, id}},
	} {
		if _, err := t.exec(statement.query, statement.args...); err != nil {
			return err
		}
	}
	return nil
}

// deleteRequests removes the intents for a resource, or for one within it, and the idempotency records that wait for them.
func (t *tx) deleteRequests(tenant, name string) error {
	// Behind "name/" and before "name0" is what lies within the name: 0 follows the slash.
	for _, of := range []struct {
		where string
		args  []any
	}{
		{"tenant = ? AND resource = ?", []any{tenant, name}},
		{"tenant = ? AND resource > ? AND resource < ?", []any{tenant, name + "/", name + "0"}},
	} {
		_, err := t.exec(`DELETE FROM idempotency WHERE (tenant, method, key) IN (
			SELECT tenant, idempotency_method, idempotency_key FROM intents WHERE `+of.where+`)`, of.args...)
		if err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM intents WHERE "+of.where, of.args...); err != nil {
			return err
		}
	}
	return nil
}

// stripLog removes a consent's entries from the log, but for that of its deletion, of which it leaves the name and the times.
func (t *tx) stripLog(tenant, consentID string) error {
	const deleted = int32(consentv1.ConsentEvent_DELETED)
	if _, err := t.exec("DELETE FROM consent_log WHERE tenant = ? AND consent_id = ? AND type <> ?", tenant, consentID, deleted); err != nil {
		return err
	}
	left, err := all(&t.reader, scanConsentEntry,
		"SELECT position, tenant, consent_id, event, resource FROM consent_log WHERE tenant = ? AND consent_id = ?", tenant, consentID)
	if err != nil {
		return err
	}
	for _, entry := range left {
		event, err := json.Marshal(consent.Event{
			Sequence: entry.Event.Sequence, Type: entry.Event.Type, EventTime: entry.Event.EventTime, ReceiveTime: entry.Event.ReceiveTime,
		})
		if err != nil {
			return t.fail(err)
		}
		resource, err := encode(&consentv1.Consent{Name: entry.After.GetName()})
		if err != nil {
			return t.fail(err)
		}
		if _, err := t.exec("UPDATE consent_log SET event = ?, resource = ? WHERE position = ?", string(event), resource, entry.Position); err != nil {
			return err
		}
	}
	return nil
}
