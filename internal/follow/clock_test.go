package follow_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// TestClockGoesBack sets the clock back by a day, and then by another: consents under way are polled on, and so is one
// that was claimed and left at that moment.
func TestClockGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Int64
		p := assemblytest.New(t, func(o *assembly.Options, _ *providers.Provider) {
			o.Clock = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
		})
		row := p.Create(t)
		assemblytest.Pass(time.Hour)
		for n := range 2 {
			if n == 1 {
				dead := p.Dying(t)
				var claimed int
				for claimed == 0 {
					found, err := dead.Database().System().ClaimDue(t.Context(),
						time.Now().Add(-time.Duration(back.Load())), "dead", time.Minute,
						[]store.Share{{Tenant: row.Tenant, Provider: row.Provider, Limit: 9}})
					if err != nil {
						t.Fatal(err)
					}
					claimed = len(found)
					time.Sleep(100 * time.Millisecond)
				}
			}
			back.Add(int64(24 * time.Hour))
			before := len(p.Times(row))
			assemblytest.Pass(20 * time.Minute)
			if polls := len(p.Times(row)) - before; polls < 2 || polls > 10 {
				t.Errorf("in 20 minutes after the clock went back by %d days the consent was read %d times", n+1, polls)
			}
		}
	})
}
