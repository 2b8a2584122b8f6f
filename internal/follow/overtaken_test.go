package follow_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/providers"
)

// slowly makes a provider slow to answer: it says how the consent stood when it was asked.
func slowly(s *slow) func(*assembly.Options, *providers.Provider) {
	return func(_ *assembly.Options, p *providers.Provider) {
		s.Consents, p.Consents = p.Consents, s
	}
}

// connected is what a provider without a history says of a customer with these banks.
func connected(banks ...string) providers.ConsentState {
	state := providers.ConsentState{Stateful: true}
	for _, id := range banks {
		state.Connections = append(state.Connections, providers.ConnectionState{ID: id, Active: true})
	}
	return state
}

// nobodyLooks keeps consents from being read by themselves.
func nobodyLooks(o *assembly.Options, _ *providers.Provider) {
	o.Polling.MinInterval, o.Polling.MaxInterval, o.Polling.IdleInterval = day, day, day
}

const day = 24 * time.Hour

// daysPass has the follower look for due consents once a minute: a test need not wait for each second of days.
func daysPass(o *assembly.Options, _ *providers.Provider) { o.Polling.LookInterval = time.Minute }

// Two processes ask, and the one that asked first is answered last: what it is told is old by then, and must not take
// back the customer's withdrawal.
func TestOvertakenAnswersAreAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, slowly(provider), nobodyLooks)
		other := p.Dying(t)
		row := p.Create(t)
		p.Report(connected("bank"), nil)
		if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
			t.Fatal(err)
		}
		provider.take(5 * time.Second)
		var late sync.WaitGroup
		late.Go(func() {
			fresh, err := other.Follower.Refresh(other.Ctx, row)
			if err != nil {
				t.Error(err)
				return
			}
			if got := fresh.Resource.GetConnections()[0].GetStatus(); got != consentv1.Connection_DISCONNECTED {
				t.Errorf("the late caller is told that the bank is %s", got)
			}
		})
		synctest.Wait()
		provider.take(0)
		p.Report(connected(), nil)
		now, err := p.Follower.Refresh(p.Ctx, row)
		if err != nil {
			t.Fatal(err)
		}
		late.Wait()
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil || fresh.Resource.GetEventCount() != now.Resource.GetEventCount() {
			t.Errorf("the late answer added %d events, %v",
				fresh.Resource.GetEventCount()-now.Resource.GetEventCount(), err)
		}
		if asked := len(p.Times(row)); asked != 4 {
			t.Errorf("the provider was asked %d times, want once more after the late answer", asked)
		}
	})
}

// While every answer is overtaken, a read does not go on for ever: it stores nothing, and the consent is read soon.
func TestReadsThatAreAlwaysOvertakenEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, slowly(provider))
		other, third := p.Dying(t), p.Dying(t)
		row := p.Create(t)
		p.Report(connected("bank"), nil)
		if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
			t.Fatal(err)
		}
		p.Stop()
		before := len(p.Times(row))
		provider.take(5 * time.Second)
		var late sync.WaitGroup
		late.Go(func() {
			if _, err := other.Follower.Refresh(other.Ctx, row); err != nil {
				t.Error(err)
			}
		})
		const changes = 4
		for n := range changes { // each while an answer is under way
			assemblytest.Pass(3 * time.Second)
			provider.take(0)
			p.Report(connected([]string{"bank", "another"}[:2-n%2]...), nil)
			if _, err := third.Follower.Refresh(third.Ctx, row); err != nil {
				t.Fatal(err)
			}
			provider.take(5 * time.Second)
		}
		late.Wait()
		if asked := len(p.Times(row)) - before - changes; asked != 3 {
			t.Errorf("one read asked the provider %d times", asked)
		}
		fresh, _, err := other.Load.Consent(other.Ctx, row.Resource.GetName())
		if err != nil || fresh.NextPoll.IsZero() || time.Until(fresh.NextPoll) > time.Minute {
			t.Errorf("the next read is in %s, %v", time.Until(fresh.NextPoll), err)
		}
	})
}

