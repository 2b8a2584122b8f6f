package crash

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/test/worldtest"
)

// step is one request that the gateway makes for an operation, as the provider's gate names it.
type step struct {
	operation string
	// repeatable says that a repetition of the caller's must succeed after a kill here; else it may end with
	// OUTCOME_UNKNOWN.
	repeatable bool
}

func call[Resp proto.Message](made Resp, err error) (proto.Message, error) {
	if err != nil {
		return nil, err
	}
	return made, nil
}

var redirects = &consentv1.Consent_RedirectUris{
	Success: optional.Of("https://app.example.com/success"), Error: optional.Of("https://app.example.com/error"),
	Exit: optional.Of("https://app.example.com/exit"),
}

// consentRequest asks for a consent at a provider, in the provider's market unless another one is given.
func consentRequest(key, provider, market, customer string) *consentv1.CreateConsentRequest {
	return &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider: provider, Market: cmp.Or(market, worldtest.Of(provider).Market), Customer: customer,
			RedirectUris: redirects, Reference: optional.Of(key),
		},
		RequestId: key,
	}
}

// prepared makes what a call needs and gives the call, with one key for however often it is made.
type prepared func(t *testing.T, w *world, key string) func(context.Context, *worldtest.Stubs) (proto.Message, error)

// createConsent asks for a consent, of the customer that prepare gives.
func createConsent(provider, market string, customer func(*testing.T, *world) string) prepared {
	return func(t *testing.T, w *world, key string) func(context.Context, *worldtest.Stubs) (proto.Message, error) {
		request := consentRequest(key, provider, market, customer(t, w))
		return func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
			return call(c.Consents.CreateConsent(ctx, request))
		}
	}
}

// addBank asks for another bank under a consent that the customer has approved.
func addBank(provider string) prepared {
	return func(t *testing.T, w *world, key string) func(context.Context, *worldtest.Stubs) (proto.Message, error) {
		request := consentRequest(uuid.NewString(), provider, "", "")
		consent := must(w.client.Consents.CreateConsent(w.context(), request))(t)
		w.approve(consent)
		w.restart() // so that the gateway has no token left, and logs in again
		return func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
			return call(c.Consents.AddBank(ctx, &consentv1.AddBankRequest{Name: consent.GetName(), RequestId: key}))
		}
	}
}

// revoke ends a consent that the customer has approved.
func revoke(provider string) prepared {
	return func(t *testing.T, w *world, key string) func(context.Context, *worldtest.Stubs) (proto.Message, error) {
		request := consentRequest(uuid.NewString(), provider, "", "")
		consent := must(w.client.Consents.CreateConsent(w.context(), request))(t)
		w.approve(consent)
		w.restart()
		return func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
			return call(c.Consents.RevokeConsent(ctx, &consentv1.RevokeConsentRequest{
				Name: consent.GetName(), RequestId: key,
			}))
		}
	}
}

// renewLink asks for another link for a consent that waits for the customer.
func renewLink(provider string) prepared {
	return func(t *testing.T, w *world, key string) func(context.Context, *worldtest.Stubs) (proto.Message, error) {
		request := consentRequest(uuid.NewString(), provider, "", "")
		consent := must(w.client.Consents.CreateConsent(w.context(), request))(t)
		w.restart()
		return func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
			return call(c.Consents.RenewConsentLink(ctx, &consentv1.RenewConsentLinkRequest{
				Name: consent.GetName(), RequestId: key,
			}))
		}
	}
}

// approve lets the customer approve.
func (w *world) approve(consent *consentv1.Consent) {
	w.t.Helper()
	id := strings.TrimPrefix(consent.GetProvider(), "providers/")
	if err := worldtest.Of(id).Approve(w.context(), worldtest.Scene{
		Played: w.Played[id], Stubs: w.client, Visit: func(address string) error {
			w.comeBack(address)
			return nil
		},
	}, consent); err != nil {
		w.t.Fatal(err)
	}
}

// creating is one creating operation of the API.
type creating struct {
	name    string
	steps   []step
	prepare prepared
	// effects counts at the provider what such calls did so far, all together; nil where a repetition does nothing
	// more.
	effects func(w *world) int
}

// count is the effects so far, always 0 where they cannot be counted, and what one call adds.
func (o creating) count(w *world) (effects, each int) {
	if o.effects == nil {
		return 0, 0
	}
	return o.effects(w), 1
}

func shipmentRequest(key string, channel documentsv1.Channel_Value) *documentsv1.CreateShipmentRequest {
	return &documentsv1.CreateShipmentRequest{RequestId: key, Shipment: &documentsv1.Shipment{
		Channel: channel, Recipient: "Torben Mais", Subject: key, Pdf: []byte("%PDF-1.4\n"),
		Address: &documentsv1.Shipment_Address{
			Street:      optional.Of("Universitätsplatz"),
			HouseNumber: optional.Of("12"),
			Postcode:    optional.Of("34127"),
			City:        "Kassel",
			CountryCode: "DE",
		},
	}}
}

func newCustomer(t *testing.T, w *world, products ...customerv1.Product_Value) string {
	t.Helper()
	return must(w.client.Customers.CreateCustomer(w.context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON, Products: products},
	}))(t).GetName()
}

func noCustomer(*testing.T, *world) string { return "" }

func plainCustomer(t *testing.T, w *world) string { return newCustomer(t, w) }

func distinct(replies []string, field string) int {
	seen := map[string]bool{}
	for _, reply := range replies {
		var body map[string]json.RawMessage
		if json.Unmarshal([]byte(reply), &body) == nil && len(body[field]) > 0 {
			seen[string(body[field])] = true // a text, or a number
		}
	}
	return len(seen)
}

// title makes a subtest's name of an operation at a provider.
func title(operation string) string {
	return strings.NewReplacer("POST /", "", "/", "-", "*", "x").Replace(operation)
}
