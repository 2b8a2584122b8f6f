package consents

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/watch"
)

// Feed is the consent log as streams follow it.
type Feed = watch.Feed[*consentv1.WatchConsentsResponse]

// NewFeed makes the feed of the consent log. It looks into the store whether links are over.
func NewFeed(tails store.Tails, db store.Store, k *keys.Keys, clock service.Clock, log *slog.Logger) *Feed {
	return watch.NewFeed(watch.Source[store.ConsentEntry, *consentv1.WatchConsentsResponse]{
		Log: store.ConsentLog, Tokens: service.Tokens{Keys: k}, Tails: tails, Tail: tails.TailConsents, Logger: log,
		Read: func(r store.Reader, topic watch.Topic, after store.Cursor, limit int) ([]store.ConsentEntry, error) {
			return r.ConsentEntries(topic.ID, after, limit)
		},
		Of: func(e store.ConsentEntry) (watch.Topic, store.Cursor, bool) {
			about := watch.Topic{Tenant: e.Tenant, ID: e.ConsentID}
			return about, e.Cursor, e.Event.Type == consentv1.ConsentEvent_DELETED
		},
		Message: func(e store.ConsentEntry, token string) *consentv1.WatchConsentsResponse {
			return &consentv1.WatchConsentsResponse{
				Kind: consentv1.WatchConsentsResponse_EVENT, Consent: withLinkOfNow(db, clock, e),
				Event:       history.EventResource(service.Names{Keys: k}, e.Tenant, e.ConsentID, e.Event),
				ResumeToken: optional.Of(token), SendTime: timestamppb.New(clock.Now()),
			}
		},
	})
}

// linkTimeout bounds how long it may take to look whether a link is over.
const linkTimeout = 5 * time.Second

// withLinkOfNow gives the consent as it stood after an entry of the log, which may be old: without the address of a
// link that is over, or was replaced, since. So it does when nobody can tell.
func withLinkOfNow(db store.Store, clock service.Clock, e store.ConsentEntry) *consentv1.Consent {
	link := e.After.GetLink()
	if link.GetUri() == "" {
		return e.After
	}
	live := false
	if clock.Now().Before(link.GetExpireTime().AsTime()) {
		ctx, cancel := context.WithTimeout(context.Background(), linkTimeout)
		defer cancel()
		err := db.View(ctx, e.Tenant, func(r store.Reader) error {
			row, err := r.Consent(e.ConsentID)
			live = err == nil && row.Resource.GetLink().GetUri() == link.GetUri()
			return err
		})
		live = live && err == nil
	}
	if live {
		return e.After
	}
	return withoutAddress(e.After)
}

// WatchConsents implements consentv1.ConsentServiceServer.
func (s *Server) WatchConsents(
	req *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer,
) error {
	ctx := stream.Context()
	send := func(message *consentv1.WatchConsentsResponse) error {
		return stream.Send(visibleMessage(ctx, message))
	}
	if ticket := identity.From(ctx).Ticket; ticket != nil {
		if req.GetConsent() != service.ConsentName(ticket.ConsentID) {
			return service.NotFound(errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		var over context.CancelFunc
		ctx, over = context.WithTimeout(ctx, ticket.Expires.Sub(s.Clock.Now()))
		defer over()
		send = func(message *consentv1.WatchConsentsResponse) error { return stream.Send(glimpse(message)) }
	}
	w := watch.Watched[*consentv1.WatchConsentsResponse]{
		Topic: watch.Topic{Tenant: service.TenantOf(ctx)}, Feed: s.Feed, Send: send,
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
	w.Snapshot = func() (store.Cursor, bool, error) {
		if w.Topic.ID == "" {
			return watch.SendAll(ctx, s.Streams, w, func(r store.Reader, page store.Page) ([]*store.Consent, error) {
				return r.Consents(store.ConsentFilter{}, page)
			}, func(row *store.Consent) string { return row.ID }, state)
		}
		row, at, err := s.consentState(ctx, w.Topic)
		if err != nil {
			return "", false, err
		}
		if err := state(row, w.Token(at)); err != nil {
			return "", false, err
		}
		s.Follower.Hint(ctx, row) // somebody waits for news now
		return at, true, nil
	}
	w.Heartbeat = func(token string) error {
		return send(&consentv1.WatchConsentsResponse{
			Kind: consentv1.WatchConsentsResponse_HEARTBEAT, ResumeToken: optional.Of(token),
			SendTime: timestamppb.New(s.Clock.Now()),
		})
	}
	err := watch.Run(ctx, s.Streams, w, req.GetResumeToken())
	if ended := err == nil || stream.Context().Err() == nil && ctx.Err() != nil; ended && ctx != stream.Context() {
		return stream.Send(&consentv1.WatchConsentsResponse{
			Kind: consentv1.WatchConsentsResponse_END, SendTime: timestamppb.New(s.Clock.Now()),
		})
	}
	return err
}

// consentState reads one consent, and the place in the log that it stands for.
func (s *Server) consentState(
	ctx context.Context, topic watch.Topic,
) (row *store.Consent, at store.Cursor, err error) {
	err = s.Store.View(ctx, topic.Tenant, func(r store.Reader) (err error) {
		if at, err = r.Head(store.ConsentLog); err != nil {
			return err
		}
		row, err = r.Consent(topic.ID)
		return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
	})
	return row, at, err
}
