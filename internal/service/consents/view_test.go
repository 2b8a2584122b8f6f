package consents_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/optional"
)

// The address of a link is a key to act as the customer: who may only read consents never sees it, whichever way they
// look, and whoever looks at the same time.
func TestLinksAreForWritersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		name := p.Create(t).Resource.GetName()
		as := func(scope string) context.Context {
			ctx, cancel := context.WithTimeout(p.Ctx, time.Hour)
			t.Cleanup(cancel)
			return identity.With(ctx, identity.Identity{ClientID: scope, Tenant: "default", Scopes: []string{scope}})
		}
		streams := map[string]*received{}
		for _, scope := range []string{"consents.read", "consents.write", "*"} {
			for _, topic := range []string{name, ""} {
				r := &received{ctx: as(scope)}
				streams[scope+" "+topic] = r
				go func() {
					_ = p.Servers.Consent.WatchConsents(&consentv1.WatchConsentsRequest{Consent: topic}, r)
				}()
			}
		}
		synctest.Wait()
		_, err := p.Servers.Consent.RenewConsentLink(p.Ctx, &consentv1.RenewConsentLinkRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		assemblytest.Pass(time.Second)
		for key, r := range streams {
			scope := r.ctx
			events := 0
			for _, m := range r.messages {
				if m.GetKind() == consentv1.WatchConsentsResponse_HEARTBEAT || m.GetConsent() == nil {
					continue
				}
				events++
				wantLink(t, key, scope, m.GetConsent())
			}
			if events < 2 {
				t.Errorf("%s: %d messages", key, events)
			}
		}
		for _, scope := range []string{"consents.read", "consents.write", "*"} {
			ctx := as(scope)
			got, err := p.Servers.Consent.GetConsent(ctx, &consentv1.GetConsentRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			wantLink(t, "get as "+scope, ctx, got)
			list, err := p.Servers.Consent.ListConsents(ctx, &consentv1.ListConsentsRequest{})
			if err != nil || len(list.GetConsents()) != 1 {
				t.Fatal(list, err)
			}
			wantLink(t, "list as "+scope, ctx, list.GetConsents()[0])
		}
	})
}

// A repeated request gets the same answer, but for the address of a link that was replaced meanwhile.
func TestRememberedAnswersHaveLiveLinksOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		create := func() *consentv1.Consent {
			t.Helper()
			made, err := p.Servers.Consent.CreateConsent(p.Ctx, &consentv1.CreateConsentRequest{
				Consent: &consentv1.Consent{
					Provider: "fimento", Market: "SE",
					RedirectUris: &consentv1.Consent_RedirectUris{Success: optional.Of("https://app.example.com/done")},
				},
				RequestId: "3b0a6a0e-0000-4000-8000-000000000001",
			})
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
		made := create()
		if again := create(); made.GetLink().GetUri() == "" || !proto.Equal(made, again) {
			t.Errorf("the same request got %v, then %v", made, again)
		}
		renewed, err := p.Servers.Consent.RenewConsentLink(p.Ctx,
			&consentv1.RenewConsentLinkRequest{Name: made.GetName()})
		if err != nil || renewed.GetLink().GetUri() == "" {
			t.Fatal(renewed, err)
		}
		again := create()
		if again.GetLink().GetUri() != "" {
			t.Error("the answer has the address of a link that was replaced")
		}
		again.Link.Uri = optional.Of(made.GetLink().GetUri())
		if !proto.Equal(made, again) {
			t.Errorf("the same request got %v, then %v", made, again)
		}
	})
}

// wantLink sees that a consent shows its link's address to writers alone, and its state to all.
func wantLink(t *testing.T, what string, ctx context.Context, c *consentv1.Consent) { //nolint:revive // t goes first
	t.Helper()
	writes := identity.From(ctx).Allows("consents.write")
	if got := c.GetLink().GetUri() != ""; got != writes {
		t.Errorf("%s: shows the address: %t, want %t", what, got, writes)
	}
	if c.GetLink().GetExpireTime() == nil || c.GetName() == "" || c.GetEventCount() == 0 {
		t.Errorf("%s: got %v", what, c)
	}
}
