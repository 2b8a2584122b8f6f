// Package providertest is the conformance suite of the seam: what every adapter must do, whatever its provider speaks. It runs against a
// played provider through a Harness, one file for each port. What is peculiar to a provider is tested beside its adapter.
//
// The suite asserts both ways: a port that is set works, and what is not offered is declared so.
package providertest

import (
	"context"
	"errors"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
)

// Harness is an adapter in front of a played provider.
type Harness struct {
	// Provider is the adapter's.
	Provider *providers.Provider
	// Market is one of its markets, Company tells whether consents are for companies.
	Market  string
	Company bool
	// Psu is the identity to ask for consent with; nil where the provider takes none.
	Psu *consentv1.Psu
	// Approve lets the customer of a consent approve, and waits until the data is ready.
	Approve func(t *testing.T, ref providers.ConsentRef)
	// Expire makes the banks ask for a new authentication; nil where they never do.
	Expire func(t *testing.T, ref providers.ConsentRef)
	// Fail makes the provider answer an operation with a status until undo.
	Fail func(t *testing.T, operation string, status int) (undo func())
	// Garble makes the provider answer an operation with a body that is not JSON until undo.
	Garble func(t *testing.T, operation string) (undo func())
	// Calls counts the calls of an operation that reached the provider; "" counts all.
	Calls func(operation string) int
	// CallbackURL is an address that takes a shipment's report.
	CallbackURL string
}

// address is an end user's, from the range for documentation.
const address = "203.0.113.7"

// Run runs the suite. open makes a fresh harness for each test.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for name, test := range map[string]func(*testing.T, Harness){
		"Wiring":          testWiring,
		"Session":         testSession,
		"Consents":        testConsents,
		"Links":           testLinks,
		"Revoke":          testRevoke,
		"Accounts":        testAccounts,
		"Transactions":    testTransactions,
		"StopEarly":       testStopEarly,
		"Holdings":        testHoldings,
		"Insights":        testInsights,
		"Visualizations":  testVisualizations,
		"PaymentPartners": testPaymentPartners,
		"Users":           testUsers,
		"PartnerBanks":    testPartnerBanks,
		"Connections":     testConnections,
		"Simulator":       testSimulator,
		"Logos":           testLogos,
		"Shipments":       testShipments,
		"Errors":          testErrors,
		"PSUIP":           testPSUIP,
		"Context":         testContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// call is the context of a call on behalf of an end user.
func call(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return providers.WithCall(ctx, providers.Call{PSUIP: address, RequestID: "providertest"})
}

// redirects are addresses that the provider may send the customer back to.
var redirects = providers.Redirects{
	Success: "https://kontor.example.com/callbacks/redirects/t/success?keep=1", Error: "https://kontor.example.com/callbacks/redirects/t/error",
	Exit: "https://kontor.example.com/callbacks/redirects/t/exit",
}

var flow = providers.Flow{Access: consentv1.Consent_RECURRING, Redirects: redirects}

// create asks for a consent, with a user where the provider keeps such.
func (h Harness) create(t *testing.T) *providers.CreatedConsent {
	t.Helper()
	request := providers.NewConsent{
		Market: h.Market, Access: consentv1.Consent_RECURRING, DataCollection: consentv1.Consent_TRANSACTION_CATEGORISATION, Psu: h.Psu,
		Redirects: redirects, IdempotencyKey: t.Name(),
	}
	if h.Provider.Users != nil {
		request.UserID = h.user(t)
	}
	created, err := h.Provider.Consents.CreateConsent(call(t), request)
	if err != nil {
		t.Fatalf("create a consent: %v", err)
	}
	return created
}

// user makes a user with all products that tests need.
func (h Harness) user(t *testing.T) string {
	t.Helper()
	user := providers.NewUser{Type: customerv1.Customer_PERSON, Products: []customerv1.Customer_Product{customerv1.Customer_BANKING}}
	if h.Company {
		user.Type = customerv1.Customer_COMPANY
		user.Products = append(user.Products, customerv1.Customer_PAYMENT_PARTNER_ANALYSIS)
	}
	id, err := h.Provider.Users.CreateUser(call(t), user)
	if err != nil {
		t.Fatalf("create a user: %v", err)
	}
	return id
}

// approved makes a consent whose data is ready.
func (h Harness) approved(t *testing.T) providers.ConsentRef {
	t.Helper()
	ref := h.create(t).Ref
	h.Approve(t, ref)
	return ref
}

// failure gives the adapter's error, which must be the one type that adapters return.
func failure(t *testing.T, err error) *providers.Error {
	t.Helper()
	var e *providers.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v, want a *providers.Error", err)
	}
	return e
}

// unsupported asserts that RPCs without a port are declared so, with a reason.
func unsupported(t *testing.T, p *providers.Provider, capabilities ...providers.Capability) {
	t.Helper()
	for _, capability := range capabilities {
		if s := p.Supports(capability); s.Level != providers.Unsupported || s.Reason == "" {
			t.Errorf("%s has no port and is declared %+v", capability, s)
		}
	}
}

func testWiring(t *testing.T, h Harness) {
	if err := service.Validate(h.Provider); err != nil {
		t.Error(err)
	}
	for capability, support := range h.Provider.Capabilities {
		if support.Level == providers.Emulated && support.Reason == "" {
			t.Errorf("%s is emulated without a reason", capability)
		}
	}
	for _, op := range h.Provider.Operations {
		if op.Name == "" || op.Method == "" || op.Path == "" || op.Standing == "" || op.Effect == "" {
			t.Errorf("an operation is incomplete: %+v", op)
		}
	}
}

func testSession(t *testing.T, h Harness) {
	for range 3 {
		if err := h.Provider.Session.Check(call(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.Calls(""); got != 1 {
		t.Errorf("three checks made %d calls, want one login", got)
	}
}
