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

// lostFlow opens a flow whose answer never comes, and keeps it open.
type lostFlow struct{ opened, renewed int }

func (f *lostFlow) AddBank(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	kind := providers.KindConflict
	if f.opened == 0 {
		f.opened, kind = 1, providers.KindUnavailable
	}
	return nil, &providers.Error{Kind: kind, Provider: "fimento", Operation: "new_consent_flow"}
}

func (f *lostFlow) RenewLink(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	f.renewed++
	link := providers.Link{URI: "https://bank.example.com/found", TTL: 24 * time.Hour}
	return &providers.Issued{Link: link}, nil
}

// A flow whose link was lost on its way would stay open for ever, and no bank could be added: its link is asked for.
func TestFlowsWhoseLinkWasLost(t *testing.T) {
	for name, key := range map[string]string{"with the same key": "key-1", "with another key": "key-2"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lost := &lostFlow{}
				p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
					p.Banks, p.Links, p.ConsentOrigin = lost, lost, consentv1.ConsentOrigin_NATIVE
					p.Capabilities["AddBank"] = providers.Support{Level: providers.Native}
				})
				row := p.Create(t)
				p.Report(approvedBy(nil), nil)
				if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
					t.Fatal(err)
				}
				add := func(key string) (*consentv1.Consent, error) {
					return p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{
						Name: row.Resource.GetName(), RequestId: key,
					})
				}
				if _, err := add("key-1"); kerr.Reason(err) != errorv1.Error_PROVIDER_UNAVAILABLE {
					t.Fatalf("got %v", err)
				}
				got, err := add(key)
				if err != nil || got.GetLink().GetUri() != "https://bank.example.com/found" || lost.renewed != 1 {
					t.Errorf("got %v, %v", got.GetLink(), err)
				}
			})
		})
	}
}
