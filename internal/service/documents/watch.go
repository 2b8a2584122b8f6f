package documents

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/watch"
)

// Feed is the shipment log as streams follow it.
type Feed = watch.Feed[*broadcast.Message]

// NewFeed makes the feed of the shipment log.
func NewFeed(tails store.Tails, k *keys.Keys, clock service.Clock, log *slog.Logger) *Feed {
	return watch.NewFeed(watch.Source[store.ShipmentEntry, *broadcast.Message]{
		Log: store.ShipmentLog, Tokens: service.Tokens{Keys: k}, Tails: tails, Tail: tails.TailShipments, Logger: log,
		Read: func(r store.Reader, topic watch.Topic, after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
			return r.ShipmentEntries(topic.ID, after, limit)
		},
		Of: func(e store.ShipmentEntry) (watch.Topic, store.Cursor, bool) {
			return watch.Topic{Tenant: e.Tenant, ID: e.ShipmentID}, e.Cursor, false
		},
		Message: func(e store.ShipmentEntry, token string) *broadcast.Message {
			message := &documentsv1.WatchShipmentsResponse{
				Kind: documentsv1.WatchShipmentsResponse_EVENT, Shipment: e.After, ResumeToken: optional.Of(token),
				SendTime: timestamppb.New(clock.Now()),
			}
			return broadcast.New(func() proto.Message { return message })
		},
	})
}

// WatchShipments implements documentsv1.DocumentServiceServer.
func (s *Server) WatchShipments(
	req *documentsv1.WatchShipmentsRequest, stream documentsv1.DocumentService_WatchShipmentsServer,
) error {
	ctx := stream.Context()
	if _, err := s.Tenants.AllOffering(service.TenantOf(ctx), "", "WatchShipments"); err != nil {
		return err
	}
	w := watch.Watched[*broadcast.Message]{
		Topic: watch.Topic{Tenant: service.TenantOf(ctx)}, Feed: s.Feed,
		Send: func(m *broadcast.Message) error { return stream.SendMsg(m) },
	}
	if req.GetShipment() != "" {
		w.Topic.ID = service.LastSegment(req.GetShipment())
	}
	state := func(row *store.Shipment, token string) error {
		return stream.Send(&documentsv1.WatchShipmentsResponse{
			Kind: documentsv1.WatchShipmentsResponse_STATE, Shipment: row.Resource, ResumeToken: optional.Of(token),
			SendTime: timestamppb.New(s.Clock.Now()),
		})
	}
	w.Snapshot = func() (watch.Present, error) {
		if w.Topic.ID == "" {
			return watch.SendAll(ctx, s.Streams, w, func(r store.Reader, page store.Page) ([]*store.Shipment, error) {
				return r.Shipments(store.ShipmentFilter{}, page)
			}, func(row *store.Shipment) string { return row.ID }, state)
		}
		row, at, err := s.shipmentState(ctx, w.Topic)
		if err != nil {
			return watch.Present{}, err
		}
		return watch.Present{At: at, Sent: true}, state(row, w.Token(at))
	}
	w.Heartbeat = func(token string) error {
		return stream.Send(&documentsv1.WatchShipmentsResponse{
			Kind: documentsv1.WatchShipmentsResponse_HEARTBEAT, ResumeToken: optional.Of(token),
			SendTime: timestamppb.New(s.Clock.Now()),
		})
	}
	return watch.Run(ctx, s.Streams, w, req.GetResumeToken())
}

// shipmentState reads one shipment, and the place in the log that it stands for.
func (s *Server) shipmentState(
	ctx context.Context, topic watch.Topic,
) (row *store.Shipment, at store.Cursor, err error) {
	err = s.Store.View(ctx, topic.Tenant, func(r store.Reader) (err error) {
		if at, err = watch.PlaceOf(r, store.ShipmentLog, topic.ID); err != nil {
			return err
		}
		row, err = r.Shipment(topic.ID)
		return service.Found(err, errorv1.Error_SHIPMENT_NOT_FOUND, "shipment")
	})
	return row, at, err
}
