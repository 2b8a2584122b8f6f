package sqlite

import (
	"encoding/json"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

func scanEvent(row row) (event consent.Event, err error) {
	var text string
	if err := row.Scan(&text); err != nil {
		return event, err
	}
	return event, json.Unmarshal([]byte(text), &event)
}

func scanConsentEntry(row row) (e store.ConsentEntry, err error) {
	var event string
	var resource []byte
	if err := row.Scan(&e.Position, &e.Tenant, &e.ConsentID, &event, &resource); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(event), &e.Event); err != nil {
		return e, err
	}
	e.After, err = decode[consentv1.Consent](resource)
	return e, err
}

func scanShipmentEntry(row row) (e store.ShipmentEntry, err error) {
	var resource []byte
	if err := row.Scan(&e.Position, &e.Tenant, &e.ShipmentID, &resource); err != nil {
		return e, err
	}
	e.After, err = decode[documentsv1.Shipment](resource)
	return e, err
}

func (r *reader) Events(tenant, consentID string, after int64, limit int) ([]consent.Event, error) {
	return all(r, scanEvent, `
		SELECT event FROM consent_log
		WHERE tenant = ?1 AND consent_id = ?2 AND sequence > ?3
			AND EXISTS (SELECT 1 FROM consents WHERE tenant = ?1 AND id = ?2 AND deleted = 0)
		ORDER BY sequence LIMIT ?4`, tenant, consentID, after, max(limit, 0))
}

func (r *reader) ConsentEntries(tenant, consentID string, after int64, limit int) ([]store.ConsentEntry, error) {
	const query = "SELECT position, tenant, consent_id, event, resource FROM consent_log WHERE tenant = ? AND "
	if consentID == "" {
		return all(r, scanConsentEntry, query+"position > ? ORDER BY position LIMIT ?", tenant, after, max(limit, 0))
	}
	// Within a consent the order of sequences is that of positions, and there is an index for it; the plus keeps SQLite from taking another.
	return all(r, scanConsentEntry, query+"consent_id = ? AND +position > ? ORDER BY sequence LIMIT ?", tenant, consentID, after, max(limit, 0))
}

func (r *reader) ShipmentEntries(tenant, shipmentID string, after int64, limit int) ([]store.ShipmentEntry, error) {
	const query = "SELECT position, tenant, shipment_id, resource FROM shipment_log WHERE tenant = ? AND position > ? "
	if shipmentID == "" {
		return all(r, scanShipmentEntry, query+"ORDER BY position LIMIT ?", tenant, after, max(limit, 0))
	}
	return all(r, scanShipmentEntry, query+"AND shipment_id = ? ORDER BY position LIMIT ?", tenant, after, shipmentID, max(limit, 0))
}

// LastPosition is the highest position ever committed, so that it never goes back, also when the newest entry was deleted with its customer.
func (r *reader) LastPosition(log store.Log) (int64, error) {
	table := "consent_log"
	if log == store.ShipmentLog {
		table = "shipment_log"
	}
	return one(r, column[int64], "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)", table)
}

func (t *tx) AppendEvent(tenant, consentID string, event consent.Event, after *consentv1.Consent) error {
	text, err := json.Marshal(event)
	if err != nil {
		return t.fail(err)
	}
	resource, err := encode(after)
	if err != nil {
		return t.fail(err)
	}
	appended, err := t.exec(`
		INSERT INTO consent_log (tenant, consent_id, sequence, type, event, resource)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6
		WHERE EXISTS (SELECT 1 FROM consents WHERE tenant = ?1 AND id = ?2 AND deleted = 0)
			AND ?3 = 1 + (SELECT coalesce(max(sequence), 0) FROM consent_log WHERE tenant = ?1 AND consent_id = ?2)`,
		tenant, consentID, event.Sequence, int32(event.Type), string(text), resource)
	if err != nil {
		return err
	}
	if appended == 0 {
		return t.missingOrConflict("SELECT 1 FROM consents WHERE tenant = ? AND id = ? AND deleted = 0", tenant, consentID)
	}
	t.touch(store.ConsentLog, tenant, consentID)
	return nil
}

func (t *tx) AppendShipment(tenant, shipmentID string, after *documentsv1.Shipment) error {
	resource, err := encode(withoutPDF(after))
	if err != nil {
		return t.fail(err)
	}
	appended, err := t.exec(`
		INSERT INTO shipment_log (tenant, shipment_id, resource)
		SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM shipments WHERE tenant = ?1 AND id = ?2)`, tenant, shipmentID, resource)
	if err != nil {
		return err
	}
	if appended == 0 {
		return store.ErrNotFound
	}
	t.touch(store.ShipmentLog, tenant, shipmentID)
	return nil
}
