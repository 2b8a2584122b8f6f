package history

import (
	"time"

	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

// EndAgain writes into a consent that stands in a backup's copy how it had ended in the store that is lost. Whatever
// the copy's history tells, it does not stand afterwards.
func (w *Writer) EndAgain(tx store.Tx, id string, end store.End) error {
	row, err := tx.Consent(id)
	if err != nil {
		return err
	}
	history, err := w.Events(tx, row)
	if err != nil {
		return err
	}
	var event consent.Event
	switch end.How {
	case store.EndSuperseded:
		event = consent.Superseded(row.Flow, end.Time)
	case store.EndWithdrawn:
		event = consent.Withdrawn(history, row.Flow, end.Time)
	case store.EndExpired:
		event = consent.Expired(permitted(history, row.Flow), end.Time)
		row.ValidUntil = time.Time{} // it is noted; another end belongs to another permission
	default:
		event = consent.RevokedByCaller(row.Flow, end.Time)
	}
	event.Description = "The consent had ended when the store was lost; a backup was restored."
	_, err = w.Extend(tx, row, event)
	return err
}
