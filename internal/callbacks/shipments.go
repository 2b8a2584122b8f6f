package callbacks

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Reports issues addresses for providers' reports on shipments.
type Reports struct {
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
	return Report{URI: r.PublicURL + "/callbacks/shipments/" + token, hash: sha256.Sum256([]byte(token))}
}

// Keep stores what is needed to recognise the report on a shipment.
func (r *Reports) Keep(tx store.Tx, row *store.Shipment, report Report) error {
	return tx.InsertCallback(&store.Callback{
		Hash: report.hash, Kind: store.CallbackShipment, Tenant: row.Tenant, Provider: row.Provider, Resource: row.ID,
		CreateTime: r.Clock.Now(),
	})
}

// ShipmentReport takes a provider's report on a shipment. The first report settles it; later ones change nothing.
func (c *Callbacks) ShipmentReport(ctx context.Context, token string, query url.Values) error {
	cb, err := c.callback(ctx, store.CallbackShipment, token)
	if err != nil {
		return err
	}
	var status documentsv1.Shipment_Status
	switch strings.ToLower(param(query, "success")) {
	case "true":
		status = documentsv1.Shipment_DELIVERED
	case "false":
		status = documentsv1.Shipment_FAILED
	default:
		return kerr.ErrUnknownCallback
	}
	if param(query, "requestid") != cb.Resource {
		return kerr.ErrUnknownCallback
	}
	err = c.Store.Update(ctx, func(tx store.Tx) error {
		row, err := tx.Shipment(cb.Tenant, cb.Resource)
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

// param finds a query parameter whatever its letters' case.
func param(query url.Values, name string) string {
	for key, values := range query {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}
