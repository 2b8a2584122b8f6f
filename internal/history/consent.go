// Package history makes histories grow, within the caller's transaction: a consent's events and a shipment's
// entries, each with the resource as callers then see it. What follows from a consent's history is in package
// consent; when to ask the provider for news is in package follow.
package history

import (
	"context"
	"maps"
	"slices"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Writer writes consents' histories.
type Writer struct {
	Store *service.Store
	Refs  *Refs
	Names service.Names
	Clock service.Clock
	// NextPoll tells when a consent with news should be read at its provider again, zero for not by itself.
	NextPoll func(*store.Consent) time.Time
	// Changed is told of a consent that has news, as it then stands, once they are durable. May be nil.
	Changed func(*store.Consent)
}

// Observe adds what a provider reports to a consent's history.
func (w *Writer) Observe(tx store.Tx, row *store.Consent, report providers.ConsentState) error {
	if report.Ref != nil {
		if err := w.Adopt(tx, row, *report.Ref); err != nil {
			return err
		}
	}
	end := report.ValidUntil.UTC().Truncate(time.Microsecond) // as the store keeps it
	ends := !end.IsZero() && !end.Equal(row.ValidUntil)
	if ends {
		row.ValidUntil = end
	}
	if row.Resource.GetAccess() == consentv1.Access_ONE_OFF {
		report = collectedOnce(report)
	}
	identified := w.identify(row, report.Identity)
	history, err := w.Events(tx, row)
	if err != nil {
		return err
	}
	if report.Observations, err = unknown(tx, row, history, report.Observations, keyOfObservation); err != nil {
		return err
	}
	events, stated := consent.Follow(history, row.Withdrawals, report, w.Clock.Now())
	remember := !maps.Equal(stated, row.Withdrawals)
	row.Withdrawals = stated
	added, err := w.grow(tx, row, history, events)
	if err != nil || added > 0 || !ends && !remember && !identified {
		return err
	}
	if ends {
		row.NextPoll = w.NextPoll(row)
	}
	return tx.UpdateConsent(row)
}

// collectedOnce leaves out of a report that banks ask for a new authentication: under a consent for one collection
// nothing newer is fetched, so nobody waits for one.
func collectedOnce(report providers.ConsentState) providers.ConsentState {
	report.Connections = slices.Clone(report.Connections)
	for i := range report.Connections {
		report.Connections[i].Active = true
	}
	return report
}

// Lapse notes that a permission ended by itself: the newest one that the customer gave by the flow that was open when
// the provider was asked. A flow in which they have not approved yet is not touched by it: they still may.
func (w *Writer) Lapse(tx store.Tx, row *store.Consent, asked int) error {
	return w.over(tx, row, asked, consent.Expired)
}

// Vanish notes that the provider no longer knows the consent. What ends by it is as in Lapse.
func (w *Writer) Vanish(tx store.Tx, row *store.Consent, asked int) error {
	return w.over(tx, row, asked, consent.Vanished)
}

func (w *Writer) over(
	tx store.Tx, row *store.Consent, asked int, event func(flow int, now time.Time) consent.Event,
) error {
	history, err := w.Events(tx, row)
	if err != nil {
		return err
	}
	row.ValidUntil = time.Time{} // it is noted; another end belongs to another permission
	_, err = w.Extend(tx, row, event(permitted(history, asked), w.Clock.Now()))
	return err
}

// permitted gives the newest flow up to one in which the customer approved, that one itself if none tells so.
func permitted(history []consent.Event, last int) int {
	flow := -1
	for _, e := range history {
		if e.Type == consentv1.ConsentEvent_APPROVED && e.Flow <= last {
			flow = max(flow, e.Flow)
		}
	}
	if flow < 0 {
		return last
	}
	return flow
}

// Ref names a consent at its provider.
func (w *Writer) Ref(ctx context.Context, row *store.Consent) (providers.ConsentRef, error) {
	return w.Refs.Of(ctx, row)
}

// Name writes into a row that is not stored yet how the provider names the consent.
func (w *Writer) Name(row *store.Consent, ref providers.ConsentRef) { w.Refs.put(row, ref) }

// Adopt takes over how a provider names a consent from now on.
func (w *Writer) Adopt(tx store.Tx, row *store.Consent, ref providers.ConsentRef) error {
	w.Refs.put(row, ref)
	return tx.UpdateConsent(row)
}

// Extend adds events to a consent's history, unless they are in it already.
func (w *Writer) Extend(tx store.Tx, row *store.Consent, events ...consent.Event) (int, error) {
	history, err := w.Events(tx, row)
	if err != nil {
		return 0, err
	}
	if events, err = unknown(tx, row, history, events, keyOfEvent); err != nil {
		return 0, err
	}
	now := consent.After(history, w.Clock.Now())
	for i := range events {
		events[i].ReceiveTime = now
	}
	return w.grow(tx, row, history, consent.Add(history, events...))
}

// Events reads what of a consent's history bears on how it stands: without what is settled, so that it costs the same
// however long the history is.
func (w *Writer) Events(r store.Reader, row *store.Consent) ([]consent.Event, error) {
	return r.UnsettledEvents(row.ID)
}

func keyOfObservation(o providers.Observation) string { return o.Key }
func keyOfEvent(e consent.Event) string               { return e.Key }

// unknown leaves out what a consent has settled events for. Of those its history, as Events gives it, does not tell.
func unknown[T any](
	r store.Reader, row *store.Consent, history []consent.Event, news []T, keyOf func(T) string,
) ([]T, error) {
	if n := len(history); n == 0 || history[n-1].Sequence == int64(n) {
		return news, nil // nothing was settled
	}
	told := make(map[string]bool, len(history))
	for _, e := range history {
		told[e.Key] = true
	}
	var keys []string
	for _, n := range news {
		if key := keyOf(n); !told[key] {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return news, nil
	}
	known, err := r.KnownEvents(row.ID, keys)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(news), func(n T) bool { return known[keyOf(n)] }), nil
}

// grow stores new events one by one, each with the consent as it then stands, and the consent as it stands in
// the end.
func (w *Writer) grow(tx store.Tx, row *store.Consent, history, added []consent.Event) (int, error) {
	if len(added) == 0 {
		return 0, nil
	}
	for _, e := range added {
		history = append(history, e)
		row.Flow = max(row.Flow, e.Flow)
		w.present(row, history)
		if err := tx.AppendEvent(row.ID, e, row.Resource); err != nil {
			return 0, err
		}
	}
	if settled := consent.Settled(history); len(settled) > 0 {
		if err := tx.SettleEvents(row.ID, settled); err != nil {
			return 0, err
		}
	}
	row.NextPoll = w.NextPoll(row)
	forget(row)
	if w.Changed != nil {
		now := *row
		service.Durable(tx, func() { w.Changed(&now) })
	}
	return len(added), tx.UpdateConsent(row)
}

// Change stores news about a consent and gives it as it stands then.
func (w *Writer) Change(
	ctx context.Context, row *store.Consent, news func(store.Tx, *store.Consent) error,
) (*store.Consent, error) {
	var fresh *store.Consent
	err := w.Store.Update(ctx, row.Tenant, func(tx store.Tx) (err error) {
		if fresh, err = tx.Consent(row.ID); err != nil {
			return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		return news(tx, fresh)
	})
	return fresh, err
}

// Connection finds a connection of a consent by its resource name, with the provider's id of it.
func (w *Writer) Connection(ctx context.Context, row *store.Consent, name string) (consent.Connection, error) {
	var history []consent.Event
	err := w.Store.View(ctx, row.Tenant, func(r store.Reader) (err error) {
		history, err = w.Events(r, row)
		return err
	})
	if err != nil {
		return consent.Connection{}, err
	}
	state := consent.Derive(row.Resource.GetDataCollection(), history)
	i := slices.IndexFunc(state.Connections, func(c consent.Connection) bool {
		return w.Names.Connection(row.Tenant, row.ID, c.ID) == name
	})
	if i < 0 {
		return consent.Connection{}, service.NotFound(errorv1.Error_CONNECTION_NOT_FOUND, "connection")
	}
	return state.Connections[i], nil
}
