package sqlite

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
)

// endingLate is a context that ends when it was looked at a number of times.
type endingLate struct {
	context.Context //nolint:containedctx // that ends late

	cancel context.CancelFunc
	looks  atomic.Int64 // that are left
}

func (e *endingLate) Err() error {
	if e.looks.Add(-1) < 0 {
		e.cancel()
	}
	return e.Context.Err()
}

// TestFailedClaimGivesNothing fails the transaction that claims, at each of its steps: also at the last, when all is
// claimed but durable.
func TestFailedClaimGivesNothing(t *testing.T) {
	s := openNew(t)
	setUp(t, s, "a")
	inUpdate(t, s, func(tx store.Tx) error {
		c, err := tx.Consent("a")
		if err != nil {
			return err
		}
		c.NextPoll = time.Unix(10, 0)
		return tx.UpdateConsent(c)
	})
	for looks := range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		late := &endingLate{Context: ctx, cancel: cancel}
		late.looks.Store(int64(looks))
		claimed, err := s.System().ClaimDue(late, time.Unix(100, 0), "owner", time.Minute,
			[]store.Share{{Tenant: tenant, Limit: 9}})
		cancel()
		if err == nil {
			if looks < 3 || len(claimed) != 1 {
				t.Errorf("after %d looks %d consents are claimed", looks, len(claimed))
			}
			return
		}
		if len(claimed) != 0 {
			t.Errorf("failed after %d looks with %v, and gives %d consents", looks, err, len(claimed))
		}
	}
	t.Error("nothing was claimed")
}
