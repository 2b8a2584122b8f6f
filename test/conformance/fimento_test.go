package conformance

import (
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/fimento"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/sandbox"
	playedfimento "kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/secret"
)

func TestFimento(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		played := play(t, playedfimento.Dialect(playedfimento.Config{}))
		settings := played.Player.Settings()
		p, err := fimento.Kind.With(fimento.Config{
			BaseURL: providers.BaseURL(settings["base_url"]), Username: settings["username"],
			Password: secret.New(settings["password"]), PartnerBank: providers.HeaderText(settings["partner_bank"]),
		}).Open(t.Context(), providers.Deps{Policy: noRetries})
		if err != nil {
			t.Fatal(err)
		}
		return controls(played.Core, providertest.Harness{
			Provider: p, Market: "SE", Psu: &consentv1.Psu{NationalId: sandbox.GoodNationalID},
			Approve: func(t *testing.T, ref providers.ConsentRef) {
				t.Helper()
				if err := p.Simulator.SimulateDecision(t.Context(), ref, true); err != nil {
					t.Fatal(err)
				}
				for { // bounded by the test's context
					state, err := p.Consents.GetConsent(t.Context(), ref)
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range state.Observations {
						if o.Type == consentv1.ConsentEvent_COMPLETED {
							return
						}
					}
				}
			},
		})
	})
}
