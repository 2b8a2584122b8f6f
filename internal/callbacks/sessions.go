package callbacks

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// redirectGrace is how long a redirect is still taken after its link ran out: the customer may sit before the
// last page.
const redirectGrace = 7 * 24 * time.Hour

// NoFlow marks a session whose outcome is no news about a link, such as one for managing banks.
const NoFlow = -1

// Sessions opens sessions.
type Sessions struct {
	Store    *service.Store
	Keys     *keys.Keys
	Clock    service.Clock
	Follower *follow.Follower
	History  *history.Writer
	Audit    *audit.Trail
	// PublicURL is where browsers reach Kontor's /callbacks.
	PublicURL string
}

// Session is one visit of a customer to a provider's pages. The provider returns the browser to addresses
// with an unguessable token, which is bound to the visit; the store keeps only its hash.
type Session struct {
	hash      [32]byte
	flow      int
	Redirects providers.Redirects
	// connection is the provider's id of the one bank that the visit is to; empty for any.
	connection string
}

// New prepares a visit: an address on Kontor for each address that the caller gave.
func (s *Sessions) New(row *store.Consent, flow int) Session {
	token := newToken()
	base := s.PublicURL + "/callbacks/redirects/" + token
	v := Session{hash: hashToken(s.Keys, store.CallbackRedirect, token), flow: flow}
	if row.Redirects.GetSuccess() != "" {
		v.Redirects.Success = base + "/success"
	}
	if row.Redirects.GetError() != "" {
		v.Redirects.Error = base + "/error"
	}
	if row.Redirects.GetExit() != "" {
		v.Redirects.Exit = base + "/exit"
	}
	return v
}

// Keep stores what is needed to recognise the customer's return.
func (s *Sessions) Keep(tx store.Tx, row *store.Consent, v Session, ttl time.Duration) error {
	if v.Redirects == (providers.Redirects{}) {
		return nil
	}
	now := s.Clock.Now()
	return tx.InsertCallback(&store.Callback{
		Hash: v.hash, Kind: store.CallbackRedirect, Tenant: row.Tenant, Provider: row.Provider, Resource: row.ID,
		Flow: v.flow, CreateTime: now,
		ExpireTime: now.Add(ttl + redirectGrace),
	})
}

// Issue notes a link that the provider issued. Its time counts from now: the provider does not say when it
// issued it.
func (s *Sessions) Issue(tx store.Tx, row *store.Consent, link providers.Link, v Session) error {
	if err := s.Keep(tx, row, v, link.TTL); err != nil {
		return err
	}
	now := s.Clock.Now()
	issued := []consent.Event{consent.LinkIssued(v.flow, link.URI, now.Add(link.TTL), now)}
	if v.connection != "" {
		history, err := s.History.Events(tx, row)
		if err != nil {
			return err
		}
		issued = consent.LinkFor(history, v.connection, v.flow, link.URI, now.Add(link.TTL), now)
	}
	_, err := s.History.Extend(tx, row, issued...)
	return err
}

// Synchronize has a provider fetch newer data of one bank. When the customer must authenticate for that, it notes the
// link, and that the bank asks for it; linked says so. also is stored with what came of it.
func (s *Sessions) Synchronize(
	ctx context.Context, method string, p *providers.Provider, row *store.Consent, connection consent.Connection,
	also func(tx store.Tx, row *store.Consent, linked bool) error,
) (fresh *store.Consent, linked bool, err error) {
	ref, err := s.History.Ref(ctx, row)
	if err != nil {
		return nil, false, err
	}
	visit := s.New(row, row.Flow+1)
	link, err := p.Connections.SyncConnection(ctx, ref, connection.ID, providers.Flow{
		Access: row.Resource.GetAccess(), Redirects: visit.Redirects,
	})
	if err != nil {
		return nil, false, s.Follower.Explain(ctx, row, err)
	}
	if link != nil {
		visit.connection = connection.ID
		fresh, err = s.LinkIssued(ctx, method, row, providers.Issued{Link: *link}, visit,
			func(tx store.Tx, row *store.Consent) error { return also(tx, row, true) })
		return fresh, true, err
	}
	name := s.History.Names.Connection(row.Tenant, row.ID, connection.ID)
	if err := s.Audit.NoteAlone(ctx, method, name); err != nil {
		return nil, false, err
	}
	if fresh, err = s.Follower.Changed(ctx, row); err != nil {
		return nil, false, err
	}
	fresh, err = s.History.Change(ctx, fresh, func(tx store.Tx, fresh *store.Consent) error {
		history, err := s.History.Events(tx, fresh)
		if err != nil {
			return err
		}
		done := consent.Synchronized(history, connection.ID, fresh.Flow, s.Clock.Now())
		if _, err := s.History.Extend(tx, fresh, done...); err != nil {
			return err
		}
		return also(tx, fresh, false)
	})
	return fresh, false, err
}

// LinkIssued notes a link on a consent that exists already.
func (s *Sessions) LinkIssued(
	ctx context.Context, method string, row *store.Consent, issued providers.Issued, visit Session,
	also func(store.Tx, *store.Consent) error,
) (*store.Consent, error) {
	err := s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.ID)
		if err != nil {
			return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		if fresh.Ended { // It was revoked while the provider answered: nobody gets the link.
			return service.Closed(fresh)
		}
		visit.flow = fresh.Flow + 1 // another flow may have been opened meanwhile
		fresh.PollStep = 0
		if issued.Ref != nil {
			if err := s.History.Adopt(tx, fresh, *issued.Ref); err != nil {
				return err
			}
		}
		if err := s.Issue(tx, fresh, issued.Link, visit); err != nil {
			return err
		}
		row = fresh
		if also != nil {
			if err := also(tx, fresh); err != nil {
				return err
			}
		}
		return s.Audit.Note(ctx, tx, method, fresh.Resource.GetName())
	})
	if err == nil {
		s.Follower.Attend(row)
	}
	return row, err
}

// LiveLink gives a link as it is at a time: without its address, once its time is over. It does not change what it is
// given.
func LiveLink(link *typev1.Link, now time.Time) *typev1.Link {
	if link.GetUri() == "" || now.Before(link.GetExpireTime().AsTime()) {
		return link
	}
	over := proto.CloneOf(link)
	over.Uri = nil
	return over
}
