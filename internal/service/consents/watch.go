package consents

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/watch"
)

// WatchConsents implements consentv1.ConsentServiceServer.
func (s *Server) WatchConsents(
	req *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer,
) error {
	ctx := stream.Context()
	topic := store.Topic{Tenant: service.TenantOf(ctx), Log: store.ConsentLog}
	if req.GetConsent() != "" {
		topic.ID = service.LastSegment(req.GetConsent())
	}
	send := func(
		kind consentv1.WatchConsentsResponse_Kind, resource *consentv1.Consent, event *consentv1.ConsentEvent, token string,
	) error {
		return stream.Send(&consentv1.WatchConsentsResponse{
			Kind: kind, Consent: resource, Event: event, ResumeToken: token, SendTime: timestamppb.New(s.Clock.Now()),
		})
	}
	return s.Streams.Run(ctx, watch.Log{
		Topic: topic,
		Snapshot: func() (int64, bool, error) {
			rows, position, err := s.consentSnapshot(ctx, topic)
			if err != nil {
				return 0, false, err
			}
			for i, row := range rows {
				token := ""
				if i == len(rows)-1 {
					token = watch.Token(topic, position)
				}
				if err := send(consentv1.WatchConsentsResponse_STATE, row.Resource, nil, token); err != nil {
					return 0, false, err
				}
			}
			if topic.ID != "" {
				s.Follower.Hint(ctx, rows[0]) // somebody waits for news now
			}
			return position, len(rows) > 0, nil
		},
		Next: func(position int64) (int64, int, bool, error) {
			var entries []store.ConsentEntry
			err := s.Store.View(ctx, func(r store.Reader) (err error) {
				entries, err = r.ConsentEntries(topic.Tenant, topic.ID, position, watch.Batch)
				return err
			})
			if err != nil {
				return 0, 0, false, err
			}
			for _, e := range entries {
				position = e.Position
				event := history.EventResource(e.ConsentID, e.Event)
				token := watch.Token(topic, position)
				if err := send(consentv1.WatchConsentsResponse_EVENT, e.After, event, token); err != nil {
					return 0, 0, false, err
				}
				if topic.ID != "" && e.Event.Type == consentv1.ConsentEvent_DELETED {
					return position, len(entries), true, nil
				}
			}
			return position, len(entries), false, nil
		},
		Heartbeat: func(position int64) error {
			return send(consentv1.WatchConsentsResponse_HEARTBEAT, nil, nil, watch.Token(topic, position))
		},
	}, req.GetResumeToken())
}

// consentSnapshot reads the present state of what is watched, and the position in the log that it stands for.
func (s *Server) consentSnapshot(
	ctx context.Context, topic store.Topic,
) (rows []*store.Consent, position int64, err error) {
	err = s.Store.View(ctx, func(r store.Reader) (err error) {
		rows = nil
		if position, err = r.LastPosition(store.ConsentLog); err != nil {
			return err
		}
		if topic.ID != "" {
			row, err := r.Consent(topic.Tenant, topic.ID)
			if err != nil {
				return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
			}
			rows = append(rows, row)
			return nil
		}
		for after := ""; ; {
			page, err := r.Consents(topic.Tenant, store.ConsentFilter{}, store.Page{
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
