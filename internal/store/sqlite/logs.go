package sqlite

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// Both logs are read by these columns.
const (
	selectConsentLog = `
		SELECT position, tenant, consent_id, sequence, owner, event, resource,
			(SELECT wrapped FROM data_keys k WHERE k.tenant = consent_log.tenant AND k.owner = consent_log.owner)
		FROM consent_log `
	selectShipmentLog = `
		SELECT position, tenant, shipment_id, owner, resource,
			(SELECT wrapped FROM data_keys k WHERE k.tenant = shipment_log.tenant AND k.owner = shipment_log.owner)
		FROM shipment_log `
)

// selectEvents reads the events of a consent that was not deleted.
const selectEvents = `
		SELECT sequence, owner, event,
			(SELECT wrapped FROM data_keys k WHERE k.tenant = consent_log.tenant AND k.owner = consent_log.owner)
		FROM consent_log INDEXED BY %s
		WHERE tenant = ?1 AND consent_id = ?2
			AND EXISTS (SELECT 1 FROM consents WHERE tenant = ?1 AND id = ?2 AND deleted = 0) `

// Without being told, SQLite takes the index of all events for those that are unsettled, too.
var (
	everyEvent      = fmt.Sprintf(selectEvents, "consent_log_by_sequence")
	unsettledEvents = fmt.Sprintf(selectEvents, "consent_log_unsettled")
)

func (r *reader) Events(consentID string, after int64, limit int) ([]consent.Event, error) {
	return all(r, r.Event(r.tenant, consentID), everyEvent+"AND sequence > ?3 ORDER BY sequence LIMIT ?4",
		r.tenant, consentID, after, max(limit, 0))
}

func (r *reader) UnsettledEvents(consentID string) ([]consent.Event, error) {
	return all(r, r.Event(r.tenant, consentID), unsettledEvents+"AND settled = 0 ORDER BY sequence", r.tenant,
		consentID)
}

// fewKeys is how many keys are looked for one by one.
const fewKeys = 100

func (r *reader) KnownEvents(consentID string, wanted []string) (map[string]bool, error) {
	asked := make(map[string]string, len(wanted))
	for _, key := range wanted {
		asked[hex.EncodeToString(r.EventKey(r.tenant, consentID, key))] = key
	}
	known := map[string]bool{}
	if len(asked) > fewKeys {
		// One look at all keys costs less than a look for each, unless there are more of them than are asked for.
		there, err := all(r, columns.Only[string], `
			SELECT lower(hex(key)) FROM consent_log INDEXED BY consent_log_by_key
			WHERE tenant = ?1 AND consent_id = ?2 AND key IS NOT NULL
				AND EXISTS (SELECT 1 FROM consents WHERE tenant = ?1 AND id = ?2 AND deleted = 0)
			LIMIT ?3`, r.tenant, consentID, len(asked)+1)
		if err != nil {
			return nil, err
		}
		if len(there) <= len(asked) {
			for _, value := range there {
				if key, ok := asked[value]; ok {
					known[key] = true
				}
			}
			return known, nil
		}
	}
	values, err := columns.List(slices.Collect(maps.Keys(asked)))
	if err != nil {
		return nil, r.fail(err)
	}
	found, err := all(r, columns.Only[string], `
		SELECT value FROM json_each(?3) WHERE EXISTS (
			SELECT 1 FROM consent_log INDEXED BY consent_log_by_key
			WHERE tenant = ?1 AND consent_id = ?2 AND key IS NOT NULL AND key = unhex(value)
		) AND EXISTS (SELECT 1 FROM consents WHERE tenant = ?1 AND id = ?2 AND deleted = 0)`,
		r.tenant, consentID, values)
	for _, value := range found {
		known[asked[value]] = true
	}
	return known, err
}

// SettleEvents leaves out entries without a key: nothing else would tell that the consent has such an event.
func (t *tx) SettleEvents(consentID string, sequences []int64) error {
	values, err := columns.List(sequences)
	if err != nil {
		return t.fail(err)
	}
	_, err = t.exec("UPDATE consent_log INDEXED BY consent_log_by_sequence SET settled = 1 WHERE tenant = ? AND "+
		"consent_id = ? AND key IS NOT NULL AND sequence IN (SELECT value FROM json_each(?))",
		t.tenant, consentID, values)
	return err
}

func (r *reader) ConsentEntries(consentID string, after store.Cursor, limit int) ([]store.ConsentEntry, error) {
	position, err := r.position(store.ConsentLog, after)
	if err != nil {
		return nil, err
	}
	if consentID == "" {
		return all(r, r.ConsentEntry,
			selectConsentLog+"WHERE tenant = ? AND position > ? ORDER BY position LIMIT ?",
			r.tenant, position, max(limit, 0))
	}
	// Within a consent the order of sequences is that of positions, and there is an index for it; the plus keeps SQLite
	// from taking another.
	return all(r, r.ConsentEntry,
		selectConsentLog+"WHERE tenant = ? AND consent_id = ? AND +position > ? ORDER BY sequence LIMIT ?",
		r.tenant, consentID, position, max(limit, 0))
}

func (r *reader) ShipmentEntries(shipmentID string, after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
	position, err := r.position(store.ShipmentLog, after)
	if err != nil {
		return nil, err
	}
	const query = selectShipmentLog + "WHERE tenant = ? AND position > ? "
	if shipmentID == "" {
		return all(r, r.ShipmentEntry, query+"ORDER BY position LIMIT ?", r.tenant, position, max(limit, 0))
	}
	return all(r, r.ShipmentEntry, query+"AND shipment_id = ? ORDER BY position LIMIT ?", r.tenant, position,
		shipmentID, max(limit, 0))
}

