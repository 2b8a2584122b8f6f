package conformance

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/fimento"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/sandbox"
	played "kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/secret"
)

func TestFimento(t *testing.T) {
	t.Parallel()
	t.Run("Person", func(t *testing.T) {
		t.Parallel()
		runFimento(t, "SE", false, &consentv1.Psu{NationalId: sandbox.GoodNationalID})
	})
	t.Run("Company", func(t *testing.T) {
		t.Parallel()
		runFimento(t, "FI", true, &consentv1.Psu{CompanyId: sandbox.FinnishCompanyID})
	})
}

func runFimento(t *testing.T, market string, company bool, psu *consentv1.Psu) {
	providertest.Run(t, func(t *testing.T) providertest.Harness { return openFimento(t, market, company, psu) })
}

func openFimento(t *testing.T, market string, company bool, psu *consentv1.Psu) providertest.Harness {
	_, core, url := play(t, nil, func(core *sandbox.Core) *played.Server {
		return played.New(core, played.Config{})
	})
	const denied = `{"code": "customerDeniedConsent"}`
	later := time.Now().Add(time.Minute).Format(time.RFC3339)
	return withFaults(core, providertest.Harness{
		Settings: fimento.Kind.With(fimento.Config{
			BaseURL: providers.BaseURL(url), Username: played.DefaultName,
			Password: secret.New(played.DefaultPassword), PartnerBank: played.DefaultPartnerBankID,
			AllowSimulation: true,
		}),
		Market: market, Company: company, Psu: psu,
		Has: &providertest.Has{
			Login: []string{"login"}, ReadConsent: []string{"get_process"}, ReadAccounts: []string{"insights"},
			ReadTransactions: []string{"transactions", "insights"}, Accounts: 3, Transactions: 100,
		},
		Withdraw: map[string]func(testing.TB, providers.ConsentRef) func(){
			"a status with a time": told(core, `"consentFlowStatus": {"current": %s, "history": [%[1]s]}`,
				`{"code": "customerDeniedConsent", "timestamp": "`+later+`"}`),
			"a status without a time": told(core,
				`"consentFlowStatus": {"current": %s, "history": [%[1]s]}`, denied),
			"a plain list": told(core, `"consentFlowStatus": [%s]`, denied),
			"an error": told(core, `"consentFlowStatus": [%s]`,
				`{"code": "customerDeniedConsent", "isError": true}`),
			"the process's own field": told(core, `"consent": %s`, `"revoked"`),
			"the flow's own field":    told(core, `"consentFlowStatus": {"consent": %s}`, `"revoked"`),
			"the field, and no status": told(core,
				`"consentFlowStatus": {"history": [], "consent": %s}`, `"revoked"`),
			"one field of two": told(core, `"consent": "approved", "consentFlowStatus": {"consent": %s}`,
				`"revoked"`),
		},
		Except: map[string]string{
			"Expiry":           "Fimento tells no end of a consent",
			"ConsentEnded":     "Fimento has no answer that is about one consent alone",
			"AccessExceeded":   "Fimento does not limit the reads of one consent",
			"Reauthentication": "Fimento does not tell that a bank wants the customer again",
			"StateRenewed":     "the adapter remembers nothing of a consent",
		},
	})
}

// TestWebhooksThatAreNotTaken: an adapter that refuses what its own provider sends is found.
func TestWebhooksThatAreNotTaken(t *testing.T) {
	t.Parallel()
	type webhook = func(context.Context, http.Header, []byte) ([]string, error)
	for name, mistake := range map[string]func(webhook) webhook{
		"": func(genuine webhook) webhook { return genuine },
		"refuses all": func(webhook) webhook {
			return func(context.Context, http.Header, []byte) ([]string, error) { return nil, providers.ErrForeign }
		},
		"wants a signature that the provider does not send": func(genuine webhook) webhook {
			return func(ctx context.Context, header http.Header, body []byte) ([]string, error) {
				if header.Get("X-Signature") == "" {
					return nil, providers.ErrForeign
				}
				return genuine(ctx, header, body)
			}
		},
	} {
		t.Run(cmp.Or(name, "as it is"), func(t *testing.T) {
			t.Parallel()
			h := openFimento(t, "SE", false, &consentv1.Psu{NationalId: sandbox.GoodNationalID})
			open := func(ctx context.Context, cfg fimento.Config, deps providers.Deps) (*providers.Provider, error) {
				p, err := fimento.Open(ctx, cfg, deps)
				if err == nil {
					p.Callbacks.Webhook = mistake(p.Callbacks.Webhook)
				}
				return p, err
			}
			kind := providers.NewKind("mutant", "Mutant", fimento.Operations(), open)
			h.Settings = kind.With(*h.Settings.Target().(*fimento.Config))
			if failure := providertest.Failure(t, "Webhooks", h); (failure == "") != (name == "") {
				t.Errorf("the suite says %q", failure)
			}
		})
	}
}

// told lets Fimento tell of a withdrawal: it answers with a process that has the fields, in which word stands for %s.
func told(core *sandbox.Core, fields, word string) func(testing.TB, providers.ConsentRef) func() {
	return func(_ testing.TB, ref providers.ConsentRef) func() {
		body := fmt.Sprintf(`{"_id": %q, %s}`, ref.ID, fmt.Sprintf(fields, word))
		return inject(core, sandbox.Fault{Operation: "get_process", Status: http.StatusOK, Body: body})
	}
}
