package postgres

import (
	"errors"
	"strconv"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectShipments = `
	SELECT tenant, id, coalesce(customer_id, ''), provider, resource, version, (
		SELECT wrapped FROM data_keys k
		WHERE k.tenant = shipments.tenant AND k.owner = coalesce(shipments.customer_id, shipments.id)
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

// DeleteShipment removes a shipment's callback tokens and log entries with it: nothing else would find them afterwards.
func (t *tx) DeleteShipment(id string) error {
	changed, err := t.exec("DELETE FROM shipments WHERE tenant = $1 AND id = $2", t.tenant, id)
	if err != nil {
		return err
	}
	if changed == 0 {
		return store.ErrNotFound
	}
	for _, query := range []string{
		"DELETE FROM callbacks WHERE tenant = $1 AND resource = $2",
		`WITH gone AS (DELETE FROM shipment_log WHERE tenant = $1 AND shipment_id = $2 RETURNING position)
		INSERT INTO log_gone (log, position)
		SELECT 'shipments', max(position) FROM gone HAVING count(*) > 0 ON CONFLICT DO NOTHING`,
	} {
		if _, err := t.exec(query, t.tenant, id); err != nil {
			return err
		}
	}
	return t.eraseKey(id) // if it had one of its own
}
