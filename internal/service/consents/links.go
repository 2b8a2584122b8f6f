package consents

import (
	"context"
	"errors"
	"slices"
	"strings"

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
	answer, err := once.Do(ctx, s.Once, "RenewConsentLink", req,
		func(ctx context.Context, attempt *once.Attempt) (*consentv1.Consent, error) {
			// A second link in place of the first is as good: what may have happened can be tried again.
			attempt.CustomerID, attempt.ConsentID, attempt.Repeatable = row.CustomerID, row.ID, true
			return s.renewLink(ctx, attempt, p, row)
		})
	return s.withLiveLink(ctx, answer), err
}

// renewLink issues the link that brings a consent on, whatever it waits for. Where the provider keeps one consent for
// each user, a customer who has connected a bank is never sent to connect one again, which would have it there twice.
func (s *Server) renewLink(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, row *store.Consent,
) (*consentv1.Consent, error) {
	if err := renewable(row); err != nil {
		return nil, err
	}
	if follow.Stands(row) || p.OneConsentPerUser { // the customer may have approved, or withdrawn, since
		var err error
		if row, err = s.Follower.Current(ctx, row); err != nil {
			return nil, err
		}
		if err := renewable(row); err != nil {
			return nil, err
		}
	}
	if err := waiting(p, row); err != nil {
		return nil, err
	}
	if err := attempt.GoOn(ctx); err != nil {
		return nil, err
	}
	done := func(tx store.Tx, row *store.Consent) error { return attempt.Done(tx, row.Resource) }
	issue := p.Links.RenewLink
	if p.OneConsentPerUser {
		switch connected := withStatus(row, consentv1.Connection_REAUTHORIZATION_REQUIRED,
			consentv1.Connection_ACTIVE); {
		case row.Resource.GetStatus() == consentv1.Consent_AWAITING_REAUTHORIZATION:
			return s.authenticateAgain(ctx, p, row,
				withStatus(row, consentv1.Connection_REAUTHORIZATION_REQUIRED), done)
		case row.Resource.GetStatus() == consentv1.Consent_AUTHORIZED:
			issue = p.Banks.AddBank // the link to a further bank is what it waits for
		case len(connected) > 0: // the permission is over, and the banks are there still
			return s.authenticateAgain(ctx, p, row, connected, done)
		}
	}
	return s.openFlow(ctx, "RenewConsentLink", p, row, issue, done)
}

// authenticateAgain has the customer authenticate at the one bank that waits for it. Where several do, the caller has
// to choose.
func (s *Server) authenticateAgain(
	ctx context.Context, p *providers.Provider, row *store.Consent, banks []string,
	done func(store.Tx, *store.Consent) error,
) (*consentv1.Consent, error) {
	if len(banks) != 1 {
		return nil, errAuthenticateAgain(banks)
	}
	if err := service.Need(p, "SyncConnection"); err != nil {
		return nil, err
	}
	connection, err := s.History.Connection(ctx, row, banks[0])
	if err != nil {
		return nil, err
	}
	row, _, err = s.Sessions.Synchronize(ctx, "RenewConsentLink", p, row, connection,
		func(tx store.Tx, row *store.Consent, _ bool) error { return done(tx, row) })
	if err != nil {
		return nil, err
	}
	return row.Resource, nil
}

// errAuthenticateAgain names the connections at whose banks the customer has to authenticate again.
func errAuthenticateAgain(connections []string) error {
	return kerr.New(errorv1.Error_REAUTHORIZATION_REQUIRED,
		"the customer has to authenticate at a bank again: SyncConnection gives the link for it",
		kerr.WithMetadata("connections", strings.Join(connections, ",")))
}

// withStatus gives the names of the connections that have one of the statuses.
func withStatus(row *store.Consent, statuses ...consentv1.Connection_Status) (names []string) {
	for _, c := range row.Resource.GetConnections() {
		if slices.Contains(statuses, c.GetStatus()) {
			names = append(names, c.GetName())
		}
	}
	return names
}

// askedAgain tells whether the customer was asked once more in a further flow, and has yet to decide: also one who
// refused or withdrew before may approve then.
func askedAgain(row *store.Consent) bool {
	link := row.Resource.GetLink()
	return !row.Ended && row.Flow > 1 && link != nil && link.GetStatus() != typev1.Link_COMPLETED
}

