package security

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/test/worldtest"
)

const notFound = int32(codes.NotFound)

// names are the resources that a request refers to, by type such as "Consent".
type names map[string]string

// absent are names of the same form that nobody has.
func (n names) absent() names {
	none := names{"Provider": n["Provider"]}
	consent, customer := "consents/"+uuid.Must(uuid.NewV7()).String(), "customers/"+uuid.Must(uuid.NewV7()).String()
	for kind, name := range n {
		switch kind {
		case "Customer":
			none[kind] = customer
		case "Shipment":
			none[kind] = "shipments/" + uuid.Must(uuid.NewV7()).String()
		case "DeletionReceipt":
			none[kind] = "deletionReceipts/" + uuid.Must(uuid.NewV7()).String()
		case "ProviderUser":
			none[kind] = n["Provider"] + "/users/0123456789abcdef01234567"
		case "PartnerBank":
			none[kind] = "partnerBanks/0123456789abcdef01234567"
		case "Provider":
		default: // below a consent
			none[kind] = strings.Replace(name, n["Consent"], consent, 1)
		}
	}
	return none
}

// under are the names of what is below n's consent, as if it were below another.
func (n names) under(consent string) names {
	moved := names{}
	for kind, name := range n {
		moved[kind] = strings.Replace(name, n["Consent"], consent, 1)
	}
	moved["Consent"] = n["Consent"]
	return moved
}

// bodies are requests beyond the names at their top, which the descriptors tell. $Customer stands for the name of one.
var bodies = map[string]string{
	"CreateCustomer":    `{"customer":{"type":"PERSON"}}`,
	"UpdateCustomer":    `{"customer":{"name":"$Customer","reference":"taken over"},"updateMask":"reference"}`,
	"CreateConsent":     `{"consent":{"customer":"$Customer","market":"SE"}}`,
	"SimulateDecision":  `{"decision":"REVOKED"}`,
	"CreatePartnerBank": `{"partnerBank":{"displayName":"Another Bank"}}`,
	"UpdatePartnerBank": `{"partnerBank":{"name":"$PartnerBank","displayName":"Taken Over"},` +
		`"updateMask":"displayName"}`,
	"ImportConnections": `{"mode":"REPLACE","connections":[{"id":"1","bank":{"displayName":"B"},` +
		`"accounts":[{"id":"1","type":"CURRENT","balance":{"value":"1.00","currencyCode":"EUR"}}]}]}`,
	"CreateShipment": `{"shipment":{"customer":"$Customer","channel":"FAX","recipient":"R","subject":"S",` +
		`"address":{"street":"S","houseNumber":"1","postcode":"1","city":"C","countryCode":"DE"},` +
		`"pdf":"JVBERi0xLjQK"}}`,
	"SearchCompanyLogos": `{"queries":[{"name":"fino"}]}`,
}

// requestFor writes a request for a method that names resources wherever it can.
func requestFor(t *testing.T, m protoreflect.MethodDescriptor, n names) object {
	t.Helper()
	body := bodies[string(m.Name())]
	if body == "" {
		body = "{}"
	}
	for kind, name := range n {
		body = strings.ReplaceAll(body, `"$`+kind+`"`, `"`+name+`"`)
	}
	request := object{}
	if err := json.Unmarshal([]byte(body), &request); err != nil {
		t.Fatal(err)
	}
	for i := range m.Input().Fields().Len() {
		field := m.Input().Fields().Get(i)
		reference, _ := proto.GetExtension(
			field.Options(), annotations.E_ResourceReference,
		).(*annotations.ResourceReference)
		if kind := strings.TrimPrefix(reference.GetType(), "kontor.dev/"); kind != "" {
			if n[kind] == "" {
				t.Fatalf("%s refers to a %s, of which the test has none", m.FullName(), kind)
			}
			request[field.JSONName()] = n[kind]
		}
	}
	return request
}

// about tells whether a method's address names a resource of one of some kinds.
func about(t *testing.T, m protoreflect.MethodDescriptor, n names, kinds ...string) bool {
	t.Helper()
	_, target, _ := transcode(t, m, requestFor(t, m, n))
	return slices.ContainsFunc(kinds, func(kind string) bool { return strings.Contains(target, "/"+n[kind]) })
}

// victim is a tenant's data, and the texts by which it would be known anywhere.
type victim struct {
	names map[string]names // by provider
	marks []string
}

