// Package documents serves shipments: faxes and letters that a provider sends.
package documents

import (
	"context"
	"strings"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/callbacks"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/watch"
)

// Server implements documentsv1.DocumentServiceServer.
type Server struct {
	documentsv1.UnimplementedDocumentServiceServer

	Store   *service.Store
	Tenants service.Tenants
	Clock   service.Clock
	Tokens  service.Tokens
	Load    *service.Loader
	Audit   *audit.Trail
	Once    *once.Runner
	Reports *callbacks.Reports
	Streams *watch.Streams
	Feed    *Feed
}

// GetShipment implements documentsv1.DocumentServiceServer.
func (s *Server) GetShipment(ctx context.Context, req *documentsv1.GetShipmentRequest) (*documentsv1.Shipment, error) {
	if _, err := s.Tenants.AllOffering(service.TenantOf(ctx), "", "GetShipment"); err != nil {
		return nil, err
	}
	var row *store.Shipment
	err := s.Store.View(ctx, service.TenantOf(ctx), func(r store.Reader) (err error) {
		row, err = r.Shipment(service.LastSegment(req.GetName()))
		return service.Found(err, errorv1.Error_SHIPMENT_NOT_FOUND, "shipment")
	})
	if err != nil {
		return nil, err
	}
	return row.Resource, nil
}

// ListShipments implements documentsv1.DocumentServiceServer.
func (s *Server) ListShipments(
	ctx context.Context, req *documentsv1.ListShipmentsRequest,
) (*documentsv1.ListShipmentsResponse, error) {
	tenant, size := service.TenantOf(ctx), service.PageSize(req.GetPageSize())
	if _, err := s.Tenants.AllOffering(tenant, "", "ListShipments"); err != nil {
		return nil, err
	}
	filter := store.ShipmentFilter{
		CustomerID: strings.TrimPrefix(req.GetCustomer(), "customers/"), Status: req.GetStatus(),
	}
	scope := service.PageScope(ctx, "shipments", filter.CustomerID, filter.Status.String())
	after, err := s.Tokens.Cursor(req, scope)
	if err != nil {
		return nil, err
	}
	resp := &documentsv1.ListShipmentsResponse{}
	err = s.Store.View(ctx, tenant, func(r store.Reader) error {
		rows, err := r.Shipments(filter, store.Page{After: after, Size: size + 1})
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			resp.NextPageToken = optional.Of(s.Tokens.Encode(rows[size-1].ID, scope...))
		}
		for _, row := range rows {
			resp.Shipments = append(resp.Shipments, row.Resource)
		}
		return nil
	})
	return resp, err
}
