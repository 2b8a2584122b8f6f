package follow_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// slow takes its time to say how a consent stands.
type slow struct {
	providers.Consents

	takes atomic.Int64 // nanoseconds
}

func (s *slow) take(d time.Duration) { s.takes.Store(int64(d)) }

func (s *slow) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	state, err := s.Consents.GetConsent(ctx, ref)
	select {
	case <-time.After(time.Duration(s.takes.Load())):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return state, err
}

// A hint that comes while a consent is being read may be about something that the read missed: it is read once more.
func TestHintDuringARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, slowly(provider))
		row := p.Create(t)
		assemblytest.Pass(time.Hour) // It is read every five minutes by now.
		before := len(p.Times(row))
		provider.take(20 * time.Second)
		p.HintAt(t, row)
		assemblytest.Pass(10 * time.Second)
		if asked := len(p.Times(row)) - before; asked != 1 {
			t.Fatalf("read %d times, want the first to be under way", asked)
		}
		p.HintAt(t, row)
		assemblytest.Pass(15 * time.Second)
		if asked := len(p.Times(row)) - before; asked != 2 {
			t.Errorf("read %d times, want once more after the hint", asked)
		}
		provider.take(0)
		assemblytest.Pass(time.Minute) // until nothing is under way any more
	})
}

// A process that stops gives back what it is reading: another one reads it at once, and not when the claim is over.
func TestStoppingGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, slowly(provider))
		row := p.Create(t)
		provider.take(20 * time.Second)
		for len(p.Times(row)) == 0 {
			assemblytest.Pass(time.Second)
		}
		p.Stop()
		provider.take(0)
		other := p.Beside(t)
		assemblytest.Pass(6 * time.Second)
		if asked := len(other.Times(row)); asked != 2 {
			t.Errorf("read %d times, want once by each process", asked)
		}
		assemblytest.Pass(time.Minute) // until nothing is under way any more
	})
}

// unclaimed gives consents that are due, and says that they could not be claimed.
type unclaimed struct {
	store.Claims

	rows  []*store.Consent
	asked int
}

func (u *unclaimed) ClaimDue(
	context.Context, time.Time, string, time.Duration, []store.Share,
) ([]*store.Consent, error) {
	if u.asked++; u.asked > 1 {
		u.rows = nil
	}
	return u.rows, errors.New("the disk is full")
}

// What could not be claimed is not read: another process may be reading it.
func TestFailedClaimsAreNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := p.Create(t)
		p.Stop()
		before := len(p.Times(row))
		claims := &unclaimed{rows: []*store.Consent{row}}
		deps := p.Dying(t).Follower.Deps
		deps.Claims = claims
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		follow.New(deps).Run(ctx)
		if asked := len(p.Times(row)) - before; asked != 0 || claims.asked < 10 {
			t.Errorf("a consent was read %d times, %d claims having failed", asked, claims.asked)
		}
	})
}

// asked waits until a consent was read so many times.
func asked(p *assemblytest.Gateway, row *store.Consent, times int) {
	for len(p.Times(row)) < times {
		assemblytest.Pass(time.Second)
	}
}

// A read that takes longer than a claim lasts keeps it: no other process reads the consent meanwhile.
func TestLongReadsKeepTheirClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, slowly(provider))
		row := p.Create(t)
		p.Beside(t)
		provider.take(25 * time.Second)
		asked(p, row, 1)
		assemblytest.Pass(23 * time.Second)
		if asked := len(p.Times(row)); asked != 1 {
			t.Errorf("read %d times while the first read goes on", asked)
		}
		provider.take(0)
		assemblytest.Pass(time.Minute) // until nothing is under way any more
	})
}

// first claims what is due until there is something, and then nothing more.
type first struct {
	store.Claims

	claimed []*store.Consent
	dead    bool // and renews nothing
}

func (f *first) ClaimDue(
	ctx context.Context, now time.Time, owner string, lease time.Duration, shares []store.Share,
) (claimed []*store.Consent, err error) {
	if len(f.claimed) == 0 {
		claimed, err = f.Claims.ClaimDue(ctx, now, owner, lease, shares)
		f.claimed = claimed
	}
	return claimed, err
}

