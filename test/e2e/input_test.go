package e2e

import (
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// canary stands in bad values. It must not come back, and must not be logged.
const canary = "kanarienvogel-4711"

type object = map[string]any

// TestBadInput: what does not fit is INVALID_ARGUMENT with the name of the field, and no word of its value.
func TestBadInput(t *testing.T) {
	t.Parallel()
	const (
		customers = "kontor.customer.v1.CustomerService/"
		consents  = "kontor.consent.v1.ConsentService/"
		banking   = "kontor.banking.v1.BankingService/"
		insights  = "kontor.insights.v1.InsightsService/"
		documents = "kontor.documents.v1.DocumentService/"
		somebody  = "customers/00000000-0000-0000-0000-000000000000"
		some      = "consents/00000000-0000-0000-0000-000000000000"
	)
	shipment := func(change func(object)) object {
		s := object{
			"channel": "FAX", "recipient": "Notariat Nord", "subject": "Contract",
			"pdf":     base64.StdEncoding.EncodeToString(pdf),
			"address": object{"city": "Hamburg", "countryCode": "DE"},
		}
		change(s)
		return object{"shipment": s}
	}
	importing := func(account object) object {
		return object{"name": somebody, "connections": []any{object{
			"id": "l", "bank": object{"displayName": "B"}, "accounts": []any{account},
		}}}
	}
	const json = true // only JSON can be wrong in this way
	for _, c := range []struct {
		what    string
		rpc     string
		request object
		field   string
		rest    bool
	}{
		{"no customer", customers + "CreateCustomer", object{}, "customer", false},
		{
			"no type", customers + "CreateCustomer", object{"customer": object{"reference": canary}}, "customer.type",
			false,
		},
		{"no consent", consents + "CreateConsent", object{}, "consent", false},
		{"no decision", consents + "SimulateDecision", object{"name": some}, "decision", false},
		{
			"no name of a partner bank", consents + "CreatePartnerBank",
			object{"partnerBank": object{"logoUri": canary}}, "partnerBank.displayName", false,
		},
		{"no shipment", documents + "CreateShipment", object{}, "shipment", false},
		{
			"no channel", documents + "CreateShipment", shipment(func(s object) { delete(s, "channel") }),
			"shipment.channel", false,
		},
		{
			"no recipient", documents + "CreateShipment", shipment(func(s object) { delete(s, "recipient") }),
			"shipment.recipient", false,
		},
		{
			"no address", documents + "CreateShipment", shipment(func(s object) { delete(s, "address") }),
			"shipment.address", false,
		},
		{
			"no city", documents + "CreateShipment",
			shipment(func(s object) { s["address"] = object{"countryCode": "DE"} }), "shipment.address.city", false,
		},
		{"no PDF", documents + "CreateShipment", shipment(func(s object) { delete(s, "pdf") }), "shipment.pdf", false},
		{"no queries", insights + "SearchCompanyLogos", object{}, "queries", false},
		{"no connections", banking + "ImportConnections", object{"name": somebody, "mode": "REPLACE"}, "connections", false},
		{
			"no balance", banking + "ImportConnections", importing(object{"id": "a", "ownerName": canary}),
			"connections[0].accounts[0].balance", false,
		},
		{
			"no bank", banking + "ImportConnections",
			object{"name": somebody, "connections": []any{object{"id": canary}}}, "connections[0].bank", false,
		},

		{
			"an enum's number that is none", customers + "CreateCustomer", object{"customer": object{"type": 99}},
			"customer.type", false,
		},
		{
			"an enum's word that is none", customers + "CreateCustomer", object{"customer": object{"type": canary}},
			"customer.type", json,
		},
		{
			"a product that is none", customers + "CreateCustomer",
			object{"customer": object{"type": "PERSON", "products": []any{"BANKING", canary}}},
			"customer.products[1]", json,
		},
		{
			"a word for no product", customers + "CreateCustomer",
			object{"customer": object{"type": "PERSON", "products": []any{"VALUE_UNSPECIFIED"}}},
			"customer.products[0]", false,
		},
		{
			"a word for no access", consents + "CreateConsent",
			object{"consent": object{"market": "SE", "access": "VALUE_UNSPECIFIED"}}, "consent.access", json,
		},
		{
			"a word for no view", insights + "GetInsights",
			object{"name": some + "/insights", "view": "VALUE_UNSPECIFIED"}, "view", json,
		},
		{"a status that is none", consents + "ListConsents", object{"statuses": []any{canary}}, "statuses", json},
		{
			"the same product twice", customers + "CreateCustomer",
			object{"customer": object{"type": "PERSON", "products": []any{"BANKING", "BANKING"}}},
			"customer.products", false,
		},

		{
			"no base64", documents + "CreateShipment", shipment(func(s object) { s["pdf"] = canary + "*" }),
			"shipment.pdf", json,
		},
		{"a PDF that is too large", documents + "CreateShipment", shipment(func(s object) {
			s["pdf"] = base64.StdEncoding.EncodeToString([]byte(strings.Repeat(canary, 10<<20/len(canary)+1)))
		}), "shipment.pdf", false},
		{
			"a reference that is too long", customers + "CreateCustomer",
			object{"customer": object{"type": "PERSON", "reference": strings.Repeat(canary, 12)}},
			"customer.reference", false,
		},
		{
			"too many queries", insights + "SearchCompanyLogos",
			object{"queries": slices.Repeat([]any{object{"name": canary}}, 201)}, "queries", false,
		},

		{
			"an unknown field", customers + "CreateCustomer",
			object{"customer": object{"type": "PERSON", "shoeSize": canary}}, "customer.shoeSize", json,
		},
		{
			"an unknown field at the top", consents + "CreateConsent",
			object{"consent": object{"market": "SE"}, "haste": canary}, "haste", json,
		},
		{"an unknown parameter", customers + "ListCustomers", object{"shoeSize": canary}, "shoeSize", json},

		{
			"a request id that is not printable", customers + "CreateCustomer",
			object{"customer": object{"type": "PERSON"}, "requestId": canary + "ü"}, "requestId", false,
		},
		{"a negative page size", customers + "ListCustomers", object{"pageSize": -1}, "pageSize", false},
		{
			"a negative page size of a watch's list", consents + "ListConsentEvents",
			object{"parent": some, "pageSize": -4711}, "pageSize", false,
		},
		{"a page token that is none", customers + "ListCustomers", object{"pageToken": canary}, "pageToken", false},
		{
			"a resume token that is none", consents + "WatchConsents", object{"resumeToken": canary}, "resumeToken",
			false,
		},

		{
			"text for an object", consents + "CreateConsent",
			object{"consent": object{"market": "SE"}, "psu": canary}, "psu", json,
		},
		{
			"an object for text", customers + "CreateCustomer",
			object{"customer": object{"type": "PERSON", "reference": object{"is": canary}}}, "customer.reference",
			json,
		},
		{
			"text for a list", customers + "CreateCustomer",
			object{"customer": object{"type": "PERSON", "products": canary}}, "customer.products", json,
		},
		{
			"text for a truth", insights + "SearchCompanyLogos",
			object{"queries": []any{object{"name": "fino"}}, "exactMatch": canary}, "exactMatch", json,
		},
		{
			"text for a truth in a query", consents + "GetConsent", object{"name": some, "refresh": canary},
			"refresh", json,
		},
		{"text for a number in a query", customers + "ListCustomers", object{"pageSize": canary}, "pageSize", json},
		{
			"a number for an amount", banking + "ImportConnections",
			importing(object{"id": "a", "balance": object{"value": 1.5, "currencyCode": "EUR"}}),
			"connections[0].accounts[0].balance.value", json,
		},

		{
			"an amount that is no number", banking + "ImportConnections",
			importing(object{"id": "a", "balance": object{"value": canary, "currencyCode": "EUR"}}),
			"connections[0].accounts[0].balance.value", false,
		},
		{
			"an amount in the wrong notation", banking + "ImportConnections",
			importing(object{"id": "a", "balance": object{"value": "1e3", "currencyCode": "EUR"}}),
			"connections[0].accounts[0].balance.value", false,
		},
		{
			"a currency that is none", banking + "ImportConnections",
			importing(object{"id": "a", "balance": object{"value": "1", "currencyCode": canary}}),
			"connections[0].accounts[0].balance.currencyCode", false,
		},
		{
			"a market that is none", consents + "CreateConsent", object{"consent": object{"market": canary}},
			"consent.market", false,
		},
		{
			"a provider that is none", consents + "CreateConsent",
			object{"consent": object{"provider": canary + "!"}}, "consent.provider", false,
		},
		{
			"a customer that is no name", consents + "CreateConsent",
			object{"consent": object{"market": "SE", "customer": canary}}, "consent.customer", false,
		},
		{
			"a redirect URI that is none", consents + "CreateConsent",
			object{"consent": object{"market": "SE", "redirectUris": object{"success": canary + " there"}}},
			"consent.redirectUris.success", false,
		},
		{
			"a country that is none", documents + "CreateShipment",
			shipment(func(s object) { s["address"] = object{"city": "Hamburg", "countryCode": canary} }),
			"shipment.address.countryCode", false,
		},
		{
			"a day that is none", banking + "ListTransactions",
			object{"parent": some + "/accounts/-", "dateFrom": canary}, "dateFrom", false,
		},
		{
			"a fuzziness that is none", insights + "SearchCompanyLogos",
			object{"queries": []any{object{"name": "fino"}}, "fuzziness": canary}, "fuzziness", false,
		},
		{
			"a national id that is too long", consents + "CreateConsent",
			object{"consent": object{"market": "SE"}, "psu": object{"nationalId": strings.Repeat(canary, 5)}},
			"psu.nationalId", false,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w := live.get(t)
			w.secret(canary, "a bad value")
			client := w.client(t, lending)
			for _, transport := range transports {
				if c.rest && transport == overGRPC {
					continue
				}
				got, err := client.call(t.Context(), transport, methods()[c.rpc], c.request, nil, 1)
				if err != nil {
					t.Fatalf("%s: %v", transport, err)
				}
				wantInvalid(t, transport, got.failure, c.field)
			}
		})
	}
}

