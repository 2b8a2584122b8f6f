package assembly

import (
	"time"

	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// EndAgain is what a restore ends consents with (store.Backup). One that may come to life again, by a decision of its
// customer's after the keys were written, is read at its provider as soon as a gateway runs.
func EndAgain(k *keys.Keys, tx store.Tx, consentID string, end store.End) error {
	clock := service.Clock(time.Now)
	w := &history.Writer{
		Names: service.Names{Keys: k}, Clock: clock, NextPoll: func(row *store.Consent) time.Time {
			if row.Ended {
				return time.Time{}
			}
			return clock.Now()
		},
	}
	return w.EndAgain(tx, consentID, end)
}
