package follow

import (
	"context"
	"errors"
	"maps"
	"time"

	"kontor.dev/kontor/internal/store"
)

// Attend makes the follower look at a consent that has just begun or changed.
func (f *Follower) Attend(row *store.Consent) {
	if !row.NextPoll.IsZero() {
		f.nudge()
	}
}

func (f *Follower) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Hint says that there may be news about a consent. It is taken from anybody. A consent that is being read at this
// moment is read once more afterwards: what is hinted at may have come too late for that read.
func (f *Follower) Hint(ctx context.Context, row *store.Consent) {
	if row.Ended {
		return
	}
	if dueBy(row, f.soonest(row)) {
		return // a flood of hints must not even reach the store
	}
	err := f.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.ID)
		if err != nil {
			return err
		}
		due := f.soonest(fresh)
		if fresh.Ended || dueBy(fresh, due) {
			return nil
		}
		fresh.NextPoll, fresh.PollStep = due, 0
		return tx.UpdateConsent(fresh)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		f.Log.WarnContext(ctx, "hint lost; polling covers it", "error", err.Error())
	}
	f.nudge()
}

// soonest tells when a consent can be read by nobody's wish. For one that is being polled that is now: a time before
// the claim's end tells the poll of the hint, and when the poll ends it has the consent rest first where it must.
func (f *Follower) soonest(row *store.Consent) time.Time {
	now, until := f.Clock.Now(), f.notBefore(row)
	if until.Before(now) || now.Before(row.ClaimedUntil) {
		return now
	}
	return until
}

// notBefore tells until when a consent must not be read by nobody's wish: within the shortest interval after this
// process read it, any process polled it or any process's read had news, and longer where the provider counts such
// reads.
func (f *Follower) notBefore(row *store.Consent) time.Time {
	f.mu.Lock()
	last := f.last[key(row)]
	f.mu.Unlock()
	if row.LastPoll.After(last) {
		last = row.LastPoll
	}
	if last.After(f.Clock.Now().Add(f.Plan.min)) {
		return time.Time{} // The clock went back since: when it was read by the new time nobody knows.
	}
	return last.Add(max(f.Plan.min, f.Plan.rest(row)))
}

// asked has a row say when its provider was asked, unless it was asked since. A time to come is from before the clock
// went back.
func (f *Follower) asked(row *store.Consent, at time.Time) {
	if at.After(row.LastPoll) || row.LastPoll.After(f.Clock.Now()) {
		row.LastPoll = at
	}
}

// dueBy tells whether a consent will be read by a time anyway.
func dueBy(row *store.Consent, t time.Time) bool {
	return !row.NextPoll.IsZero() && !row.NextPoll.After(t)
}

func key(row *store.Consent) string { return row.Tenant + "\x00" + row.ID }

// Counted tells whether the provider counts the reads of a consent of which no news is awaited.
func (f *Follower) Counted(row *store.Consent) bool { return f.Plan.rest(row) > 0 }

// leastPrune is how many reads are remembered before old ones are looked for.
const leastPrune = 10_000

// note remembers when a consent was read.
func (f *Follower) note(consent string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[consent] = now
	if len(f.last) > f.prune {
		maps.DeleteFunc(f.last, func(_ string, t time.Time) bool { return now.Sub(t) > f.Plan.longestRest() })
		f.prune = max(leastPrune, 2*len(f.last))
	}
}