// wantInvalid fails unless a call was refused for one field, without a word of its value.
func wantInvalid(t *testing.T, what string, f *failure, field string) {
	t.Helper()
	if f == nil || f.code != codes.InvalidArgument || f.reason != "INVALID_FIELD" ||
		!slices.Equal(f.fields, []string{field}) {
		t.Errorf("%s: got %v, want INVALID_FIELD for %s", what, f, field)
	}
	if f != nil && strings.Contains(f.text, canary) {
		t.Errorf("%s: the error quotes the value: %s", what, f.text)
	}
}

// TestBadBodies: a body that is no JSON, or not one object, is refused as such.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	for what, body := range map[string]string{
		"no JSON":         `{"customer": ` + canary,
		"a list":          `["` + canary + `"]`,
		"half an object":  `{"customer": {"type": "PERSON", "reference": "` + canary + `"`,
		"two objects":     `{"customer": {"type": "PERSON"}} {"` + canary + `": 1}`,
		"a name twice":    `{"customer": {"type": "PERSON", "reference": "a", "reference": "` + canary + `"}}`,
		"no UTF-8":        "{\"customer\": {\"type\": \"PERSON\", \"reference\": \"" + canary + "\xff\"}}",
		"depth unlimited": strings.Repeat(`{"customer":`, 5_000),
	} {
		resp, err := c.send(t.Context(), http.MethodPost, "/v1/customers", []byte(body), nil)
		if err != nil {
			t.Fatal(err)
		}
		f, _, err := readFailure(resp)
		resp.Body.Close()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if f.code != codes.InvalidArgument || f.reason != "INVALID_FIELD" || len(f.fields) != 1 ||
			strings.Contains(f.text, canary) {
			t.Errorf("%s: got %v", what, f.text)
		}
	}
}

