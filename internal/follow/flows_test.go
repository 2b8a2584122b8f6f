package follow_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/providers"
)

// further is a port that opens a further flow, with a link of an hour.
type further struct{}

func (further) AddBank(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	return &providers.Issued{Link: providers.Link{URI: "https://bank.example.com/further", TTL: time.Hour}}, nil
}

func withFurtherFlows(_ *assembly.Options, p *providers.Provider) {
	p.Banks = further{}
	p.Capabilities["AddBank"] = providers.Support{Level: providers.Native}
}

// sinceTheBubblesStart leads from the year 2000, in which bubbles begin, to one in which providers give times.
const sinceTheBubblesStart = 26 * 365 * 24 * time.Hour

func decided(kind consentv1.ConsentEvent_Type, key string) providers.Observation {
	return providers.Observation{Key: key, Type: kind, Time: time.Now()}
}

// A customer who refused and is asked again may approve: nobody needs a webhook to learn of it.
func TestAFurtherFlowAfterARefusalIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assemblytest.Pass(sinceTheBubblesStart)
		p := assemblytest.New(t, withFurtherFlows)
		row := p.Create(t)
		refused := decided(consentv1.ConsentEvent_REVOKED, "refused")
		p.Report(providers.ConsentState{Observations: []providers.Observation{refused}}, nil)
		assemblytest.Pass(10 * time.Second)
		name := row.Resource.GetName()
		get := func() *consentv1.Consent {
			t.Helper()
			got, err := p.Servers.Consent.GetConsent(p.Ctx, &consentv1.GetConsentRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := get(); got.GetStatus() != consentv1.Consent_REJECTED {
			t.Fatalf("refused: %s", got.GetStatus())
		}
		if _, err := p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		assemblytest.Pass(time.Minute)
		p.Report(providers.ConsentState{Observations: []providers.Observation{
			refused, decided(consentv1.ConsentEvent_APPROVED, "approved"),
		}}, nil)
		assemblytest.Pass(6 * time.Minute)
		if got := get(); got.GetStatus() != consentv1.Consent_AUTHORIZED {
			t.Errorf("approved in the further flow: %s", got.GetStatus())
		}
	})
}

// A further link that nobody uses does not end the looking after what was approved before.
func TestAnUnusedFurtherLinkLeavesTheConsentFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assemblytest.Pass(sinceTheBubblesStart)
		p := assemblytest.New(t, withFurtherFlows, daysPass)
		row := p.Create(t)
		for _, active := range []bool{true, false} { // the bank asks for a new authentication
			p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
				{ID: "login", Active: active},
			}}, nil)
			if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
				t.Fatal(err)
			}
		}
		_, err := p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{Name: row.Resource.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		assemblytest.Pass(3 * time.Hour) // the link is over, and the hour of grace
		before := len(p.Times(row))
		assemblytest.Pass(48 * time.Hour)
		if more := len(p.Times(row)) - before; more < 1 || more > 3 {
			t.Errorf("in two days it was read %d times, want about once a day", more)
		}
	})
}
