package consents

import (
	"context"
	"errors"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// RenewConsentLink implements consentv1.ConsentServiceServer.
func (s *Server) RenewConsentLink(
	ctx context.Context, req *consentv1.RenewConsentLinkRequest,
) (*consentv1.Consent, error) {
	row, p, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := service.Need(p, "RenewConsentLink"); err != nil {
		return nil, err
	}
	if err := renewable(row); err != nil {
		return nil, err
	}
	if follow.Stands(row) { // so far: the customer may have withdrawn since
		if row, err = s.Follower.Current(ctx, row); err != nil {
			return nil, err
		}
		if err := renewable(row); err != nil {
			return nil, err
		}
	}
	return s.openFlow(ctx, "RenewConsentLink", p, row, p.Links.RenewLink, nil)
}

// renewable refuses a new link for a consent that has ended.
func renewable(row *store.Consent) error {
	switch {
	case row.Ended, row.Resource.GetStatus() == consentv1.Consent_REVOKED:
		return kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
	case row.Resource.GetStatus() == consentv1.Consent_REJECTED:
		return kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED, "the customer refused: AddBank asks again")
	}
	return nil
}

// AddBank implements consentv1.ConsentServiceServer.
func (s *Server) AddBank(ctx context.Context, req *consentv1.AddBankRequest) (*consentv1.Consent, error) {
	row, p, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := service.Need(p, "AddBank"); err != nil {
		return nil, err
	}
	answer, err := once.Do(ctx, s.Once, "AddBank", req,
		func(ctx context.Context, attempt *once.Attempt) (*consentv1.Consent, error) {
			attempt.CustomerID, attempt.ConsentID = row.CustomerID, row.ID
			if err := s.claimFlow(ctx, attempt, row); err != nil {
				return nil, err
			}
			opened, stored := false, row
			defer func() {
				if !opened {
					s.releaseFlow(ctx, attempt, stored)
				}
			}()
			if !row.Ended {
				// The customer may have decided, or withdrawn, a moment ago.
				if row, err = s.Follower.Current(ctx, row); err != nil {
					return nil, err
				}
			}
			switch {
			case row.Ended:
				return nil, kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
			case flowOpen(row), furtherOpen(p, row):
				return nil, kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN,
					"the customer has not decided yet: RenewConsentLink makes a new link")
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			issue := func(
				ctx context.Context, ref providers.ConsentRef, flow providers.Flow,
			) (*providers.Issued, error) {
				issued, err := p.Banks.AddBank(ctx, ref, flow)
				if attempt.Resumed && p.Links != nil && providers.KindOf(err) == providers.KindConflict {
					// The flow that is open is the one that was opened before the process stopped; its link
					// was lost.
					return p.Links.RenewLink(ctx, ref, flow)
				}
				return issued, err
			}
			resource, err := s.openFlow(ctx, "AddBank", p, row, issue, func(tx store.Tx, row *store.Consent) error {
				if err := tx.ReleaseFlow(row.ID, attempt.Owner()); err != nil && !errors.Is(err, store.ErrClaimLost) {
					return err
				}
				return attempt.Done(tx, row.Resource)
			})
			opened = err == nil
			return resource, err
		})
	return s.withLiveLink(ctx, answer), err
}

// claimFlow claims the right to open a flow. Somebody else who has it, or who opened one since the consent was read,
// is being asked for the same: one flow at a time is enough.
func (s *Server) claimFlow(ctx context.Context, attempt *once.Attempt, row *store.Consent) error {
	err := s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.ID)
		if err != nil {
			return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		if fresh.Flow != row.Flow {
			return store.ErrClaimed
		}
		return tx.ClaimFlow(row.ID, s.Clock.Now(), attempt.Lease())
	})
	if errors.Is(err, store.ErrClaimed) {
		return kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN, "another call is adding a bank to the consent")
	}
	return err
}

// releaseFlow gives the right back of an attempt that opened no flow.
func (s *Server) releaseFlow(ctx context.Context, attempt *once.Attempt, row *store.Consent) {
	err := s.Store.Update(context.WithoutCancel(ctx), row.Tenant, func(tx store.Tx) error {
		return tx.ReleaseFlow(row.ID, attempt.Owner())
	})
	if err != nil && !errors.Is(err, store.ErrClaimLost) {
		s.Log.WarnContext(ctx, "the right to open a flow is left to run out", "consent", row.Resource.GetName(),
			"error", err.Error())
	}
}

// flowOpen tells whether the customer has yet to decide in the newest flow.
func flowOpen(row *store.Consent) bool {
	switch row.Resource.GetStatus() {
	case consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Consent_EXPIRED, consentv1.Consent_FAILED:
		return true
	}
	return false
}

// furtherOpen tells whether the customer has a link to a further flow, of a consent that stands, to decide in. Where
// the provider keeps the consents it takes no other flow meanwhile.
func furtherOpen(p *providers.Provider, row *store.Consent) bool {
	status := row.Resource.GetLink().GetStatus()
	return p.ConsentOrigin == consentv1.ConsentOrigin_NATIVE &&
		(status == typev1.Link_PENDING || status == typev1.Link_OPENED)
}

// openFlow has the provider issue a link, and notes it, with whatever else must become durable with it.
func (s *Server) openFlow(ctx context.Context, method string, p *providers.Provider, row *store.Consent,
	issue func(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error),
	also func(store.Tx, *store.Consent) error,
) (*consentv1.Consent, error) {
	return once.Detached(ctx, s.Once, func(ctx context.Context) (*consentv1.Consent, error) {
		visit := s.Sessions.New(row, row.Flow+1)
		ref, err := s.History.Ref(ctx, row)
		if err != nil {
			return nil, err
		}
		issued, err := issue(ctx, ref, providers.Flow{
			Access: row.Resource.GetAccess(), Redirects: visit.Redirects,
		})
		if err != nil {
			if method == "AddBank" && providers.KindOf(err) == providers.KindConflict {
				return nil, kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN, "the provider still has a flow open",
					kerr.WithMetadata(kerr.KeyProvider, p.ID))
			}
			return nil, s.Follower.Explain(ctx, row, err)
		}
		row, err := s.Sessions.LinkIssued(ctx, method, row, *issued, visit, also)
		if err != nil {
			return nil, err
		}
		return row.Resource, nil
	})
}
