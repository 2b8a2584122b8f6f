package consents_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
)

// flows counts the further flows that were opened.
type flows struct{ opened int }

func (f *flows) AddBank(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	f.opened++
	link := providers.Link{URI: "https://bank.example.com/further", TTL: 24 * time.Hour}
	return &providers.Issued{Link: link}, nil
}

// Of a consent that stands, too, one further flow is open at a time, where the provider keeps consents: it would refuse
// another, in words of its own.
func TestOneFurtherFlowAtATime(t *testing.T) {
	for origin, want := range map[consentv1.ConsentOrigin_Value]int{
		consentv1.ConsentOrigin_NATIVE: 1, consentv1.ConsentOrigin_SYNTHESISED: 2,
	} {
		synctest.Test(t, func(t *testing.T) {
			opened := &flows{}
			p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
				p.Banks, p.ConsentOrigin = opened, origin
				p.Capabilities["AddBank"] = providers.Support{Level: providers.Native}
			})
			row := p.Create(t)
			p.Report(approvedBy(nil), nil)
			if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
				t.Fatal(err)
			}
			add := func() error {
				_, err := p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{Name: row.Resource.GetName()})
				return err
			}
			if err := add(); err != nil {
				t.Fatal(err)
			}
			err := add()
			if refused := kerr.Reason(err) == errorv1.Error_CONSENT_FLOW_ALREADY_OPEN; refused != (want == 1) ||
				opened.opened != want {
				t.Errorf("%s: %d flows are open, %v", origin, opened.opened, err)
			}
		})
	}
}
