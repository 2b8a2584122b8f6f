package service

import (
	"context"
	"crypto/sha256"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// CreateShipment implements documentsv1.DocumentServiceServer.
//
// The shipment is stored as OUTCOME_UNKNOWN, with the token for the provider's report, before it is handed over: whatever happens then, it
// stands as what it is. It is never handed over twice.
func (s *documentServer) CreateShipment(ctx context.Context, req *documentsv1.CreateShipmentRequest) (*documentsv1.Shipment, error) {
	wanted := req.GetShipment()
	if len(wanted.GetPdf()) == 0 {
		return nil, kerr.InvalidField("shipment.pdf", "is needed")
	}
	if wanted.GetCustomer() != "" {
		if _, err := s.loadCustomer(ctx, wanted.GetCustomer()); err != nil {
			return nil, err
		}
	}
	p, err := s.offering(tenantOf(ctx), "", "CreateShipment")
	if err != nil {
		return nil, err
	}
	return create(ctx, s.Service, "CreateShipment", req, func(ctx context.Context, c *creation) (*documentsv1.Shipment, error) {
		return s.createShipment(ctx, c, p, wanted)
	})
}

func (s *Service) createShipment(ctx context.Context, c *creation, p *providers.Provider, wanted *documentsv1.Shipment) (*documentsv1.Shipment, error) {
	row, token := s.newShipment(c.tenant, p.ID, wanted), newToken()
	name := row.Resource.GetName()
	err := c.intend(ctx, p, "send_shipment", name, func(tx store.Tx) error {
		fresh := *row
		if err := tx.InsertShipment(&fresh); err != nil {
			return err
		}
		row = &fresh
		return tx.InsertCallback(&store.Callback{
			Hash: sha256.Sum256([]byte(token)), Kind: store.CallbackShipment, Tenant: row.Tenant, Provider: p.ID, Resource: row.ID,
			CreateTime: s.now(),
		})
	})
	if err != nil {
		return nil, err
	}
	failure := p.Shipments.SendShipment(ctx, providers.Shipment{
		ID: row.ID, CallbackURL: s.publicURL + "/callbacks/shipments/" + token, Shipment: wanted,
	})
	switch {
	case failure != nil && !mayHaveHappened(failure):
		return nil, c.abandon(ctx, failure, func(tx store.Tx) error { return tx.DeleteShipment(row.Tenant, row.ID) })
	case failure != nil:
		return nil, c.abandon(ctx, failure, func(tx store.Tx) error {
			if err := s.advanceShipment(tx, row, documentsv1.Shipment_OUTCOME_UNKNOWN); err != nil {
				return err
			}
			return s.auditOutcome(ctx, tx, "CreateShipment", name, errorv1.Error_OUTCOME_UNKNOWN.String())
		})
	}
	err = s.update(ctx, func(tx store.Tx) error {
		if err := s.advanceShipment(tx, row, documentsv1.Shipment_SUBMITTED); err != nil {
			return err
		}
		if err := s.audit(ctx, tx, "CreateShipment", name); err != nil {
			return err
		}
		return c.done(tx, row.Resource)
	})
	if err != nil {
		return nil, c.unrecorded(ctx, p, "send_shipment", err)
	}
	return row.Resource, nil
}

func (s *Service) newShipment(tenant, provider string, wanted *documentsv1.Shipment) *store.Shipment {
	id, now := newID(), timestamppb.New(s.now())
	return &store.Shipment{
		Tenant: tenant, ID: id, CustomerID: strings.TrimPrefix(wanted.GetCustomer(), "customers/"), Provider: provider,
		Resource: &documentsv1.Shipment{
			Name: shipmentName(id), Customer: wanted.GetCustomer(), Channel: wanted.GetChannel(), Recipient: wanted.GetRecipient(),
			Address: proto.CloneOf(wanted.GetAddress()), Subject: wanted.GetSubject(), Status: documentsv1.Shipment_OUTCOME_UNKNOWN,
			CreateTime: now, UpdateTime: now,
		},
	}
}

// advanceShipment notes how handing over ended. The provider's report may have come before; it goes before.
func (s *Service) advanceShipment(tx store.Tx, row *store.Shipment, status documentsv1.Shipment_Status) error {
	fresh, err := tx.Shipment(row.Tenant, row.ID)
	if err != nil {
		return err
	}
	if !settled(fresh.Resource.GetStatus()) {
		fresh.Resource.Status, fresh.Resource.UpdateTime = status, timestamppb.New(s.now())
		if err := s.storeShipment(tx, fresh); err != nil {
			return err
		}
	}
	row.Resource = fresh.Resource
	return nil
}

// storeShipment writes a changed shipment and tells watchers.
func (s *Service) storeShipment(tx store.Tx, row *store.Shipment) error {
	if err := tx.UpdateShipment(row); err != nil {
		return err
	}
	return tx.AppendShipment(row.Tenant, row.ID, row.Resource)
}

// settled tells whether the provider has reported how a shipment ended.
func settled(status documentsv1.Shipment_Status) bool {
	return status == documentsv1.Shipment_DELIVERED || status == documentsv1.Shipment_FAILED
}

// GetShipment implements documentsv1.DocumentServiceServer.
func (s *documentServer) GetShipment(ctx context.Context, req *documentsv1.GetShipmentRequest) (*documentsv1.Shipment, error) {
	if _, err := s.offering(tenantOf(ctx), "", "GetShipment"); err != nil {
		return nil, err
	}
	var row *store.Shipment
	err := s.view(ctx, func(r store.Reader) (err error) {
		row, err = r.Shipment(tenantOf(ctx), lastSegment(req.GetName()))
		return found(err, errorv1.Error_SHIPMENT_NOT_FOUND, "shipment")
	})
	if err != nil {
		return nil, err
	}
	return row.Resource, nil
}

// ListShipments implements documentsv1.DocumentServiceServer.
func (s *documentServer) ListShipments(ctx context.Context, req *documentsv1.ListShipmentsRequest) (*documentsv1.ListShipmentsResponse, error) {
	tenant, size := tenantOf(ctx), pageSize(req.GetPageSize())
	if _, err := s.offering(tenant, "", "ListShipments"); err != nil {
		return nil, err
	}
	filter := store.ShipmentFilter{CustomerID: strings.TrimPrefix(req.GetCustomer(), "customers/"), Status: req.GetStatus()}
	scope := []string{tenant, "shipments", filter.CustomerID, filter.Status.String()}
	after, err := decodeToken(req.GetPageToken(), "pageToken", scope...)
	if err != nil {
		return nil, err
	}
	resp := &documentsv1.ListShipmentsResponse{}
	err = s.view(ctx, func(r store.Reader) error {
		rows, err := r.Shipments(tenant, filter, store.Page{After: after, Size: size + 1})
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			resp.NextPageToken = encodeToken(rows[size-1].ID, scope...)
		}
		for _, row := range rows {
			resp.Shipments = append(resp.Shipments, row.Resource)
		}
		return nil
	})
	return resp, err
}