func (f *first) RenewClaims(ctx context.Context, claimed []*store.Consent, until time.Time) error {
	if f.dead {
		return errors.New("the process is dead")
	}
	return f.Claims.RenewClaims(ctx, claimed, until)
}

// follows runs a follower of a gateway of which nothing else runs, and stops it.
func follows(t *testing.T, of *assemblytest.Gateway, dead bool) (stop func()) {
	t.Helper()
	deps := of.Follower.Deps
	deps.Claims = &first{Claims: deps.Claims, dead: dead}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		follow.New(deps).Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// A process dies while it reads a consent: another one reads it within seconds. What the first would plan if it came to
// life does not count.
func TestReadsOfADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, slowly(provider))
		row := p.Create(t)
		p.Stop()
		provider.take(29 * time.Second)
		defer follows(t, p.Dying(t), true)()
		asked(p, row, 1)
		provider.take(0)
		p.Beside(t)
		assemblytest.Pass(12 * time.Second)
		if asked := len(p.Times(row)); asked != 1 {
			t.Errorf("read %d times while it is claimed", asked)
		}
		assemblytest.Pass(5 * time.Second)
		if asked := len(p.Times(row)); asked != 2 {
			t.Errorf("read %d times, want once by another process", asked)
		}
		assemblytest.Pass(time.Minute) // until nothing is under way any more
	})
}

// stuck does not answer the first who asks how a consent stands, whatever they do, before hold is closed; or it panics.
type stuck struct {
	providers.Consents

	panics bool
	hold   chan struct{}
	asked  atomic.Int32
}

func (s *stuck) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	state, err := s.Consents.GetConsent(ctx, ref)
	if s.asked.Add(1) == 1 {
		if s.panics {
			panic("of no use")
		}
		<-s.hold
	}
	return state, err
}

func (s *stuck) put(_ *assembly.Options, p *providers.Provider) {
	s.Consents, p.Consents = p.Consents, s
}

// A read that never ends does not keep its claim for ever.
func TestHangingReadsLoseTheirClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &stuck{hold: make(chan struct{})}
		p := assemblytest.New(t, provider.put)
		row := p.Create(t)
		p.Stop()
		stop := follows(t, p.Dying(t), false)
		asked(p, row, 1)
		p.Beside(t)
		assemblytest.Pass(55 * time.Second)
		if asked := len(p.Times(row)); asked != 1 {
			t.Errorf("read %d times while the first read may still end", asked)
		}
		assemblytest.Pass(25 * time.Second)
		if asked := len(p.Times(row)); asked < 2 {
			t.Error("a consent whose read hangs is not read by another process")
		}
		close(provider.hold)
		stop()
	})
}

// A read that panics is not repeated as soon as a claim could be over.
func TestPanickingReadsKeepTheirClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &stuck{panics: true}
		p := assemblytest.New(t, provider.put)
		row := p.Create(t)
		asked(p, row, 1)
		assemblytest.Pass(55 * time.Second)
		if asked := len(p.Times(row)); asked != 1 {
			t.Errorf("read %d times within a minute", asked)
		}
		assemblytest.Pass(25 * time.Second)
		if asked := len(p.Times(row)); asked < 2 {
			t.Error("it is never read again")
		}
	})
}

// A hint that comes while a consent is read counts although the consent has to rest for longer than it is claimed.
func TestHintDuringAReadBeforeALongRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, slowly(provider), func(o *assembly.Options, _ *providers.Provider) {
			o.Polling.MinInterval, o.Polling.MaxInterval = time.Minute, time.Hour
		})
		row := p.Create(t)
		assemblytest.Pass(12 * time.Hour) // It is read every hour by now.
		before := len(p.Times(row))
		provider.take(10 * time.Second)
		asked(p, row, before+1)
		p.HintAt(t, row)
		assemblytest.Pass(50 * time.Second)
		if asked := len(p.Times(row)) - before; asked != 1 {
			t.Errorf("read %d times within the shortest interval", asked)
		}
		assemblytest.Pass(15 * time.Second)
		if asked := len(p.Times(row)) - before; asked != 2 {
			t.Errorf("read %d times, want once more after the hint", asked)
		}
		provider.take(0)
		assemblytest.Pass(time.Minute) // until nothing is under way any more
	})
}
