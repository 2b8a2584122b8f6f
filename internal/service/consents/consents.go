package consents

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// GetConsent implements consentv1.ConsentServiceServer.
func (s *Server) GetConsent(ctx context.Context, req *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
	row, _, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if req.GetRefresh() {
		if row, err = s.Follower.Refresh(ctx, row); err != nil {
			return nil, err
		}
	}
	return s.visible(ctx, row.Resource), nil
}

// ListConsents implements consentv1.ConsentServiceServer.
func (s *Server) ListConsents(
	ctx context.Context, req *consentv1.ListConsentsRequest,
) (*consentv1.ListConsentsResponse, error) {
	tenant, size := service.TenantOf(ctx), service.PageSize(req.GetPageSize())
	filter := store.ConsentFilter{
		Reference: s.Keys.Lookup(keys.ConsentReference, tenant, req.GetReference()), Statuses: req.GetStatuses(),
	}
	if req.GetCustomer() != "" {
		filter.CustomerID = service.LastSegment(req.GetCustomer())
	}
	scope := service.PageScope(ctx, "consents", filter.CustomerID, req.GetReference())
	for _, status := range filter.Statuses {
		scope = append(scope, status.String())
	}
	after, err := s.Tokens.Cursor(req, scope)
	if err != nil {
		return nil, err
	}
	resp := &consentv1.ListConsentsResponse{}
	err = s.Store.View(ctx, tenant, func(r store.Reader) error {
		rows, err := r.Consents(filter, store.Page{After: after, Size: size + 1})
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			resp.NextPageToken = optional.Of(s.Tokens.Encode(rows[size-1].ID, scope...))
		}
		for _, row := range rows {
			resp.Consents = append(resp.Consents, s.visible(ctx, row.Resource))
		}
		return nil
	})
	return resp, err
}

