package consents

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/callbacks"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/watch"
)

// Feed is the consent log as streams follow it.
type Feed = watch.Feed[*news]

// NewFeed makes the feed of the consent log.
func NewFeed(tails store.Tails, k *keys.Keys, clock service.Clock, log *slog.Logger) *Feed {
	return watch.NewFeed(watch.Source[store.ConsentEntry, *news]{
		Log: store.ConsentLog, Tokens: service.Tokens{Keys: k}, Tails: tails, Tail: tails.TailConsents, Logger: log,
		Read: func(r store.Reader, topic watch.Topic, after store.Cursor, limit int) ([]store.ConsentEntry, error) {
			entries, err := r.ConsentEntries(topic.ID, after, limit)
			if err != nil {
				return nil, err
			}
			return entries, withoutOldLinks(r, entries, clock.Now())
		},
		Of: func(e store.ConsentEntry) (watch.Topic, store.Cursor, bool) {
			about := watch.Topic{Tenant: e.Tenant, ID: e.ConsentID}
			return about, e.Cursor, e.Event.Type == consentv1.ConsentEvent_DELETED
		},
		Message: func(e store.ConsentEntry, token string) *news {
			return newsOf(&consentv1.WatchConsentsResponse{
				Kind: consentv1.WatchConsentsResponse_EVENT, Consent: e.After,
				Event:       history.EventResource(service.Names{Keys: k}, e.Tenant, e.ConsentID, e.Event),
				ResumeToken: optional.Of(token), SendTime: timestamppb.New(clock.Now()),
			})
		},
	})
}

// withoutOldLinks takes out of entries that are read late the addresses of links that are over, or were replaced,
// since: an entry has the consent as it stood then.
func withoutOldLinks(r store.Reader, entries []store.ConsentEntry, now time.Time) error {
	live := make(map[string]string) // addresses by consents' ids
	for i, e := range entries {
		if e.After.GetLink().GetUri() == "" {
			continue
		}
		address, known := live[e.ConsentID]
		if !known {
			row, err := r.Consent(e.ConsentID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if err == nil {
				address = callbacks.LiveLink(row.Resource.GetLink(), now).GetUri()
			}
			live[e.ConsentID] = address
		}
		if e.After.GetLink().GetUri() != address {
			entries[i].After = withoutAddress(e.After)
		}
	}
	return nil
}

// WatchConsents implements consentv1.ConsentServiceServer.
func (s *Server) WatchConsents(
	req *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer,
) error {
	ctx := stream.Context()
	links := seesLinks(ctx)
	send := func(message *consentv1.WatchConsentsResponse) error {
		return stream.Send(s.visibleMessage(message, links))
	}
	sendNews := func(n *news) error { return stream.SendMsg(s.visibleNews(n, links)) }
	var ended func(error) error
	if ticket := identity.From(ctx).Ticket; ticket != nil {
		if req.GetConsent() != service.ConsentName(ticket.ConsentID) {
			return service.NotFound(errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		var over context.CancelFunc
		ctx, over = context.WithTimeout(ctx, ticket.Expires.Sub(s.Clock.Now()))
		all := stream.Context()
		ended = func(err error) error {
			defer over()
			if err == nil || all.Err() == nil && ctx.Err() != nil {
				return stream.Send(&consentv1.WatchConsentsResponse{
					Kind: consentv1.WatchConsentsResponse_END, SendTime: timestamppb.New(s.Clock.Now()),
				})
			}
			return err
		}
		send = func(message *consentv1.WatchConsentsResponse) error { return stream.Send(glimpse(message)) }
		sendNews = func(n *news) error { return stream.SendMsg(n.glimpse) }
	}
	w := watch.Watched[*news]{
		Topic: watch.Topic{Tenant: service.TenantOf(ctx)}, Feed: s.Feed, Send: sendNews, Ended: ended,
	}
	if req.GetConsent() != "" {
		w.Topic.ID = service.LastSegment(req.GetConsent())
		w.Gone = func(r store.Reader) error {
			_, err := r.Consent(w.Topic.ID)
			return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
	}
	state := func(row *store.Consent, token string) error {
		return send(&consentv1.WatchConsentsResponse{
			Kind: consentv1.WatchConsentsResponse_STATE, Consent: row.Resource, ResumeToken: optional.Of(token),
			SendTime: timestamppb.New(s.Clock.Now()),
		})
	}
	w.Snapshot = func() (watch.Present, error) {
		if w.Topic.ID == "" {
			return watch.SendAll(ctx, s.Streams, w, func(r store.Reader, page store.Page) ([]*store.Consent, error) {
				return r.Consents(store.ConsentFilter{}, page)
			}, func(row *store.Consent) string { return row.ID }, state)
		}
		row, at, err := s.consentState(ctx, w.Topic)
		if err != nil {
			return watch.Present{}, err
		}
		if err := state(row, w.Token(at)); err != nil {
			return watch.Present{}, err
		}
		s.Follower.Hint(ctx, row) // somebody waits for news now
		return watch.Present{At: at, Sent: true}, nil
	}
	w.Heartbeat = func(token string) error {
		return send(&consentv1.WatchConsentsResponse{
			Kind: consentv1.WatchConsentsResponse_HEARTBEAT, ResumeToken: optional.Of(token),
			SendTime: timestamppb.New(s.Clock.Now()),
		})
	}
	return watch.Run(ctx, s.Streams, w, req.GetResumeToken())
}

// consentState reads one consent, and the place in the log that it stands for.
func (s *Server) consentState(
	ctx context.Context, topic watch.Topic,
) (row *store.Consent, at store.Cursor, err error) {
	err = s.Store.View(ctx, topic.Tenant, func(r store.Reader) (err error) {
		if at, err = watch.PlaceOf(r, store.ConsentLog, topic.ID); err != nil {
			return err
		}
		row, err = r.Consent(topic.ID)
		return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
	})
	return row, at, err
}
