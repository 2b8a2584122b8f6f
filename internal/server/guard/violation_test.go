package guard

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/api"
)

// TestEveryRuleHasASentence walks the requests of the API: each rule of each field is told in words.
func TestEveryRuleHasASentence(t *testing.T) {
	forMachines := regexp.MustCompile(`regex|pattern|[\[\]^$*\\]|UNSPECIFIED|\b1 \w+s\b|\b([02-9]|\d\d+) (element|byte|character)\b`)
	found := map[string]bool{}
	seen := map[protoreflect.FullName]bool{}
	var walk func(message protoreflect.MessageDescriptor)
	walk = func(message protoreflect.MessageDescriptor) {
		if seen[message.FullName()] {
			return
		}
		seen[message.FullName()] = true
		for i := range message.Fields().Len() {
			field := message.Fields().Get(i)
			for rule, value := range rulesOf(field) {
				text := ruleSentence(rule, value, field)
				found[text] = true
				if text == noSentence || forMachines.MatchString(text) {
					t.Errorf("%s, %s = %v: %q", field.FullName(), rule.FullName(), value, text)
				}
			}
			if field.Message() != nil {
				walk(field.Message())
			}
		}
	}
	for _, service := range api.Services() {
		methods, err := service.Methods()
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range methods {
			walk(method.Input())
		}
	}
	if len(found) < 25 {
		t.Errorf("only %d sentences: %v", len(found), found)
	}
}

// rulesOf lists the rules of a field, those of a list's elements included.
func rulesOf(field protoreflect.FieldDescriptor) map[protoreflect.FieldDescriptor]protoreflect.Value {
	rules := map[protoreflect.FieldDescriptor]protoreflect.Value{}
	var add func(of protoreflect.Message)
	add = func(of protoreflect.Message) {
		of.Range(func(rule protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			switch {
			case rule.Name() == "ignore":
			case rule.Message() != nil && !rule.IsList():
				add(value.Message())
			default:
				rules[rule] = value
			}
			return true
		})
	}
	if of, ok := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules); ok && of != nil {
		add(of.ProtoReflect())
	}
	return rules
}

// TestViolationsAreSentences makes the validator find what is wrong.
func TestViolationsAreSentences(t *testing.T) {
	long := strings.Repeat("x", 2001)
	for _, c := range []struct {
		request proto.Message
		field   string
		want    string
	}{
		{&consentv1.CreateConsentRequest{}, "consent", "is needed"},
		{&consentv1.SimulateDecisionRequest{Name: "consents/1"}, "decision", "must be one of APPROVED, REVOKED"},
		{
			&consentv1.GetConsentRequest{Name: "accounts/1"}, "name", "must be a name of the form consents/{consent}",
		},
		{
			&bankingv1.GetAccountRequest{Name: "1"}, "name",
			"must be a name of the form consents/{consent}/accounts/{account}",
		},
		{
			&bankingv1.ListTransactionsRequest{Parent: "consents/1/accounts/-", DateFrom: "31.3.2026"}, "dateFrom",
			"must be a date such as 2026-03-31",
		},
		{
			&consentv1.ListConsentsRequest{PageSize: -1, Statuses: []consentv1.Consent_Status{99}}, "pageSize",
			"must not be negative",
		},
		{&consentv1.ListConsentsRequest{PageToken: long}, "pageToken", "must have at most 2000 characters"},
		{
			&consentv1.ListPartnerBanksRequest{Provider: "Fimento!"}, "provider",
			"must be a provider's name such as providers/{provider}, or its id alone",
		},
		{
			&customerv1.CreateCustomerRequest{Customer: &customerv1.Customer{Type: 9}}, "customer.type",
			"must be one of PERSON, COMPANY",
		},
		{
			&customerv1.CreateCustomerRequest{
				Customer: &customerv1.Customer{Products: make([]customerv1.Product_Value, 1)},
			}, "customer.products[0]",
			"must be one of BANKING, IMPORT, PAYMENT_PARTNER_ANALYSIS, DOCUMENT_SHIPMENT, COMPANIES, COMPANY_LOGOS, CONTRACTS",
		},
		{
			&customerv1.CreateCustomerRequest{Customer: &customerv1.Customer{
				Products: []customerv1.Product_Value{customerv1.Product_BANKING, customerv1.Product_BANKING},
			}}, "customer.products", "must not hold a value twice",
		},
		{
			&consentv1.CreateConsentRequest{
				Consent: &consentv1.Consent{}, RequestId: "täg",
			}, "requestId", "must be printable ASCII characters",
		},
		{
			&insightsv1.SearchCompanyLogosRequest{Queries: make([]*insightsv1.SearchCompanyLogosRequest_Query, 201)},
			"queries", "must have at most 200 elements",
		},
		{&insightsv1.SearchCompanyLogosRequest{}, "queries", "must not be empty"},
		{
			&insightsv1.SearchCompanyLogosRequest{Fuzziness: "3"}, "fuzziness", "must be one of AUTO, 1, 2",
		},
		{
			&documentsv1.CreateShipmentRequest{Shipment: &documentsv1.Shipment{}}, "shipment.subject", "must not be empty",
		},
		{
			&bankingv1.ImportConnectionsRequest{Connections: []*bankingv1.ImportedConnection{{
				Accounts: []*bankingv1.ImportedAccount{{Balance: &typev1.Money{Value: "1,5", CurrencyCode: "eur"}}},
			}}}, "connections[0].accounts[0].balance.value", "must be a decimal number such as -24.99",
		},
	} {
		v, err := newValidation([]proto.Message{c.request})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, detail := range status.Convert(v.check(c.request)).Details() {
			if bad, ok := detail.(*errdetails.BadRequest); ok {
				for _, violation := range bad.GetFieldViolations() {
					told = append(told, violation.GetField()+" "+violation.GetDescription())
				}
			}
		}
		if !slices.Contains(told, c.field+" "+c.want) {
			t.Errorf("%T: told %q, want %s %s", c.request, told, c.field, c.want)
		}
	}
}

func TestUnitsAreSingularOrPlural(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 bytes", 1: "1 byte", 2: "2 bytes", 200: "200 bytes"} {
		if got := count(n, "byte"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
