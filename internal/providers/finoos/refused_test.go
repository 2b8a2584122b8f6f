package finoos

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/providers"
)

// TestRefusedAnswersAreLogged answers with whole JSON that lacks what is documented: the log tells the operation and
// the field, and neither log nor error has a word of the answer.
func TestRefusedAnswersAreLogged(t *testing.T) {
	const canary = "CANARY199503096316"
	for _, test := range []struct{ operation, body, field string }{
		{"list_users", `{"x": "CANARY199503096316"}`, "users"},
		{"create_user", `{"x": "CANARY199503096316"}`, "id"},
		{"connect", `{"redirectURL": "CANARY199503096316"}`, "redirectURL"},
		{"connect", `{"redirectURL": "https://x:CANARY199503096316@bank.example"}`, "redirectURL"},
		{"get_logins", `{"x": "CANARY199503096316"}`, "logins"},
		{"get_logins", `{"logins": [{"bank": {"name": "CANARY199503096316"}}]}`, "logins.id"},
		{"get_logins", `{"logins": [{"id": "CANARY199503096316"}, {"id": "CANARY199503096316"}]}`, "logins.id"},
		{
			"get_logins", `{"logins": [{"id": "1", "accounts": [{"iban": "CANARY199503096316"}]}]}`,
			"logins.accounts.id",
		},
		{"synchronization_status", `{"x": "CANARY199503096316"}`, "loginsStatuses"},
		{"banking_overview", `{"url": "javascript:CANARY199503096316"}`, "redirectURL"},
		{"synchronize", `{"redirectURL": "//CANARY199503096316"}`, "redirectURL"},
		{"search_company_logos", `{"x": "CANARY199503096316"}`, "results"},
		{"payment_partner_analysis", ``, "the body"},
	} {
		f := newFake(t)
		f.answer(test.operation, 200, test.body)
		var log bytes.Buffer
		p := f.provider(func(_ *Config, deps *providers.Deps) {
			deps.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		i := slices.IndexFunc(operations, func(o operation) bool { return o.name == test.operation })
		_, err := operations[i].do(testContext(), p)
		failed, ok := errors.AsType[*providers.Error](err)
		if !ok || failed.Kind != providers.KindInvalidResponse {
			t.Errorf("%s with %s is %v", test.operation, test.body, err)
			continue
		}
		var line struct {
			Msg, Operation, Kind, Field, Cause string
			RequestID                          string `json:"request_id"`
		}
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Errorf("%s with %s: the log has %q", test.operation, test.body, log.String())
		}
		if line.Msg != "provider answer refused" || line.Operation != test.operation || line.Field != test.field ||
			line.Kind != "invalid_response" || !strings.HasPrefix(line.Cause, test.field+" must ") ||
			line.RequestID != testID {
			t.Errorf("%s with %s: the log has %+v", test.operation, test.body, line)
		}
		if said := log.String() + failed.Error(); strings.Contains(said, canary) {
			t.Errorf("%s: the answer is in %s", test.operation, said)
		}
	}
}
