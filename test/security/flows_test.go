package security

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

// ask asks a new customer for consent.
func ask(t *testing.T, s *worldtest.Stubs, provider string, psu *consentv1.Psu) *consentv1.Consent {
	t.Helper()
	request := &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider: provider, Market: worldtest.Of(provider).Market, Reference: optional.Of(uuid.NewString()),
			RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of("https://app.example.com/ok"), Error: optional.Of("https://app.example.com/bad"),
				Exit: optional.Of("https://app.example.com/out"),
			},
		},
		RequestId: uuid.NewString(),
	}
	if worldtest.Of(provider).TakesPsu {
		request.Psu = psu
	}
	return must(s.Consents.CreateConsent(worldtest.AsPSU(t.Context()), request))(t)
}

// approve takes a customer through the bank's pages and waits for the data.
func approve(t *testing.T, s *worldtest.Stubs, r *sandboxes.Running, consent *consentv1.Consent) *consentv1.Consent {
	t.Helper()
	id := strings.TrimPrefix(consent.GetProvider(), "providers/")
	if err := worldtest.Of(id).Approve(t.Context(), worldtest.Scene{
		Played: r.Played[id], Stubs: s, Visit: func(address string) error {
			visit(t, address)
			return nil
		},
	}, consent); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the data of "+consent.GetName(), func() bool {
		consent = must(s.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{
			Name: consent.GetName(), Refresh: true,
		}))(t)
		return consent.GetDataStage() == consentv1.DataStage_READY &&
			consent.GetStatus() == consentv1.Consent_AUTHORIZED
	})
	return consent
}

// person is a customer of whom Fimento has good data.
func person() *consentv1.Psu {
	return &consentv1.Psu{NationalId: sandbox.GoodNationalID, FirstName: "Elin", LastName: "Sandström"}
}

// visit opens an address as a browser does and gives the status.
func visit(t *testing.T, address string) int {
	t.Helper()
	resp, err := worldtest.NoRedirects.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// post posts to an address as a provider does and gives the status.
func post(t *testing.T, address, body string) int {
	t.Helper()
	resp, err := worldtest.NoRedirects.Post(address, "application/json", strings.NewReader(body))
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
			Channel: documentsv1.Channel_LETTER, Recipient: recipient, Subject: "Contract", Pdf: pdf,
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

// delivered waits until a shipment is.
func delivered(t *testing.T, s *worldtest.Stubs, shipment *documentsv1.Shipment) *documentsv1.Shipment {
	t.Helper()
	eventually(t, "the delivery", func() bool {
		shipment = must(s.Documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{
			Name: shipment.GetName(),
		}))(t)
		return shipment.GetStatus() == documentsv1.Shipment_DELIVERED
	})
	return shipment
}

// accounts lists the accounts under a consent.
func accounts(t *testing.T, s *worldtest.Stubs, consent *consentv1.Consent) []*bankingv1.Account {
	t.Helper()
	all := must(s.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
		Parent: consent.GetName(),
	}))(t).GetAccounts()
	if len(all) == 0 {
		t.Fatal("there is no account")
	}
	return all
}

// history is all that happened to a consent, in text.
func history(t *testing.T, s *worldtest.Stubs, name string) string {
	t.Helper()
	return must(s.Consents.ListConsentEvents(t.Context(), &consentv1.ListConsentEventsRequest{
		Parent: name, PageSize: 1000,
	}))(t).String()
}

// callbackTokens are the unguessable parts of the callback addresses that a tenant's providers were given.
func callbackTokens(r *sandboxes.Running) (tokens []string) {
	for _, call := range worldtest.Calls(r) {
		for _, match := range worldtest.CallbackAddress.FindAllSubmatch(call.Body, -1) {
			tokens = append(tokens, string(match[1]))
		}
	}
	return tokens
}
