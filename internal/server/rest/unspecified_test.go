package rest

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
)

// TestUnspecifiedIsNoValue: who names an enum's zero is told what there is to name; a text that looks like it is one.
func TestUnspecifiedIsNoValue(t *testing.T) {
	for body, want := range map[string]struct {
		message proto.Message
		field   string
	}{
		`{"consent": {"access": "VALUE_UNSPECIFIED"}}`: {&consentv1.CreateConsentRequest{}, "consent.access"},
		`{"customer_type": "TYPE_UNSPECIFIED"}`:        {&consentv1.CreateConsentRequest{}, "customerType"},
		`{"customer": {"products": ["BANKING", "VALUE_UNSPECIFIED"]}}`: {
			&customerv1.CreateCustomerRequest{}, "customer.products[1]",
		},
		`{"connections": [{"accounts": [{}, {"type": "TYPE_UNSPECIFIED"}]}]}`: {
			&bankingv1.ImportConnectionsRequest{}, "connections[0].accounts[1].type",
		},
		`{"consent": {"reference": "VALUE_UNSPECIFIED", "access": null}}`: {&consentv1.CreateConsentRequest{}, ""},
		`{"consent": null, "psu": {"nationalId": "VALUE_UNSPECIFIED"}}`:   {&consentv1.CreateConsentRequest{}, ""},
		`{"consent": {"createTime": "2026-01-01T00:00:00Z", "brokerBanks": null, "access": "VALUE_UNSPECIFIED"}}`: {
			&consentv1.CreateConsentRequest{}, "consent.access",
		},
		`{"connections": [{"accounts": [{"transactions": [{"transaction": {"category": "VALUE_UNSPECIFIED"}}]}]}]}`: {
			&bankingv1.ImportConnectionsRequest{}, "connections[0].accounts[0].transactions[0].transaction.category",
		},
	} {
		err := decode([]byte(body), want.message)
		failure, _ := errors.AsType[*fieldError](err)
		switch {
		case want.field == "" && err != nil:
			t.Errorf("%s: %v", body, err)
		case want.field != "" && (failure == nil || failure.path != want.field ||
			!strings.HasPrefix(failure.description, "must be one of ")):
			t.Errorf("%s: %v, want %s", body, err, want.field)
		}
	}
	for query, field := range map[string]string{
		"statuses=STATUS_UNSPECIFIED": "statuses", "statuses=AUTHORIZED&statuses=STATUS_UNSPECIFIED": "statuses",
		"statuses=AUTHORIZED": "",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		err = queryParser{}.Parse(&consentv1.ListConsentsRequest{}, values, utilities.NewDoubleArray(nil))
		if failure, _ := errors.AsType[*fieldError](err); (failure == nil) != (field == "") ||
			failure != nil && (failure.path != field || !strings.HasPrefix(failure.description, "must be one of AWAITING")) {
			t.Errorf("%s: %v, want %q", query, err, field)
		}
	}
}

// TestBareResourcesNameNothingUnspecified: the other way to write a request is held to the same.
func TestBareResourcesNameNothingUnspecified(t *testing.T) {
	method := consentv1.File_kontor_consent_v1_consent_service_proto.Services().ByName("ConsentService").Methods().
		ByName("CreateConsent")
	err := creationOf(method).decode([]byte(`{"access": "VALUE_UNSPECIFIED"}`), &consentv1.CreateConsentRequest{})
	if failure, ok := errors.AsType[*fieldError](err); !ok || failure.path != "consent.access" {
		t.Errorf("got %v", err)
	}
}
