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

// standing refuses what needs a consent that stands, without asking the provider.
func standing(row *store.Consent) error {
	if row.Ended || row.Resource.GetStatus() == consentv1.Consent_REVOKED {
		return kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
	}
	return nil
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
	return row, p, connection, standing(row)
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
	if p.NeedsRedirects && !complete(row.Redirects) {
		return nil, kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED,
			"the consent has no redirect URIs: the customer cannot authenticate anew")
	}
	return once.Detached(ctx, s.Once, func(ctx context.Context) (*bankingv1.SyncConnectionResponse, error) {
		key := strings.Join([]string{row.Tenant, req.GetName(), providers.CallOf(ctx).PSUIP}, "\x00")
		done, shared, err := s.syncs.Do(ctx, key, syncKept,
			func(done synced) bool { return done.etag == row.Resource.GetEtag() },
			func(ctx context.Context) (synced, error) {
				return s.syncConnection(ctx, p, row, connection, req.GetName())
			})
		if err != nil {
			return nil, err
		}
		if shared {
			if err := s.Audit.NoteAlone(ctx, "SyncConnection", req.GetName()); err != nil {
				return nil, err
			}
		}
		return proto.CloneOf(done.resp), nil
	})
}

// synced is the answer to a synchronization, and the consent's etag after it: when that changes, the answer is old.
type synced struct {
	resp *bankingv1.SyncConnectionResponse
	etag string
}

func (s *Server) syncConnection(
	ctx context.Context, p *providers.Provider, row *store.Consent, connection consent.Connection, name string,
) (done synced, err error) {
	ref, err := s.History.Ref(ctx, row)
	if err != nil {
		return done, err
	}
	visit := s.Sessions.New(row, row.Flow+1)
	defer s.Reads.Changed()
	link, err := p.Connections.SyncConnection(ctx, ref, connection.ID, providers.Flow{
		Access: row.Resource.GetAccess(), Redirects: visit.Redirects,
	})
	if err != nil {
		return done, s.Follower.Explain(ctx, row, err)
	}
	done.resp = &bankingv1.SyncConnectionResponse{}
	if link != nil {
		issued := providers.Issued{Link: *link}
		if row, err = s.Sessions.LinkIssued(ctx, "SyncConnection", row, issued, visit, nil); err != nil {
			return done, err
		}
		done.resp.Link = row.Resource.GetLink()
	} else {
		if err := s.Audit.NoteAlone(ctx, "SyncConnection", name); err != nil {
			return done, err
		}
		if row, err = s.Follower.Refresh(ctx, row); err != nil {
			return done, err
		}
	}
	done.etag = row.Resource.GetEtag()
	done.resp.Connection, err = connectionNamed(row, name)
	return done, err
}

// DeleteConnection implements bankingv1.BankingServiceServer.
func (s *Server) DeleteConnection(ctx context.Context, req *bankingv1.DeleteConnectionRequest) (*emptypb.Empty, error) {
	row, p, connection, err := s.loadConnection(ctx, req.GetName(), "DeleteConnection")
	if err != nil {
		return nil, err
	}
	return once.Detached(ctx, s.Once, func(ctx context.Context) (*emptypb.Empty, error) {
		ref, err := s.History.Ref(ctx, row)
		if err != nil {
			return nil, err
		}
		defer s.Reads.Changed()
		if err := p.Connections.DeleteConnection(ctx, ref, connection.ID); err != nil {
			return nil, s.Follower.Explain(ctx, row, err)
		}
		_, err = s.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
			removed := consent.Removed(connection.ID, fresh.Flow, int64(fresh.Resource.GetEventCount()), s.Clock.Now())
			if _, err := s.History.Extend(tx, fresh, removed); err != nil {
				return err
			}
			return s.Audit.Note(ctx, tx, "DeleteConnection", req.GetName())
		})
		if err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, nil
	})
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
	if err := standing(row); err != nil {
		return nil, err
	}
	return once.Detached(ctx, s.Once, func(ctx context.Context) (*typev1.Link, error) {
		ref, err := s.History.Ref(ctx, row)
		if err != nil {
			return nil, err
		}
		visit := s.Sessions.New(row, callbacks.NoFlow)
		link, err := p.Connections.ManagementSession(ctx, ref, providers.Flow{
			Access: row.Resource.GetAccess(), Redirects: visit.Redirects,
		})
		if err != nil {
			return nil, s.Follower.Explain(ctx, row, err)
		}
		err = s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
			if err := s.Sessions.Keep(tx, row, visit, link.TTL); err != nil {
				return err
			}
			return s.Audit.Note(ctx, tx, "CreateManagementSession", row.Resource.GetName())
		})
		if err != nil {
			return nil, err
		}
		now := s.Clock.Now()
		return &typev1.Link{
			Uri: optional.Of(link.URI), Status: typev1.Link_PENDING,
			CreateTime: timestamppb.New(now), ExpireTime: timestamppb.New(now.Add(link.TTL)),
		}, nil
	})
}

// complete tells whether a customer can be sent back however the visit ends.
func complete(uris *consentv1.Consent_RedirectUris) bool {
	return uris.GetSuccess() != "" && uris.GetError() != "" && uris.GetExit() != ""
}
