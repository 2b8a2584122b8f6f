package fimento

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
)

// errorOf gives the adapter's error behind err.
func errorOf(t *testing.T, err error) *providers.Error {
	t.Helper()
	var e *providers.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *providers.Error", err)
	}
	return e
}

var creatingOperations = []string{"create_partner_bank", "create_process"}

func TestStatusesBecomeKinds(t *testing.T) {
	kinds := map[int]providers.ErrorKind{
		400: providers.KindRejected, 401: providers.KindCredentials, 403: providers.KindNotEnabled,
		404: providers.KindNotFound, 409: providers.KindConflict,
		429: providers.KindRateLimited, 500: providers.KindUnavailable, 502: providers.KindUnavailable,
		503: providers.KindUnavailable,
		504: providers.KindUnavailable,
	}
	for _, row := range contract {
		t.Run(row.operation, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			for status, want := range kinds {
				switch {
				case row.operation == "new_consent_flow" && status == 400: // The process is undecided.
					want = providers.KindConflict
				case row.open && (status == 400 || status == 403):
					want = providers.KindCredentials
				case row.open && status == 404: // It is not about what was asked for.
					want = providers.KindUnavailable
				}
				f.respond(row.operation, func(call) reply {
					r := failed(status)
					r.header = map[string][]string{"Retry-After": {"7"}}
					return r
				})
				err := operations[row.operation](t.Context(), f.provider())
				if row.operation == "delete_process" && status == 404 {
					if err != nil {
						t.Errorf("%d: %v", status, err)
					}
					continue
				}
				got := errorOf(t, err)
				if got.Kind != want || got.Status != status || got.Operation != row.operation ||
					got.Provider != "fimento" {
					t.Errorf("%d is %+v, want %s", status, got, want)
				}
				if happened := status >= 500 && slices.Contains(creatingOperations,
					row.operation); got.MayHaveHappened != happened {
					t.Errorf("%d: may have happened is %v, want %v", status, got.MayHaveHappened, happened)
				}
				if status == 429 && got.RetryAfter != 7*time.Second {
					t.Errorf("429: to wait are %s", got.RetryAfter)
				}
				if text := got.Error() + got.Code; strings.Contains(text, "1995") || strings.Contains(text, "kund") {
					t.Errorf("%d: the provider's text is in %q", status, text)
				}
			}
		})
	}
}

func TestErrorCodes(t *testing.T) {
	for body, want := range map[string]string{
		`{"message": ["name is required"], "error": "Bad request", "statusCode": 400}`: "", // a status's name, and not one word
		`{"message": "no", "error": "Conflict", "statusCode": 409}`:                    "Conflict",
		`{"error": "CONSENT_OPEN"}`:                    "CONSENT_OPEN",
		`{"error": "199503096316"}`:                    "",
		`{"error": "kund199503096316"}`:                "",
		`{"error": {"code": 1}}`:                       "",
		`{"error": "` + strings.Repeat("a", 65) + `"}`: "",
		`[]`:     "",
		`<html>`: "",
		``:       "",
	} {
		if got := errorCode(400, []byte(body)); got != want {
			t.Errorf("%s gives %q, want %q", body, got, want)
		}
	}
	f := newFake(t)
	f.fail("new_consent_flow", 409)
	if got := errorOf(t, operations["new_consent_flow"](t.Context(), f.provider())); got.Code != "Conflict" {
		t.Errorf("the code is %q", got.Code)
	}
}

