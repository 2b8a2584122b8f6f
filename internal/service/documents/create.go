package documents

import (
	"bytes"
	"context"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// CreateShipment implements documentsv1.DocumentServiceServer.
//
// The shipment is stored as OUTCOME_UNKNOWN, with the token for the provider's report, before it is handed
// over: whatever happens then, it stands as what it is. It is never handed over twice.
func (s *Server) CreateShipment(
	ctx context.Context, req *documentsv1.CreateShipmentRequest,
) (*documentsv1.Shipment, error) {
	wanted := req.GetShipment()
	if len(wanted.GetPdf()) == 0 {
		return nil, kerr.InvalidField("shipment.pdf", "is needed")
	}
	if !isPDF(wanted.GetPdf()) {
		return nil, kerr.InvalidField("shipment.pdf", "is not a PDF: it has no %PDF- at its beginning")
	}
	if wanted.GetCustomer() != "" {
		if _, err := s.Load.Customer(ctx, wanted.GetCustomer()); err != nil {
			return nil, err
		}
	}
	p, err := s.Tenants.Offering(service.TenantOf(ctx), wanted.GetProvider(), "shipment.provider", "CreateShipment")
	if err != nil {
		return nil, err
	}
	return once.Do(ctx, s.Once, "CreateShipment", req,
		func(ctx context.Context, attempt *once.Attempt) (*documentsv1.Shipment, error) {
			return s.createShipment(ctx, attempt, p, wanted)
		})
}

// pdfHead is how far from its beginning a PDF may have its header: so far readers look for it.
const pdfHead = 1024

// isPDF tells by the header whether bytes are a PDF. What stands in it is the recipient's to read.
func isPDF(document []byte) bool {
	return bytes.Contains(document[:min(len(document), pdfHead)], []byte("%PDF-"))
}

func (s *Server) createShipment(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, wanted *documentsv1.Shipment,
) (*documentsv1.Shipment, error) {
	row, report := s.newShipment(attempt.Tenant, p.ID, wanted), s.Reports.New()
	name := row.Resource.GetName()
	attempt.CustomerID = row.CustomerID
	err := attempt.Intend(ctx, p, "send_shipment", name, func(tx store.Tx) error {
		fresh := *row
		if err := tx.InsertShipment(&fresh); err != nil {
			return err
		}
		row = &fresh
		return s.Reports.Keep(tx, row, report)
	})
	if err != nil {
		return nil, err
	}
	failure := p.Shipments.SendShipment(ctx, providers.Shipment{
		ID: row.ID, CallbackURL: report.URI, Shipment: wanted,
	})
	switch {
	case failure != nil && !service.MayHaveHappened(failure):
		return nil, attempt.Abandon(ctx, failure, func(tx store.Tx) error {
			return tx.DeleteShipment(row.ID)
		})
	case failure != nil:
		return nil, attempt.Abandon(ctx, failure, func(tx store.Tx) error {
			if err := s.advanceShipment(tx, row, documentsv1.Shipment_OUTCOME_UNKNOWN); err != nil {
				return err
			}
			return s.Audit.NoteOutcome(ctx, tx, "CreateShipment", name, errorv1.Error_OUTCOME_UNKNOWN.String())
		})
	}
	err = s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
		if err := s.advanceShipment(tx, row, documentsv1.Shipment_SUBMITTED); err != nil {
			return err
		}
		if err := s.Audit.Note(ctx, tx, "CreateShipment", name); err != nil {
			return err
		}
		return attempt.Done(tx, row.Resource)
	})
	if err != nil {
		return nil, attempt.Unrecorded(ctx, p, "send_shipment", err)
	}
	return row.Resource, nil
}

func (s *Server) newShipment(tenant, provider string, wanted *documentsv1.Shipment) *store.Shipment {
	id, now := service.NewID(), timestamppb.New(s.Clock.Now())
	return &store.Shipment{
		Tenant: tenant, ID: id, CustomerID: strings.TrimPrefix(wanted.GetCustomer(), "customers/"), Provider: provider,
		Resource: &documentsv1.Shipment{
			Name: service.ShipmentName(id), Customer: optional.Of(wanted.GetCustomer()), Channel: wanted.GetChannel(),
			Recipient: wanted.GetRecipient(),
			Address:   proto.CloneOf(wanted.GetAddress()), Subject: wanted.GetSubject(),
			Provider:   service.ProviderName(provider),
			Status:     documentsv1.Shipment_OUTCOME_UNKNOWN,
			CreateTime: now, UpdateTime: now,
		},
	}
}

// advanceShipment notes how handing over ended. The provider's report may have come before; it goes before.
func (s *Server) advanceShipment(tx store.Tx, row *store.Shipment, status documentsv1.Shipment_Status) error {
	fresh, err := tx.Shipment(row.ID)
	if err != nil {
		return err
	}
	if !history.Settled(fresh.Resource.GetStatus()) {
		fresh.Resource.Status, fresh.Resource.UpdateTime = status, timestamppb.New(s.Clock.Now())
		if err := history.StoreShipment(tx, fresh); err != nil {
			return err
		}
	}
	row.Resource = fresh.Resource
	return nil
}
