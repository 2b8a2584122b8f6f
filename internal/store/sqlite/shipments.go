package sqlite

import (
	"google.golang.org/protobuf/proto"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/store"
)

const selectShipments = "SELECT tenant, id, coalesce(customer_id, ''), provider, resource, version FROM shipments "

func scanShipment(row row) (*store.Shipment, error) {
	var s store.Shipment
	var resource []byte
	if err := row.Scan(&s.Tenant, &s.ID, &s.CustomerID, &s.Provider, &resource, &s.Version); err != nil {
		return nil, err
	}
	var err error
	s.Resource, err = decode[documentsv1.Shipment](resource)
	return &s, err
}

// withoutPDF sees to it that no document is kept, whoever forgets to take it out.
func withoutPDF(s *documentsv1.Shipment) *documentsv1.Shipment {
	if len(s.GetPdf()) == 0 {
		return s
	}
	s = proto.CloneOf(s)
	s.Pdf = nil
	return s
}

func (r *reader) Shipment(id string) (*store.Shipment, error) {
	return one(r, scanShipment, selectShipments+"WHERE tenant = ? AND id = ?", r.tenant, id)
}

func (r *reader) Shipments(filter store.ShipmentFilter, page store.Page) ([]*store.Shipment, error) {
	where := "WHERE tenant = ? AND id > ?"
	args := []any{r.tenant, page.After}
	if filter.CustomerID != "" {
		where += " AND customer_id = ?"
		args = append(args, filter.CustomerID)
	}
	if filter.Status != 0 {
		if filter.CustomerID != "" {
			where += " AND +status = ?" // The customer's index is the better one.
		} else {
			where += " AND status = ?"
		}
		args = append(args, int32(filter.Status))
	}
	return all(r, scanShipment, selectShipments+where+" ORDER BY id LIMIT ?", append(args, max(page.Size, 0))...)
}

func (t *tx) InsertShipment(s *store.Shipment) error {
	if err := t.own(s.Tenant); err != nil {
		return err
	}
	resource, err := encode(withoutPDF(s.Resource))
	if err != nil {
		return t.fail(err)
	}
	_, err = t.exec("INSERT INTO shipments (customer_id, provider, status, resource, tenant, id) VALUES (nullif(?, "+
		"''), ?, ?, ?, ?, ?)",
		s.CustomerID, s.Provider, int32(s.Resource.GetStatus()), resource, s.Tenant, s.ID)
	if err == nil {
		s.Version = 1
	}
	return err
}

func (t *tx) UpdateShipment(s *store.Shipment) error {
	if err := t.own(s.Tenant); err != nil {
		return err
	}
	resource, err := encode(withoutPDF(s.Resource))
	if err != nil {
		return t.fail(err)
	}
	changed, err := t.exec(`
		UPDATE shipments SET customer_id = nullif(?, ''), provider = ?, status = ?, resource = ?, version = version + 1
		WHERE tenant = ? AND id = ? AND version = ?`,
		s.CustomerID, s.Provider, int32(s.Resource.GetStatus()), resource, s.Tenant, s.ID, s.Version)
	if err != nil {
		return err
	}
	if changed == 0 {
		return t.missingOrConflict("SELECT 1 FROM shipments WHERE tenant = ? AND id = ?", s.Tenant, s.ID)
	}
	s.Version++
	return nil
}

// DeleteShipment removes a shipment's callback tokens and log entries with it: nothing else would find them afterwards.
func (t *tx) DeleteShipment(id string) error {
	changed, err := t.exec("DELETE FROM shipments WHERE tenant = ? AND id = ?", t.tenant, id)
	if err != nil {
		return err
	}
	if changed == 0 {
		return store.ErrNotFound
	}
	for _, query := range []string{deleteCallbacks, "DELETE FROM shipment_log WHERE tenant = ? AND shipment_id = ?"} {
		if _, err := t.exec(query, t.tenant, id); err != nil {
			return err
		}
	}
	return nil
}