// renewable refuses a new link for a consent that has ended, or that does not cover another visit.
func renewable(row *store.Consent) error {
	if askedAgain(row) {
		return service.NeedRecurring(row)
	}
	if err := service.Closed(row); err != nil {
		return err
	}
	if err := service.NeedRecurring(row); err != nil {
		return err
	}
	if row.Resource.GetStatus() == consentv1.Consent_REJECTED {
		return kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED, "the customer refused: AddBank asks again")
	}
	return nil
}

// waiting refuses a new link for a consent that stands and waits for nothing. One that ends by itself at a time that
// its provider told can be prolonged before.
func waiting(p *providers.Provider, row *store.Consent) error {
	if row.Resource.GetStatus() != consentv1.Consent_AUTHORIZED {
		return nil
	}
	link := row.Resource.GetLink()
	waits := link != nil && link.GetStatus() != typev1.Link_COMPLETED
	if waits && (!p.OneConsentPerUser || p.Banks != nil) || !row.ValidUntil.IsZero() {
		return nil
	}
	return service.ErrExists(row, "the customer has approved, and the consent waits for nothing: AddBank adds a bank")
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
			if err := addable(row); err != nil {
				return nil, err
			}
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
			if err := mayAdd(p, row); err != nil {
				return nil, err
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			issue := func(
				ctx context.Context, ref providers.ConsentRef, flow providers.Flow,
			) (*providers.Issued, error) {
				issued, err := p.Banks.AddBank(ctx, ref, flow)
				if p.Links != nil && providers.KindOf(err) == providers.KindConflict {
					// None is open as far as Kontor knows: the one that is was opened by an earlier attempt, whose
					// answer was lost and its link with it.
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

// addable refuses another bank under a consent that has ended or that does not cover another visit.
func addable(row *store.Consent) error {
	if row.Ended {
		return service.Closed(row)
	}
	return service.NeedRecurring(row)
}

// mayAdd refuses another bank while the customer has something else to do before.
func mayAdd(p *providers.Provider, row *store.Consent) error {
	if err := addable(row); err != nil {
		return err
	}
	if p.OneConsentPerUser && row.Resource.GetStatus() == consentv1.Consent_AWAITING_REAUTHORIZATION {
		// The customer could choose the same bank once more, and have it there twice.
		return errAuthenticateAgain(withStatus(row, consentv1.Connection_REAUTHORIZATION_REQUIRED))
	}
	if flowOpen(row) || furtherOpen(p, row) {
		return kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN,
			"the customer has not decided yet: RenewConsentLink makes a new link")
	}
	return nil
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
		// A store that failed when an attempt of this process gave the right back has it still.
		switch claimed, err := tx.FlowClaim(row.ID); {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case !attempt.Holds(claimed):
			if err := tx.ReleaseFlow(row.ID, claimed.Owner); err != nil {
				return err
			}
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

// furtherOpen tells whether the customer has yet to decide in a further flow. Where the provider keeps the consents it
// takes no other flow before. Of a consent that stands the link can be renewed, whatever became of it; of any other one
// that is over is not waited for.
func furtherOpen(p *providers.Provider, row *store.Consent) bool {
	link := row.Resource.GetLink()
	if p.ConsentOrigin != consentv1.ConsentOrigin_NATIVE || link == nil {
		return false
	}
	switch link.GetStatus() {
	case typev1.Link_PENDING, typev1.Link_OPENED:
		return true
	}
	return askedAgain(row) || follow.Stands(row) && link.GetStatus() != typev1.Link_COMPLETED
}

// openFlow has the provider issue a link, and notes it, with whatever else must become durable with it.
func (s *Server) openFlow(ctx context.Context, method string, p *providers.Provider, row *store.Consent,
	issue func(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error),
	also func(store.Tx, *store.Consent) error,
) (*consentv1.Consent, error) {
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
	row, err = s.Sessions.LinkIssued(ctx, method, row, *issued, visit, also)
	if err != nil {
		return nil, err
	}
	return row.Resource, nil
}
