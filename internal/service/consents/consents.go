package consents

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/protobuf/types/known/emptypb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
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
	return visible(ctx, row.Resource), nil
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
			resp.Consents = append(resp.Consents, visible(ctx, row.Resource))
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
	return once.Detached(ctx, s.Once, func(ctx context.Context) (*consentv1.Consent, error) {
		row, err := s.end(ctx, "RevokeConsent", p, row, false)
		if err != nil {
			return nil, err
		}
		return row.Resource, nil
	})
}

// DeleteConsent implements consentv1.ConsentServiceServer.
func (s *Server) DeleteConsent(ctx context.Context, req *consentv1.DeleteConsentRequest) (*emptypb.Empty, error) {
	row, p, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return once.Detached(ctx, s.Once, func(ctx context.Context) (*emptypb.Empty, error) {
		if _, err := s.end(ctx, "DeleteConsent", p, row, true); err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, nil
	})
}

// end ends a consent at its provider and notes it here, or removes it here too.
func (s *Server) end(
	ctx context.Context, method string, p *providers.Provider, row *store.Consent, remove bool,
) (*store.Consent, error) {
	if !row.Ended {
		ref, err := s.History.Ref(ctx, row)
		if err != nil {
			return nil, err
		}
		if err := p.Consents.RevokeConsent(ctx, ref); !service.Over(err) {
			return nil, service.CallError(err)
		}
	}
	erased := 0
	err := s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.ID)
		if err != nil {
			return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		event := consent.RevokedByCaller(fresh.Flow, s.Clock.Now())
		if remove {
			event = consent.Deleted(fresh.Flow, s.Clock.Now())
		}
		if _, err := s.History.Extend(tx, fresh, event); err != nil {
			return err
		}
		if remove {
			if erased, err = tx.DeleteConsent(fresh.ID, erasureStep); err != nil {
				return err
			}
		}
		row = fresh
		return s.Audit.Note(ctx, tx, method, fresh.Resource.GetName())
	})
	for err == nil && erased == erasureStep {
		err = s.Store.Update(ctx, row.Tenant, func(tx store.Tx) (err error) {
			erased, err = tx.DeleteConsent(row.ID, erasureStep)
			return err
		})
		if errors.Is(err, store.ErrNotFound) { // A sweep has finished it.
			return row, nil
		}
	}
	return row, err
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
	if row.Ended {
		return nil, kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
	}
	return once.Detached(ctx, s.Once, func(ctx context.Context) (*consentv1.Consent, error) {
		ref, err := s.History.Ref(ctx, row)
		if err != nil {
			return nil, err
		}
		approve := req.GetDecision() == consentv1.Decision_APPROVED
		if err := p.Simulator.SimulateDecision(ctx, ref, approve); err != nil {
			return nil, s.Follower.Explain(ctx, row, err)
		}
		if err := s.Audit.NoteAlone(ctx, "SimulateDecision", row.Resource.GetName()); err != nil {
			return nil, err
		}
		row, err := s.Follower.Refresh(ctx, row)
		if err != nil {
			return nil, err
		}
		return row.Resource, nil
	})
}
