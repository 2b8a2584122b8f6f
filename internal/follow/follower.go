package follow

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

const (
	// refreshTimeout bounds one read of a consent at its provider.
	refreshTimeout = 30 * time.Second
	// followers bounds how many consents are read at once in the background.
	followers = 16
)

// Deps are what a Follower works with.
type Deps struct {
	Store   *service.Store
	Tenants service.Tenants
	Clock   service.Clock
	Log     *slog.Logger
	History *history.Writer
	Plan    *Plan
}

// Follower keeps consents up to date: it reads them at their providers when they are due, and sooner on a
// hint. However many hints come, a consent is read at most once in the shortest interval; a read that a
// caller asks for does not wait.
type Follower struct {
	Deps

	reads   coalesce.Next[*store.Consent]
	wake    chan struct{}
	running sync.WaitGroup

	mu    sync.Mutex
	last  map[string]time.Time // when a consent was last read; entries older than any rest are dropped
	prune int                  // how many entries make it worth looking for old ones
	// paused tells until when a tenant's provider asked to be left alone. Consents are not read in the
	// background before, hints or not: a quota is the account's, not the consent's.
	paused map[string]time.Time
}

// New makes a Follower.
func New(d Deps) *Follower {
	return &Follower{
		Deps: d, wake: make(chan struct{}, 1), last: make(map[string]time.Time), prune: leastPrune,
		paused: make(map[string]time.Time),
	}
}

// Run reads consents as they fall due until the context ends. It returns when no read is under way any more.
func (f *Follower) Run(ctx context.Context) {
	defer f.running.Wait()
	slots := make(chan struct{}, followers)
	busy := make(map[string]bool)
	finished := make(chan string, followers)
	ticker := time.NewTicker(min(f.Plan.min, time.Second))
	defer ticker.Stop()
	for {
		var due []*store.Consent
		err := f.Store.View(ctx, func(r store.Reader) (err error) {
			due, err = r.DueConsents(f.Clock.Now(), 256)
			return err
		})
		if err != nil && ctx.Err() == nil {
			f.Log.WarnContext(ctx, "cannot tell which consents are due", "error", err.Error())
		}
		for _, row := range due {
			// One that could not be planned anew stays due: the shortest interval holds for it all the same.
			if busy[key(row)] || f.recent(row, f.Plan.min) || f.postponed(ctx, row) {
				continue
			}
			select {
			case slots <- struct{}{}:
			default:
				continue // the next round takes it
			}
			busy[key(row)] = true
			f.running.Go(func() {
				f.poll(ctx, row)
				<-slots
				select {
				case finished <- key(row):
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-f.wake:
		case done := <-finished:
			delete(busy, done)
			for more := true; more; {
				select {
				case done := <-finished:
					delete(busy, done)
				default:
					more = false
				}
			}
		}
	}
}

// poll reads a consent in the background, and plans the next time.
func (f *Follower) poll(ctx context.Context, row *store.Consent) {
	if until := f.restsUntil(row); f.Clock.Now().Before(until) {
		f.postpone(ctx, row, until)
		return
	}
	before := row.Resource.GetEventCount()
	fresh, err := f.Refresh(ctx, row)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		f.Log.DebugContext(ctx, "poll failed", "consent", row.Resource.GetName(), "reason", kerr.Reason(err).String())
	}
	retryAfter := kerr.Retry(err)
	if _, resting := errors.AsType[restError](err); !resting {
		f.pause(row, retryAfter)
	}
	err = f.Store.Update(ctx, func(tx store.Tx) error {
		now, err := tx.Consent(row.Tenant, row.ID)
		if err != nil {
			return err
		}
		if now.Resource.GetEventCount() == before || fresh == nil {
			now.PollStep++
		} else {
			now.PollStep = 0
		}
		if err := f.expire(tx, now); err != nil {
			return err
		}
		now.NextPoll = f.Plan.at(now, f.Clock.Now())
		if wait := f.Clock.Now().Add(retryAfter); !now.NextPoll.IsZero() && now.NextPoll.Before(wait) {
			now.NextPoll = wait
		}
		return tx.UpdateConsent(now)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
		f.Log.WarnContext(ctx, "cannot plan the next poll", "consent", row.Resource.GetName(), "error", err.Error())
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
