package callbacks

import (
	"context"
	"errors"
	"net/url"

	"google.golang.org/protobuf/types/known/timestamppb"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Reports issues addresses for providers' reports on shipments.
type Reports struct {
	Keys  *keys.Keys
	Clock service.Clock
	// PublicURL is where providers reach Kontor's /callbacks.
	PublicURL string
}

// Report is what a provider will send; it comes to URI.
type Report struct {
	URI  string
	hash [32]byte
}

// New makes the address for a report.
func (r *Reports) New() Report {
	token := newToken()
	return Report{
		URI:  r.PublicURL + "/callbacks/shipments/" + token,
		hash: hashToken(r.Keys, store.CallbackShipment, token),
	}
}

// Keep stores what is needed to recognise the report on a shipment.
func (r *Reports) Keep(tx store.Tx, row *store.Shipment, report Report) error {
	return tx.InsertCallback(&store.Callback{
		Hash: report.hash, Kind: store.CallbackShipment, Tenant: row.Tenant, Provider: row.Provider, Resource: row.ID,
		CreateTime: r.Clock.Now(),
	})
}

// ShipmentReport takes a provider's report on a shipment. The first report settles it; later ones change nothing.
func (c *Callbacks) ShipmentReport(
	ctx context.Context, token string, query url.Values, body func() ([]byte, error),
) error {
	cb, err := c.callback(ctx, store.CallbackShipment, token)
	if err != nil {
		return err
	}
	p, err := c.Tenants.Provider(cb.Tenant, cb.Provider)
	if err != nil || p.Callbacks.Report == nil {
		return kerr.ErrUnknownCallback
	}
	text, err := body()
	if err != nil {
		return err
	}
	delivered, err := p.Callbacks.Report(ctx, cb.Resource, query, text)
	if err != nil {
		return kerr.ErrUnknownCallback
	}
	status := documentsv1.Shipment_FAILED
	if delivered {
		status = documentsv1.Shipment_DELIVERED
	}
	err = c.Store.Update(ctx, cb.Tenant, func(tx store.Tx) error {
		row, err := tx.Shipment(cb.Resource)
		if err != nil {
			return err
		}
		if history.Settled(row.Resource.GetStatus()) {
			return nil
		}
		now := timestamppb.New(c.Clock.Now())
		row.Resource.Status, row.Resource.UpdateTime, row.Resource.CompleteTime = status, now, now
		if err := history.StoreShipment(tx, row); err != nil {
			return err
		}
		return c.Audit.NoteSelf(tx, row.Tenant, "provider:"+row.Provider, "ShipmentReport", row.Resource.GetName())
	})
	if errors.Is(err, store.ErrNotFound) {
		return kerr.ErrUnknownCallback
	}
	return err
}
