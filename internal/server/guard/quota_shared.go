package guard

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"kontor.dev/kontor/internal/store"
)

// A quota that several processes share is kept without asking anybody during a call:
//
//	process A   o-o-oo--o-|--o--o-o--|        o  a call takes a token: of its own bucket, and of its portion
//	                      |          |        |  once a second: what was spent here is told,
//	shared      ~~~~~~~~~~v~~~~v~~~~~v~~~        and how the shared bucket stands is answered
//	process B   -o---o-o----o--|-o------
//
// Each process has a copy of how the shared bucket stood when it asked last (store.Quotas), and takes its calls since
// off it. As long as there is enough for what all have wanted lately, a process lets in what comes. When there is not,
// its portion of what there is, and of what comes along, is that of its calls among all calls. What is too much all the
// same is taken from the next seconds: the shared bucket is overdrawn then.
//
// So a client that reaches n processes at once gets at most n bursts, since none of them knows of the others yet, and
// then its rate. While the database is away, each process counts by itself.

const (
	// exchangeEvery is how long is waited between two exchanges, exchangeLimit how long one may take: what is told is
	// never older than the buckets have room for, so that who keeps within a quota never overdraws it.
	exchangeEvery, exchangeLimit = time.Second, store.QuotaSlack - time.Second
	// exchangeMost is how many clients one statement is about.
	exchangeMost = 500
	// tellFraction is which part of a second's tokens is not worth telling.
	tellFraction = 100
	// waitLeast is what a refused call waits at least.
	waitLeast = time.Millisecond
)

// sharedQuotas exchanges with other processes what clients spent.
type sharedQuotas struct {
	ledger store.Quotas
	rate   store.QuotaRate
	clock  func() time.Time
	log    *slog.Logger
	// alone says that the last exchange failed.
	alone bool

	mu sync.Mutex
	// queue are the clients of whom there is something to tell.
	queue []*quota
	// come has room for one: the queue is not empty.
	come chan struct{}
}

// portion is what a process may take of a client's shared bucket. Its quota's lock guards it.
type portion struct {
	// known says that the rest is: it was told how the bucket stands.
	known bool
	// level is how many tokens are in the bucket, as far as it is known here, at a time.
	level float64
	at    time.Time
	// left was in it when that was told, used was taken here since.
	left float64
	told time.Time
	used float64
	// of is this process's part of what all want, others what others want in a second.
	of, others float64

	// spent and wanted are tokens that are not told yet.
	spent, wanted int64
	// lately is what was wanted here until a time, as store.Quotas remembers it.
	lately float64
	until  time.Time
	// queued says that the client is in the queue.
	queued bool
}

// wait tells how long a call must wait for a token of the shared bucket.
func (p *portion) wait(now time.Time, rate store.QuotaRate) time.Duration {
	if !p.known {
		return 0
	}
	p.level = min(rate.Most(), p.level+rate.PerSecond*max(0, now.Sub(p.at).Seconds()))
	p.at = now
	missing := 1 - p.level // An overdrawn bucket must fill first, whoever asks.
	enough := p.level-2*exchangeEvery.Seconds()*p.others >= 1
	if !enough && p.used >= 1 { // A portion may be less than a token.
		came := rate.PerSecond * max(0, now.Sub(p.told).Seconds())
		// After the next exchange it is another portion.
		missing = max(missing, min((p.used+1)/p.of-p.left-came, rate.PerSecond*exchangeEvery.Seconds()))
	}
	if missing <= 0 {
		return 0
	}
	return max(waitLeast, time.Duration(math.Ceil(missing/rate.PerSecond*float64(time.Second))))
}

// note counts a call of a client, whose lock is held.
func (s *sharedQuotas) note(c *quota, granted bool) {
	p := &c.portion
	p.wanted++
	if granted {
		p.level--
		p.used++
		p.spent++
	}
	worth := min(s.rate.PerSecond, s.rate.Burst) / tellFraction
	if p.queued || granted && float64(p.spent) < worth {
		return
	}
	p.queued = true
	s.mu.Lock()
	s.queue = append(s.queue, c)
	s.mu.Unlock()
	select {
	case s.come <- struct{}{}:
	default:
	}
}

// run exchanges until the context ends. While no client asks for anything, it asks for nothing.
func (s *sharedQuotas) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.come:
		}
		timer := time.NewTimer(exchangeEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		s.exchange(ctx)
	}
}

// exchange tells what was spent here, and takes over what is left. What could not be told is forgotten, and each client
// has the quota that this process counts until the next exchange.
func (s *sharedQuotas) exchange(ctx context.Context) {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	if len(queue) == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, exchangeLimit)
	defer cancel()
	var err error
	for some := range slices.Chunk(queue, exchangeMost) {
		spent := make([]store.QuotaSpent, len(some))
		for i, c := range some {
			spent[i] = c.tell(s.clock())
		}
		var left []store.QuotaLeft
		if err == nil {
			left, err = s.ledger.SpendQuotas(limited, s.rate, spent)
		}
		now := s.clock()
		for i, c := range some {
			if err != nil {
				c.alone()
			} else {
				c.learn(now, left[i], s.rate)
			}
		}
	}
	switch {
	case ctx.Err() != nil, s.alone == (err != nil):
		return
	case err != nil:
		s.log.WarnContext(ctx, "clients' quotas are counted by this process alone", "error", err.Error())
	default:
		s.log.InfoContext(ctx, "clients' quotas are counted together with other processes again")
	}
	s.alone = err != nil
}

// tell gives what was spent since it was told last.
func (c *quota) tell(now time.Time) store.QuotaSpent {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.portion
	told := store.QuotaSpent{Tenant: c.id.tenant, Client: c.id.client, Spent: p.spent, Wanted: p.wanted}
	p.lately = p.lately*math.Exp(-max(0, now.Sub(p.until).Seconds())/store.QuotaMemory.Seconds()) + float64(p.wanted)
	p.until, p.spent, p.wanted, p.queued = now, 0, 0, false
	return told
}

// learn takes over how the shared bucket stands. Calls that came while it was asked for are taken off.
func (c *quota) learn(now time.Time, bucket store.QuotaLeft, rate store.QuotaRate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.portion
	p.known, p.left, p.told, p.used = true, bucket.Level, now, float64(p.spent)
	p.level, p.at = max(rate.Least(), p.left-p.used), now
	others := max(0, bucket.Wanted-p.lately)
	p.of, p.others = p.lately/(p.lately+others), others/store.QuotaMemory.Seconds()
}

// alone has the client's quota be what this process counts. What was spent so far is never told: others could not tell
// in time either, and all at once would overdraw the bucket.
func (c *quota) alone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.portion.known, c.portion.spent = false, 0
}