func TestMalformedBodies(t *testing.T) {
	everywhere := []string{
		`{`, `[`, `[1]`, `{"a":}`, `"text"`, `12`, `true`, `null`, `<html></html>`, `{} {}`, "", "\xff",
	}
	particular := map[string][]string{
		"login":               {`{}`, `{"access_token": ""}`, `{"access_token": null}`, `{"access_token": {}}`},
		"create_partner_bank": {`{}`, `[]`, `{"_id": ""}`, `{"_id": "1", "isBroker": "yes"}`},
		"update_partner_bank": {`{}`, `[]`},
		"list_partner_banks":  {`{}`, `[{}]`, `[null]`, `{"items": []}`},
		"create_process": {
			`{}`, sampleProcess, `{"consent-link": "` + fakeLink + `"}`,
			`{"_id": "1", "consent-link": "javascript:alert(1)"}`, `{"_id": "1", "consent-link": "http://a.example/l"}`,
			`{"_id": "1", "consent-link": "https://fimento.example@a.example/l"}`,
		},
		// Odd statuses and banks are passed over, so that the decision beside them counts: see the withdrawals.
		"get_process": {`{}`, `{"_id": {}}`, `{"_id": ""}`},
		"new_consent_link": {
			`{}`, `{"a": "https://a.example", "b": "https://b.example"}`, `{"link": "mailto:a@b.example"}`,
			`{"link": "//a.example"}`, `{"link": "http://a.example/l"}`, `{"link": "https:\\\\a.example/l"}`,
		},
		"new_consent_flow": {`{}`, `{"url": "https://user:secret@a.example"}`, `{"url": "https:///path"}`},
		"visualisation_link": {
			`{}`, `{"visualisationUrl": "view.example"}`, `{"visualisationUrl": "data:text/html,x"}`,
			`{"visualisationUrl": "http://view.example/1"}`, `{"visualisationUrl": "https://u:p@view.example/1"}`,
			`{"url": "https://a.example"}`,
		},
		"insights": {
			`{}`, `{"accountsInfo": {}}`, `{"accountsInfo": [1]}`, `{"accountsInfo": [], "transactionGraph": {}}`,
			`{"accountsInfo": [{"balance": "much"}]}`, `{"accountsInfo": [{"balance": 1e400000000}]}`,
			`{"accountsInfo": [], "transactionGraph": [{"info": 1}]}`,
		},
		"transactions": {
			`{}`, `[]`, `{"transactions": {}}`, `{"transactions": [{"amount": 1}]}`,
			`{"transactions": [{"_id": "1"}]}`,
			`{"transactions": [{"_id": "1", "amount": null}]}`, `{"transactions": [{"_id": "1", "amount": "NaN"}]}`,
			`{"transactions": [null]}`,
		},
	}
	careless := []string{"delete_process", "add_webhook", "test_decision"} // their answers do not matter
	for _, row := range contract {
		t.Run(row.operation, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			for _, body := range slices.Concat(everywhere, particular[row.operation]) {
				if body == `"text"` && strings.HasPrefix(row.operation, "new_consent") {
					body = `"not a link"`
				}
				if body == "null" && row.operation == "list_partner_banks" {
					continue // a list without entries may be written so
				}
				f.answer(row.operation, body)
				err := operations[row.operation](t.Context(), f.provider())
				if slices.Contains(careless, row.operation) {
					if err != nil {
						t.Errorf("%q: %v", body, err)
					}
					continue
				}
				if err == nil {
					t.Errorf("%q was taken", body)
					continue
				}
				got := errorOf(t, err)
				if got.Kind != providers.KindInvalidResponse || got.Provider != "fimento" ||
					got.Operation != row.operation {
					t.Errorf("%q is %+v", body, got)
				}
				if got.MayHaveHappened != slices.Contains(creatingOperations, row.operation) {
					t.Errorf("%q: may have happened is %v", body, got.MayHaveHappened)
				}
			}
		})
	}
}

func TestNoContentWhereSomethingIsNeeded(t *testing.T) {
	for _, row := range contract {
		f := newFake(t)
		f.respond(row.operation, func(call) reply { return reply{status: 204} })
		err := operations[row.operation](t.Context(), f.provider())
		switch row.operation {
		case "delete_process", "add_webhook", "test_decision":
			if err != nil {
				t.Errorf("%s: %v", row.operation, err)
			}
		default:
			if got := errorOf(t, err); got.Kind != providers.KindInvalidResponse {
				t.Errorf("%s is %+v", row.operation, got)
			}
		}
	}
}