// TestBadHeaders: what travels beside a request is held to its form, too.
func TestBadHeaders(t *testing.T) {
	t.Parallel()
	c := live.get(t).client(t, lending)
	for header, value := range map[string]string{
		"psu-ip-address": canary, "idempotency-key": strings.Repeat(canary, 30),
	} {
		for _, transport := range transports {
			got, err := c.call(t.Context(), transport, methods()["kontor.customer.v1.CustomerService/CreateCustomer"],
				object{"customer": object{"type": "PERSON"}}, headers{header: value}, 1)
			if err != nil {
				t.Fatal(err)
			}
			wantInvalid(t, transport, got.failure, header)
		}
	}
}

// TestUnknownFieldOverGRPC: a field that Kontor does not have is refused in protobuf as in JSON.
func TestUnknownFieldOverGRPC(t *testing.T) {
	t.Parallel()
	c := live.get(t).client(t, lending)
	customer := &customerv1.Customer{Type: customerv1.Customer_PERSON}
	customer.ProtoReflect().SetUnknown(protowire.AppendString(
		protowire.AppendTag(nil, 999, protowire.BytesType), canary,
	))
	_, err := c.Customers.CreateCustomer(t.Context(), &customerv1.CreateCustomerRequest{Customer: customer})
	wantInvalid(t, "an unknown field", failed(err), "customer.#999")
}

