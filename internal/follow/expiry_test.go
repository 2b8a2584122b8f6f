package follow_test

import (
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
)

// A link that nobody used runs out after its time: once in the history, for callers to see, and not for good.
func TestLinkRunsOutAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, daysPass)
		name := p.Create(t).Resource.GetName()
		get := func() *consentv1.Consent {
			t.Helper()
			c, err := p.Servers.Consent.GetConsent(p.Ctx, &consentv1.GetConsentRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		assemblytest.Pass(24*time.Hour - time.Minute)
		if got := get(); got.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION || got.GetLink().GetUri() == "" {
			t.Fatalf("before its time: %s, link %v", got.GetStatus(), got.GetLink())
		}
		assemblytest.Pass(2 * time.Minute)
		got := get()
		if got.GetStatus() != consentv1.Consent_EXPIRED || got.GetLink().GetStatus() != typev1.Link_EXPIRED ||
			got.GetLink().GetUri() != "" {
			t.Fatalf("after its time: %s, link %v", got.GetStatus(), got.GetLink())
		}
		assemblytest.Pass(48 * time.Hour)
		if again := get(); again.GetEventCount() != got.GetEventCount() {
			t.Errorf("%d events became %d while nothing happened", got.GetEventCount(), again.GetEventCount())
		}
		_, err := p.Servers.Banking.ListAccounts(p.Ctx, &bankingv1.ListAccountsRequest{Parent: name})
		if reason := kerr.Reason(err); reason != errorv1.Error_LINK_EXPIRED {
			t.Errorf("reading data gives %s", reason)
		}
		renewed, err := p.Servers.Consent.RenewConsentLink(p.Ctx, &consentv1.RenewConsentLinkRequest{Name: name})
		if err != nil || renewed.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION ||
			renewed.GetLink().GetStatus() != typev1.Link_PENDING {
			t.Errorf("a new link: %v, %v", renewed, err)
		}
	})
}

// A decision that the provider reports after the link ran out still counts.
func TestDecisionAfterTheLinkRanOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, daysPass)
		row := p.Create(t)
		assemblytest.Pass(25 * time.Hour)
		p.Report(providers.ConsentState{Observations: []providers.Observation{{
			Key: "approved", Type: consentv1.ConsentEvent_APPROVED, ProviderCode: "customerApprovedConsent",
			Time: time.Now().Add(-90 * time.Minute),
		}}}, nil)
		fresh, err := p.Follower.Refresh(p.Ctx, row)
		if err != nil || fresh.Resource.GetStatus() != consentv1.Consent_AUTHORIZED {
			t.Errorf("%v, %v", fresh, err)
		}
	})
}
