package documents

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/watch"
)

// WatchShipments implements documentsv1.DocumentServiceServer.
func (s *Server) WatchShipments(
	req *documentsv1.WatchShipmentsRequest, stream documentsv1.DocumentService_WatchShipmentsServer,
) error {
	ctx := stream.Context()
	if _, err := s.Tenants.Offering(service.TenantOf(ctx), "", "WatchShipments"); err != nil {
		return err
	}
	topic := store.Topic{Tenant: service.TenantOf(ctx), Log: store.ShipmentLog}
	if req.GetShipment() != "" {
		topic.ID = service.LastSegment(req.GetShipment())
	}
	send := func(kind documentsv1.WatchShipmentsResponse_Kind, resource *documentsv1.Shipment, token string) error {
		return stream.Send(&documentsv1.WatchShipmentsResponse{
			Kind: kind, Shipment: resource, ResumeToken: token, SendTime: timestamppb.New(s.Clock.Now()),
		})
	}
	return s.Streams.Run(ctx, watch.Log{
		Topic: topic,
		Snapshot: func() (int64, bool, error) {
			rows, position, err := s.shipmentSnapshot(ctx, topic)
			if err != nil {
				return 0, false, err
			}
			for i, row := range rows {
				token := ""
				if i == len(rows)-1 {
					token = watch.Token(topic, position)
				}
				if err := send(documentsv1.WatchShipmentsResponse_STATE, row.Resource, token); err != nil {
					return 0, false, err
				}
			}
			return position, len(rows) > 0, nil
		},
		Next: func(position int64) (int64, int, bool, error) {
			var entries []store.ShipmentEntry
			err := s.Store.View(ctx, func(r store.Reader) (err error) {
				entries, err = r.ShipmentEntries(topic.Tenant, topic.ID, position, watch.Batch)
				return err
			})
			if err != nil {
				return 0, 0, false, err
			}
			for _, e := range entries {
				position = e.Position
				token := watch.Token(topic, position)
				if err := send(documentsv1.WatchShipmentsResponse_EVENT, e.After, token); err != nil {
					return 0, 0, false, err
				}
			}
			return position, len(entries), false, nil
		},
		Heartbeat: func(position int64) error {
			return send(documentsv1.WatchShipmentsResponse_HEARTBEAT, nil, watch.Token(topic, position))
		},
	}, req.GetResumeToken())
}

// shipmentSnapshot reads the present state of what is watched, and the position in the log that it stands for.
func (s *Server) shipmentSnapshot(
	ctx context.Context, topic store.Topic,
) (rows []*store.Shipment, position int64, err error) {
	err = s.Store.View(ctx, func(r store.Reader) (err error) {
		rows = nil
		if position, err = r.LastPosition(store.ShipmentLog); err != nil {
			return err
		}
		if topic.ID != "" {
			row, err := r.Shipment(topic.Tenant, topic.ID)
			if err != nil {
				return service.Found(err, errorv1.Error_SHIPMENT_NOT_FOUND, "shipment")
			}
			rows = append(rows, row)
			return nil
		}
		for after := ""; ; {
			page, err := r.Shipments(topic.Tenant, store.ShipmentFilter{}, store.Page{
				After: after, Size: service.MaxPageSize,
			})
			if err != nil {
				return err
			}
			rows = append(rows, page...)
			if len(page) < service.MaxPageSize {
				return nil
			}
			after = page[len(page)-1].ID
		}
	})
	return rows, position, err
}
