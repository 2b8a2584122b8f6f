package banking

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/callbacks"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// ListConnections implements bankingv1.BankingServiceServer. The answer is what Kontor last learnt, as in
// GetConsent.
func (s *Server) ListConnections(
	ctx context.Context, req *bankingv1.ListConnectionsRequest,
) (*bankingv1.ListConnectionsResponse, error) {
	row, _, err := s.Load.Consent(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	all := row.Resource.GetConnections()
	page, next, err := service.SlicePage(s.Tokens, all, req, service.PageScope(ctx, "connections", row.ID))
	return &bankingv1.ListConnectionsResponse{Connections: page, NextPageToken: next}, err
}

// GetConnection implements bankingv1.BankingServiceServer.
func (s *Server) GetConnection(
	ctx context.Context, req *bankingv1.GetConnectionRequest,
) (*consentv1.Connection, error) {
	row, _, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return connectionNamed(row, req.GetName())
}

// connectionNamed finds a connection in a consent's resource.
func connectionNamed(row *store.Consent, name string) (*consentv1.Connection, error) {
	for _, c := range row.Resource.GetConnections() {
		if c.GetName() == name {
			return c, nil
		}
	}
	return nil, service.NotFound(errorv1.Error_CONNECTION_NOT_FOUND, "connection")
}

// loadConnection loads what an RPC on one connection needs.
func (s *Server) loadConnection(
	ctx context.Context, name string, capability providers.Capability,
) (*store.Consent, *providers.Provider, consent.Connection, error) {
	row, p, err := s.Load.Consent(ctx, name)
	if err != nil {
		return nil, nil, consent.Connection{}, err
	}
	if err := service.Need(p, capability); err != nil {
		return nil, nil, consent.Connection{}, err
	}
	connection, err := s.History.Connection(ctx, row, name)
	if err != nil {
		return nil, nil, consent.Connection{}, err
	}
	return row, p, connection, nil
}

// syncKept is how long a synchronization answers who asks for it anew: the provider is not asked again, and a customer
// is not sent to two pages.
const syncKept = time.Second

// SyncConnection implements bankingv1.BankingServiceServer.
func (s *Server) SyncConnection(
	ctx context.Context, req *bankingv1.SyncConnectionRequest,
) (*bankingv1.SyncConnectionResponse, error) {
	row, p, connection, err := s.loadConnection(ctx, req.GetName(), "SyncConnection")
	if err != nil {
		return nil, err
	}
	answer, err := once.Do(ctx, s.Once, "SyncConnection", req,
		func(ctx context.Context, attempt *once.Attempt) (*bankingv1.SyncConnectionResponse, error) {
			// Newer data can be fetched again, and a second link is as good as the first.
			attempt.CustomerID, attempt.ConsentID, attempt.Repeatable = row.CustomerID, row.ID, true
			if err := syncable(p, row, connection); err != nil {
				return nil, err
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			key := strings.Join([]string{row.Tenant, req.GetName(), providers.CallOf(ctx).PSUIP}, "\x00")
			own := false
			done, _, err := s.syncs.Do(ctx, key, syncKept,
				func(done synced) bool { return done.etag == row.Resource.GetEtag() },
				func(ctx context.Context) (synced, error) {
					own = true
					return s.syncConnection(ctx, p, row, connection, req.GetName(), attempt)
				})
			if err != nil || own {
				return proto.CloneOf(done.resp), err
			}
			err = s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
				if err := s.Audit.Note(ctx, tx, "SyncConnection", req.GetName()); err != nil {
					return err
				}
				return attempt.Done(tx, done.resp)
			})
			return proto.CloneOf(done.resp), err
		})
	return s.withLiveLink(ctx, req.GetName(), answer), err
}

// syncable refuses newer data under a consent that has ended, that covers one collection, or whose customer could not
// be sent back from the bank's pages; and of a bank that was removed, which is there to be listed alone.
func syncable(p *providers.Provider, row *store.Consent, connection consent.Connection) error {
	if err := service.Closed(row); err != nil {
		return err
	}
	if connection.Status == consentv1.Connection_DISCONNECTED {
		return kerr.New(errorv1.Error_CONNECTION_NOT_FOUND, "the bank was removed from the consent")
	}
	if p.NeedsRedirects && !complete(row.Redirects) {
		return kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED,
			"the consent has no redirect URIs: the customer cannot authenticate anew")
	}
	return service.NeedRecurring(row)
}

// withLiveLink gives an answer, which may be a remembered one, without the address of a link that is over, or was
// replaced, since.
func (s *Server) withLiveLink(
	ctx context.Context, name string, answer *bankingv1.SyncConnectionResponse,
) *bankingv1.SyncConnectionResponse {
	if answer.GetLink().GetUri() == "" {
		return answer
	}
	row, _, err := s.Load.Consent(ctx, name)
	if err == nil && callbacks.LiveLink(row.Resource.GetLink(), s.Clock.Now()).GetUri() == answer.GetLink().GetUri() {
		return answer
	}
	answer = proto.CloneOf(answer)
	answer.Link.Uri = nil
	return answer
}

// synced is the answer to a synchronization, and the consent's etag after it: when that changes, the answer is old.
type synced struct {
	resp *bankingv1.SyncConnectionResponse
	etag string
}

