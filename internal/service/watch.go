package service

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

// A watch is a cursor in a log of the store: every stream reads the log itself from where it is, and is merely woken when there is more. So
// a slow reader delays nobody, and a stream that is resumed behind its cursor misses and repeats nothing.

// watchBatch is how many entries of a log are read at once.
const watchBatch = 100

// log is what watch needs to know about one of the two logs.
type watchedLog struct {
	topic store.Topic
	// snapshot sends the present state, with the token on its last message, and gives the position behind which the events follow. When
	// there is nothing to send it says so, and the token is sent by itself.
	snapshot func() (position int64, sent bool, err error)
	// next sends entries behind a position and gives the last one's; last says that the stream ends with it.
	next func(position int64) (reached int64, count int, last bool, err error)
	// heartbeat sends a message that carries nothing but the token.
	heartbeat func(position int64) error
}

// watch runs a stream until the caller leaves, the gateway stops or the log says that it is over.
func (s *Service) watch(ctx context.Context, log watchedLog, token string) error {
	wake, cancel := s.store.Subscribe(log.topic)
	defer cancel()
	scope := []string{log.topic.Tenant, string(log.topic.Log), log.topic.ID}
	if token == "" {
		token = identity.LastEventID(ctx)
	}
	cursor, err := decodeToken(token, "resumeToken", scope...)
	if err != nil {
		return err
	}
	position, err := strconv.ParseInt(cursor, 10, 64)
	if cursor != "" && err != nil {
		return kerr.InvalidField("resumeToken", "is not a token of this stream")
	}
	if cursor == "" {
		var sent bool
		if position, sent, err = log.snapshot(); err != nil {
			return err
		}
		if !sent {
			if err := log.heartbeat(position); err != nil {
				return err
			}
		}
	}
	silence := time.NewTimer(s.heartbeat)
	defer silence.Stop()
	for {
		reached, count, last, err := log.next(position)
		if err != nil || last {
			return err
		}
		position = reached
		if count > 0 {
			silence.Reset(s.heartbeat)
		}
		if count == watchBatch {
			continue
		}
		select {
		case <-wake:
		case <-silence.C:
			if err := log.heartbeat(position); err != nil {
				return err
			}
			silence.Reset(s.heartbeat)
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopping:
			return kerr.New(errorv1.Error_GATEWAY_STOPPING, "the gateway is stopping: resume the stream with its token", kerr.WithRetry(time.Second))
		}
	}
}

// watchToken makes the token that resumes a stream behind a position.
func watchToken(topic store.Topic, position int64) string {
	return encodeToken(strconv.FormatInt(position, 10), topic.Tenant, string(topic.Log), topic.ID)
}

// WatchConsents implements consentv1.ConsentServiceServer.
func (s *consentServer) WatchConsents(req *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer) error {
	ctx := stream.Context()
	topic := store.Topic{Tenant: tenantOf(ctx), Log: store.ConsentLog}
	if req.GetConsent() != "" {
		topic.ID = lastSegment(req.GetConsent())
	}
	send := func(kind consentv1.WatchConsentsResponse_Kind, resource *consentv1.Consent, event *consentv1.ConsentEvent, token string) error {
		return stream.Send(&consentv1.WatchConsentsResponse{
			Kind: kind, Consent: resource, Event: event, ResumeToken: token, SendTime: timestamppb.New(s.now()),
		})
	}
	return s.watch(ctx, watchedLog{
		topic: topic,
		snapshot: func() (int64, bool, error) {
			rows, position, err := s.consentSnapshot(ctx, topic)
			if err != nil {
				return 0, false, err
			}
			for i, row := range rows {
				token := ""
				if i == len(rows)-1 {
					token = watchToken(topic, position)
				}
				if err := send(consentv1.WatchConsentsResponse_STATE, row.Resource, nil, token); err != nil {
					return 0, false, err
				}
			}
			if topic.ID != "" {
				s.follower.hint(ctx, rows[0]) // somebody waits for news now
			}
			return position, len(rows) > 0, nil
		},
		next: func(position int64) (int64, int, bool, error) {
			var entries []store.ConsentEntry
			err := s.view(ctx, func(r store.Reader) (err error) {
				entries, err = r.ConsentEntries(topic.Tenant, topic.ID, position, watchBatch)
				return err
			})
			if err != nil {
				return 0, 0, false, err
			}
			for _, e := range entries {
				position = e.Position
				event := eventResource(e.ConsentID, e.Event)
				if err := send(consentv1.WatchConsentsResponse_EVENT, e.After, event, watchToken(topic, position)); err != nil {
					return 0, 0, false, err
				}
				if topic.ID != "" && e.Event.Type == consentv1.ConsentEvent_DELETED {
					return position, len(entries), true, nil
				}
			}
			return position, len(entries), false, nil
		},
		heartbeat: func(position int64) error {
			return send(consentv1.WatchConsentsResponse_HEARTBEAT, nil, nil, watchToken(topic, position))
		},
	}, req.GetResumeToken())
}

