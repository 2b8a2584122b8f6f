package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// TestFailedAuthentication: the login at the bank fails, then goes well.
func TestFailedAuthentication(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	for _, provider := range worldtest.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			providers.Of(provider).failedLogin(t, w, c)
		})
	}
}

// TestRevocation: after the end nothing is left at the provider, and nothing can be read.
func TestRevocation(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	for _, provider := range worldtest.Providers() {
		consent := w.authorized(t, c, provider)
		revoked := must(c.Consents.RevokeConsent(asPSU(t), &consentv1.RevokeConsentRequest{Name: consent.GetName()}))(t)
		if revoked.GetStatus() != consentv1.Consent_REVOKED || revoked.GetLink().GetUri() != "" {
			t.Errorf("%s: a revoked consent is %v", provider, revoked)
		}
		if status := get(t, pageOf(t, consent)); status != http.StatusGone {
			t.Errorf("%s: the link answers %d", provider, status)
		}
		offers := offersOf(t, w, provider)
		for what, err := range map[string]error{
			"ListAccounts": second(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
				Parent: consent.GetName(),
			})),
			"GetInsights": second(c.Insights.GetInsights(t.Context(), &insightsv1.GetInsightsRequest{
				Name: consent.GetName() + "/insights",
			})),
			"RenewConsentLink": second(c.Consents.RenewConsentLink(t.Context(), &consentv1.RenewConsentLinkRequest{
				Name: consent.GetName(),
			})),
			"AddBank": second(c.Consents.AddBank(asPSU(t), &consentv1.AddBankRequest{Name: consent.GetName()})),
		} {
			if offers[what] == providerv1.Provider_Capability_UNSUPPORTED {
				continue
			}
			if f := failed(err); f == nil || f.reason != "CONSENT_REVOKED" || f.code != codes.FailedPrecondition {
				t.Errorf("%s: %s after the end: %v", provider, what, f)
			}
		}
		if again := must(c.Consents.RevokeConsent(asPSU(t), &consentv1.RevokeConsentRequest{
			Name: consent.GetName(),
		}))(t); again.GetEventCount() != revoked.GetEventCount() {
			t.Errorf("%s: revoking twice added events", provider)
		}
	}
}

// second gives the error of a call.
func second[T any](_ T, err error) error { return err }

// TestDeleteCustomer: a customer with consents at all providers goes, with a receipt, and nothing of them is left
// anywhere.
func TestDeleteCustomer(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	customer := w.createCustomer(t, c, customerv1.Customer_PERSON)
	at := map[string]*consentv1.Consent{}
	for _, provider := range worldtest.Providers() {
		at[provider] = w.authorized(t, c, provider, ofCustomer(customer))
	}
	stream := watchConsents(t, c, overSSE, at[anybody].GetName(), "")
	stream.next(t)
	receipt := must(c.Customers.DeleteCustomer(asPSU(t), &customerv1.DeleteCustomerRequest{
		Name: customer.GetName(),
	}))(t)
	counts := map[string]int32{}
	for _, entry := range receipt.GetEntries() {
		counts[entry.GetPlace()+" "+entry.GetKind()] = entry.GetCount()
		if entry.GetDeleteTime() == nil {
			t.Errorf("the receipt does not say when: %v", entry)
		}
	}
	wanted := map[string]int32{"kontor consent": int32(len(at)), "kontor customer": 1}
	for id := range at {
		wanted["providers/"+id+" "+providers.Of(id).receipt] = 1
	}
	for what, want := range wanted {
		if counts[what] != want {
			t.Errorf("the receipt has %d of %s, want %d: %v", counts[what], what, want, counts)
		}
	}
	if last := stream.news(t); last.GetEvent().GetType() != consentv1.ConsentEvent_DELETED {
		t.Errorf("the watch got %v, want DELETED", last)
	}
	for what, err := range map[string]error{
		"CUSTOMER_NOT_FOUND": second(c.Customers.GetCustomer(t.Context(), &customerv1.GetCustomerRequest{
			Name: customer.GetName(),
		})),
		"CONSENT_NOT_FOUND": second(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{
			Name: at[anybody].GetName(),
		})),
	} {
		wantReason(t, err, what)
	}
	for id, consent := range at {
		providers.Of(id).left(t, w, consent)
	}
	again := must(c.Customers.DeleteCustomer(asPSU(t), &customerv1.DeleteCustomerRequest{Name: customer.GetName()}))(t)
	if !proto.Equal(again, receipt) {
		t.Errorf("deleting again gives the receipt %v, want %v", again, receipt)
	}
	// The reference is free again.
	must(c.Customers.CreateCustomer(t.Context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{
			Type:      customerv1.Customer_PERSON,
			Reference: optional.Of(customer.GetReference()),
		},
	}))(t)
}

// TestProviderTrouble: what ails a provider is told by a reason of Kontor's, without a word of the provider's, and
// its health shows it.
func TestProviderTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	consents := map[string]*consentv1.Consent{}
	for _, provider := range worldtest.Providers() {
		consents[provider] = w.authorized(t, c, provider)
	}
	secret := "what the provider says about " + canary
	w.secret(canary, "the provider's words")
	for _, trouble := range []struct {
		fault  sandbox.Fault
		reason string
		retry  bool
	}{
		{sandbox.Fault{Status: 400, Body: `{"message": "` + secret + `", "type": "x"}`}, "PROVIDER_REJECTED", false},
		{
			sandbox.Fault{Status: 403, Body: `{"message": "` + secret + `", "type": "forbidden"}`},
			"CAPABILITY_NOT_ENABLED", false,
		},
		{
			sandbox.Fault{Status: 429, RetryAfter: "3600", Body: `{"message": "` + secret + `"}`},
			"PROVIDER_RATE_LIMITED", true,
		},
		{sandbox.Fault{Malformed: true}, "PROVIDER_RESPONSE_INVALID", false},
		{sandbox.Fault{Status: 200, Body: `{"` + canary + `": `}, "PROVIDER_RESPONSE_INVALID", false},
	} {
		for _, provider := range worldtest.Providers() {
			fault := trouble.fault
			fault.Operation = worldtest.Of(provider).Read
			id := w.core(provider).Faults.Add(fault)
			for _, transport := range transports {
				got, err := c.call(
					t.Context(), transport, methods()["kontor.banking.v1.BankingService/ListAccounts"],
					object{"parent": consents[provider].GetName()}, nil, 0,
				)
				if err != nil {
					t.Fatal(err)
				}
				f := got.failure
				if f == nil || f.reason != trouble.reason || f.retry != trouble.retry ||
					strings.Contains(f.text, canary) {
					t.Errorf(
						"%s over %s: got %v, want %s with retry %t", provider, transport, f, trouble.reason,
						trouble.retry,
					)
				} else if f.metadata["provider"] != provider ||
					f.metadata["operation"] != worldtest.Of(provider).Read ||
					providers.Of(provider).namesRequests && f.metadata["providerRequestId"] == "" {
					t.Errorf("%s: the error names %v", provider, f.metadata)
				}
			}
			w.core(provider).Faults.Remove(id)
		}
	}
	for _, provider := range worldtest.Providers() { // expired tokens are nobody's business but the gateway's
		w.core(provider).ExpireTokens()
		must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
			Parent: consents[provider].GetName(),
		}))(t)
	}
}