// newVictim makes data of everything. Its tag stands in what the tenant chose itself.
func newVictim(t *testing.T, w *world, s *worldtest.Stubs, tag string) victim {
	t.Helper()
	v := victim{names: map[string]names{}}
	mark := func(texts ...string) { v.marks = append(v.marks, texts...) }
	id := func(name string) string { return name[strings.LastIndex(name, "/")+1:] }
	unsupported := unsupported(t, s)
	keeper := slices.IndexFunc(worldtest.Providers(),
		func(id string) bool { return !unsupported[id]["CreatePartnerBank"] })
	bank := must(s.Consents.CreatePartnerBank(t.Context(), &consentv1.CreatePartnerBankRequest{
		PartnerBank: &consentv1.PartnerBank{
			Provider: "providers/" + worldtest.Providers()[keeper], DisplayName: "Bank of " + tag,
		},
	}))(t)
	customer := must(s.Customers.CreateCustomer(t.Context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON, Reference: optional.Of("reference-of-" + tag)},
	}))(t)
	request := letter("Recipient of "+tag, []byte("%PDF-1.4\n"))
	request.Shipment.Customer = optional.Of(customer.GetName())
	shipment := delivered(t, s, must(s.Documents.CreateShipment(t.Context(), request))(t))
	goner := must(s.Customers.CreateCustomer(t.Context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
	}))(t)
	receipt := must(s.Customers.DeleteCustomer(t.Context(), &customerv1.DeleteCustomerRequest{
		Name: goner.GetName(),
	}))(t)
	mark("of "+tag, "reference-of-"+tag, id(goner.GetName()), id(bank.GetName()), id(customer.GetName()), id(shipment.GetName()))
	for _, provider := range worldtest.Providers() {
		consent := approve(t, s, w.ours, ask(t, s, provider, person()))
		account := accounts(t, s, consent)[0]
		v.names[provider] = names{
			"Consent": consent.GetName(), "Customer": customer.GetName(),
			"Connection": consent.GetConnections()[0].GetName(), "Account": account.GetName(),
			"Insights":               consent.GetName() + "/insights",
			"PaymentPartnerAnalysis": consent.GetName() + "/paymentPartnerAnalysis",
			"Shipment":               shipment.GetName(), "PartnerBank": bank.GetName(),
			"DeletionReceipt": receipt.GetName(),
			"Provider":        "providers/" + provider,
			"ProviderUser":    "providers/" + provider + "/users/" + consent.GetProviderReference(),
		}
		mark(
			id(consent.GetName()), consent.GetReference(), consent.GetProviderReference(), id(consent.GetCustomer()),
			id(account.GetName()),
		)
		if account.GetIban() != "" {
			mark(account.GetIban())
		}
	}
	return v
}

// state is all of a tenant's data that can be listed, in text.
func state(t *testing.T, s *worldtest.Stubs, v victim) string {
	t.Helper()
	var b strings.Builder
	add := func(m proto.Message) { b.Write(must(protojson.Marshal(m))(t)) }
	add(must(s.Customers.ListCustomers(t.Context(), &customerv1.ListCustomersRequest{}))(t))
	add(must(s.Consents.ListConsents(t.Context(), &consentv1.ListConsentsRequest{}))(t))
	add(must(s.Consents.ListPartnerBanks(t.Context(), &consentv1.ListPartnerBanksRequest{}))(t))
	add(must(s.Documents.ListShipments(t.Context(), &documentsv1.ListShipmentsRequest{}))(t))
	for _, provider := range worldtest.Providers() {
		b.WriteString(history(t, s, v.names[provider]["Consent"]))
	}
	return strings.ReplaceAll(b.String(), " ", "") // protojson and text put in blanks at random
}

// intruder is somebody who may not have the victim's data.
type intruder struct {
	what, authorization string
	// reason is what they must be told; empty when it depends on the method.
	reason string
	// applies tells whether a method is closed to them. Nil: every one.
	applies func(protoreflect.MethodDescriptor) bool
}

func inService(name string) func(protoreflect.MethodDescriptor) bool {
	return func(m protoreflect.MethodDescriptor) bool { return string(m.Parent().Name()) == name }
}

func not(f func(protoreflect.MethodDescriptor) bool) func(protoreflect.MethodDescriptor) bool {
	return func(m protoreflect.MethodDescriptor) bool { return !f(m) }
}

// writes tells whether a method changes something: what REST asks for with other than GET, a search aside.
func writes(m protoreflect.MethodDescriptor) bool {
	return !worldtest.Reads(m)
}

var intruders = []intruder{
	{what: "other tenant", authorization: keyOf(rival)},
	{what: "no key", reason: "UNAUTHENTICATED"},
	{what: "unknown key", authorization: keyOf("nobody"), reason: "UNAUTHENTICATED"},
	{what: "wrong scope", authorization: keyOf(porter), reason: "SCOPE_MISSING", applies: not(
		inService("ProviderService"),
	)},
	{what: "wrong scope", authorization: keyOf(clerk), reason: "SCOPE_MISSING", applies: inService("ProviderService")},
	{what: "read scope", authorization: keyOf(reader), reason: "SCOPE_MISSING", applies: writes},
}

