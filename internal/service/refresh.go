package service

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

const (
	// refreshTimeout bounds one read of a consent at its provider.
	refreshTimeout = 30 * time.Second
	// followGrace is how long a consent is still asked about after its link ran out: the customer may sit before the last page.
	followGrace = time.Hour
	// followers bounds how many consents are read at once in the background.
	followers = 16
)

// follower keeps consents up to date: it reads them at their providers when they are due, and sooner on a hint. However many hints come,
// a consent is read at most once in the shortest interval; a read that a caller asks for does not wait.
type follower struct {
	s        *Service
	min, max time.Duration
	reads    consentReads
	wake     chan struct{}

	mu   sync.Mutex
	last map[string]time.Time // when a consent was last read; entries older than min are dropped
	// paused tells until when a tenant's provider asked to be left alone. Consents are not read in the background before, hints or not: a quota
	// is the account's, not the consent's.
	paused map[string]time.Time
}

func newFollower(s *Service, polling Polling) *follower {
	f := &follower{s: s, min: polling.MinInterval, max: polling.MaxInterval, wake: make(chan struct{}, 1), last: make(map[string]time.Time), paused: make(map[string]time.Time)}
	if f.min == 0 {
		f.min = 5 * time.Second
	}
	if f.max == 0 {
		f.max = 5 * time.Minute
	}
	return f
}

// next tells when a consent should be read again, zero for not by itself. It is called when there was news.
func (f *follower) next(row *store.Consent) time.Time {
	return f.at(row, f.s.now())
}

func (f *follower) at(row *store.Consent, now time.Time) time.Time {
	if !underway(row) {
		return time.Time{}
	}
	wait := min(f.min<<min(row.PollStep, 20), f.max)
	due := now.Add(wait + time.Duration(rand.Int64N(int64(wait)/5+1)))
	link := row.Resource.GetLink()
	if over := link.GetExpireTime().AsTime(); link != nil && link.GetStatus() != typev1.Link_COMPLETED {
		switch {
		case now.After(over.Add(followGrace)):
			return time.Time{}
		case now.Before(over) && due.After(over):
			due = over // to note that it ran out
		}
	}
	return due
}

// underway tells whether news are to be expected of a consent.
func underway(row *store.Consent) bool {
	if row.Ended {
		return false
	}
	switch row.Resource.GetStatus() {
	case consentv1.Consent_REVOKED, consentv1.Consent_REJECTED:
		return false
	case consentv1.Consent_AUTHORIZED:
		// With a further flow open, the next decision is awaited although the data is ready.
		status := row.Resource.GetLink().GetStatus()
		return row.Resource.GetDataStage() != consentv1.Consent_READY || status == typev1.Link_PENDING || status == typev1.Link_OPENED
	}
	return true
}

// watch makes the follower look at a consent that has just begun or changed.
func (f *follower) watch(row *store.Consent) {
	if !row.NextPoll.IsZero() {
		f.nudge()
	}
}

func (f *follower) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// hint says that there may be news about a consent. It is taken from anybody.
func (f *follower) hint(ctx context.Context, row *store.Consent) {
	if row.Ended {
		return
	}
	due := f.s.now()
	f.mu.Lock()
	if last, ok := f.last[key(row)]; ok && due.Before(last.Add(f.min)) {
		due = last.Add(f.min)
	}
	if until := f.paused[account(row)]; due.Before(until) {
		due = until
	}
	f.mu.Unlock()
	if dueBy(row, due) {
		return // a flood of hints must not even reach the store
	}
	err := f.s.update(ctx, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.Tenant, row.ID)
		if err != nil || fresh.Ended || dueBy(fresh, due) {
			return err
		}
		fresh.NextPoll, fresh.PollStep = due, 0
		return tx.UpdateConsent(fresh)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		f.s.log.WarnContext(ctx, "hint lost; polling covers it", "error", err.Error())
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
func (f *follower) pause(row *store.Consent, wait time.Duration) {
	if wait <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if until := f.s.now().Add(wait); until.After(f.paused[account(row)]) {
		f.paused[account(row)] = until
	}
}

// postponed tells whether a consent that is due must wait until its provider can be asked again, and plans it for then. Those that waited
// together are spread.
func (f *follower) postponed(ctx context.Context, row *store.Consent) bool {
	f.mu.Lock()
	until := f.paused[account(row)]
	f.mu.Unlock()
	if !f.s.now().Before(until) {
		return false
	}
	err := f.s.update(ctx, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.Tenant, row.ID)
		if err != nil || fresh.NextPoll.IsZero() || !fresh.NextPoll.Before(until) {
			return err
		}
		fresh.NextPoll = until.Add(time.Duration(rand.Int64N(int64(f.min) + 1)))
		return tx.UpdateConsent(fresh)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
		f.s.log.WarnContext(ctx, "cannot postpone a poll", "consent", row.Resource.GetName(), "error", err.Error())
	}
	return true
}

