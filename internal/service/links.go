package service

import (
	"context"
	"crypto/sha256"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// redirectGrace is how long a redirect is still taken after its link ran out: the customer may sit before the last page.
const redirectGrace = 7 * 24 * time.Hour

// noFlow marks a session whose outcome is no news about a link, such as one for managing banks.
const noFlow = -1

// session is one visit of a customer to a provider's pages. The provider returns the browser to addresses with an unguessable token, which
// is bound to the visit; the store keeps only its hash.
type session struct {
	hash      [32]byte
	flow      int
	redirects providers.Redirects
}

// newSession prepares a visit: an address on Kontor for each address that the caller gave.
func (s *Service) newSession(row *store.Consent, flow int) session {
	token := newToken()
	base := s.publicURL + "/callbacks/redirects/" + token
	v := session{hash: sha256.Sum256([]byte(token)), flow: flow}
	if row.Redirects.GetSuccess() != "" {
		v.redirects.Success = base + "/success"
	}
	if row.Redirects.GetError() != "" {
		v.redirects.Error = base + "/error"
	}
	if row.Redirects.GetExit() != "" {
		v.redirects.Exit = base + "/exit"
	}
	return v
}

// keepSession stores what is needed to recognise the customer's return.
func (s *Service) keepSession(tx store.Tx, row *store.Consent, v session, ttl time.Duration) error {
	if v.redirects == (providers.Redirects{}) {
		return nil
	}
	now := s.now()
	return tx.InsertCallback(&store.Callback{
		Hash: v.hash, Kind: store.CallbackRedirect, Tenant: row.Tenant, Provider: row.Provider, Resource: row.ID, Flow: v.flow, CreateTime: now,
		ExpireTime: now.Add(ttl + redirectGrace),
	})
}

// issueLink notes a link that the provider issued. Its time counts from now: the provider does not say when it issued it.
func (s *Service) issueLink(tx store.Tx, row *store.Consent, link providers.Link, v session) error {
	if err := s.keepSession(tx, row, v, link.TTL); err != nil {
		return err
	}
	now := s.now()
	_, err := s.extend(tx, row, consent.LinkIssued(v.flow, link.URI, now.Add(link.TTL), now))
	return err
}

// RenewConsentLink implements consentv1.ConsentServiceServer.
func (s *consentServer) RenewConsentLink(ctx context.Context, req *consentv1.RenewConsentLinkRequest) (*consentv1.Consent, error) {
	row, p, err := s.loadConsent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := renewable(row); err != nil {
		return nil, err
	}
	return s.openFlow(ctx, "RenewConsentLink", p, row, p.Consents.RenewLink, nil)
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
func (s *consentServer) AddBank(ctx context.Context, req *consentv1.AddBankRequest) (*consentv1.Consent, error) {
	row, p, err := s.loadConsent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return create(ctx, s.Service, "AddBank", req, func(ctx context.Context, c *creation) (*consentv1.Consent, error) {
		if flowOpen(row) && !row.Ended {
			// The customer may have decided a moment ago: ask before refusing.
			if row, err = s.refresh(ctx, row); err != nil {
				return nil, err
			}
		}
		switch {
		case row.Ended:
			return nil, kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
		case flowOpen(row):
			return nil, kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN, "the customer has not decided yet: RenewConsentLink makes a new link")
		}
		return s.openFlow(ctx, "AddBank", p, row, func(ctx context.Context, ref providers.ConsentRef, flow providers.Flow) (*providers.Link, error) {
			link, err := p.Consents.AddBank(ctx, ref, flow)
			if c.resumed && providers.KindOf(err) == providers.KindConflict {
				// The flow that is open is the one that was opened before the process stopped; its link was lost.
				return p.Consents.RenewLink(ctx, ref, flow)
			}
			return link, err
		}, func(tx store.Tx, row *store.Consent) error { return c.done(tx, row.Resource) })
	})
}

// flowOpen tells whether the customer has yet to decide in the newest flow.
func flowOpen(row *store.Consent) bool {
	switch row.Resource.GetStatus() {
	case consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Consent_EXPIRED, consentv1.Consent_FAILED:
		return true
	}
	return false
}

// openFlow has the provider issue a link, and notes it, with whatever else must become durable with it.
func (s *Service) openFlow(ctx context.Context, method string, p *providers.Provider, row *store.Consent,
	issue func(context.Context, providers.ConsentRef, providers.Flow) (*providers.Link, error), also func(store.Tx, *store.Consent) error,
) (*consentv1.Consent, error) {
	return detached(ctx, s, func(ctx context.Context) (*consentv1.Consent, error) {
		visit := s.newSession(row, row.Flow+1)
		link, err := issue(ctx, refOf(row), providers.Flow{Access: row.Resource.GetAccess(), Redirects: visit.redirects})
		if err != nil {
			if method == "AddBank" && providers.KindOf(err) == providers.KindConflict {
				return nil, kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN, "the provider still has a flow open",
					kerr.WithMetadata(kerr.KeyProvider, p.ID))
			}
			return nil, callError(err)
		}
		row, err := s.linkIssued(ctx, method, row, *link, visit, also)
		if err != nil {
			return nil, err
		}
		return row.Resource, nil
	})
}

// linkIssued notes a link on a consent that exists already.
func (s *Service) linkIssued(ctx context.Context, method string, row *store.Consent, link providers.Link, visit session,
	also func(store.Tx, *store.Consent) error,
) (*store.Consent, error) {
	err := s.update(ctx, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.Tenant, row.ID)
		if err != nil {
			return found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		visit.flow = fresh.Flow + 1 // another flow may have been opened meanwhile
		fresh.PollStep = 0
		if err := s.issueLink(tx, fresh, link, visit); err != nil {
			return err
		}
		row = fresh
		if also != nil {
			if err := also(tx, fresh); err != nil {
				return err
			}
		}
		return s.audit(ctx, tx, method, fresh.Resource.GetName())
	})
	if err == nil {
		s.follower.watch(row)
	}
	return row, err
}
