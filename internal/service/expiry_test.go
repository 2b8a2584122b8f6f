package service

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
)

func (s played) RenewLink(context.Context, providers.ConsentRef, providers.Flow) (*providers.Link, error) {
	return &providers.Link{URI: "https://bank.example.com/again", TTL: 24 * time.Hour}, nil
}

// A link that nobody used runs out after its time: once in the history, for callers to see, and not for good.
func TestLinkRunsOutAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t)
		name := p.create(t).Resource.GetName()
		get := func() *consentv1.Consent {
			t.Helper()
			c, err := p.Servers().Consent.GetConsent(p.ctx, &consentv1.GetConsentRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		pass(24*time.Hour - time.Minute)
		if got := get(); got.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION || got.GetLink().GetUri() == "" {
			t.Fatalf("before its time: %s, link %v", got.GetStatus(), got.GetLink())
		}
		pass(2 * time.Minute)
		got := get()
		if got.GetStatus() != consentv1.Consent_EXPIRED || got.GetLink().GetStatus() != typev1.Link_EXPIRED || got.GetLink().GetUri() != "" {
			t.Fatalf("after its time: %s, link %v", got.GetStatus(), got.GetLink())
		}
		pass(48 * time.Hour)
		if again := get(); again.GetEventCount() != got.GetEventCount() {
			t.Errorf("%d events became %d while nothing happened", got.GetEventCount(), again.GetEventCount())
		}
		_, err := p.Servers().Banking.ListAccounts(p.ctx, &bankingv1.ListAccountsRequest{Parent: name})
		if reason := kerr.Reason(err); reason != errorv1.Error_CONSENT_EXPIRED {
			t.Errorf("reading data gives %s", reason)
		}
		renewed, err := p.Servers().Consent.RenewConsentLink(p.ctx, &consentv1.RenewConsentLinkRequest{Name: name})
		if err != nil || renewed.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION || renewed.GetLink().GetStatus() != typev1.Link_PENDING {
			t.Errorf("a new link: %v, %v", renewed, err)
		}
	})
}

// A decision that the provider reports after the link ran out still counts.
func TestDecisionAfterTheLinkRanOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t)
		row := p.create(t)
		pass(25 * time.Hour)
		p.mu.Lock()
		p.state = providers.ConsentState{Observations: []providers.Observation{{
			Key: "approved", Type: consentv1.ConsentEvent_APPROVED, ProviderCode: "customerApprovedConsent", Time: time.Now().Add(-90 * time.Minute),
		}}}
		p.mu.Unlock()
		fresh, err := p.refresh(p.ctx, row)
		if err != nil || fresh.Resource.GetStatus() != consentv1.Consent_AUTHORIZED {
			t.Errorf("%v, %v", fresh, err)
		}
	})
}
