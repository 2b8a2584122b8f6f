package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/test/worldtest"
)

var _ = providers.Add(fimento.ID, provider{
	operations: []string{
		fimento.OpCreateProcess, fimento.OpGetProcess, fimento.OpInsights, fimento.OpTransactions,
		fimento.OpVisualisationLink,
	},
	reads: func(w *world, consent string) map[string]func(context.Context) error {
		return map[string]func(context.Context) error{"CreateVisualizationLink": func(ctx context.Context) error {
			_, err := w.Insights.CreateVisualizationLink(ctx, &insightsv1.CreateVisualizationLinkRequest{Name: consent})
			return err
		}}
	},
	rough: new(fimentoWith(fimento.Webhooks{Duplicates: 1, OutOfOrder: true})),
})

// fimentoWith plays a Fimento whose webhooks misbehave.
func fimentoWith(webhooks fimento.Webhooks) sandbox.Dialect {
	return fimento.Dialect(fimento.Config{Behaviour: fimento.Behaviour{Webhooks: webhooks}})
}

// approveAtFimento approves behind the gateway's back.
func (w *world) approveAtFimento(t *testing.T, process string) {
	t.Helper()
	post := func(path, body, token string, want int, out any) {
		t.Helper()
		request, err := http.NewRequestWithContext(
			t.Context(), http.MethodPost, w.Played[fimento.ID].URL+path, strings.NewReader(body),
		)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("partner-bank-id", fimento.DefaultPartnerBankID)
		resp, err := worldtest.NoRedirects.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != want {
			t.Fatalf("%s answers %d", path, resp.StatusCode)
		}
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
	var login struct {
		Token string `json:"access_token"`
	}
	post(
		"/auth/login", fmt.Sprintf(`{"name":%q,"password":%q}`, fimento.DefaultName, fimento.DefaultPassword), "",
		http.StatusOK, &login,
	)
	post("/process/"+process+"/consent/approved", "", login.Token, http.StatusOK, &map[string]any{})
}

func TestConvergesWithoutWebhooks(t *testing.T) {
	w := newWorld(t, options{follow: true, played: []sandbox.Dialect{fimentoWith(fimento.Webhooks{Drop: true})}})
	made, err := w.Consents.CreateConsent(t.Context(), newConsent(fimento.ID))
	if err != nil {
		t.Fatal(err)
	}
	w.approveAtFimento(t, made.GetProviderReference())
	eventually(t, "the consent to become ready", func() bool {
		now, err := w.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: made.GetName()})
		return err == nil && now.GetDataStage() == consentv1.DataStage_READY
	})
}
