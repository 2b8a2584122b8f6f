package crash

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
)

// The providers' operations, as a gate names them.
const (
	opLogin         = "POST /auth/login"
	opCreateProcess = "POST /process"
	opNewFlow       = "POST /process/*/consent"
	opPartnerBank   = "POST /partner-bank"
	opAuthenticate  = "POST /auth"
	opCreateUser    = "POST /users"
	opConnect       = "POST /users/*/banking/connect"
	opOverview      = "POST /users/*/banking/overview"
	opSetLogins     = "POST /users/*/banking/logins"
	opFax           = "POST /documentshipment/fax"
	opLetter        = "POST /documentshipment/letter"
)

// step is one request that the gateway makes for an operation.
type step struct {
	gate      func(*world) *gate
	operation string
	// repeatable says that a repetition of the caller's must succeed after a kill here; else it may end with OUTCOME_UNKNOWN.
	repeatable bool
}

func atFimento(operation string, repeatable bool) step {
	return step{func(w *world) *gate { return w.fimentoGate }, operation, repeatable}
}

func atFinoOS(operation string, repeatable bool) step {
	return step{func(w *world) *gate { return w.finoosGate }, operation, repeatable}
}

// creating is one creating operation of the API.
type creating struct {
	name  string
	steps []step
	// prepare makes what a call needs and gives the call, with one key for however often it is made.
	prepare func(t *testing.T, w *world, key string) func(context.Context, *client) (proto.Message, error)
	// effects counts at the provider what such calls did so far, all together; nil where a repetition does nothing more.
	effects func(w *world) int
}

// count is the effects so far, always 0 where they cannot be counted, and what one call adds.
func (o creating) count(w *world) (effects, each int) {
	if o.effects == nil {
		return 0, 0
	}
	return o.effects(w), 1
}

func call[Resp proto.Message](made Resp, err error) (proto.Message, error) {
	if err != nil {
		return nil, err
	}
	return made, nil
}

var redirects = &consentv1.Consent_RedirectUris{
	Success: "https://app.example.com/success", Error: "https://app.example.com/error", Exit: "https://app.example.com/exit",
}

func consentRequest(key, market, customer string) *consentv1.CreateConsentRequest {
	return &consentv1.CreateConsentRequest{
		Consent:   &consentv1.Consent{Market: market, Customer: customer, RedirectUris: redirects, Reference: key},
		RequestId: key,
	}
}

func shipmentRequest(key string, channel documentsv1.Shipment_Channel) *documentsv1.CreateShipmentRequest {
	return &documentsv1.CreateShipmentRequest{RequestId: key, Shipment: &documentsv1.Shipment{
		Channel: channel, Recipient: "Torben Mais", Subject: key, Pdf: []byte("%PDF-1.4\n"),
		Address: &documentsv1.Shipment_Address{Street: "Universitätsplatz", HouseNumber: "12", Postcode: "34127", City: "Kassel", CountryCode: "DE"},
	}}
}

func newCustomer(t *testing.T, w *world, products ...customerv1.Customer_Product) string {
	t.Helper()
	return must(w.client.customers.CreateCustomer(w.context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON, Products: products},
	}))(t).GetName()
}

// createConsent asks for a consent, of the customer that prepare gives.
func createConsent(market string, customer func(*testing.T, *world) string) func(*testing.T, *world, string) func(context.Context, *client) (proto.Message, error) {
	return func(t *testing.T, w *world, key string) func(context.Context, *client) (proto.Message, error) {
		request := consentRequest(key, market, customer(t, w))
		return func(ctx context.Context, c *client) (proto.Message, error) {
			return call(c.consents.CreateConsent(ctx, request))
		}
	}
}

func createShipment(channel documentsv1.Shipment_Channel) func(*testing.T, *world, string) func(context.Context, *client) (proto.Message, error) {
	return func(_ *testing.T, _ *world, key string) func(context.Context, *client) (proto.Message, error) {
		return func(ctx context.Context, c *client) (proto.Message, error) {
			return call(c.documents.CreateShipment(ctx, shipmentRequest(key, channel)))
		}
	}
}

func addBank(market string, authorize func(*testing.T, *world, *consentv1.Consent)) func(*testing.T, *world, string) func(context.Context, *client) (proto.Message, error) {
	return func(t *testing.T, w *world, key string) func(context.Context, *client) (proto.Message, error) {
		consent := must(w.client.consents.CreateConsent(w.context(), consentRequest(uuid.NewString(), market, "")))(t)
		authorize(t, w, consent)
		w.restart() // so that the gateway has no token left, and logs in again
		return func(ctx context.Context, c *client) (proto.Message, error) {
			return call(c.consents.AddBank(ctx, &consentv1.AddBankRequest{Name: consent.GetName(), RequestId: key}))
		}
	}
}

func noCustomer(*testing.T, *world) string { return "" }

func plainCustomer(t *testing.T, w *world) string { return newCustomer(t, w) }

// knownCustomer has a user at finoOS already, from a consent that was deleted.
func knownCustomer(t *testing.T, w *world) string {
	t.Helper()
	name := newCustomer(t, w)
	consent := must(w.client.consents.CreateConsent(w.context(), consentRequest(uuid.NewString(), "DE", name)))(t)
	must(w.client.consents.DeleteConsent(w.context(), &consentv1.DeleteConsentRequest{Name: consent.GetName()}))(t)
	w.restart()
	return name
}

