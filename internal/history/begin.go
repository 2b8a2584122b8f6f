package history

import (
	"slices"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Begin stores a new consent with what happens in its first transaction. In fn, which gets a transaction for it, the
// consent and its events grow in memory; then they are inserted as they stand in the end. Stored step by step, each of
// its first events had the history read and the row written again: five statements of 28, a sixth of a creation's CPU
// time (BenchmarkCreates in test/growth).
func (w *Writer) Begin(tx store.Tx, row *store.Consent, fn func(store.Tx) error) error {
	b := &beginning{Tx: tx, row: row}
	if err := fn(b); err != nil {
		return err
	}
	if err := tx.InsertConsent(row); err != nil {
		return err
	}
	for i, e := range b.events {
		if err := tx.AppendEvent(row.ID, e, b.after[i]); err != nil {
			return err
		}
	}
	if len(b.settled) > 0 {
		if err := tx.SettleEvents(row.ID, b.settled); err != nil {
			return err
		}
	}
	if w.Changed != nil {
		now := *row
		service.Durable(tx, func() { w.Changed(&now) })
	}
	return nil
}

// beginning is a transaction in which a consent begins: what is told and asked of that one stays in memory.
type beginning struct {
	store.Tx

	row     *store.Consent
	events  []consent.Event
	after   []*consentv1.Consent // as it stood after each of them
	settled []int64
}

// UpdateConsent implements store.Tx.
func (b *beginning) UpdateConsent(c *store.Consent) error {
	if c != b.row {
		return b.Tx.UpdateConsent(c)
	}
	return nil
}

// AppendEvent implements store.Tx.
func (b *beginning) AppendEvent(id string, e consent.Event, after *consentv1.Consent) error {
	if id != b.row.ID {
		return b.Tx.AppendEvent(id, e, after)
	}
	b.events, b.after = append(b.events, e), append(b.after, after)
	return nil
}

// SettleEvents implements store.Tx.
func (b *beginning) SettleEvents(id string, sequences []int64) error {
	if id != b.row.ID {
		return b.Tx.SettleEvents(id, sequences)
	}
	b.settled = sequences // of all events, since all were given
	return nil
}

// UnsettledEvents implements store.Reader. It gives the settled ones as well: so it tells of every event that there is,
// and nobody asks for KnownEvents.
func (b *beginning) UnsettledEvents(id string) ([]consent.Event, error) {
	if id != b.row.ID {
		return b.Tx.UnsettledEvents(id)
	}
	return slices.Clone(b.events), nil
}