func (s *Server) syncConnection(
	ctx context.Context, p *providers.Provider, row *store.Consent, connection consent.Connection, name string,
	attempt *once.Attempt,
) (done synced, err error) {
	defer s.Reads.Changed()
	row, _, err = s.Sessions.Synchronize(ctx, "SyncConnection", p, row, connection,
		func(tx store.Tx, row *store.Consent, linked bool) (err error) {
			done.resp = &bankingv1.SyncConnectionResponse{}
			if linked {
				done.resp.Link = row.Resource.GetLink()
			}
			if done.resp.Connection, err = connectionNamed(row, name); err != nil {
				return err
			}
			return attempt.Done(tx, done.resp)
		})
	if err != nil {
		return synced{}, err
	}
	done.etag = row.Resource.GetEtag()
	return done, nil
}

// DeleteConnection implements bankingv1.BankingServiceServer.
func (s *Server) DeleteConnection(ctx context.Context, req *bankingv1.DeleteConnectionRequest) (*emptypb.Empty, error) {
	row, p, connection, err := s.loadConnection(ctx, req.GetName(), "DeleteConnection")
	if err != nil {
		return nil, err
	}
	return once.Do(ctx, s.Once, "DeleteConnection", req,
		func(ctx context.Context, attempt *once.Attempt) (*emptypb.Empty, error) {
			// One that is gone already is no error.
			attempt.CustomerID, attempt.ConsentID, attempt.Repeatable = row.CustomerID, row.ID, true
			if err := service.Closed(row); err != nil {
				return nil, err
			}
			if connection.Status == consentv1.Connection_DISCONNECTED {
				return &emptypb.Empty{}, s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
					if err := s.Audit.Note(ctx, tx, "DeleteConnection", req.GetName()); err != nil {
						return err
					}
					return attempt.Done(tx, &emptypb.Empty{})
				})
			}
			ref, err := s.History.Ref(ctx, row)
			if err != nil {
				return nil, err
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			defer s.Reads.Changed()
			if err := p.Connections.DeleteConnection(ctx, ref, connection.ID); err != nil {
				return nil, s.Follower.Explain(ctx, row, err)
			}
			_, err = s.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
				if err := s.noteRemoved(tx, fresh, connection.ID, req.GetName()); err != nil {
					return err
				}
				if err := s.Audit.Note(ctx, tx, "DeleteConnection", req.GetName()); err != nil {
					return err
				}
				return attempt.Done(tx, &emptypb.Empty{})
			})
			if err != nil {
				return nil, err
			}
			return &emptypb.Empty{}, nil
		})
}

// noteRemoved notes that a connection was removed, unless that is known already: by another call, or by a read of the
// consent at the provider.
func (s *Server) noteRemoved(tx store.Tx, fresh *store.Consent, id, name string) error {
	have, err := connectionNamed(fresh, name)
	if err == nil && have.GetStatus() == consentv1.Connection_DISCONNECTED {
		return nil
	}
	removed := consent.Removed(id, fresh.Flow, int64(fresh.Resource.GetEventCount()), s.Clock.Now())
	_, err = s.History.Extend(tx, fresh, removed)
	return err
}

// CreateManagementSession implements bankingv1.BankingServiceServer.
func (s *Server) CreateManagementSession(
	ctx context.Context, req *bankingv1.CreateManagementSessionRequest,
) (*typev1.Link, error) {
	row, p, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := service.Need(p, "CreateManagementSession"); err != nil {
		return nil, err
	}
	answer, err := once.Do(ctx, s.Once, "CreateManagementSession", req,
		func(ctx context.Context, attempt *once.Attempt) (*typev1.Link, error) {
			attempt.CustomerID, attempt.ConsentID, attempt.Repeatable = row.CustomerID, row.ID, true
			if err := service.Closed(row); err != nil {
				return nil, err
			}
			ref, err := s.History.Ref(ctx, row)
			if err != nil {
				return nil, err
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			visit := s.Sessions.New(row, callbacks.NoFlow)
			link, err := p.Connections.ManagementSession(ctx, ref, providers.Flow{
				Access: row.Resource.GetAccess(), Redirects: visit.Redirects,
			})
			if err != nil {
				return nil, s.Follower.Explain(ctx, row, err)
			}
			now := s.Clock.Now()
			made := &typev1.Link{
				Uri: optional.Of(link.URI), Status: typev1.Link_PENDING,
				CreateTime: timestamppb.New(now), ExpireTime: timestamppb.New(now.Add(link.TTL)),
			}
			err = s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
				fresh, err := tx.Consent(row.ID)
				if err != nil {
					return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
				}
				if fresh.Ended { // It was revoked while the provider answered: nobody gets the link.
					return service.Closed(fresh)
				}
				if err := s.Sessions.Keep(tx, row, visit, link.TTL); err != nil {
					return err
				}
				if err := s.Audit.Note(ctx, tx, "CreateManagementSession", row.Resource.GetName()); err != nil {
					return err
				}
				return attempt.Done(tx, made)
			})
			return made, err
		})
	if err != nil {
		return nil, err
	}
	if row.Ended {
		answer.Uri = nil
	}
	return callbacks.LiveLink(answer, s.Clock.Now()), nil
}

// complete tells whether a customer can be sent back however the visit ends.
func complete(uris *consentv1.Consent_RedirectUris) bool {
	return uris.GetSuccess() != "" && uris.GetError() != "" && uris.GetExit() != ""
}
