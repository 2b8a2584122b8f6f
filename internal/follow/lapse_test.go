package follow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// until is a consent that stands until a time.
func until(end time.Time) providers.ConsentState {
	state := ready
	state.ValidUntil = end
	return state
}

func statusOf(t *testing.T, p *assemblytest.Gateway, row *store.Consent) consentv1.Consent_Status {
	t.Helper()
	fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
	if err != nil {
		t.Fatal(err)
	}
	return fresh.Resource.GetStatus()
}

// A permission ends when its time has come, after the provider was asked once more.
func TestPermissionsEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row, end := p.Create(t), time.Now().Add(time.Hour)
		p.Report(until(end), nil)
		assemblytest.Pass(10 * time.Second)
		before := len(p.Times(row))
		assemblytest.Pass(time.Until(end) - time.Second)
		if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED || len(p.Times(row)) != before {
			t.Fatalf("before its time it is %s, after %d reads", got, len(p.Times(row))-before)
		}
		assemblytest.Pass(3 * time.Second)
		if got := statusOf(t, p, row); got != consentv1.Consent_EXPIRED || len(p.Times(row)) != before+1 {
			t.Errorf("after its time it is %s, after %d reads", got, len(p.Times(row))-before)
		}
		if got := kerr.Reason(accounts(p, row)); got != errorv1.Error_CONSENT_EXPIRED {
			t.Errorf("its data gives %s", got)
		}
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil {
			t.Fatal(err)
		}
		assemblytest.Pass(time.Hour)
		if again, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName()); err != nil ||
			again.Resource.GetEventCount() != fresh.Resource.GetEventCount() {
			t.Errorf("the end was noted again: %v", err)
		}
	})
}

func TestProlongedPermissionsStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row, end := p.Create(t), time.Now().Add(time.Hour)
		p.Report(until(end), nil)
		assemblytest.Pass(10 * time.Second)
		later := end.Add(time.Hour)
		p.Report(until(later), nil)
		assemblytest.Pass(time.Until(end) + time.Minute)
		if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED {
			t.Errorf("it was prolonged and is %s", got)
		}
		p.Report(ready, nil) // which tells of no end: the last one told counts
		assemblytest.Pass(time.Until(later) + time.Minute)
		if got := statusOf(t, p, row); got != consentv1.Consent_EXPIRED {
			t.Errorf("then it is %s", got)
		}
	})
}

// A provider that does not answer when the time has come is asked until it does.
func TestPermissionsEndOnceTheProviderAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row, end := p.Create(t), time.Now().Add(time.Minute)
		p.Report(until(end), nil)
		assemblytest.Pass(10 * time.Second)
		p.Report(providers.ConsentState{}, &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"})
		before := len(p.Times(row))
		assemblytest.Pass(10 * time.Minute)
		if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED || len(p.Times(row))-before < 4 {
			t.Errorf("while nobody answers it is %s, after %d reads", got, len(p.Times(row))-before)
		}
		p.Report(until(end), nil)
		assemblytest.Pass(6 * time.Minute)
		if got := statusOf(t, p, row); got != consentv1.Consent_EXPIRED {
			t.Errorf("then it is %s", got)
		}
	})
}

// Who reads when the time is over does not get data because nobody has noted the end yet.
func TestReadsAfterTheEndAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(o *assembly.Options, _ *providers.Provider) {
			o.Polling.MinInterval, o.Polling.MaxInterval = 24*time.Hour, 24*time.Hour // nobody looks
		})
		row := p.Create(t)
		p.Report(until(time.Now().Add(time.Minute)), nil)
		if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
			t.Fatal(err)
		}
		assemblytest.Pass(2 * time.Minute)
		if got := kerr.Reason(accounts(p, row)); got != errorv1.Error_CONSENT_EXPIRED {
			t.Errorf("its data gives %s", got)
		}
	})
}

// A further link that nobody used does not hide when a permission ends.
func TestPlanOfTheEnd(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	plan := follow.NewPlan(follow.Polling{}, service.Tenants{}, func() time.Time { return now })
	for _, link := range []typev1.Link_Status{typev1.Link_COMPLETED, typev1.Link_EXPIRED, typev1.Link_PENDING} {
		for wait, want := range map[time.Duration]time.Duration{
			time.Hour: time.Hour, 0: 5 * time.Second, -time.Hour: 5 * time.Second,
		} {
			due := plan.Next(&store.Consent{ValidUntil: now.Add(wait), Resource: &consentv1.Consent{
				Status: consentv1.Consent_AUTHORIZED, DataStage: consentv1.DataStage_READY,
				Link: &typev1.Link{Status: link, ExpireTime: timestamppb.New(now.Add(-48 * time.Hour))},
			}}).Sub(now)
			if due < want || due > want+want/5 {
				t.Errorf("with a link that is %s, %s before the end, the next read is in %s", link, wait, due)
			}
		}
	}
}
