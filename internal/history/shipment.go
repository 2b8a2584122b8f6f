package history

import (
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/store"
)

// StoreShipment writes a changed shipment and tells watchers.
func StoreShipment(tx store.Tx, row *store.Shipment) error {
	if err := tx.UpdateShipment(row); err != nil {
		return err
	}
	return tx.AppendShipment(row.ID, row.Resource)
}

// Settled tells whether the provider has reported how a shipment ended.
func Settled(status documentsv1.Shipment_Status) bool {
	return status == documentsv1.Shipment_DELIVERED || status == documentsv1.Shipment_FAILED
}
