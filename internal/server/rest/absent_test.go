package rest

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/optional"
)

func TestAbsentIsAbsent(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                    `{}`,
		`{"a":""}`:              `{}`,
		`{"a":"","b":""}`:       `{}`,
		`{"a":"","b":1}`:        `{"b":1}`,
		`{"b":1,"a":""}`:        `{"b":1}`,
		`{"b":1,"a":"","c":[]}`: `{"b":1,"c":[]}`,
		`{"a":{"b":"","c":""},"d":[{"e":""},{}]}`:   `{"a":{},"d":[{},{}]}`,
		`{"a":[""],"b":"\":\"\"","c":"x","":""}`:    `{"a":[""],"b":"\":\"\"","c":"x"}`,
		`{"a":{"x\"y":"","z":""},"b":"","c":false}`: `{"a":{"x\"y":""},"c":false}`,
	} {
		if got := string(withoutEmpty([]byte(text))); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// TestAbsentInAnswers: what is known is there, zero, false and empty lists included.
func TestAbsentInAnswers(t *testing.T) {
	for want, message := range map[string]any{
		`{"transactions":[],"complete":false}`: &bankingv1.ListTransactionsResponse{},
		`{"name":"consents/1/accounts/2","type":"CARD"}`: &bankingv1.Account{
			Name: "consents/1/accounts/2", Type: bankingv1.Account_CARD,
		},
		`{"name":"1","displayName":"x","type":"CARD"}`: &bankingv1.Account{
			Name: "1", DisplayName: optional.Of("x"), Type: bankingv1.Account_CARD,
		},
		`{"fieldViolations":[{"field":"a","description":"b"}]}`: &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "a", Description: "b"}},
		},
	} {
		if got, err := newJSON().Marshal(message); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}
