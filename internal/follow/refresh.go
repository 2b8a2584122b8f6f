package follow

import (
	"context"
	"errors"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Refresh reads a consent at its provider for a caller, and stores the news. The read begins after the call; concurrent
// refreshes of one consent share one, which none of their callers can cancel for the others.
func (f *Follower) Refresh(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	leave, err := f.Crowd.Enter(row.Tenant, row.Provider)
	if err != nil {
		return nil, err
	}
	defer leave()
	shared, err := f.join(ctx, row)
	if err != nil && shared.background && kerr.Retry(err) > 0 {
		// It was told to wait, and gave up at once, as reads in the background do.
		shared, err = f.join(ctx, row)
	}
	if err != nil {
		return nil, err
	}
	own := *shared.row
	return &own, nil
}

// Current reads a consent before something is done with it. One that its provider lets rest is given as it is stored.
func (f *Follower) Current(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	fresh, err := f.Refresh(ctx, row)
	if _, resting := errors.AsType[restError](err); resting {
		return row, nil
	}
	return fresh, err
}

// Changed reads a consent after something was changed at its provider. The change stands whether or not it can be read
// now: a consent that cannot is given as it is stored, and is read soon.
func (f *Follower) Changed(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	fresh, err := f.Refresh(ctx, row)
	if err == nil {
		return fresh, nil
	}
	f.Log.DebugContext(ctx, "a changed consent is read later", "consent", row.Resource.GetName(), "reason",
		kerr.Reason(err).String())
	stored, err := f.stored(ctx, row)
	if err != nil {
		return nil, err
	}
	f.Hint(ctx, stored)
	return stored, nil
}

// reading is what a read of a consent gave, and whether it was begun in the background.
type reading struct {
	row        *store.Consent
	background bool
}

// join reads a consent, or waits for a read of it that has not begun.
func (f *Follower) join(ctx context.Context, row *store.Consent) (reading, error) {
	return f.reads.Do(ctx, key(row), func(ctx context.Context) (reading, error) {
		ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
		defer cancel()
		fresh, err := f.read(ctx, row)
		return reading{row: fresh, background: providers.CallOf(ctx).Background}, err
	})
}

// asks is how often one read asks the provider at most, when others change the consent while it answers.
const asks = 3

func (f *Follower) read(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	before, err := f.stored(ctx, row)
	if err != nil {
		return nil, err
	}
	for left := asks; !before.Ended && left > 0; left-- {
		fresh, overtaken, err := f.ask(ctx, before, left == 1)
		if err != nil || !overtaken {
			return fresh, err
		}
		before = fresh
	}
	return before, nil
}

// stored gives a consent as it stands before the provider is asked.
func (f *Follower) stored(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	fresh, err := f.Store.Consent(ctx, row.Tenant, row.ID)
	return fresh, service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
}

// ask asks the provider once how a consent stands, and stores the news. An answer that has been overtaken is not
// stored, since it may be older than what is: another process may have asked later and been answered sooner. After the
// last try the consent is left to be read again soon.
func (f *Follower) ask(
	ctx context.Context, before *store.Consent, last bool,
) (fresh *store.Consent, overtaken bool, err error) {
	p, err := f.Tenants.Provider(before.Tenant, before.Provider)
	if err != nil {
		return nil, false, err
	}
	ref, err := f.History.Ref(ctx, before)
	if err != nil {
		return nil, false, err
	}
	asked := f.Clock.Now()
	f.note(key(before), asked)
	report, err := p.Consents.GetConsent(ctx, ref)
	kind := providers.KindOf(err)
	switch {
	case kind == providers.KindNotFound:
		fresh, err := f.unknown(ctx, p, before, err)
		return fresh, false, err
	case kind == providers.KindAccessExceeded:
		return nil, false, restError{service.CallError(err)}
	case err != nil && kind != providers.KindConsentEnded:
		return nil, false, service.CallError(err)
	}
	told := err // that the consent is over, or nothing
	fresh, err = f.History.Change(ctx, before, func(tx store.Tx, fresh *store.Consent) error {
		if overtaken = overtakes(fresh, before) && (told != nil || momentary(report)); overtaken {
			return f.leave(tx, fresh, report, last)
		}
		hinted, claimed := fresh.NextPoll, fresh.ClaimedUntil
		f.asked(fresh, asked) // stored with the news: other processes' hints need not ask again at once
		if err := f.found(tx, fresh); err != nil {
			return err
		}
		if err := f.observe(tx, fresh, before, report, told); err != nil {
			return err
		}
		// Whoever planned an earlier read while the provider answered knows of something that the answer may lack.
		// A claim, or its renewal, plans nothing.
		unmoved := hinted.Equal(before.NextPoll) || hinted.Equal(claimed)
		if unmoved || fresh.Ended || !dueBefore(hinted, fresh.NextPoll) {
			return nil
		}
		fresh.NextPoll = hinted
		return tx.UpdateConsent(fresh)
	})
	if err != nil {
		return nil, false, err
	}
	return fresh, overtaken, nil
}

// overtakes tells whether there were news about a consent since it stood as before.
func overtakes(fresh, before *store.Consent) bool {
	return fresh.Resource.GetEventCount() != before.Resource.GetEventCount() ||
		!fresh.ValidUntil.Equal(before.ValidUntil)
}

// momentary tells whether a report says how things stand at one moment: an older one of these contradicts a newer one,
// while the statuses of a history only add up.
func momentary(report *providers.ConsentState) bool {
	return report.Stateful || !report.ValidUntil.IsZero()
}

// leave stores of an answer that was overtaken only how the provider names the consent from now on.
func (f *Follower) leave(tx store.Tx, fresh *store.Consent, report *providers.ConsentState, last bool) error {
	if report != nil && report.Ref != nil {
		if err := f.History.Adopt(tx, fresh, *report.Ref); err != nil {
			return err
		}
	}
	soon := f.soonest(fresh)
	if !last || fresh.Ended || dueBy(fresh, soon) {
		return nil
	}
	fresh.NextPoll = soon
	return tx.UpdateConsent(fresh)
}

// observe stores what the provider reports, or that it says the consent is over. Of one that nobody approved there is
// nothing to end. A permission whose time is over ends with a report, too: the provider has just been asked, and did
// not prolong it.
func (f *Follower) observe(
	tx store.Tx, fresh, before *store.Consent, report *providers.ConsentState, told error,
) error {
	switch {
	case told == nil:
		if err := f.History.Observe(tx, fresh, *report); err != nil || !f.Plan.lapses(fresh) {
			return err
		}
	case !approved(fresh):
		return service.CallError(told)
	}
	return f.History.Lapse(tx, fresh, before.Flow)
}

// dueBefore tells whether a time, if it is one, lies before another, which may be none.
func dueBefore(t, other time.Time) bool {
	return !t.IsZero() && (other.IsZero() || t.Before(other))
}

// restError is the error of a provider that lets this one consent rest, and no other.
type restError struct{ error }

func (e restError) Unwrap() error { return e.error }

// approved tells whether a consent stands.
func approved(row *store.Consent) bool {
	switch row.Resource.GetStatus() {
	case consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION:
		return !row.Ended
	}
	return false
}

// Stands tells whether a consent stands, as far as is stored.
func Stands(row *store.Consent) bool { return approved(row) }

// Explain tells a caller why a call about a consent failed. When it failed as if the consent had ended, that is read at
// once: its status may tell more than the refusal.
func (f *Follower) Explain(ctx context.Context, row *store.Consent, err error) error {
	kind := providers.KindOf(err)
	ended := kind == providers.KindConsentEnded || kind == providers.KindNotFound
	if !ended || service.MayHaveHappened(err) {
		return service.CallError(err)
	}
	fresh, failed := f.Refresh(ctx, row)
	switch {
	case missed(failed):
		return errMissing(row)
	case failed != nil:
		return service.CallError(err)
	}
	if refused := refusal(fresh); refused != nil {
		return refused
	}
	if kind == providers.KindConsentEnded &&
		fresh.Resource.GetStatus() == consentv1.Consent_AWAITING_REAUTHORIZATION {
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
	switch {
	case missed(err):
		return nil, errMissing(row)
	case err != nil:
		return nil, err
	}
	return fresh, refusal(fresh)
}

// refusal tells why the data under a consent cannot be read, nil when it can.
func refusal(row *store.Consent) error {
	if row.Missing.Count > 0 {
		return errMissing(row)
	}
	if err := service.Closed(row); err != nil {
		return err
	}
	switch row.Resource.GetStatus() {
	case consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION:
		if row.Resource.GetDataStage() != consentv1.DataStage_READY {
			return kerr.New(errorv1.Error_DATA_NOT_READY, "the provider is still collecting or evaluating the data",
				kerr.WithMetadata("dataStage", row.Resource.GetDataStage().String()))
		}
		return nil
	case consentv1.Consent_EXPIRED:
		if row.Resource.GetDecision() == consentv1.Decision_APPROVED {
			return kerr.New(errorv1.Error_CONSENT_EXPIRED, "the permission's time ran out")
		}
		return kerr.New(errorv1.Error_LINK_EXPIRED,
			"the link ran out before the customer decided: RenewConsentLink makes a new one")
	default:
		return kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED, "the customer has not approved the consent")
	}
}