// ListConsentEvents implements consentv1.ConsentServiceServer.
func (s *Server) ListConsentEvents(
	ctx context.Context, req *consentv1.ListConsentEventsRequest,
) (*consentv1.ListConsentEventsResponse, error) {
	row, _, err := s.Load.Consent(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	scope := service.PageScope(ctx, "events", row.ID)
	cursor, err := s.Tokens.Cursor(req, scope)
	if err != nil {
		return nil, err
	}
	after, _ := strconv.ParseInt(cursor, 10, 64)
	size := service.PageSize(req.GetPageSize())
	resp := &consentv1.ListConsentEventsResponse{}
	err = s.Store.View(ctx, row.Tenant, func(r store.Reader) error {
		events, err := r.Events(row.ID, after, size+1)
		if err != nil {
			return err
		}
		if len(events) > size {
			events = events[:size]
			resp.NextPageToken = optional.Of(s.Tokens.Encode(strconv.FormatInt(events[size-1].Sequence, 10), scope...))
		}
		for _, e := range events {
			resp.Events = append(resp.Events, history.EventResource(s.History.Names, row.Tenant, row.ID, e))
		}
		return nil
	})
	return resp, err
}

// RevokeConsent implements consentv1.ConsentServiceServer. Revoking what is revoked already changes nothing.
func (s *Server) RevokeConsent(ctx context.Context, req *consentv1.RevokeConsentRequest) (*consentv1.Consent, error) {
	row, p, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	etag, err := service.WantedEtag(ctx, req.GetEtag(), "etag")
	if err != nil {
		return nil, err
	}
	req = proto.CloneOf(req)
	req.Etag = etag // a header's is part of the request, too
	return once.Do(ctx, s.Once, "RevokeConsent", req,
		func(ctx context.Context, attempt *once.Attempt) (*consentv1.Consent, error) {
			row, err := s.end(ctx, attempt, p, row, etag, false, func(tx store.Tx, row *store.Consent) error {
				return attempt.Done(tx, row.Resource)
			})
			if err != nil {
				return nil, err
			}
			return row.Resource, nil
		})
}

// DeleteConsent implements consentv1.ConsentServiceServer. Of its key only the hash of the request is left: what it
// deleted is not there for a repetition either.
func (s *Server) DeleteConsent(ctx context.Context, req *consentv1.DeleteConsentRequest) (*emptypb.Empty, error) {
	row, p, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	etag, err := service.WantedEtag(ctx, req.GetEtag(), "etag")
	if err != nil {
		return nil, err
	}
	req = proto.CloneOf(req)
	req.Etag = etag
	return once.Do(ctx, s.Once, "DeleteConsent", req,
		func(ctx context.Context, attempt *once.Attempt) (*emptypb.Empty, error) {
			erased := 0
			_, err := s.end(ctx, attempt, p, row, etag, true, func(tx store.Tx, row *store.Consent) (err error) {
				// The answer goes with the consent, so it is stored before.
				if err := attempt.Done(tx, &emptypb.Empty{}); err != nil {
					return err
				}
				erased, err = tx.DeleteConsent(row.ID, erasureStep)
				return err
			})
			if err != nil {
				return nil, err
			}
			return &emptypb.Empty{}, s.erase(ctx, row, erased)
		})
}

// end ends a consent at its provider and notes it here, with whatever else must become durable with it. Whether it may
// is decided by the etag of the consent as it is stored when the provider is about to be asked, or, where there is
// nothing to ask for, when the end is noted.
func (s *Server) end(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, row *store.Consent, etag string, remove bool,
	also func(store.Tx, *store.Consent) error,
) (*store.Consent, error) {
	method := "RevokeConsent"
	if remove {
		method = "DeleteConsent"
	}
	attempt.CustomerID, attempt.ConsentID, attempt.Repeatable = row.CustomerID, row.ID, true
	fresh := func(tx store.Reader) (*store.Consent, error) {
		fresh, err := tx.Consent(row.ID)
		if err != nil {
			return nil, service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		return fresh, service.Fresh(etag, fresh.Resource.GetEtag())
	}
	err := s.Store.View(ctx, row.Tenant, func(r store.Reader) (err error) {
		row, err = fresh(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	asked := !row.Ended
	if asked {
		ref, err := s.History.Ref(ctx, row)
		if err != nil {
			return nil, err
		}
		if err := attempt.GoOn(ctx); err != nil {
			return nil, err
		}
		if err := p.Consents.RevokeConsent(ctx, ref); !service.Over(err) {
			return nil, service.CallError(err)
		}
	}
	err = s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
		ended, err := fresh(tx)
		if ended == nil || err != nil && !asked { // what happened at the provider is noted, whatever was noted since
			return err
		}
		event := consent.RevokedByCaller(ended.Flow, s.Clock.Now())
		if remove {
			event = consent.Deleted(ended.Flow, s.Clock.Now())
		}
		if remove || !ended.Ended {
			if _, err := s.History.Extend(tx, ended, event); err != nil {
				return err
			}
		}
		row = ended
		if err := s.Audit.Note(ctx, tx, method, ended.Resource.GetName()); err != nil {
			return err
		}
		return also(tx, ended)
	})
	return row, err
}

// erase erases what is left of a deleted consent, a part in each transaction.
func (s *Server) erase(ctx context.Context, row *store.Consent, erased int) error {
	for erased == erasureStep {
		err := s.Store.Update(ctx, row.Tenant, func(tx store.Tx) (err error) {
			erased, err = tx.DeleteConsent(row.ID, erasureStep)
			return err
		})
		if errors.Is(err, store.ErrNotFound) { // A sweep has finished it.
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// erasureStep bounds how many rows one transaction of a deletion erases, so that others write in between.
const erasureStep = 100

// SimulateDecision implements consentv1.ConsentServiceServer.
func (s *Server) SimulateDecision(
	ctx context.Context, req *consentv1.SimulateDecisionRequest,
) (*consentv1.Consent, error) {
	row, p, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := service.Need(p, "SimulateDecision"); err != nil {
		return nil, err
	}
	answer, err := once.Do(ctx, s.Once, "SimulateDecision", req,
		func(ctx context.Context, attempt *once.Attempt) (*consentv1.Consent, error) {
			attempt.CustomerID, attempt.ConsentID, attempt.Repeatable = row.CustomerID, row.ID, true
			if err := service.Closed(row); row.Ended {
				return nil, err
			}
			ref, err := s.History.Ref(ctx, row)
			if err != nil {
				return nil, err
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			approve := req.GetDecision() == consentv1.Decision_APPROVED
			if err := p.Simulator.SimulateDecision(ctx, ref, approve); err != nil {
				return nil, s.Follower.Explain(ctx, row, err)
			}
			if err := s.Audit.NoteAlone(ctx, "SimulateDecision", row.Resource.GetName()); err != nil {
				return nil, err
			}
			row, err := s.Follower.Changed(ctx, row)
			if err != nil {
				return nil, err
			}
			return row.Resource, attempt.Answer(ctx, row.Resource)
		})
	return s.withLiveLink(ctx, answer), err
}
