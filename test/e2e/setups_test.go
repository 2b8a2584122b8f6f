package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// pdf is a document to send. What is in it must come out nowhere.
var pdf = []byte("%PDF-1.7\n% canary 7f3a9c in a document\n%%EOF\n")

// newConsent is a request for a consent of a new customer, who comes back to pages of their own.
func newConsent(w *world, provider string) *consentv1.CreateConsentRequest {
	visit := uuid.NewString()
	request := &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider: provider, Market: worldtest.Of(provider).Market, RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of(w.app.back("success", visit)), Error: optional.Of(w.app.back("error", visit)),
				Exit: optional.Of(w.app.back("exit", visit)),
			},
			Reference: optional.Of(visit),
		},
		RequestId: uuid.NewString(),
	}
	if worldtest.Of(provider).TakesPsu {
		request.Psu = &consentv1.Psu{NationalId: sandbox.GoodNationalID, FirstName: "Elin", LastName: "Sandström"}
		w.secret(sandbox.GoodNationalID, "a national id")
		w.secret("Sandström", "a customer's name")
	}
	return request
}

// approve takes a customer through the pages without a browser, to the end that they approve.
func (w *world) approve(t *testing.T, c *client, consent *consentv1.Consent) {
	t.Helper()
	id := strings.TrimPrefix(consent.GetProvider(), "providers/")
	if err := worldtest.Of(id).Approve(t.Context(), worldtest.Scene{
		Played: w.Played[id], Stubs: c.Stubs, Visit: func(address string) error {
			w.follow(t, address)
			return nil
		},
	}, consent); err != nil {
		t.Fatal(err)
	}
}

// setup is a state from which cases begin, made through the API and the providers' own pages and controls.
type setup func(t *testing.T, w *world, c *client, provider string) vars

// setupOf is the setup of a name for a provider; nil when there is none.
func setupOf(provider, name string) setup {
	if own := providers[provider].setups[name]; own != nil {
		return own
	}
	return setups[name]
}

// setups are those that are the same for all providers.
var setups = map[string]setup{
	// nothing: the tenant as it is
	"none": func(*testing.T, *world, *client, string) vars { return vars{} },
	// a person of whom no provider knows
	"customer": func(t *testing.T, w *world, c *client, _ string) vars {
		customer := w.createCustomer(t, c, customerv1.Customer_PERSON)
		return vars{"customer": customer.GetName(), "customerReference": customer.GetReference()}
	},
	// a customer who was deleted
	"deleted": func(t *testing.T, w *world, c *client, _ string) vars {
		customer := w.createCustomer(t, c, customerv1.Customer_PERSON)
		receipt := must(c.Customers.DeleteCustomer(t.Context(), &customerv1.DeleteCustomerRequest{
			Name: customer.GetName(),
		}))(t)
		return vars{"customer": customer.GetName(), "receipt": receipt.GetName()}
	},
	// the same, with the product IMPORT
	"importer": func(t *testing.T, w *world, c *client, _ string) vars {
		return vars{
			"customer": w.createCustomer(
				t, c, customerv1.Customer_PERSON, customerv1.Product_BANKING, customerv1.Product_IMPORT,
			).GetName(),
		}
	},
	// a consent whose link was not opened
	"pending": func(t *testing.T, w *world, c *client, provider string) vars {
		return consentVars(w.createConsent(t, c, provider))
	},
	// a consent under which data can be read
	"authorized": func(t *testing.T, w *world, c *client, provider string) vars {
		return withAccount(t, c, w.authorized(t, c, provider))
	},
	// a consent to verify accounts, and no more
	"verifying": func(t *testing.T, w *world, c *client, provider string) vars {
		return withAccount(t, c, w.authorized(t, c, provider, func(request *consentv1.CreateConsentRequest) {
			request.Consent.DataCollection = consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION
		}))
	},
	// the same, for one collection
	"once": func(t *testing.T, w *world, c *client, provider string) vars {
		return withAccount(t, c, w.authorized(t, c, provider, func(request *consentv1.CreateConsentRequest) {
			request.Consent.Access = consentv1.Access_ONE_OFF
		}))
	},
	// the first, of a company with the product PAYMENT_PARTNER_ANALYSIS
	"company": func(t *testing.T, w *world, c *client, provider string) vars {
		company := w.createCustomer(
			t, c, customerv1.Customer_COMPANY, customerv1.Product_BANKING,
			customerv1.Product_PAYMENT_PARTNER_ANALYSIS,
		)
		return withAccount(t, c, w.authorized(t, c, provider, ofCustomer(company)))
	},
	// a consent that the caller ended
	"revoked": func(t *testing.T, w *world, c *client, provider string) vars {
		consent := w.authorized(t, c, provider)
		return consentVars(
			must(c.Consents.RevokeConsent(asPSU(t), &consentv1.RevokeConsentRequest{Name: consent.GetName()}))(t),
		)
	},
	// a consent for data that the caller brought along
	"imported": func(t *testing.T, w *world, c *client, _ string) vars {
		customer := w.createCustomer(
			t, c, customerv1.Customer_PERSON, customerv1.Product_BANKING, customerv1.Product_IMPORT,
		)
		imported := must(c.Banking.ImportConnections(t.Context(), importRequest(customer.GetName())))(t)
		return withAccount(t, c, imported.GetConsent())
	},
}