// TestMatrix: every RPC x every front x every intruder gives nothing away, neither in what is answered nor in that it
// exists, and does nothing.
func TestMatrix(t *testing.T) {
	w := newWorld(t, worldOptions{minInterval: time.Hour})
	s := w.stubs(t, keyOf(owner))
	v := newVictim(t, w, s, "the-victim")
	rivals := w.stubs(t, keyOf(rival))
	own := map[string]*consentv1.Consent{}
	for _, provider := range worldtest.Providers() {
		own[provider] = approve(t, rivals, w.theirs, ask(t, rivals, provider, person()))
	}
	unsupported := unsupported(t, rivals)
	before, asked := state(t, s, v), calls(w.ours)

	cells, leaks := 0, 0
	counts := map[string]int{}
	for _, who := range intruders {
		as := w.stubs(t, who.authorization)
		for _, m := range worldtest.Methods() {
			if who.applies != nil && !who.applies(m) {
				continue
			}
			for provider, victims := range v.names {
				for _, front := range fronts {
					cells++
					counts[who.what]++
					cell := fmt.Sprintf("%s %s %s at %s", m.Name(), front, who.what, provider)
					try := func(n names) answer {
						request := requestFor(t, m, n)
						a := w.call(t, as, front, who.authorization, m, request)
						if found := v.in(a, request, t); found != "" {
							leaks++
							t.Errorf("%s: %q comes out", cell, found)
						}
						return a
					}
					none := victims.absent()
					got, want := try(victims), try(none)
					if told(got, victims) != told(want, none) {
						leaks++
						t.Errorf(
							"%s: a name of the victim's is told from one that nobody has:\n %s\n %s", cell,
							told(got, victims), told(want, none),
						)
					}
					if who.reason != "" && (got.failure == nil || got.reason() != who.reason) {
						leaks++
						t.Errorf("%s: got %v, want %s", cell, got.failure, who.reason)
					}
					if who.authorization != keyOf(rival) {
						continue
					}
					// Another tenant is told that there is nothing of that name, be it the victim's own name or what
					// the victim has below a consent moved below one of the rival's.
					// A provider that offers no such thing says so first.
					if about(t, m, victims, "Consent", "Customer", "Shipment", "PartnerBank") &&
						(requestFor(t, m, victims)["provider"] == nil || !unsupported[provider][string(m.Name())]) &&
						got.failure.GetCode() != notFound {
						t.Errorf("%s: got %v, want NOT_FOUND", cell, got.failure)
					}
					for provider, consent := range own {
						if unsupported[provider][string(m.Name())] || !about(t, m, victims, "Connection", "Account") {
							continue
						}
						if a := try(victims.under(consent.GetName())); a.failure.GetCode() != notFound {
							t.Errorf(
								"%s: below a consent of one's own at %s: got %v, want NOT_FOUND", cell, provider,
								a.failure,
							)
						}
					}
				}
			}
		}
	}
	if after := state(t, s, v); after != before {
		t.Errorf("the victim's data changed:\n %s\n %s", before, after)
	}
	// state itself asks for partner banks.
	if n := calls(w.ours) - asked; n > 1 {
		t.Errorf("the victim's providers were asked %d times", n)
	}
	t.Logf(
		"%d cells, %d leaks: %v, each of %d RPCs by %v with names at all providers", cells, leaks, counts,
		len(worldtest.Methods()), fronts,
	)
}

// unsupported are the RPCs that each provider does not offer, by their short names.
func unsupported(t *testing.T, s *worldtest.Stubs) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	listed := must(s.Providers.ListProviders(t.Context(), &providerv1.ListProvidersRequest{}))(t)
	for _, p := range listed.GetProviders() {
		id := strings.TrimPrefix(p.GetName(), "providers/")
		all[id] = map[string]bool{}
		for _, c := range p.GetCapabilities() {
			all[id][c.GetMethod()] = c.GetLevel() == providerv1.Provider_Capability_UNSUPPORTED
		}
	}
	return all
}

// in finds a mark of the victim in an answer that the request did not bring.
func (v victim) in(a answer, request object, t *testing.T) string {
	sent := string(marshal(t, request))
	said := a.text + a.header + protojson.Format(a.failure)
	for _, mark := range v.marks {
		if strings.Contains(said, mark) && !strings.Contains(sent, mark) {
			return mark
		}
	}
	return ""
}

// told is a failure as it tells names apart: with the names themselves, and what differs in every call, left out.
func told(a answer, n names) string {
	if a.failure == nil {
		return "success"
	}
	text := fmt.Sprint(a.failure.GetCode(), " ", a.failure.GetMessage())
	for _, detail := range a.failure.GetDetails() {
		m, err := detail.UnmarshalNew()
		if err != nil {
			return err.Error()
		}
		fields := object{}
		if json.Unmarshal([]byte(protojson.Format(m)), &fields) != nil {
			return "no JSON"
		}
		if metadata, ok := fields["metadata"].(object); ok {
			delete(metadata, "requestId")
		}
		text += fmt.Sprint(" ", fields)
	}
	for kind, name := range n {
		text = strings.ReplaceAll(text, name, "<"+kind+">")
	}
	return text
}
