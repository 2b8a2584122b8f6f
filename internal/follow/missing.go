package follow

import (
	"context"
	"errors"
	"slices"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// A provider that does not know a consent that stands: it may be gone, or the path may be wrong, of this consent or of
// all. From the first such answer on its data is not read. It ends when another such answer comes and other consents of
// the account were read well in between; where the account has no others, when one comes an hour later, the third at
// least, and the provider takes the credentials. So one wrong path never ends all consents, and one that the provider
// knows again stands as before.

const (
	// missingAnswers is how many answers end a consent that is the only one of its account, and missingTime how long
	// after the first the last of them comes.
	missingAnswers = 3
	missingTime    = time.Hour
	// othersLooked is how many others of the account are looked at for one to read.
	othersLooked = 20
)

// missingError is the error of a provider that does not know a consent that stands.
type missingError struct{ error }

func (e missingError) Unwrap() error { return e.error }

// missed tells whether a read failed since the provider does not know the consent.
func missed(err error) bool {
	_, ok := errors.AsType[missingError](err)
	return ok
}

// errMissing is what a caller gets who wants data under a consent that the provider does not know. It does not say that
// the consent is over: that is not known yet.
func errMissing(row *store.Consent) error {
	return kerr.New(errorv1.Error_PROVIDER_REJECTED,
		"the provider does not know the consent: its data is not read until it does",
		kerr.WithMetadata(kerr.KeyProvider, row.Provider))
}

// standingStatuses are those of consents that stand.
var standingStatuses = []consentv1.Consent_Status{
	consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION,
}

// unknown notes that the provider does not know a consent, and gives it when it ended by that. One that nobody approved
// has nothing to end. Where the provider keeps no consents, it has nothing there before the customer connects a bank:
// then the consent is as it was.
func (f *Follower) unknown(
	ctx context.Context, p *providers.Provider, before *store.Consent, told error,
) (fresh *store.Consent, err error) {
	switch {
	case approved(before):
	case lapsed(before): // It ended, and the provider says nothing else.
		return before, nil
	case p.ConsentOrigin == consentv1.ConsentOrigin_SYNTHESISED:
		return before, nil
	default:
		return nil, service.CallError(told)
	}
	credentials := p.Session.Check(ctx) == nil
	ended := false
	fresh, err = f.History.Change(ctx, before, func(tx store.Tx, fresh *store.Consent) error {
		ended = false
		if !approved(fresh) {
			return nil
		}
		now := f.Clock.Now()
		if fresh.Missing.Count++; fresh.Missing.Count == 1 {
			fresh.Missing.Since, fresh.PollStep = now, 0
		}
		gone, err := f.gone(tx, fresh, now, credentials)
		if err != nil {
			return err
		}
		if ended = gone; ended {
			fresh.Missing = store.Missing{}
			return f.History.Vanish(tx, fresh, before.Flow)
		}
		if next := f.Plan.at(fresh, now); dueBefore(next, fresh.NextPoll) {
			fresh.NextPoll = next
		}
		return tx.UpdateConsent(fresh)
	})
	switch {
	case err != nil:
		return nil, err
	case ended:
		return fresh, nil
	}
	f.nudge()
	return nil, missingError{service.CallError(told)}
}

// lapsed tells whether a permission that was given ended by itself, and nobody asked for it anew.
func lapsed(row *store.Consent) bool {
	return row.Resource.GetStatus() == consentv1.Consent_EXPIRED &&
		row.Resource.GetDecision() == consentv1.Decision_APPROVED
}

// gone tells whether a consent has ended that the provider did not know when it was asked now. As long as it cannot be
// told, another consent of the account is read soon.
func (f *Follower) gone(tx store.Tx, row *store.Consent, now time.Time, credentials bool) (bool, error) {
	if row.Missing.Count > 1 {
		if read, err := tx.OthersRead(row.Provider, row.ID, row.Missing.Since); read || err != nil {
			return read, err
		}
	}
	others, err := tx.Consents(store.ConsentFilter{Provider: row.Provider, Statuses: standingStatuses},
		store.Page{Size: othersLooked})
	if err != nil {
		return false, err
	}
	others = slices.DeleteFunc(others, func(other *store.Consent) bool { return other.ID == row.ID || other.Ended })
	if len(others) == 0 {
		return row.Missing.Count >= missingAnswers && now.Sub(row.Missing.Since) >= missingTime && credentials, nil
	}
	for _, other := range others {
		if soon := f.soonest(other); other.Missing.Count == 0 {
			if dueBy(other, soon) {
				return false, nil
			}
			other.NextPoll = soon
			return false, tx.UpdateConsent(other)
		}
	}
	return false, nil
}

// found notes that the provider knows a consent.
func (f *Follower) found(tx store.Tx, row *store.Consent) error {
	if row.Missing == (store.Missing{}) {
		return nil
	}
	row.Missing = store.Missing{}
	return tx.UpdateConsent(row)
}
