package service

import (
	"context"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// LiveStatuses are those of a consent that still stands, or may.
var LiveStatuses = []consentv1.Consent_Status{
	consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION,
	consentv1.Consent_EXPIRED, consentv1.Consent_FAILED,
}

// CheckNoLiveConsent refuses a second consent of a customer where the provider knows only one.
func (l *Loader) CheckNoLiveConsent(ctx context.Context, tenant, customerID, provider string) error {
	return l.Store.View(ctx, tenant, func(r store.Reader) error {
		return liveConsent(r, customerID, provider, "")
	})
}

// NoLiveConsent refuses, in the transaction that stores a consent, a second one where the provider knows only
// one for each user.
func NoLiveConsent(tx store.Tx, p *providers.Provider, row *store.Consent) error {
	if !p.OneConsentPerUser {
		return nil
	}
	return liveConsent(tx, row.CustomerID, p.ID, row.ID)
}

func liveConsent(r store.Reader, customerID, provider, except string) error {
	filter := store.ConsentFilter{CustomerID: customerID, Provider: provider, Statuses: LiveStatuses}
	rows, err := r.Consents(filter, store.Page{Size: 2})
	if err != nil {
		return err
	}
	for _, have := range rows {
		if have.ID != except && !have.Ended {
			return kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN,
				"the customer has a consent at this provider already: add a bank or renew the link there",
				kerr.WithMetadata("consent", have.Resource.GetName()), kerr.WithMetadata(kerr.KeyProvider, provider))
		}
	}
	return nil
}
