package follow_test

import (
	"cmp"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

var ready = providers.ConsentState{Observations: []providers.Observation{
	{Key: "b", Type: consentv1.ConsentEvent_BANK_AUTHORIZED, ConnectionID: "bank"},
	{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
}}

func mannered(manners providers.Manners, idle time.Duration) func(*assembly.Options, *providers.Provider) {
	return func(o *assembly.Options, p *providers.Provider) {
		p.Manners, o.Polling.IdleInterval = manners, idle
	}
}

// A consent that stands is asked about as often as the operator says, else once a day, or as seldom as the provider
// wants it.
func TestPlanOfStandingConsents(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		manners  providers.Manners
		operator time.Duration
		link     typev1.Link_Status
		stage    consentv1.DataStage_Value
		want     time.Duration
	}{
		"nobody says": {want: 24 * time.Hour},
		"the provider wants it seldom": {
			manners: providers.Manners{IdleInterval: 72 * time.Hour}, want: 72 * time.Hour,
		},
		"the provider would take more": {manners: providers.Manners{IdleInterval: time.Hour}, want: 24 * time.Hour},
		"the operator says": {
			manners: providers.Manners{IdleInterval: 72 * time.Hour}, operator: 6 * time.Hour, want: 6 * time.Hour,
		},
		"the provider counts": {manners: providers.Manners{ReadsPerDay: 2}, operator: time.Hour, want: 12 * time.Hour},
		"the provider counts generously": {
			manners: providers.Manners{ReadsPerDay: 100}, operator: 6 * time.Hour, want: 6 * time.Hour,
		},
		"data is coming": {stage: consentv1.DataStage_FETCHING, want: 5 * time.Second},
		"data is coming, and counts": {
			manners: providers.Manners{ReadsPerDay: 4}, stage: consentv1.DataStage_FETCHING, want: 5 * time.Second,
		},
		"the customer is about": {
			manners: providers.Manners{ReadsPerDay: 4}, link: typev1.Link_OPENED, want: 5 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan := follow.NewPlan(follow.Polling{IdleInterval: c.operator}, service.Tenants{
				"t": {Providers: []*providers.Provider{{ID: "p", Manners: c.manners}}},
			}, func() time.Time { return now })
			row := &store.Consent{Tenant: "t", Provider: "p", Resource: &consentv1.Consent{
				Status: consentv1.Consent_AUTHORIZED, DataStage: cmp.Or(c.stage, consentv1.DataStage_READY),
				Link: &typev1.Link{
					Status: cmp.Or(c.link, typev1.Link_COMPLETED), ExpireTime: timestamppb.New(now.Add(time.Hour)),
				},
			}}
			for range 100 {
				if wait := plan.Next(row).Sub(now); wait < c.want || wait > c.want+c.want/5 {
					t.Fatalf("the next read is in %s, want %s", wait, c.want)
				}
			}
		})
	}
}

func TestStandingConsentsAreReadNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, mannered(providers.Manners{}, time.Hour))
		row := p.Create(t)
		p.Report(ready, nil)
		assemblytest.Pass(10 * time.Second)
		before := len(p.Times(row))
		assemblytest.Pass(5 * time.Hour)
		times := p.Times(row)
		if len(times)-before != 4 {
			t.Errorf("asked %d times in five hours", len(times)-before)
		}
		for i := before; i < len(times); i++ {
			// A tenth at most is added at random, and the follower looks once a second.
			if wait := times[i].Sub(times[i-1]); wait < time.Hour || wait > 66*time.Minute+time.Second {
				t.Errorf("read %d came after %s", i, wait)
			}
		}
	})
}

// Where the provider counts reads without its customer, hints do not make more of them; a caller's own reads are not
// held back.
func TestHintsDoNotUseUpTheReadsOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, mannered(providers.Manners{ReadsPerDay: 24}, 0))
		row := p.Create(t)
		p.HintAt(t, row)
		assemblytest.Pass(5 * time.Second) // the customer is about: nothing holds back
		p.Report(ready, nil)
		assemblytest.Pass(10 * time.Second)
		before := len(p.Times(row))
		for range 4 * 60 {
			p.HintAt(t, row)
			assemblytest.Pass(time.Minute)
		}
		if more := len(p.Times(row)) - before; more < 3 || more > 4 {
			t.Errorf("read %d times in four hours of hints, want 4 at most", more)
		}
		before = len(p.Times(row))
		for range 10 {
			row, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
				t.Fatal(err)
			}
		}
		if more := len(p.Times(row)) - before; more != 10 {
			t.Errorf("a caller's ten reads were %d", more)
		}
	})
}

// A consent that was read too often rests alone: its account's other consents are read as ever.
func TestTooManyReadsHoldBackOneConsentOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		one := p.Create(t)
		p.Report(providers.ConsentState{}, &providers.Error{
			Kind: providers.KindAccessExceeded, Provider: "fimento", RetryAfter: 10 * time.Minute,
		})
		assemblytest.Pass(8 * time.Second)
		p.Report(providers.ConsentState{}, nil)
		other := p.Create(t)
		before := len(p.Times(one))
		assemblytest.Pass(9 * time.Minute)
		if more := len(p.Times(one)) - before; more != 0 {
			t.Errorf("it was read %d times although the provider wanted it to rest", more)
		}
		if asked := len(p.Times(other)); asked < 5 {
			t.Errorf("another consent was read %d times", asked)
		}
		assemblytest.Pass(2 * time.Minute)
		if more := len(p.Times(one)) - before; more == 0 {
			t.Error("it was not read again")
		}
	})
}