// TestUnspecifiedInAListOverGRPC: an element of a list is said, so one that says nothing is refused. A field alone
// cannot be told from one that is not set.
func TestUnspecifiedInAListOverGRPC(t *testing.T) {
	t.Parallel()
	c := live.get(t).client(t, lending)
	_, err := c.Consents.ListConsents(t.Context(), &consentv1.ListConsentsRequest{
		Statuses: []consentv1.Consent_Status{consentv1.Consent_AUTHORIZED, consentv1.Consent_STATUS_UNSPECIFIED},
	})
	wantInvalid(t, "no status", failed(err), "statuses[1]")
}

// fieldRefusal is a provider's refusal of a request that names the field which it does not take.
type fieldRefusal struct {
	operation, body string
	rpc             string
	request         object
	// field is which of the caller's own it is.
	field string
}

// refuseFields has a provider refuse requests: the caller is told which of their own fields it is, in Kontor's words,
// over both transports.
func refuseFields(t *testing.T, provider string, refusals ...fieldRefusal) {
	t.Helper()
	w := newWorld(t, worldOptions{step: 5 * time.Millisecond, still: true})
	c := w.client(t, lending)
	core := w.core(provider)
	for _, refusal := range refusals {
		for _, transport := range transports {
			core.Faults.Add(sandbox.Fault{Operation: refusal.operation, Status: 400, Body: refusal.body, Times: 1})
			got, err := c.call(t.Context(), transport, methods()[refusal.rpc], refusal.request, nil, 0)
			core.Faults.Clear()
			if err != nil {
				t.Fatal(err)
			}
			f := got.failure
			if f == nil || f.reason != "PROVIDER_REJECTED" || !slices.Contains(f.fields, refusal.field) ||
				strings.Contains(f.text, canary) {
				t.Errorf("%s, %s: %v, want PROVIDER_REJECTED and the field %s", refusal.operation, transport, f,
					refusal.field)
			}
		}
	}
}

// TestUpdateMasks: only what can change may be named.
func TestUpdateMasks(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	customer := w.createCustomer(t, c, customerv1.Customer_PERSON)
	for _, mask := range []string{"create_time", "*", "shoe_size"} {
		_, err := c.Customers.UpdateCustomer(t.Context(), &customerv1.UpdateCustomerRequest{
			Customer:   &customerv1.Customer{Name: customer.GetName(), Reference: optional.Of(canary)},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{mask}},
		})
		wantInvalid(t, mask, failed(err), "updateMask")
	}
	status, body := c.rest(
		t, http.MethodPatch, "/v1/"+customer.GetName(), object{"createTime": "2026-01-01T00:00:00Z"}, nil,
	)
	if status != http.StatusBadRequest {
		t.Errorf("PATCH of createTime: got %d %v, want 400", status, body)
	}
}

// TestPages: pages make up the list, each element once and in order, and a token fits no other query and no other
// tenant.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	c := w.client(t, lending)
	var want []string
	for range 5 {
		want = append(want, w.createCustomer(t, c, customerv1.Customer_PERSON).GetName())
	}
	var got []string
	token, pages := "", 0
	for {
		page := must(c.Customers.ListCustomers(t.Context(), &customerv1.ListCustomersRequest{
			PageSize: 2, PageToken: token,
		}))(t)
		for _, customer := range page.GetCustomers() {
			got = append(got, customer.GetName())
		}
		pages++
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		if len(page.GetCustomers()) != 2 {
			t.Errorf("a page of 2 has %d", len(page.GetCustomers()))
		}
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("%d pages have %v, want 3 with %v", pages, got, want)
	}
	token = must(c.Customers.ListCustomers(
		t.Context(), &customerv1.ListCustomersRequest{PageSize: 2},
	))(t).GetNextPageToken()
	w.createCustomer(t, w.client(t, acme), customerv1.Customer_PERSON)
	for what, call := range map[string]func() error{
		"another query": func() error {
			_, err := c.Customers.ListCustomers(t.Context(), &customerv1.ListCustomersRequest{
				PageToken: token, Reference: "x",
			})
			return err
		},
		"another method": func() error {
			_, err := c.Consents.ListConsents(t.Context(), &consentv1.ListConsentsRequest{PageToken: token})
			return err
		},
		"another tenant": func() error {
			_, err := w.client(t, acme).Customers.ListCustomers(
				t.Context(), &customerv1.ListCustomersRequest{PageToken: token},
			)
			return err
		},
	} {
		wantInvalid(t, what, failed(call()), "pageToken")
	}
	for _, provider := range worldtest.Providers() {
		consent := w.authorized(t, c, provider)
		page := must(c.Banking.ListTransactions(t.Context(), &bankingv1.ListTransactionsRequest{
			Parent: consent.GetName() + "/accounts/-", PageSize: 3,
		}))(t)
		_, err := c.Banking.ListTransactions(t.Context(), &bankingv1.ListTransactionsRequest{
			Parent: consent.GetName() + "/accounts/-", PageToken: page.GetNextPageToken(), DateFrom: "2026-01-01",
		})
		wantInvalid(t, "transactions of another time", failed(err), "pageToken")
	}
}