// run reads consents as they fall due until the context ends.
func (f *follower) run(ctx context.Context) {
	slots := make(chan struct{}, followers)
	busy := make(map[string]bool)
	finished := make(chan string, followers)
	ticker := time.NewTicker(min(f.min, time.Second))
	defer ticker.Stop()
	for {
		var due []*store.Consent
		err := f.s.view(ctx, func(r store.Reader) (err error) {
			due, err = r.DueConsents(f.s.now(), 256)
			return err
		})
		if err != nil && ctx.Err() == nil {
			f.s.log.WarnContext(ctx, "cannot tell which consents are due", "error", err.Error())
		}
		for _, row := range due {
			// One that could not be planned anew stays due: the shortest interval holds for it all the same.
			if busy[key(row)] || f.recent(row, f.min) || f.postponed(ctx, row) {
				continue
			}
			select {
			case slots <- struct{}{}:
			default:
				continue // the next round takes it
			}
			busy[key(row)] = true
			f.s.running.Go(func() {
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
func (f *follower) poll(ctx context.Context, row *store.Consent) {
	before := row.Resource.GetEventCount()
	fresh, err := f.s.refresh(ctx, row)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		f.s.log.DebugContext(ctx, "poll failed", "consent", row.Resource.GetName(), "reason", kerr.Reason(err).String())
	}
	retryAfter := kerr.Retry(err)
	f.pause(row, retryAfter)
	err = f.s.update(ctx, func(tx store.Tx) error {
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
		now.NextPoll = f.at(now, f.s.now())
		if wait := f.s.now().Add(retryAfter); !now.NextPoll.IsZero() && now.NextPoll.Before(wait) {
			now.NextPoll = wait
		}
		return tx.UpdateConsent(now)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
		f.s.log.WarnContext(ctx, "cannot plan the next poll", "consent", row.Resource.GetName(), "error", err.Error())
	}
}

// expire notes that a link ran out.
func (f *follower) expire(tx store.Tx, row *store.Consent) error {
	link := row.Resource.GetLink()
	if row.Ended || link == nil || link.GetStatus() == typev1.Link_COMPLETED || link.GetStatus() == typev1.Link_EXPIRED ||
		f.s.now().Before(link.GetExpireTime().AsTime()) {
		return nil
	}
	_, err := f.s.extend(tx, row, consent.LinkExpired(row.Flow, f.s.now()))
	return err
}

// refresh reads a consent at its provider and stores the news. The read begins after the call; concurrent refreshes of one consent share one,
// which none of their callers can cancel for the others.
func (s *Service) refresh(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	shared := s.follower.reads.share(key(row), func() (*store.Consent, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
		defer cancel()
		return s.read(ctx, row)
	})
	select {
	case <-shared.done:
		if shared.err != nil {
			return nil, shared.err
		}
		own := *shared.fresh // the result is shared
		return &own, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Service) read(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	if row.Ended {
		return row, nil
	}
	p, err := s.provider(row.Tenant, row.Provider)
	if err != nil {
		return nil, err
	}
	s.follower.note(key(row), s.now())
	report, err := p.Consents.GetConsent(ctx, refOf(row))
	if err != nil {
		return nil, callError(err)
	}
	return s.report(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
		return s.observe(tx, fresh, *report)
	})
}

// report stores news about a consent and gives it as it stands then.
func (s *Service) report(ctx context.Context, row *store.Consent, news func(store.Tx, *store.Consent) error) (*store.Consent, error) {
	var fresh *store.Consent
	err := s.update(ctx, func(tx store.Tx) (err error) {
		if fresh, err = tx.Consent(row.Tenant, row.ID); err != nil {
			return found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		return news(tx, fresh)
	})
	return fresh, err
}

// note remembers when a consent was read.
func (f *follower) note(consent string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[consent] = now
	if len(f.last) > 10_000 {
		for k, t := range f.last {
			if now.Sub(t) > f.min {
				delete(f.last, k)
			}
		}
	}
}

// recent tells whether a consent was read within d.
func (f *follower) recent(row *store.Consent, d time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, ok := f.last[key(row)]
	return ok && f.s.now().Sub(last) < d
}

// readable gives a consent whose data can be read, or why it cannot. What is stored may lag behind what the customer just did, so the
// provider is asked before a refusal.
func (s *Service) readable(ctx context.Context, row *store.Consent) (*store.Consent, error) {
	refusal := unreadable(row)
	if refusal == nil || row.Ended {
		return row, refusal
	}
	fresh, err := s.refresh(ctx, row)
	if err != nil {
		return nil, err
	}
	return fresh, unreadable(fresh)
}

// unreadable tells why the data under a consent cannot be read, nil when it can.
func unreadable(row *store.Consent) error {
	switch row.Resource.GetStatus() {
	case consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION:
		if row.Resource.GetDataStage() != consentv1.Consent_READY {
			return kerr.New(errorv1.Error_DATA_NOT_READY, "the provider is still collecting or evaluating the data",
				kerr.WithMetadata("dataStage", row.Resource.GetDataStage().String()))
		}
		return nil
	case consentv1.Consent_REVOKED:
		return kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
	case consentv1.Consent_EXPIRED:
		return kerr.New(errorv1.Error_CONSENT_EXPIRED, "the link ran out before the customer decided")
	default:
		return kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED, "the customer has not approved the consent")
	}
}