// tailConsents lists the entries of all tenants.
func (r *reader) tailConsents(after store.Cursor, limit int) ([]store.ConsentEntry, error) {
	position, err := r.position(store.ConsentLog, after)
	if err != nil {
		return nil, err
	}
	return all(r, r.ConsentEntry, selectConsentLog+"WHERE position > ? ORDER BY position LIMIT ?", position,
		max(limit, 0))
}

// tailShipments lists the entries of all tenants.
func (r *reader) tailShipments(after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
	position, err := r.position(store.ShipmentLog, after)
	if err != nil {
		return nil, err
	}
	return all(r, r.ShipmentEntry, selectShipmentLog+"WHERE position > ? ORDER BY position LIMIT ?", position,
		max(limit, 0))
}

// position gives the position that a cursor stands for. One behind the log's end was made before the file was replaced
// by an older copy of it: its holder has seen entries that are no longer there, and others may have come in their
// places. The empty cursor stands for where the log begins by now.
func (r *reader) position(log store.Log, cursor store.Cursor) (int64, error) {
	position, err := cursor.Position(log, r.Epoch)
	if err != nil {
		return 0, err
	}
	ends, err := r.ends(log)
	switch {
	case err != nil:
		return 0, err
	case cursor == "":
		return ends.floor, nil
	case position > ends.head:
		return 0, store.ErrCursor
	case position < ends.floor:
		return 0, store.ErrCursorExpired
	}
	return position, nil
}

func (r *reader) Head(log store.Log) (store.Cursor, error) {
	position, err := r.head(log)
	return store.NewCursor(log, r.Epoch, position), err
}

// newestEntries find the newest entry of each of some resources.
var newestEntries = map[store.Log]string{
	store.ConsentLog: `
		SELECT value, position FROM json_each(?2) JOIN consent_log ON position = (
			SELECT position FROM consent_log INDEXED BY consent_log_by_sequence
			WHERE tenant = ?1 AND consent_id = value ORDER BY sequence DESC LIMIT 1
		) WHERE position > ?3`,
	store.ShipmentLog: `
		SELECT value, position FROM json_each(?2) JOIN shipment_log ON position = (
			SELECT position FROM shipment_log INDEXED BY shipment_log_by_shipment
			WHERE tenant = ?1 AND shipment_id = value ORDER BY position DESC LIMIT 1
		) WHERE position > ?3`,
}

func (r *reader) Newest(log store.Log, ids []string, after store.Cursor) (map[string]store.Cursor, error) {
	position, err := after.Position(log, r.Epoch)
	if err != nil {
		return nil, err
	}
	values, err := columns.List(ids)
	if err != nil {
		return nil, r.fail(err)
	}
	found, err := all(r, columns.Placed, newestEntries[log], r.tenant, values, position)
	return columns.Places(log, r.Epoch, found), err
}

func (r *reader) head(log store.Log) (int64, error) {
	ends, err := r.ends(log)
	return ends.head, err
}

// logTables are the tables of the logs.
var logTables = map[store.Log]string{store.ConsentLog: "consent_log", store.ShipmentLog: "shipment_log"}

func (t *tx) AppendEvent(consentID string, event consent.Event, after *consentv1.Consent) error {
	owner, err := one(&t.reader, columns.ScanOwner, `
		SELECT customer_id, wrapped FROM consents c JOIN data_keys k ON k.tenant = c.tenant AND k.owner = c.customer_id
		WHERE c.tenant = ? AND c.id = ? AND c.deleted = 0`, t.tenant, consentID)
	if err != nil {
		return err
	}
	box, err := t.opened(t.Box(t.tenant, owner.ID, owner.Wrapped))
	if err != nil {
		return err
	}
	sealed, resource, err := columns.SealEntry(box, consentID, event, after)
	if err != nil {
		return t.fail(err)
	}
	appended, err := t.exec(`
		INSERT INTO consent_log (tenant, consent_id, sequence, type, owner, event, resource, key)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
		WHERE ?3 = 1 + (SELECT coalesce(max(sequence), 0) FROM consent_log WHERE tenant = ?1 AND consent_id = ?2)`,
		t.tenant, consentID, event.Sequence, int32(event.Type), owner.ID, sealed, resource,
		t.EventKey(t.tenant, consentID, event.Key))
	if err != nil {
		return err
	}
	if appended == 0 {
		return store.ErrConflict
	}
	t.touched[store.ConsentLog] = ""
	return nil
}

func (t *tx) AppendShipment(shipmentID string, after *documentsv1.Shipment) error {
	owner, err := one(&t.reader, columns.ScanOwner, `
		SELECT owner, wrapped FROM shipments s
		JOIN data_keys k ON k.tenant = s.tenant AND k.owner = coalesce(s.customer_id, s.id)
		WHERE s.tenant = ? AND s.id = ?`, t.tenant, shipmentID)
	if err != nil {
		return err
	}
	box, err := t.opened(t.Box(t.tenant, owner.ID, owner.Wrapped))
	if err != nil {
		return err
	}
	resource, err := columns.SealShipmentEntry(box, shipmentID, after)
	if err != nil {
		return t.fail(err)
	}
	const insert = "INSERT INTO shipment_log (tenant, shipment_id, owner, resource) VALUES (?, ?, ?, ?)"
	if _, err := t.exec(insert, t.tenant, shipmentID, owner.ID, resource); err != nil {
		return err
	}
	t.touched[store.ShipmentLog] = ""
	return nil
}