// TestShapes: what REST answers is protojson as callers of any language read it, without a stub.
func TestShapes(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	status, empty := c.rest(t, http.MethodGet, "/v1/customers?reference=nobody-at-all", nil, nil)
	_, more := empty["nextPageToken"]
	if list, ok := empty["customers"].([]any); status != http.StatusOK || !ok || len(list) != 0 || more {
		t.Errorf("an empty list is %d %v", status, empty)
	}
	for _, provider := range worldtest.Providers() {
		consent := w.authorized(t, c, provider)
		status, got := c.rest(t, http.MethodGet, "/v1/"+consent.GetName(), nil, nil)
		if status != http.StatusOK {
			t.Fatalf("got %d %v", status, got)
		}
		for _, problem := range mismatches(object{
			"status": "AUTHORIZED", "dataStage": "READY", "decision": "APPROVED",
			"origin":     providers.Of(provider).origin.String(),
			"eventCount": consent.GetEventCount(), "createTime": "$time",
			"link":        object{"status": "COMPLETED", "expireTime": "$time"},
			"connections": object{"$each": object{"status": "ACTIVE"}},
		}, got, provider+"'s consent") {
			t.Error(problem)
		}
	}
	status, failure := c.rest(t, http.MethodGet, "/v1/consents/nobody", nil, nil)
	for _, problem := range mismatches(object{
		"code": 5, "message": "$nonEmpty", "details": []any{object{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "CONSENT_NOT_FOUND",
			"domain": "kontor.dev", "metadata": object{"requestId": "$nonEmpty"},
		}},
	}, failure, "error") {
		t.Error(problem)
	}
	if status != http.StatusNotFound {
		t.Errorf("a consent that is not there is %d", status)
	}
	for _, path := range []string{"/v1/nothing", "/v2/consents", "/v1/consents/a/b/c"} {
		status, failure := c.rest(t, http.MethodGet, path, nil, nil)
		if status != http.StatusNotFound ||
			len(mismatches(object{"code": 5, "details": []any{object{"reason": "ROUTE_NOT_FOUND"}}}, failure, "")) > 0 {
			t.Errorf("%s is %d %v", path, status, failure)
		}
	}
}

// TestSpoofedHeaders: nothing that a REST caller sends can pass for what the gateway knows of them.
func TestSpoofedHeaders(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	nobody, err := newClient(w.gateway, "")
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	for _, name := range []string{
		"Grpc-Metadata-Authorization", "Grpcgateway-Authorization", "X-Authorization", "Proxy-Authorization",
		"Cookie",
	} {
		status, body := send(t, nobody, "/v1/consents", headers{name: "Bearer " + keyOf(lending)})
		if status != http.StatusUnauthorized {
			t.Errorf("%s: got %d %s", name, status, body)
		}
	}
	status, body := send(
		t, nobody, "/v1/consents?authorization=Bearer%20"+keyOf(lending)+"&access_token="+keyOf(lending), nil,
	)
	if status != http.StatusUnauthorized || strings.Contains(body, keyOf(lending)) {
		t.Errorf("a key in the query: got %d", status)
	}
}

func send(t *testing.T, c *client, target string, h headers) (int, string) {
	t.Helper()
	resp, err := c.send(t.Context(), http.MethodGet, target, nil, h)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
