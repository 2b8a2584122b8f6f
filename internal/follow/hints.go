package follow

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
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

// Hint says that there may be news about a consent. It is taken from anybody.
func (f *Follower) Hint(ctx context.Context, row *store.Consent) {
	if row.Ended {
		return
	}
	due := f.Clock.Now()
	rest := max(f.Plan.min, f.Plan.rest(row))
	f.mu.Lock()
	if last, ok := f.last[key(row)]; ok && due.Before(last.Add(rest)) {
		due = last.Add(rest)
	}
	if until := f.paused[account(row)]; due.Before(until) {
		due = until
	}
	f.mu.Unlock()
	if dueBy(row, due) {
		return // a flood of hints must not even reach the store
	}
	err := f.Store.Update(ctx, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.Tenant, row.ID)
		if err != nil || fresh.Ended || dueBy(fresh, due) {
			return err
		}
		fresh.NextPoll, fresh.PollStep = due, 0
		return tx.UpdateConsent(fresh)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		f.Log.WarnContext(ctx, "hint lost; polling covers it", "error", err.Error())
	}
	f.nudge()
}

// dueBy tells whether a consent will be read by a time anyway.
func dueBy(row *store.Consent, t time.Time) bool {
	return !row.NextPoll.IsZero() && !row.NextPoll.After(t)
}

func key(row *store.Consent) string { return row.Tenant + "\x00" + row.ID }

// account identifies a tenant's account at a provider.
func account(row *store.Consent) string { return row.Tenant + "\x00" + row.Provider }

// pause leaves a provider alone for some time, as it asked for.
func (f *Follower) pause(row *store.Consent, wait time.Duration) {
	if wait <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if until := f.Clock.Now().Add(wait); until.After(f.paused[account(row)]) {
		f.paused[account(row)] = until
	}
}

// postponed tells whether a consent that is due must wait until its provider can be asked again, and plans it
// for then. Those that waited together are spread.
func (f *Follower) postponed(ctx context.Context, row *store.Consent) bool {
	f.mu.Lock()
	until := f.paused[account(row)]
	f.mu.Unlock()
	if !f.Clock.Now().Before(until) {
		return false
	}
	f.postpone(ctx, row, until.Add(time.Duration(rand.Int64N(int64(f.Plan.min)+1))))
	return true
}

// postpone plans a consent that is due for later.
func (f *Follower) postpone(ctx context.Context, row *store.Consent, until time.Time) {
	err := f.Store.Update(ctx, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.Tenant, row.ID)
		if err != nil || fresh.NextPoll.IsZero() || !fresh.NextPoll.Before(until) {
			return err
		}
		fresh.NextPoll = until
		return tx.UpdateConsent(fresh)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
		f.Log.WarnContext(ctx, "cannot postpone a poll", "consent", row.Resource.GetName(), "error", err.Error())
	}
}

// restsUntil tells until when a consent must not be read in the background, since it was read lately and its provider
// counts.
func (f *Follower) restsUntil(row *store.Consent) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last[key(row)].Add(f.Plan.rest(row))
}

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

// recent tells whether a consent was read within d.
func (f *Follower) recent(row *store.Consent, d time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, ok := f.last[key(row)]
	return ok && f.Clock.Now().Sub(last) < d
}