// visitOf is the visit that the consent's redirect URIs belong to.
func visitOf(consent *consentv1.Consent) string { return consent.GetReference() }

// createConsent asks a new customer for consent.
func (w *world) createConsent(t *testing.T, c *client, provider string, changes ...func(
	*consentv1.CreateConsentRequest,
)) *consentv1.Consent {
	t.Helper()
	request := newConsent(w, provider)
	for _, change := range changes {
		change(request)
	}
	return must(c.Consents.CreateConsent(asPSU(t), request))(t)
}

// createCustomer makes a customer.
func (w *world) createCustomer(
	t *testing.T, c *client, kind customerv1.Customer_Type, products ...customerv1.Product_Value,
) *customerv1.Customer {
	t.Helper()
	return must(c.Customers.CreateCustomer(t.Context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Type: kind, Reference: optional.Of(uuid.NewString()), Products: products},
	}))(t)
}

// ofCustomer asks for the consent of a customer that is there already.
func ofCustomer(customer *customerv1.Customer) func(*consentv1.CreateConsentRequest) {
	return func(request *consentv1.CreateConsentRequest) { request.Consent.Customer = customer.GetName() }
}

// follow opens a callback's address as a browser does and gives where that leads to.
func (w *world) follow(t *testing.T, address string) string {
	t.Helper()
	resp, err := httpClient.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusFound && resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the way back answers %d, want a redirect", resp.StatusCode)
	}
	return resp.Header.Get("Location")
}

// refresh asks the provider how a consent stands.
func refresh(t *testing.T, c *client, name string) *consentv1.Consent {
	t.Helper()
	return must(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: name, Refresh: true}))(t)
}

// authorized makes a consent whose data can be read.
func (w *world) authorized(t *testing.T, c *client, provider string, changes ...func(
	*consentv1.CreateConsentRequest,
)) *consentv1.Consent {
	t.Helper()
	consent := w.createConsent(t, c, provider, changes...)
	w.approve(t, c, consent)
	done := ready(t, c, consent.GetName())
	if done.GetLink().GetUri() != "" {
		t.Errorf("%s: %s shows the address of a link that is over", provider, done.GetName())
	}
	opened.Store(done.GetName(), consent.GetLink().GetUri())
	return done
}

// opened are the pages by which consents were approved, by the consents' names: callers do not see them any more.
var opened sync.Map

// pageOf gives the page by which a consent was approved.
func pageOf(t *testing.T, consent *consentv1.Consent) string {
	t.Helper()
	page, _ := opened.Load(consent.GetName())
	address, _ := page.(string)
	if address == "" {
		t.Fatalf("nobody approved %s", consent.GetName())
	}
	return address
}

// ready waits until the data under a consent can be read.
func ready(t *testing.T, c *client, name string) *consentv1.Consent {
	t.Helper()
	var consent *consentv1.Consent
	eventually(t, "the data of "+name+" to be ready", func() bool {
		consent = refresh(t, c, name)
		return consent.GetDataStage() == consentv1.DataStage_READY &&
			consent.GetStatus() == consentv1.Consent_AUTHORIZED
	})
	return consent
}

