package consents_test

import (
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/psu"
)

// approvedBy is what a provider says of a consent that somebody approved.
func approvedBy(who *psu.Identity) providers.ConsentState {
	return providers.ConsentState{Identity: who, Observations: []providers.Observation{{
		Key: "approved", Type: consentv1.ConsentEvent_APPROVED, Time: time.Now(),
	}}}
}

// Who approved is compared with who was asked, once: the event of the approval shows the finding, and nothing to
// compare with is left.
func TestIdentityMatch(t *testing.T) {
	for name, test := range map[string]struct {
		told *psu.Identity
		want consentv1.IdentityMatch_Value
	}{
		"the same":      {&psu.Identity{NationalID: "9503096316", Authenticated: true}, consentv1.IdentityMatch_MATCHED},
		"an echo":       {&psu.Identity{NationalID: "9503096316"}, consentv1.IdentityMatch_UNKNOWN},
		"somebody else": {&psu.Identity{NationalID: "7710114682"}, consentv1.IdentityMatch_DIFFERENT},
		"nobody":        {nil, consentv1.IdentityMatch_UNKNOWN},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := assemblytest.New(t)
				row := p.Create(t)
				stored := func(asked bool, want consentv1.IdentityMatch_Value) {
					t.Helper()
					row, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
					if err != nil {
						t.Fatal(err)
					}
					if got := row.Resource.GetIdentityMatch(); got != want || (len(row.Asked) > 0) != asked {
						t.Errorf("%s, and %d bytes of whom it was asked of", got, len(row.Asked))
					}
				}
				stored(true, consentv1.IdentityMatch_UNKNOWN)
				r := &received{ctx: p.Ctx}
				go func() {
					_ = p.Servers.Consent.WatchConsents(
						&consentv1.WatchConsentsRequest{Consent: row.Resource.GetName()}, r)
				}()
				synctest.Wait()
				p.Report(approvedBy(test.told), nil)
				if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
					t.Fatal(err)
				}
				assemblytest.Pass(time.Second)
				stored(false, test.want)
				for _, m := range r.messages {
					if m.GetEvent().GetType() == consentv1.ConsentEvent_APPROVED &&
						m.GetConsent().GetIdentityMatch() != test.want {
						t.Errorf("the approval shows %s", m.GetConsent().GetIdentityMatch())
					}
				}
				// What is told later finds nothing to be compared with.
				p.Report(approvedBy(&psu.Identity{NationalID: "7710114682"}), nil)
				if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
					t.Fatal(err)
				}
				stored(false, test.want)
			})
		})
	}
}

// A link that runs out takes with it whom it was for.
func TestUnusedLinksLeaveNothingToCompare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, seldom)
		row := p.Create(t)
		assemblytest.Pass(25 * time.Hour)
		row, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil || row.Resource.GetStatus() != consentv1.Consent_EXPIRED || len(row.Asked) > 0 {
			t.Errorf("%s, %d bytes, %v", row.Resource.GetStatus(), len(row.Asked), err)
		}
	})
}
