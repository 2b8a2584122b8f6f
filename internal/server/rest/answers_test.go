package rest

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/optional"
)

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

// TestOpenObjectsAreWhole: what a provider says in an object of its own form is passed on, empty texts included.
func TestOpenObjectsAreWhole(t *testing.T) {
	object := func(text string) *structpb.Struct {
		var s structpb.Struct
		if err := s.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return &s
	}
	for want, insights := range map[string]*insightsv1.Insights{
		`"totalBalance":{"owner":""},`: {TotalBalance: object(`{"owner":""}`)},
		`"totalBalance":{"categorisation":{"a":""}},"categorisation":{"":"}\":\"\""},`: {
			TotalBalance: object(`{"categorisation":{"a":""}}`), Categorisation: object(`{"":"}\":\"\""}`),
		},
		`"computationAutomation":{"totalBalance":["",{"y":""}]}`: {
			ComputationAutomation: object(`{"totalBalance":["",{"y":""}]}`),
		},
	} {
		insights.Accounts = []*bankingv1.Account{{}} // without a name
		for _, v := range []any{insights, map[string]any{"result": proto.Message(insights)}} {
			got, err := newJSON().Marshal(v)
			if err != nil || !strings.Contains(string(got), want) || strings.Contains(string(got), `"name":""`) {
				t.Errorf("got %s, %v; want %s in it and no name", got, err, want)
			}
		}
	}
}

// TestInputsAreCut: what a caller handed over is not shown, and nothing else that looks like it is lost.
func TestInputsAreCut(t *testing.T) {
	consent := &consentv1.Consent{Name: "consents/1", Reference: optional.Of(`,"brokerBanks":[]`)}
	for _, v := range []any{
		consent, &consentv1.ListConsentsResponse{Consents: []*consentv1.Consent{consent, consent}},
		map[string]any{"result": consent},
		&documentsv1.Shipment{Name: "shipments/1"},
	} {
		text, err := newJSON().Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"brokerBanks":`) || strings.Contains(string(text), `"pdf":`) {
			t.Errorf("an input is shown: %s", text)
		}
		if message, ok := v.(*consentv1.Consent); ok {
			var back consentv1.Consent
			if err := protojson.Unmarshal(text, &back); err != nil || back.GetReference() != message.GetReference() {
				t.Errorf("more is gone than that: %s, %v", text, err)
			}
		}
	}
}
