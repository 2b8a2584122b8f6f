package follow

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

const (
	// refreshTimeout bounds one read of a consent at its provider.
	refreshTimeout = 30 * time.Second
	// followers bounds how many consents of one provider account are read at once in the background. There is no bound
	// for all accounts together: a provider that hangs would use it up.
	followers = 16
	// letGoTimeout bounds how long a stopping process tries to give back what it has claimed.
	letGoTimeout = 2 * time.Second
)

// Deps are what a Follower works with.
type Deps struct {
	Store *service.Store
	// Claims hands out the consents that are due, of all tenants, each to one process.
	Claims  store.Claims
	Tenants service.Tenants
	Clock   service.Clock
	Log     *slog.Logger
	History *history.Writer
	Plan    *Plan
	// Crowd bounds how many callers wait for one provider. Reads in the background are none of them.
	Crowd *service.Crowd
	// Process names this process among all that share the store.
	Process string
}

// Follower keeps consents up to date: it reads them at their providers when they are due, and sooner on a
// hint. However many hints come, a consent is read at most once in the shortest interval; a read that a
// caller asks for does not wait.
//
// Several processes share the work: what is due is claimed first, the claim is renewed while the provider is asked, and
// it ends when the next time is planned.
type Follower struct {
	Deps

	claims  claims
	reads   coalesce.Next[reading]
	wake    chan struct{}
	running sync.WaitGroup

	mu    sync.Mutex
	last  map[string]time.Time // when a consent was last read; entries older than any rest are dropped
	prune int                  // how many entries make it worth looking for old ones
}

// New makes a Follower.
func New(d Deps) *Follower {
	return &Follower{Deps: d, wake: make(chan struct{}, 1), last: make(map[string]time.Time), prune: leastPrune}
}

// Run reads consents as they fall due until the context ends. It returns when no read is under way any more.
func (f *Follower) Run(ctx context.Context) {
	defer f.running.Wait()
	f.running.Go(func() { f.renew(ctx) })
	slots := newSlots(f.Tenants)
	ticker := time.NewTicker(f.Plan.look)
	defer ticker.Stop()
	for {
		if free := slots.free(); len(free) > 0 {
			began := time.Now()
			due, err := f.Claims.ClaimDue(ctx, f.Clock.Now(), f.Process, claimTime, free)
			if err != nil {
				due = nil // Whatever came with the error is not claimed: another process may have it.
				if ctx.Err() == nil {
					f.Log.WarnContext(ctx, "cannot tell which consents are due", "error", err.Error())
				}
			}
			for _, row := range due {
				leave, release := slots.take(row.Tenant, row.Provider), f.claims.hold(row, began)
				f.running.Go(func() {
					defer f.nudge() // there is room for the next
					defer leave()
					defer f.survive(ctx, row)
					f.poll(ctx, row)
					release()
				})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-f.wake:
		}
	}
}

// survive has a read that panics end there. Its claim is kept up to the limit, so that the consent is not read again
// and again.
func (f *Follower) survive(ctx context.Context, row *store.Consent) {
	if recover() != nil {
		f.Log.ErrorContext(ctx, "panic", "stack", string(debug.Stack()), "consent", row.Resource.GetName())
	}
}

// poll reads a consent in the background, and plans the next time.
func (f *Follower) poll(ctx context.Context, claimed *store.Consent) {
	asked := f.Clock.Now()
	if until := f.notBefore(claimed); asked.Before(until) { // a caller has just asked for it, say
		f.endClaim(ctx, claimed, func(_ store.Tx, row *store.Consent) error {
			row.NextPoll = until
			return nil
		})
		return
	}
	before := claimed.Resource.GetEventCount()
	read, err := f.join(providers.WithCall(ctx, providers.Call{Background: true}), claimed)
	if ctx.Err() != nil {
		f.letGo(ctx, claimed)
		return
	}
	if err != nil {
		f.Log.DebugContext(ctx, "poll failed", "consent", claimed.Resource.GetName(), "reason",
			kerr.Reason(err).String())
	}
	retryAfter := kerr.Retry(err)
	_, resting := errors.AsType[restError](err)
	pauses := retryAfter > 0 && !resting
	f.endClaim(ctx, claimed, func(tx store.Tx, row *store.Consent) error {
		// It lies at the claim's end, unless somebody had news meanwhile.
		hinted, hint := row.NextPoll, !row.NextPoll.IsZero() && row.NextPoll.Before(row.ClaimedUntil)
		if row.Resource.GetEventCount() == before || read.row == nil {
			row.PollStep++
		} else {
			row.PollStep = 0
		}
		if failed := f.expire(tx, row); failed != nil {
			return failed
		}
		row.NextPoll = f.Plan.at(row, f.Clock.Now())
		f.asked(row, asked)
		if err == nil {
			row.LastRead = asked
		}
		wait := f.Clock.Now().Add(retryAfter)
		if !row.NextPoll.IsZero() && row.NextPoll.Before(wait) {
			row.NextPoll = wait
		}
		if pauses {
			// A quota is the account's, not the consent's: none of them is read in the background before.
			if err := tx.PauseProvider(row.Provider, wait); err != nil {
				return err
			}
		}
		if rested := f.notBefore(row); hinted.Before(rested) {
			hinted = rested
		}
		if hint && !row.Ended && (row.NextPoll.IsZero() || hinted.Before(row.NextPoll)) {
			row.NextPoll = hinted
		}
		return nil
	})
}

// letGo gives a claimed consent back when the process stops: it is due at once for another.
func (f *Follower) letGo(ctx context.Context, claimed *store.Consent) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoTimeout)
	defer cancel()
	f.endClaim(ctx, claimed, func(_ store.Tx, row *store.Consent) error {
		row.NextPoll = f.Clock.Now()
		return nil
	})
}

// endClaim plans when a claimed consent is read next, and ends the claim with it.
func (f *Follower) endClaim(ctx context.Context, claimed *store.Consent, plan func(store.Tx, *store.Consent) error) {
	err := f.Store.Update(ctx, claimed.Tenant, func(tx store.Tx) error {
		row, err := tx.Consent(claimed.ID)
		if err != nil {
			return err
		}
		if err := plan(tx, row); err != nil {
			return err
		}
		row.Claim = claimed.Claim
		return tx.UpdateConsent(row)
	})
	// A consent that was deleted has no next time; one whose claim was lost is another process's to plan.
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrClaimLost) && ctx.Err() == nil {
		f.Log.WarnContext(ctx, "cannot plan the next poll", "consent", claimed.Resource.GetName(), "error", err.Error())
	}
}

// expire notes that a link ran out.
func (f *Follower) expire(tx store.Tx, row *store.Consent) error {
	link := row.Resource.GetLink()
	if row.Ended || link == nil ||
		link.GetStatus() == typev1.Link_COMPLETED || link.GetStatus() == typev1.Link_EXPIRED ||
		f.Clock.Now().Before(link.GetExpireTime().AsTime()) {
		return nil
	}
	_, err := f.History.Extend(tx, row, consent.LinkExpired(row.Flow, f.Clock.Now()))
	return err
}
