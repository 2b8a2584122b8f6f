// Package conformance runs the suite of the seam over every adapter, in front of the providers as the sandbox plays them.
package conformance

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/fimento"
	"kontor.dev/kontor/internal/providers/finoos"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/providers/upstream"
	"kontor.dev/kontor/internal/sandbox"
	playedfimento "kontor.dev/kontor/internal/sandbox/fimento"
	playedfinoos "kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/test/worldtest"
)

const seed = 1

// noRetries shows each fault as it is.
var noRetries = upstream.Policy{Retries: -1}

func start(t *testing.T) *worldtest.Both {
	t.Helper()
	played, err := worldtest.Start(t.Context(), sandbox.Options{Seed: seed, Step: time.Millisecond}, playedfimento.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = played.Close() })
	return played
}

// controls fills in what the suite does to a played provider.
func controls(core *sandbox.Core, h providertest.Harness) providertest.Harness {
	inject := func(t *testing.T, fault sandbox.Fault) func() {
		t.Helper()
		id := core.Faults.Add(fault)
		return func() { core.Faults.Remove(id) }
	}
	h.Fail = func(t *testing.T, operation string, status int) func() {
		t.Helper()
		return inject(t, sandbox.Fault{Operation: operation, Status: status})
	}
	h.Garble = func(t *testing.T, operation string) func() {
		t.Helper()
		return inject(t, sandbox.Fault{Operation: operation, Malformed: true})
	}
	h.Calls = func(operation string) int {
		if operation != "" {
			return core.Calls.Count(operation)
		}
		total := 0
		for _, call := range core.Calls.All() {
			if call.Operation != sandbox.OperationPage {
				total++
			}
		}
		return total
	}
	return h
}

func TestFimento(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		played := start(t)
		p, err := fimento.New(fimento.Config{
			BaseURL: played.FimentoURL, Username: playedfimento.DefaultName, Password: playedfimento.DefaultPassword,
			PartnerBank: playedfimento.DefaultPartnerBankID,
		}, fimento.Deps{Policy: noRetries})
		if err != nil {
			t.Fatal(err)
		}
		return controls(played.FimentoCore, providertest.Harness{
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

func TestFinoOS(t *testing.T) {
	t.Parallel()
	t.Run("Person", func(t *testing.T) { t.Parallel(); runFinoOS(t, false) })
	t.Run("Company", func(t *testing.T) { t.Parallel(); runFinoOS(t, true) })
}

func runFinoOS(t *testing.T, company bool) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		played := start(t)
		p, err := finoos.New(finoos.Config{
			BaseURL: played.FinoOSURL + playedfinoos.BasePath, Name: playedfinoos.DemoName, Secret: playedfinoos.DemoSecret,
		}, finoos.Deps{Policy: noRetries})
		if err != nil {
			t.Fatal(err)
		}
		reports := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		t.Cleanup(reports.Close)
		return controls(played.FinoOSCore, providertest.Harness{
			Provider: p, Market: "DE", Company: company, CallbackURL: reports.URL,
			Approve: func(t *testing.T, ref providers.ConsentRef) {
				t.Helper()
				if _, err := played.FinoOS.CompleteLogin(ref.ID); err != nil {
					t.Fatal(err)
				}
			},
			Expire: func(t *testing.T, ref providers.ConsentRef) {
				t.Helper()
				played.FinoOS.ExpireLogins(ref.ID)
			},
		})
	})
}
