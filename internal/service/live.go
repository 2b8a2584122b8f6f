package service

import (
	"context"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// LiveStatuses are those of a consent that still stands, or may.
var LiveStatuses = []consentv1.Consent_Status{
	consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION,
	consentv1.Consent_EXPIRED, consentv1.Consent_FAILED,
}

// MayReplace gives the consents whose place a new one of a customer's takes, where the provider keeps one for each
// user: those that were never approved and whose links are over. Any other that is live stands in the way:
// CONSENT_EXISTS.
func (l *Loader) MayReplace(
	ctx context.Context, tenant, customerID, provider string, now time.Time,
) (replaced []*store.Consent, err error) {
	err = l.Store.View(ctx, tenant, func(r store.Reader) error {
		replaced, err = replaceable(r, customerID, provider, "", now)
		return err
	})
	return replaced, err
}

// Replaced is MayReplace in the transaction that stores the new consent.
func Replaced(tx store.Tx, p *providers.Provider, row *store.Consent, now time.Time) ([]*store.Consent, error) {
	if !p.OneConsentPerUser {
		return nil, nil
	}
	return replaceable(tx, row.CustomerID, p.ID, row.ID, now)
}

func replaceable(
	r store.Reader, customerID, provider, except string, now time.Time,
) (replaced []*store.Consent, err error) {
	live, err := LiveConsents(r, customerID, provider)
	if err != nil {
		return nil, err
	}
	for _, have := range live {
		switch {
		case have.ID == except, have.Resource.GetOrigin() == consentv1.ConsentOrigin_IMPORTED:
		case neverApproved(have) && linkOver(have, now):
			replaced = append(replaced, have)
		default:
			return nil, ErrExists(have, "the customer has a consent there: add a bank to it, or renew its link")
		}
	}
	return replaced, nil
}

// LiveConsents are a customer's consents at a provider that still stand, or may, in the order in which they were made.
func LiveConsents(r store.Reader, customerID, provider string) (live []*store.Consent, err error) {
	filter := store.ConsentFilter{CustomerID: customerID, Provider: provider, Statuses: LiveStatuses}
	rows, err := AllRows(func(page store.Page) ([]*store.Consent, error) { return r.Consents(filter, page) },
		func(c *store.Consent) string { return c.ID })
	for _, row := range rows {
		if !row.Ended {
			live = append(live, row)
		}
	}
	return live, err
}

// ErrExists says that a consent stands in the way, and names it.
func ErrExists(have *store.Consent, message string) error {
	return kerr.New(errorv1.Error_CONSENT_EXISTS, message, kerr.WithMetadata("consent", have.Resource.GetName()),
		kerr.WithMetadata(kerr.KeyProvider, have.Provider))
}

// neverApproved tells whether the customer has given no permission, as far as is known.
func neverApproved(row *store.Consent) bool {
	for _, c := range row.Resource.GetConnections() {
		if c.GetStatus() != consentv1.Connection_DISCONNECTED {
			return false
		}
	}
	return row.Resource.GetDecision() == consentv1.Decision_UNDECIDED &&
		row.Resource.GetStatus() != consentv1.Consent_AUTHORIZED
}

// linkOver tells whether nobody can use a consent's link any more.
func linkOver(row *store.Consent, now time.Time) bool {
	link := row.Resource.GetLink()
	return link == nil || link.GetStatus() == typev1.Link_EXPIRED || !now.Before(link.GetExpireTime().AsTime())
}

// Closed tells a caller why a consent can no longer be used, nil when it can: it was revoked, or another one took its
// place.
func Closed(row *store.Consent) error {
	status := row.Resource.GetStatus()
	switch {
	case row.Ended && status == consentv1.Consent_EXPIRED:
		return kerr.New(errorv1.Error_CONSENT_EXPIRED, "another consent of the customer's took its place")
	case row.Ended, status == consentv1.Consent_REVOKED:
		return kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
	}
	return nil
}

// NeedRecurring refuses what makes a provider ask the bank again under a consent for one collection, once that was
// approved; and anything of that kind for data that the caller brought along.
func NeedRecurring(row *store.Consent) error {
	switch {
	case row.Resource.GetOrigin() == consentv1.ConsentOrigin_IMPORTED:
		return kerr.New(errorv1.Error_NOT_COVERED_BY_CONSENT,
			"the consent is for data that was brought along: no bank is asked under it")
	case row.Resource.GetAccess() == consentv1.Access_ONE_OFF &&
		row.Resource.GetDecision() == consentv1.Decision_APPROVED:
		return kerr.New(errorv1.Error_NOT_COVERED_BY_CONSENT,
			"the customer agreed to one collection: the bank is not asked again")
	}
	return nil
}