// A read that brings news replaces what was planned before it began: the caller need not have it read once more.
func TestNewsReplaceThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := p.Create(t)
		p.Report(connected("bank"), nil)
		fresh, err := p.Follower.Refresh(p.Ctx, row)
		if err != nil {
			t.Fatal(err)
		}
		if wait := time.Until(fresh.NextPoll); wait < day {
			t.Errorf("the consent stands, and is read again in %s", wait)
		}
	})
}

// A customer gets a new link shortly before a permission ends, or while the provider is asked whether it still stands.
// That the old one ended says nothing of the new flow: when the customer approves there, the consent stands again.
func TestTheEndOfAPermissionSparesTheNewFlow(t *testing.T) {
	for name, c := range map[string]struct {
		err     error         // of the read at the end
		renewed time.Duration // after the end
	}{
		"its time is over":                {nil, 2 * time.Second},
		"the provider tells so":           {consentError(providers.KindConsentEnded), 2 * time.Second},
		"its time is over a minute later": {nil, -time.Minute},
		"the provider tells so then":      {consentError(providers.KindConsentEnded), -time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := &slow{}
				p := assemblytest.New(t, slowly(provider))
				row, end := p.Create(t), time.Now().Add(time.Hour)
				p.Report(until(end), nil)
				assemblytest.Pass(10 * time.Second)
				provider.take(5 * time.Second)
				assemblytest.Pass(time.Until(end) + c.renewed)
				_, err := p.Servers.Consent.RenewConsentLink(p.Ctx,
					&consentv1.RenewConsentLinkRequest{Name: row.Resource.GetName()})
				if err != nil {
					t.Fatal(err)
				}
				p.Report(ready, c.err)
				assemblytest.Pass(2 * time.Minute)
				if got := statusOf(t, p, row); got != consentv1.Consent_AWAITING_AUTHORIZATION {
					t.Errorf("with the permission at its end and a new link it is %s", got)
				}
				approved := with(providers.Observation{Key: "approved again", Type: consentv1.ConsentEvent_APPROVED})
				approved.ValidUntil = end.Add(90 * day)
				p.Report(approved, nil)
				assemblytest.Pass(time.Hour)
				if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED {
					t.Errorf("approved in the new flow it is %s", got)
				}
			})
		})
	}
}

// A hint that comes while the provider answers may be about something that the answer lacks, also when that answer
// brings news and nothing more is expected soon.
func TestHintDuringAReadWithNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{}
		p := assemblytest.New(t, slowly(provider))
		row := p.Create(t)
		p.Report(connected("bank"), nil)
		provider.take(2 * time.Second)
		for len(p.Times(row)) == 0 {
			assemblytest.Pass(100 * time.Millisecond)
		}
		provider.take(0)
		p.Report(connected(), nil)
		p.HintAt(t, row)
		assemblytest.Pass(time.Minute)
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil {
			t.Fatal(err)
		}
		banks := fresh.Resource.GetConnections()
		if len(banks) != 1 || banks[0].GetStatus() != consentv1.Connection_DISCONNECTED {
			t.Errorf("a minute after the hint the banks are %v, and the next read is in %s", banks,
				time.Until(fresh.NextPoll))
		}
	})
}

// What one process has just read for a caller, with news, another one's hint does not have read again at once.
func TestReadsWithNewsAreKnownToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, nobodyLooks, daysPass)
		other := p.Beside(t)
		row := p.Create(t)
		p.Report(connected("bank"), nil)
		if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
			t.Fatal(err)
		}
		p.Stop() // It would claim what the other one hints at, and knows.
		before := len(p.Times(row))
		other.HintAt(t, row)
		assemblytest.Pass(day / 2)
		if asked := len(p.Times(row)) - before; asked != 0 {
			t.Errorf("the provider was asked %d times within the shortest interval", asked)
		}
		assemblytest.Pass(day)
		if asked := len(p.Times(row)) - before; asked != 1 {
			t.Errorf("the provider was asked %d times after it, want once", asked)
		}
	})
}
