package security

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// The providers, and the market in which each is asked.
const (
	fimentoID = "fimento"
	finoosID  = "finoos"
)

var markets = map[string]string{fimentoID: "SE", finoosID: "DE"}

// withPSU adds the end user's address, which some of finoOS's operations demand.
func withPSU(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "psu-ip-address", "203.0.113.7")
}

// ask asks a new customer for consent.
func ask(t *testing.T, s *stubs, provider string, psu *consentv1.Psu) *consentv1.Consent {
	t.Helper()
	request := &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{Market: markets[provider], Reference: uuid.NewString(), RedirectUris: &consentv1.Consent_RedirectUris{
			Success: "https://app.example.com/ok", Error: "https://app.example.com/bad", Exit: "https://app.example.com/out",
		}},
		RequestId: uuid.NewString(),
	}
	if provider == fimentoID {
		request.Psu = psu
	}
	return must(s.consents.CreateConsent(withPSU(t.Context()), request))(t)
}

// person is a customer of whom Fimento has good data.
func person() *consentv1.Psu {
	return &consentv1.Psu{NationalId: sandbox.GoodNationalID, FirstName: "Elin", LastName: "Sandström"}
}

// approve takes a customer through the bank's pages and waits for the data.
func approve(t *testing.T, s *stubs, r *worldtest.Both, consent *consentv1.Consent) *consentv1.Consent {
	t.Helper()
	if strings.HasSuffix(consent.GetProvider(), fimentoID) {
		must(s.consents.SimulateDecision(t.Context(), &consentv1.SimulateDecisionRequest{Name: consent.GetName(), Decision: consentv1.Decision_APPROVED}))(t)
	} else {
		visit(t, must(r.FinoOS.CompleteLogin(consent.GetProviderReference()))(t))
	}
	eventually(t, "the data of "+consent.GetName(), func() bool {
		consent = must(s.consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName(), Refresh: true}))(t)
		return consent.GetDataStage() == consentv1.Consent_READY && consent.GetStatus() == consentv1.Consent_AUTHORIZED
	})
	return consent
}

// visit opens an address as a browser does and gives the status.
func visit(t *testing.T, address string) int {
	t.Helper()
	resp, err := noRedirects.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// post posts to an address as a provider does and gives the status.
func post(t *testing.T, address, body string) int {
	t.Helper()
	resp, err := noRedirects.Post(address, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// letter is a shipment to send.
func letter(recipient string, pdf []byte) *documentsv1.CreateShipmentRequest {
	return &documentsv1.CreateShipmentRequest{
		Shipment: &documentsv1.Shipment{
			Channel: documentsv1.Shipment_LETTER, Recipient: recipient, Subject: "Contract", Pdf: pdf, Address: &documentsv1.Shipment_Address{
				Street: "Hafenstraße", HouseNumber: "7", Postcode: "20095", City: "Hamburg", CountryCode: "DE",
			},
		},
		RequestId: uuid.NewString(),
	}
}

// delivered waits until a shipment is.
func delivered(t *testing.T, s *stubs, shipment *documentsv1.Shipment) *documentsv1.Shipment {
	t.Helper()
	eventually(t, "the delivery", func() bool {
		shipment = must(s.documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: shipment.GetName()}))(t)
		return shipment.GetStatus() == documentsv1.Shipment_DELIVERED
	})
	return shipment
}

// accounts lists the accounts under a consent.
func accounts(t *testing.T, s *stubs, consent *consentv1.Consent) []*bankingv1.Account {
	t.Helper()
	all := must(s.banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{Parent: consent.GetName()}))(t).GetAccounts()
	if len(all) == 0 {
		t.Fatal("there is no account")
	}
	return all
}

// history is all that happened to a consent, in text.
func history(t *testing.T, s *stubs, name string) string {
	t.Helper()
	return must(s.consents.ListConsentEvents(t.Context(), &consentv1.ListConsentEventsRequest{Parent: name, PageSize: 1000}))(t).String()
}

// callbackTokens are the unguessable parts of the callback addresses that a tenant's providers were given.
func callbackTokens(r *worldtest.Both) (tokens []string) {
	for _, call := range append(r.FimentoCore.Calls.All(), r.FinoOSCore.Calls.All()...) {
		for _, match := range callbackAddress.FindAllSubmatch(call.Body, -1) {
			tokens = append(tokens, string(match[1]))
		}
	}
	return tokens
}

var callbackAddress = regexp.MustCompile(`/callbacks/[a-z/]+/([A-Za-z0-9_-]{40,})`)
