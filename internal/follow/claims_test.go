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
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			provider.Consents = p.Consents
			p.Consents = provider
		})
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
		assemblytest.Pass(time.Minute) // until nothing is under way any more
	})
}

// A process that stops gives back what it is reading: another one reads it at once, and not when the claim is over.
func TestStoppingGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			provider.Consents = p.Consents
			p.Consents = provider
		})
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