// consentSnapshot reads the present state of what is watched, and the position in the log that it stands for.
func (s *Service) consentSnapshot(ctx context.Context, topic store.Topic) (rows []*store.Consent, position int64, err error) {
	err = s.view(ctx, func(r store.Reader) (err error) {
		rows = nil
		if position, err = r.LastPosition(store.ConsentLog); err != nil {
			return err
		}
		if topic.ID != "" {
			row, err := r.Consent(topic.Tenant, topic.ID)
			if err != nil {
				return found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
			}
			rows = append(rows, row)
			return nil
		}
		for after := ""; ; {
			page, err := r.Consents(topic.Tenant, store.ConsentFilter{}, store.Page{After: after, Size: maxPageSize})
			if err != nil {
				return err
			}
			rows = append(rows, page...)
			if len(page) < maxPageSize {
				return nil
			}
			after = page[len(page)-1].ID
		}
	})
	return rows, position, err
}

// WatchShipments implements documentsv1.DocumentServiceServer.
func (s *documentServer) WatchShipments(req *documentsv1.WatchShipmentsRequest, stream documentsv1.DocumentService_WatchShipmentsServer) error {
	ctx := stream.Context()
	if _, err := s.offering(tenantOf(ctx), "", "WatchShipments"); err != nil {
		return err
	}
	topic := store.Topic{Tenant: tenantOf(ctx), Log: store.ShipmentLog}
	if req.GetShipment() != "" {
		topic.ID = lastSegment(req.GetShipment())
	}
	send := func(kind documentsv1.WatchShipmentsResponse_Kind, resource *documentsv1.Shipment, token string) error {
		return stream.Send(&documentsv1.WatchShipmentsResponse{
			Kind: kind, Shipment: resource, ResumeToken: token, SendTime: timestamppb.New(s.now()),
		})
	}
	return s.watch(ctx, watchedLog{
		topic: topic,
		snapshot: func() (int64, bool, error) {
			rows, position, err := s.shipmentSnapshot(ctx, topic)
			if err != nil {
				return 0, false, err
			}
			for i, row := range rows {
				token := ""
				if i == len(rows)-1 {
					token = watchToken(topic, position)
				}
				if err := send(documentsv1.WatchShipmentsResponse_STATE, row.Resource, token); err != nil {
					return 0, false, err
				}
			}
			return position, len(rows) > 0, nil
		},
		next: func(position int64) (int64, int, bool, error) {
			var entries []store.ShipmentEntry
			err := s.view(ctx, func(r store.Reader) (err error) {
				entries, err = r.ShipmentEntries(topic.Tenant, topic.ID, position, watchBatch)
				return err
			})
			if err != nil {
				return 0, 0, false, err
			}
			for _, e := range entries {
				position = e.Position
				if err := send(documentsv1.WatchShipmentsResponse_EVENT, e.After, watchToken(topic, position)); err != nil {
					return 0, 0, false, err
				}
			}
			return position, len(entries), false, nil
		},
		heartbeat: func(position int64) error {
			return send(documentsv1.WatchShipmentsResponse_HEARTBEAT, nil, watchToken(topic, position))
		},
	}, req.GetResumeToken())
}

// shipmentSnapshot reads the present state of what is watched, and the position in the log that it stands for.
func (s *Service) shipmentSnapshot(ctx context.Context, topic store.Topic) (rows []*store.Shipment, position int64, err error) {
	err = s.view(ctx, func(r store.Reader) (err error) {
		rows = nil
		if position, err = r.LastPosition(store.ShipmentLog); err != nil {
			return err
		}
		if topic.ID != "" {
			row, err := r.Shipment(topic.Tenant, topic.ID)
			if err != nil {
				return found(err, errorv1.Error_SHIPMENT_NOT_FOUND, "shipment")
			}
			rows = append(rows, row)
			return nil
		}
		for after := ""; ; {
			page, err := r.Shipments(topic.Tenant, store.ShipmentFilter{}, store.Page{After: after, Size: maxPageSize})
			if err != nil {
				return err
			}
			rows = append(rows, page...)
			if len(page) < maxPageSize {
				return nil
			}
			after = page[len(page)-1].ID
		}
	})
	return rows, position, err
}
