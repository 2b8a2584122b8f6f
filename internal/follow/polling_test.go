package follow_test

import (
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

func TestPollingBacksOffAndSpreadsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		began := time.Now()
		var rows []*store.Consent
		for range 20 {
			rows = append(rows, p.Create(t))
		}
		assemblytest.Pass(2 * time.Hour)
		seconds := map[time.Time]bool{}
		for _, row := range rows {
			last, want := began, 5*time.Second
			times := p.Times(row)
			if len(times) < 24 || len(times) > 32 {
				t.Fatalf("asked %d times in two hours", len(times))
			}
			for i, at := range times {
				// One fifth at most is added at random, and the follower looks once a second.
				if wait := at.Sub(last); wait < want || wait > want+want/5+time.Second {
					t.Fatalf("read %d came after %s, want %s to %s", i, wait, want, want+want/5+time.Second)
				}
				last, want = at, min(2*want, 5*time.Minute)
			}
			seconds[times[20].Truncate(time.Second)] = true
		}
		if len(seconds) < 15 {
			t.Errorf("20 consents that began together are read within %d different seconds later on", len(seconds))
		}
	})
}

func TestPollingStopsWhenNothingIsToBeExpected(t *testing.T) {
	for name, observations := range map[string][]providers.Observation{
		"revoked": {{Key: "r", Type: consentv1.ConsentEvent_REVOKED, ProviderCode: "customerDeniedConsent"}},
		"ready": {
			{Key: "b", Type: consentv1.ConsentEvent_BANK_AUTHORIZED, ConnectionID: "bank"},
			{Key: "f", Type: consentv1.ConsentEvent_FETCH_COMPLETED, ConnectionID: "bank"},
			{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
		},
		"expired": nil, // the link runs out after a day, and is given an hour of grace
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := assemblytest.New(t, daysPass)
				row := p.Create(t)
				p.Report(providers.ConsentState{Observations: observations}, nil)
				assemblytest.Pass(2 * time.Minute)
				if len(p.Times(row)) == 0 {
					t.Fatal("it was never read")
				}
				if observations == nil {
					assemblytest.Pass(26 * time.Hour)
				}
				before := len(p.Times(row))
				assemblytest.Pass(3 * time.Hour)
				if more := len(p.Times(row)) - before; more > 0 {
					t.Errorf("read %d more times", more)
				}
				// A hint is news all the same.
				p.HintAt(t, row)
				assemblytest.Pass(2 * time.Second)
				if more := len(p.Times(row)) - before; more != 1 {
					t.Errorf("a hint led to %d reads, want 1", more)
				}
				assemblytest.Pass(3 * time.Hour)
				if more := len(p.Times(row)) - before; more != 1 {
					t.Errorf("a hint led to %d reads in the long run, want 1", more)
				}
			})
		})
	}
}

// rested waits until a consent may be read again: it may just have been.
func rested(p *assemblytest.Gateway, row *store.Consent) {
	for len(p.Times(row)) > 0 && time.Since(p.Times(row)[len(p.Times(row))-1]) <= 5*time.Second {
		assemblytest.Pass(time.Second)
	}
}

func TestHintsWakeAtOnceAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := p.Create(t)
		assemblytest.Pass(30 * time.Minute)
		rested(p, row)
		before := len(p.Times(row))
		began := time.Now()
		p.HintAt(t, row)
		synctest.Wait()
		if times := p.Times(row); len(times) != before+1 || !times[before].Equal(began) {
			t.Errorf("a hint after a long silence led to reads at %v, want one at %v", times[before:], began)
		}
		const flood, interval = 10_000, 6 * time.Millisecond // one minute
		for range flood {
			p.HintAt(t, row)
			assemblytest.Pass(interval)
		}
		times := p.Times(row)[before:]
		if most := int(flood*interval/(5*time.Second)) + 1; len(times) > most || len(times) < most/2 {
			t.Errorf("%d hints in a minute led to %d reads, want at most %d", flood, len(times), most)
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < 5*time.Second {
				t.Errorf("two reads within %s", gap)
			}
		}
	})
}

func TestRateLimitsSlowAllConsents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		rows := []*store.Consent{p.Create(t)}
		p.Report(providers.ConsentState{}, &providers.Error{
			Kind: providers.KindRateLimited, Provider: "fimento", RetryAfter: 10 * time.Minute,
		})
		assemblytest.Pass(8 * time.Second)
		if asked := len(p.Times(rows[0])); asked != 1 {
			t.Fatalf("asked %d times", asked)
		}
		told := p.Times(rows[0])[0]
		p.Report(providers.ConsentState{}, nil)
		for range 9 {
			rows = append(rows, p.Create(t))
		}
		for time.Since(told) < 10*time.Minute-time.Second {
			for _, row := range rows {
				p.HintAt(t, row)
			}
			assemblytest.Pass(time.Second)
		}
		for i, row := range rows {
			if asked := len(p.Times(row)); asked > 1 || i > 0 && asked > 0 {
				t.Fatalf("consent %d was read although the provider asked to be left alone", i)
			}
		}
		assemblytest.Pass(10 * time.Second)
		for i, row := range rows {
			times := p.Times(row)
			if len(times) == 0 || times[len(times)-1].Sub(told) < 10*time.Minute {
				t.Errorf("consent %d was not read when the time was over", i)
			}
		}
	})
}

func TestFailuresBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := p.Create(t)
		p.Report(providers.ConsentState{}, &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"})
		assemblytest.Pass(2 * time.Hour)
		if asked := len(p.Times(row)); asked < 20 || asked > 32 {
			t.Errorf("asked %d times in two hours of failures", asked)
		}
	})
}
