package consents_test

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

// simulator takes decisions, and counts them.
type simulator struct{ taken int }

func (s *simulator) SimulateDecision(context.Context, providers.ConsentRef, bool) error {
	s.taken++
	return nil
}

// TestSimulationThatCannotBeReadBack: a decision that the provider took is answered as taken, with the consent as it is
// stored, when the provider does not tell at once how it stands. It is read soon.
func TestSimulationThatCannotBeReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := &simulator{}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Simulator = taken
			p.Capabilities["SimulateDecision"] = providers.Support{Level: providers.Native}
		})
		row := p.Create(t)
		p.Report(providers.ConsentState{}, &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"})
		simulate := func() (*consentv1.Consent, error) {
			return p.Servers.Consent.SimulateDecision(p.Ctx, &consentv1.SimulateDecisionRequest{
				Name: row.Resource.GetName(), Decision: consentv1.Decision_APPROVED, RequestId: "key-1",
			})
		}
		for range 2 {
			answer, err := simulate()
			if err != nil || answer.GetName() != row.Resource.GetName() || taken.taken != 1 ||
				answer.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION {
				t.Errorf("it answers %v, %v, after %d decisions", answer, err, taken.taken)
			}
		}
		p.Report(approvedBy(nil), nil)
		assemblytest.Pass(10 * time.Second)
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil || fresh.Resource.GetStatus() != consentv1.Consent_AUTHORIZED {
			t.Errorf("soon it is %v, %v", fresh.Resource.GetStatus(), err)
		}
	})
}
