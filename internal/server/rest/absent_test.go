package rest

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/api"
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

// TestOpenObjectsCanBeFound holds the API to what withoutEmptyFields relies on: in what a method answers, no other
// field is called as one with an open object, and there are no maps, whose keys could be.
func TestOpenObjectsCanBeFound(t *testing.T) {
	found := 0
	for _, service := range api.Services() {
		methods, err := service.Methods()
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range methods {
			closed, opened := map[string]bool{}, map[string]bool{}
			eachField(method.Output(), func(field protoreflect.FieldDescriptor) {
				switch {
				case field.IsMap():
					t.Errorf("%s is a map", field.FullName())
				case open(field):
					opened[field.JSONName()] = true
				default:
					closed[field.JSONName()] = true
				}
			})
			for name := range opened {
				if found++; closed[name] {
					t.Errorf("%s: another field is called %s, too", method.FullName(), name)
				}
			}
		}
	}
	if found == 0 {
		t.Error("the API has no open objects: drop what looks for them")
	}
}
