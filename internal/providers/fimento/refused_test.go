package fimento

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/providers"
)

// TestRefusedAnswersAreLogged answers with whole JSON that lacks what is documented: the log tells the operation and
// the field, and neither log nor error has a word of the answer.
func TestRefusedAnswersAreLogged(t *testing.T) {
	const canary = "CANARY199503096316"
	for _, test := range []struct{ operation, body, field string }{
		{"create_partner_bank", `{"name": "CANARY199503096316"}`, "_id"},
		{"list_partner_banks", `[{"name": "CANARY199503096316"}]`, "_id"},
		{"update_partner_bank", `{"_id": "", "logoUrl": "CANARY199503096316"}`, "_id"},
		{"create_process", `{"companyId": "CANARY199503096316"}`, "_id"},
		{"create_process", `{"_id": "CANARY199503096316"}`, "consent-link"},
		{"create_process", `{"_id": "1", "consent-link": "http://CANARY199503096316@bank.example"}`, "consent-link"},
		{"new_consent_link", `{"x": "CANARY199503096316"}`, "consent-link"},
		{"new_consent_flow", `{"link": "javascript:CANARY199503096316"}`, "consent-link"},
		{"get_process", `{"socialSecurityNumber": "CANARY199503096316"}`, "_id"},
		{"get_process", `{"_id": "CANARY199503096316", "consent": "approved"}`, "_id"},
		{"visualisation_link", `{"visualisationUrl": "CANARY199503096316"}`, "visualisationUrl"},
		{"visualisation_link", `{"visualisationUrl": "https://x:CANARY199503096316@bank.example"}`, "visualisationUrl"},
		{"insights", `{"x": "CANARY199503096316"}`, "accountsInfo"},
		{"insights", `{"accountsInfo": [], "processId": "CANARY199503096316"}`, "processId"},
		{"transactions", `{"x": "CANARY199503096316"}`, "transactions"},
		{"transactions", `{"transactions": [{"amount": 1, "x": "CANARY199503096316"}]}`, "transactions._id"},
		{"transactions", `{"transactions": [{"_id": "CANARY199503096316"}]}`, "transactions.amount"},
		{"get_process", ``, "the body"},
	} {
		f := newFake(t)
		f.answer(test.operation, test.body)
		var log bytes.Buffer
		p := f.provider(func(_ *Config, deps *providers.Deps) {
			deps.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		ctx := providers.WithCall(t.Context(), providers.Call{RequestID: "mine"})
		err := operations[test.operation](ctx, p)
		if err == nil {
			t.Errorf("%s takes %s", test.operation, test.body)
			continue
		}
		failed := errorOf(t, err)
		if failed.Kind != providers.KindInvalidResponse {
			t.Errorf("%s with %s is %+v", test.operation, test.body, failed)
		}
		var line struct {
			Msg, Operation, Kind, Field, Cause string
			RequestID                          string `json:"request_id"`
		}
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatalf("%s with %s: the log has %q", test.operation, test.body, log.String())
		}
		if line.Msg != "provider answer refused" || line.Operation != test.operation || line.Field != test.field ||
			line.Kind != "invalid_response" || !strings.HasPrefix(line.Cause, test.field+" must ") ||
			line.RequestID != "mine" {
			t.Errorf("%s with %s: the log has %+v", test.operation, test.body, line)
		}
		if said := log.String() + failed.Error(); strings.Contains(said, canary) {
			t.Errorf("%s: the answer is in %s", test.operation, said)
		}
	}
}

// TestAnswersAboutAnotherProcess gives the answer about one process to who asks about another one: nobody's permission
// or accounts show under a stranger's consent.
func TestAnswersAboutAnotherProcess(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	for id, taken := range map[string]bool{
		fakeProcess: true, strings.ToUpper(fakeProcess): true, "605c6c479691950d359bb0e9": false,
	} {
		f.answer("get_process", `{"_id": "`+id+`", "consent": "approved"}`)
		f.answer("insights", `{"processId": "`+id+`", "accountsInfo": []}`)
		_, process := p.Consents.GetConsent(t.Context(), refSE)
		_, accounts := p.Accounts.ListAccounts(t.Context(), refSE)
		_, _, insights := p.Insights.GetInsights(t.Context(), refSE, "")
		for what, err := range map[string]error{"a process": process, "accounts": accounts, "insights": insights} {
			if (err == nil) != taken || err != nil && errorOf(t, err).Kind != providers.KindInvalidResponse {
				t.Errorf("%s of %s: %v", what, id, err)
			}
		}
	}
}
