package follow

import (
	"context"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
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
	ref, err := f.History.Ref(ctx, row)
	if err != nil {
		return nil, err
	}
	f.note(key(row), f.Clock.Now())
	report, err := p.Consents.GetConsent(ctx, ref)
	switch providers.KindOf(err) {
	case providers.KindConsentEnded:
		return f.ended(ctx, row, err)
	case providers.KindAccessExceeded:
		return nil, restError{service.CallError(err)}
	}
	if err != nil {
		return nil, service.CallError(err)
	}
	return f.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
		if err := f.History.Observe(tx, fresh, *report); err != nil || !f.Plan.lapses(fresh) {
			return err
		}
		return f.History.Lapse(tx, fresh) // the provider has just been asked, and did not prolong it
	})
}

// restError is the error of a provider that lets this one consent rest, and no other.
type restError struct{ error }

func (e restError) Unwrap() error { return e.error }

// ended notes that the provider says of a consent that it is over. Of one that nobody approved there is nothing to
// end.
func (f *Follower) ended(ctx context.Context, row *store.Consent, err error) (*store.Consent, error) {
	fresh, failed := f.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
		if !approved(fresh) {
			return service.CallError(err)
		}
		return f.History.Lapse(tx, fresh)
	})
	if failed != nil {
		return nil, failed
	}
	return fresh, nil
}

// approved tells whether a consent stands.
func approved(row *store.Consent) bool {
	switch row.Resource.GetStatus() {
	case consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION:
		return !row.Ended
	}
	return false
}

// Explain tells a caller why a call about a consent failed. When the provider says that the consent is over, it is
// read at once: its status may tell more than the refusal.
func (f *Follower) Explain(ctx context.Context, row *store.Consent, err error) error {
	if providers.KindOf(err) != providers.KindConsentEnded || service.MayHaveHappened(err) {
		return service.CallError(err)
	}
	fresh, failed := f.Refresh(ctx, row)
	if failed != nil {
		return service.CallError(err)
	}
	if refused := refusal(fresh); refused != nil {
		return refused
	}
	if fresh.Resource.GetStatus() == consentv1.Consent_AWAITING_REAUTHORIZATION {
		return kerr.New(errorv1.Error_REAUTHORIZATION_REQUIRED, "the customer has to authenticate at the bank again")
	}
	return service.CallError(err)
}

// Readable gives a consent whose data can be read, or why it cannot. What is stored may lag behind what the
// customer just did, so the provider is asked before a refusal, and when the permission's time is over.
func (f *Follower) Readable(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	refused := refusal(row)
	if refused == nil && !f.Plan.lapses(row) || row.Ended {
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
		if row.Resource.GetDecision() == consentv1.Decision_APPROVED {
			return kerr.New(errorv1.Error_CONSENT_EXPIRED, "the permission's time ran out")
		}
		return kerr.New(errorv1.Error_CONSENT_EXPIRED, "the link ran out before the customer decided")
	default:
		return kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED, "the customer has not approved the consent")
	}
}