// processes counts the processes that Fimento has, however often one was answered.
func processes(w *world) int { return distinct(w.fimentoGate.did(opCreateProcess), "_id") }

func users(w *world) int { return len(w.FinoOS.Users()) }

func partnerBanks(w *world) int { return distinct(w.fimentoGate.did(opPartnerBank), "_id") }

func shipments(w *world) int { return len(w.FinoOS.Shipments()) }

// logins counts the connections that were imported.
func logins(w *world) (count int) {
	for _, user := range w.FinoOS.Users() {
		count += len(user.Logins)
	}
	return count
}

// flows counts the consent flows that were opened beyond each process's first.
func flows(w *world) int { return len(w.fimentoGate.did(opNewFlow)) }

func distinct(replies []string, field string) int {
	seen := map[string]bool{}
	for _, reply := range replies {
		var body map[string]any
		if json.Unmarshal([]byte(reply), &body) == nil {
			if id, ok := body[field].(string); ok {
				seen[id] = true
			}
		}
	}
	return len(seen)
}

var operations = []creating{
	{
		name: "CreateConsent/Fimento/new-customer", prepare: createConsent("SE", noCustomer), effects: processes,
		steps: []step{atFimento(opLogin, true), atFimento(opCreateProcess, true)},
	},
	{
		name: "CreateConsent/Fimento/known-customer", prepare: createConsent("FI", plainCustomer), effects: processes,
		steps: []step{atFimento(opLogin, true), atFimento(opCreateProcess, true)},
	},
	{
		name: "CreateConsent/finoOS/new-customer", prepare: createConsent("DE", noCustomer), effects: users,
		steps: []step{atFinoOS(opAuthenticate, false), atFinoOS(opCreateUser, false), atFinoOS(opConnect, true)},
	},
	{
		name: "CreateConsent/finoOS/known-customer", prepare: createConsent("DE", plainCustomer), effects: users,
		steps: []step{atFinoOS(opAuthenticate, false), atFinoOS(opCreateUser, false), atFinoOS(opConnect, true)},
	},
	{
		name: "CreateConsent/finoOS/known-user", prepare: createConsent("DE", knownCustomer),
		steps: []step{atFinoOS(opAuthenticate, true), atFinoOS(opConnect, true)},
	},
	{
		name: "CreateShipment/fax", prepare: createShipment(documentsv1.Shipment_FAX), effects: shipments,
		steps: []step{atFinoOS(opAuthenticate, false), atFinoOS(opFax, false)},
	},
	{
		name: "CreateShipment/letter", prepare: createShipment(documentsv1.Shipment_LETTER), effects: shipments,
		steps: []step{atFinoOS(opAuthenticate, false), atFinoOS(opLetter, false)},
	},
	{
		name: "CreatePartnerBank", effects: partnerBanks,
		prepare: func(_ *testing.T, _ *world, key string) func(context.Context, *client) (proto.Message, error) {
			return func(ctx context.Context, c *client) (proto.Message, error) {
				return call(c.consents.CreatePartnerBank(ctx, &consentv1.CreatePartnerBankRequest{
					PartnerBank: &consentv1.PartnerBank{DisplayName: "Bank " + key}, RequestId: key,
				}))
			}
		},
		steps: []step{atFimento(opLogin, false), atFimento(opPartnerBank, false)},
	},
	{
		name: "ImportConnections", effects: logins,
		prepare: func(t *testing.T, w *world, key string) func(context.Context, *client) (proto.Message, error) {
			request := &bankingv1.ImportConnectionsRequest{
				Name: newCustomer(t, w, customerv1.Customer_BANKING, customerv1.Customer_IMPORT), Mode: bankingv1.ImportConnectionsRequest_REPLACE,
				Connections: []*bankingv1.ImportedConnection{{
					Id: "login-" + key, Bank: &consentv1.Connection_Bank{DisplayName: "Hansebank", BankCode: "20090602"},
				}},
				RequestId: key,
			}
			return func(ctx context.Context, c *client) (proto.Message, error) {
				return call(c.banking.ImportConnections(ctx, request))
			}
		},
		steps: []step{atFinoOS(opAuthenticate, false), atFinoOS(opCreateUser, false), atFinoOS(opSetLogins, true)},
	},
	{
		name: "AddBank/Fimento", effects: flows,
		prepare: addBank("SE", func(t *testing.T, w *world, consent *consentv1.Consent) {
			must(w.client.consents.SimulateDecision(w.context(), &consentv1.SimulateDecisionRequest{
				Name: consent.GetName(), Decision: consentv1.Decision_APPROVED,
			}))(t)
		}),
		steps: []step{atFimento(opLogin, true), atFimento(opNewFlow, true)},
	},
	{
		name: "AddBank/finoOS",
		prepare: addBank("DE", func(t *testing.T, w *world, consent *consentv1.Consent) {
			location, err := w.FinoOS.CompleteLogin(consent.GetProviderReference())
			if err != nil {
				t.Fatal(err)
			}
			w.comeBack(location)
		}),
		steps: []step{atFinoOS(opAuthenticate, true), atFinoOS(opOverview, true)},
	},
}

// title makes a subtest's name of an operation at a provider.
func title(operation string) string {
	return strings.NewReplacer("POST /", "", "/", "-", "*", "x").Replace(operation)
}
