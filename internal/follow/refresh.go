package follow

import (
	"context"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Refresh reads a consent at its provider and stores the news. The read begins after the call; concurrent
// refreshes of one consent share one, which none of their callers can cancel for the others.
func (f *Follower) Refresh(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	shared, err := f.reads.Do(ctx, key(row), func(ctx context.Context) (*store.Consent, error) {
		ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
		defer cancel()
		return f.read(ctx, row)
	})
	if err != nil {
		return nil, err
	}
	own := *shared
	return &own, nil
}

func (f *Follower) read(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	if row.Ended {
		return row, nil
	}
	p, err := f.Tenants.Provider(row.Tenant, row.Provider)
	if err != nil {
		return nil, err
	}
	f.note(key(row), f.Clock.Now())
	report, err := p.Consents.GetConsent(ctx, service.RefOf(row))
	if err != nil {
		return nil, service.CallError(err)
	}
	return f.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
		return f.History.Observe(tx, fresh, *report)
	})
}

// Readable gives a consent whose data can be read, or why it cannot. What is stored may lag behind what the
// customer just did, so the provider is asked before a refusal.
func (f *Follower) Readable(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	refused := refusal(row)
	if refused == nil || row.Ended {
		return row, refused
	}
	fresh, err := f.Refresh(ctx, row)
	if err != nil {
		return nil, err
	}
	return fresh, refusal(fresh)
}

// refusal tells why the data under a consent cannot be read, nil when it can.
func refusal(row *store.Consent) error {
	switch row.Resource.GetStatus() {
	case consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION:
		if row.Resource.GetDataStage() != consentv1.Consent_READY {
			return kerr.New(errorv1.Error_DATA_NOT_READY, "the provider is still collecting or evaluating the data",
				kerr.WithMetadata("dataStage", row.Resource.GetDataStage().String()))
		}
		return nil
	case consentv1.Consent_REVOKED:
		return kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
	case consentv1.Consent_EXPIRED:
		return kerr.New(errorv1.Error_CONSENT_EXPIRED, "the link ran out before the customer decided")
	default:
		return kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED, "the customer has not approved the consent")
	}
}