// importRequest is bank data that a caller brings along.
func importRequest(customer string) *bankingv1.ImportConnectionsRequest {
	euros := func(value string) *typev1.Money { return &typev1.Money{Value: value, CurrencyCode: "EUR"} }
	return &bankingv1.ImportConnectionsRequest{
		Name: customer, Mode: bankingv1.ImportConnectionsRequest_REPLACE, RequestId: uuid.NewString(),
		Connections: []*bankingv1.ImportedConnection{
			{
				Id: "login-1",
				Bank: &consentv1.Connection_Bank{
					DisplayName: optional.Of("Brought Bank"),
					BankCode:    optional.Of("10020000"),
					Bic:         optional.Of("FINODEKS"),
				},
				Accounts: []*bankingv1.ImportedAccount{
					{
						Id:          "account-1",
						Iban:        optional.Of("DE84100200007791587578"),
						DisplayName: optional.Of("Giro"),
						OwnerName:   optional.Of("Brigitte Bringer"),
						Type:        bankingv1.Account_CURRENT,
						Balance:     euros("12345678901234.56"),
						Transactions: []*bankingv1.ImportedTransaction{
							{Id: "t-1", Transaction: &bankingv1.Transaction{
								Amount: euros(
									"-24.99",
								),
								BookingDate:           optional.Of("2026-03-29"),
								RemittanceInformation: optional.Of("Shoes"),
							}},
							{Id: "t-2", Transaction: &bankingv1.Transaction{
								Amount: euros(
									"0.10",
								),
								BookingDate:           optional.Of("2026-03-30"),
								RemittanceInformation: optional.Of("Interest"), ProviderCategory: optional.Of("Zinsen"),
							}},
						},
					},
				},
			},
		},
	}
}

// newShipment is a request to send pdf. A recipient with "fail" in the name gets nothing.
func newShipment(recipient string, channel documentsv1.Channel_Value) *documentsv1.CreateShipmentRequest {
	return &documentsv1.CreateShipmentRequest{
		Shipment: &documentsv1.Shipment{
			Channel: channel, Recipient: recipient, Subject: "Contract", Pdf: pdf,
			Address: &documentsv1.Shipment_Address{
				Street:      optional.Of("Hafenstraße"),
				HouseNumber: optional.Of("7"),
				Postcode:    optional.Of("20095"),
				City:        "Hamburg",
				CountryCode: "DE",
			},
		},
		RequestId: uuid.NewString(),
	}
}

// vars are the names that a case's request can refer to as ${name}.
type vars map[string]string

func consentVars(consent *consentv1.Consent) vars {
	v := vars{
		"consent": consent.GetName(), "customer": consent.GetCustomer(),
		"providerReference": consent.GetProviderReference(),
		"reference":         consent.GetReference(), "link": consent.GetLink().GetUri(), "etag": consent.GetEtag(),
	}
	if len(consent.GetConnections()) > 0 {
		v["connection"] = consent.GetConnections()[0].GetName()
	}
	return v
}

// withAccount adds the first account under a consent, and one that is not there.
func withAccount(t *testing.T, c *client, consent *consentv1.Consent) vars {
	t.Helper()
	v := consentVars(consent)
	accounts := must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
		Parent: consent.GetName(),
	}))(t).GetAccounts()
	if len(accounts) == 0 {
		t.Fatal("there is no account")
	}
	v["account"] = accounts[0].GetName()
	return v
}

// delivered waits until a shipment has that status.
func delivered(t *testing.T, c *client, name string, status documentsv1.Shipment_Status) *documentsv1.Shipment {
	t.Helper()
	var shipment *documentsv1.Shipment
	eventually(t, fmt.Sprintf("%s to be %s", name, status), func() bool {
		shipment = must(c.Documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: name}))(t)
		return shipment.GetStatus() == status
	})
	return shipment
}

// substitute replaces ${name} in all strings of a JSON value.
func (v vars) substitute(t *testing.T, value any) any {
	t.Helper()
	switch x := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(x))
		for name, inner := range x {
			object[name] = v.substitute(t, inner)
		}
		return object
	case []any:
		list := make([]any, len(x))
		for i, inner := range x {
			list[i] = v.substitute(t, inner)
		}
		return list
	case string:
		for name, replacement := range v {
			x = strings.ReplaceAll(x, "${"+name+"}", replacement)
		}
		if strings.Contains(x, "${") {
			t.Fatalf("no value for %q", x)
		}
		return x
	}
	return value
}

// post posts to a callback's address and gives the status.
func post(t *testing.T, address, body string) int {
	t.Helper()
	resp, err := httpClient.Post(address, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// events lists a consent's history.
func events(t *testing.T, c *client, name string) []*consentv1.ConsentEvent {
	t.Helper()
	return must(c.Consents.ListConsentEvents(t.Context(), &consentv1.ListConsentEventsRequest{
		Parent: name, PageSize: 1000,
	}))(t).GetEvents()
}

// types are the types of events in order.
func types(all []*consentv1.ConsentEvent) []consentv1.ConsentEvent_Type {
	list := make([]consentv1.ConsentEvent_Type, len(all))
	for i, e := range all {
		list[i] = e.GetType()
	}
	return list
}

// wantSame fails unless two messages are equal.
func wantSame(t *testing.T, what string, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("%s differs:\n got %v\nwant %v", what, got, want)
	}
}
