package e2e

import (
	"slices"
	"testing"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// loginsOf are the bank logins that finoOS has of a consent's user.
func (w *world) loginsOf(consent *consentv1.Consent) (logins []string) {
	for _, user := range w.finoOS().Users() {
		if user.ID == consent.GetProviderReference() {
			logins = user.Logins
		}
	}
	return logins
}

// TestAuthenticatingAgain: the page that RenewConsentLink gives brings a consent on whose bank asks for the customer,
// and nothing is there twice afterwards. The way back from it by itself says nothing.
func TestAuthenticatingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	consent := w.authorized(t, c, finoos.ID)
	accounts := len(must(listAccounts(t, c, consent.GetName()))(t))
	w.finoOS().ExpireLogins(consent.GetProviderReference())
	renewed := must(c.Consents.RenewConsentLink(asPSU(t), &consentv1.RenewConsentLinkRequest{
		Name: consent.GetName(),
	}))(t)
	if renewed.GetStatus() != consentv1.Consent_AWAITING_REAUTHORIZATION || renewed.GetLink().GetUri() == "" {
		t.Fatalf("with a new link the consent is %v", renewed)
	}
	if got := len(must(listAccounts(t, c, consent.GetName()))(t)); got != accounts {
		t.Errorf("meanwhile %d of %d accounts can be read", got, accounts)
	}
	w.approve(t, c, renewed)
	again := ready(t, c, consent.GetName())
	if len(again.GetConnections()) != 1 || again.GetLink().GetStatus() != typev1.Link_COMPLETED ||
		again.GetLink().GetUri() != "" || len(w.loginsOf(consent)) != 1 {
		t.Errorf("authenticated again, the consent is %v, and finoOS has the logins %v", again, w.loginsOf(consent))
	}
	if got := len(must(listAccounts(t, c, consent.GetName()))(t)); got != accounts {
		t.Errorf("afterwards there are %d accounts, want %d", got, accounts)
	}
}

// TestImportedBesideConnected: a customer can have data that the caller brought along beside banks that they connected.
// Each consent has its own, and to end one takes nothing of the other.
func TestImportedBesideConnected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	for name, endImported := range map[string]bool{"the imported one ends": true, "the connected one ends": false} {
		t.Run(name, func(t *testing.T) {
			customer := w.createCustomer(
				t, c, customerv1.Customer_PERSON, customerv1.Product_BANKING, customerv1.Product_IMPORT,
			)
			connected := w.authorized(t, c, finoos.ID, ofCustomer(customer))
			request := importRequest(customer.GetName())
			_, err := c.Banking.ImportConnections(t.Context(), request)
			wantReason(t, err, "CONSENT_EXISTS")
			request.Mode, request.RequestId = bankingv1.ImportConnectionsRequest_MERGE, ""
			imported := must(c.Banking.ImportConnections(t.Context(), request))(t).GetConsent()
			if imported.GetName() == connected.GetName() || imported.GetStatus() != consentv1.Consent_AUTHORIZED ||
				len(imported.GetConnections()) != 1 ||
				imported.GetConnections()[0].GetStatus() != consentv1.Connection_ACTIVE {
				t.Fatalf("the imported consent is %v", imported)
			}
			ended, left := connected, imported
			if endImported {
				ended, left = imported, connected
			}
			before := map[string]int{}
			for _, consent := range []*consentv1.Consent{connected, imported} {
				if now := refresh(t, c, consent.GetName()); len(now.GetConnections()) != 1 ||
					now.GetStatus() != consentv1.Consent_AUTHORIZED {
					t.Errorf("with the other one beside it a consent is %v", now)
				}
				before[consent.GetName()] = len(must(listAccounts(t, c, consent.GetName()))(t))
			}
			if before[imported.GetName()] != 1 {
				t.Errorf("%d accounts were brought along, want 1", before[imported.GetName()])
			}
			must(c.Consents.RevokeConsent(asPSU(t), &consentv1.RevokeConsentRequest{Name: ended.GetName()}))(t)
			if logins := w.loginsOf(connected); len(logins) != 1 || (logins[0] == "login-1") == endImported {
				t.Errorf("finoOS has the logins %v left", logins)
			}
			if now := refresh(t, c, left.GetName()); now.GetStatus() != consentv1.Consent_AUTHORIZED ||
				now.GetConnections()[0].GetStatus() != consentv1.Connection_ACTIVE {
				t.Errorf("the one that is left is %v", now)
			}
			if got := len(must(listAccounts(t, c, left.GetName()))(t)); got != before[left.GetName()] {
				t.Errorf("of the one that is left %d accounts can be read, want %d", got, before[left.GetName()])
			}
		})
	}
}

// TestAnalysesOfOneUser: finoOS analyses all accounts of its user. Where the user has data that the caller brought
// along beside banks that the customer connected, each consent shows the analyses of its own accounts.
func TestAnalysesOfOneUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	customer := w.createCustomer(t, c, customerv1.Customer_COMPANY, customerv1.Product_BANKING,
		customerv1.Product_IMPORT, customerv1.Product_PAYMENT_PARTNER_ANALYSIS)
	connected := w.authorized(t, c, finoos.ID, ofCustomer(customer))
	request := importRequest(customer.GetName())
	request.Mode, request.RequestId = bankingv1.ImportConnectionsRequest_MERGE, ""
	imported := must(c.Banking.ImportConnections(t.Context(), request))(t).GetConsent()
	for _, consent := range []*consentv1.Consent{connected, imported} {
		analysis := must(c.Insights.GetPaymentPartnerAnalysis(t.Context(),
			&insightsv1.GetPaymentPartnerAnalysisRequest{Name: consent.GetName() + "/paymentPartnerAnalysis"}))(t)
		var got, want []string
		for _, a := range analysis.GetAccounts() {
			got = append(got, a.GetAccount())
		}
		for _, a := range must(listAccounts(t, c, consent.GetName()))(t) {
			want = append(want, a.GetName())
		}
		slices.Sort(got)
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("under %s the accounts %v are analysed, want %v", consent.GetOrigin(), got, want)
		}
	}
}
