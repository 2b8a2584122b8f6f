package postgres

import (
	"errors"
	"math"
	"strconv"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// Whose data key it is stands in a CASE: below row-level security, PostgreSQL finds no row of data_keys by an index
// when it is looked for by coalesce, which it does not know to keep secrets.
const selectShipments = `
	SELECT tenant, id, coalesce(customer_id, ''), provider, resource, version, (
		SELECT wrapped FROM data_keys k WHERE k.tenant = shipments.tenant AND
			k.owner = CASE WHEN shipments.customer_id IS NULL THEN shipments.id ELSE shipments.customer_id END
	) FROM shipments `

func (r *reader) Shipment(id string) (*store.Shipment, error) {
	return one(r, r.Opener.Shipment, selectShipments+"WHERE tenant = $1 AND id = $2"+r.locking("shipments"), r.tenant,
		id)
}

func (r *reader) Shipments(filter store.ShipmentFilter, page store.Page) ([]*store.Shipment, error) {
	where, args := "WHERE tenant = $1 AND id > $2", []any{r.tenant, page.After}
	if filter.CustomerID != "" {
		args = append(args, filter.CustomerID)
		where += " AND customer_id = $" + strconv.Itoa(len(args))
	}
	if filter.Status != 0 {
		args = append(args, int32(filter.Status))
		where += " AND status = $" + strconv.Itoa(len(args))
	}
	args = append(args, max(page.Size, 0))
	return all(r, r.Opener.Shipment, selectShipments+where+" ORDER BY id LIMIT $"+strconv.Itoa(len(args)), args...)
}

func (t *tx) InsertShipment(s *store.Shipment) error {
	if err := t.mine(s.Tenant); err != nil {
		return err
	}
	resource, key, err := t.sealShipment(s)
	if err != nil {
		return err
	}
	err = t.insert("INSERT INTO shipments (customer_id, provider, status, resource, tenant, id) VALUES (nullif($1, "+
		"''), $2, $3, $4, $5, $6)",
		s.CustomerID, s.Provider, int32(s.Resource.GetStatus()), resource, s.Tenant, s.ID)
	if err == nil && key != nil {
		err = t.keepKey(s.ID, key)
	}
	if err == nil {
		s.Version = 1
	}
	return err
}

// sealShipment seals what callers see of a shipment. Where the shipment needs a data key of its own and has none, that
// is given, to be kept.
func (t *tx) sealShipment(s *store.Shipment) (resource, key []byte, err error) {
	box, err := t.boxOf(columns.ShipmentOwner(s))
	if s.CustomerID == "" && errors.Is(err, store.ErrNotFound) {
		box, key, err = t.newBox(s.ID)
	}
	if err != nil {
		return nil, nil, err
	}
	if resource, err = columns.SealShipment(s, box); err != nil {
		return nil, nil, t.fail(err)
	}
	return resource, key, nil
}

func (t *tx) UpdateShipment(s *store.Shipment) error {
	if err := t.mine(s.Tenant); err != nil {
		return err
	}
	resource, key, err := t.sealShipment(s)
	if err != nil {
		return err
	}
	changed, err := t.exec(`
		UPDATE shipments SET customer_id = nullif($1, ''), provider = $2, status = $3, resource = $4,
			version = version + 1
		WHERE tenant = $5 AND id = $6 AND version = $7`,
		s.CustomerID, s.Provider, int32(s.Resource.GetStatus()), resource, s.Tenant, s.ID, s.Version)
	if err != nil {
		return err
	}
	if changed == 0 {
		return t.missingOrConflict("SELECT 1 FROM shipments WHERE tenant = $1 AND id = $2", s.Tenant, s.ID)
	}
	if key != nil {
		if err := t.keepKey(s.ID, key); err != nil {
			return err
		}
	}
	s.Version++
	return nil
}

// shipmentErasures take what hangs on a shipment, some at a time: its callback tokens and its entries in the log.
// Nothing would find them without the shipment.
var shipmentErasures = []string{
	"DELETE FROM callbacks WHERE hash IN (SELECT hash FROM callbacks WHERE tenant = $1 AND resource = $2 LIMIT $3)",
	`DELETE FROM shipment_log WHERE position IN (
		SELECT position FROM shipment_log WHERE tenant = $1 AND shipment_id = $2 ORDER BY position LIMIT $3
	)`,
}

// hangingMost bounds how much of what hangs on shipments one transaction erases. Mostly that is two or three rows for
// each.
const hangingMost = 1000

// DeleteShipment removes a shipment with what hangs on it.
func (t *tx) DeleteShipment(id string) error {
	found, err := t.exists("SELECT 1 FROM shipments WHERE tenant = $1 AND id = $2 FOR UPDATE", t.tenant, id)
	if err != nil {
		return err
	}
	if !found {
		return store.ErrNotFound
	}
	_, err = t.eraseShipment(id, math.MaxInt32)
	return err
}

// eraseShipment erases a shipment and what hangs on it, of which it takes at most so many rows; it tells how many are
// left to take for others. With none left, the shipment is still there, and there may be more of it.
func (t *tx) eraseShipment(id string, hanging int) (left int, err error) {
	// The log's end does not go back with its last entry.
	if _, err := t.exec(`
		INSERT INTO log_gone (log, position)
		SELECT 'shipments', max(position) FROM shipment_log WHERE tenant = $1 AND shipment_id = $2 HAVING count(*) > 0
		ON CONFLICT DO NOTHING`, t.tenant, id); err != nil {
		return 0, err
	}
	for _, statement := range shipmentErasures {
		n, err := t.exec(statement, t.tenant, id, hanging)
		if err != nil {
			return 0, err
		}
		if hanging -= n; hanging <= 0 {
			return 0, nil
		}
	}
	if _, err := t.exec("DELETE FROM shipments WHERE tenant = $1 AND id = $2", t.tenant, id); err != nil {
		return 0, err
	}
	return hanging, t.eraseKey(id) // if it had one of its own
}

// eraseShipments erases shipments until too much hangs on them for one transaction. It tells how many are gone.
func (t *tx) eraseShipments(ids []string) (gone int, err error) {
	left := hangingMost
	for _, id := range ids {
		if left, err = t.eraseShipment(id, left); err != nil || left == 0 {
			return gone, err
		}
		gone++
	}
	return gone, nil
}
