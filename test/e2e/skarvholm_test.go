package e2e

import (
	"net/http"
	"net/url"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/example/played"
)

// Skarvholm is the provider that docs/adding-a-provider.md adds.
var _ = providers.Add(played.ID, provider{
	alone:  "norwegian",
	origin: consentv1.ConsentOrigin_NATIVE,
	setups: map[string]setup{
		// a consent that the customer refused
		"rejected": func(t *testing.T, w *world, c *client, provider string) vars {
			consent := w.createConsent(t, c, provider)
			location, err := w.skarvholm().Deny(consent.GetProviderReference())
			if err != nil {
				t.Fatal(err)
			}
			w.follow(t, location)
			return consentVars(refresh(t, c, consent.GetName()))
		},
	},
	showPerson: func(t *testing.T, w *world, consent *consentv1.Consent, person sandbox.Person) {
		if err := w.skarvholm().SetPerson(consent.GetProviderReference(), person); err != nil {
			t.Fatal(err)
		}
	},
	// A consent is for one bank: the first, which customers choose.
	logins: func(p *sandbox.Population, person sandbox.Person) []sandbox.BankLogin {
		return p.Dress(person, sandbox.Norway).Logins[:1]
	},
	pending:       true,
	namesRequests: true,
	journeys: []journey{
		{
			what: "approves at Skarvholm", arrives: "success", phone: true, last: consentv1.ConsentEvent_COMPLETED,
			steps:  func(p *page) { p.click("#approve") },
			status: consentv1.Consent_AUTHORIZED, link: typev1.Link_COMPLETED,
			// Skarvholm tells how things stand, not what happened:
			// collecting that ends before anybody asks is not seen.
			seen: []consentv1.ConsentEvent_Type{
				consentv1.ConsentEvent_BANK_AUTHORIZED, consentv1.ConsentEvent_APPROVED,
			},
			unseen: []consentv1.ConsentEvent_Type{
				consentv1.ConsentEvent_LINK_EXITED, consentv1.ConsentEvent_AUTHORIZATION_FAILED,
			},
		}, {
			what: "refuses at Skarvholm", arrives: "exit", last: consentv1.ConsentEvent_LINK_EXITED,
			steps:  func(p *page) { p.click("#deny") },
			status: consentv1.Consent_REJECTED, link: typev1.Link_COMPLETED,
			seen:   []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_REVOKED},
			unseen: []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_APPROVED},
		},
	},
	failedLogin: failedLoginAtSkarvholm,
	creations: func(w *world) []*creation {
		back := w.app.URL + "/back/success"
		return []*creation{{
			what: "consent at Skarvholm", rpc: "kontor.consent.v1.ConsentService/CreateConsent", setup: "none",
			callers: 100,
			request: object{"consent": object{"market": "NO", "redirectUris": object{
				"success": back, "error": back, "exit": back,
			}}},
			change:   func(r object) { r["customerType"] = "COMPANY" },
			upstream: upstreamCalls{"create_consent": 1},
		}}
	},
	forge: func(t *testing.T, w *world, _ *client, consent *consentv1.Consent) (func(string) map[string]int, func()) {
		query := url.Values{"consentId": {consent.GetProviderReference()}, "code": {"guessed"}}
		return func(token string) map[string]int {
			address := w.public.URL + "/callbacks/redirects/" + token + "/success?" + query.Encode()
			return map[string]int{"redirect": get(t, address)}
		}, func() {}
	},
	receipt: "consent",
	left: func(t *testing.T, _ *world, consent *consentv1.Consent) {
		if status := get(t, pageOf(t, consent)); status != http.StatusGone {
			t.Errorf("Skarvholm's link answers %d", status)
		}
	},
})

// skarvholm is the played Skarvholm.
func (w *world) skarvholm() *played.Server { return sandboxes.As[*played.Server](w.Running, played.ID) }

func failedLoginAtSkarvholm(t *testing.T, w *world, c *client) {
	consent := w.createConsent(t, c, played.ID)
	location, err := w.skarvholm().FailLogin(consent.GetProviderReference())
	if err != nil {
		t.Fatal(err)
	}
	if back := w.follow(t, location); back != consent.GetRedirectUris().GetError() {
		t.Errorf("the customer returns to %s", back)
	}
	got := refresh(t, c, consent.GetName())
	if got.GetStatus() != consentv1.Consent_FAILED || got.GetLink().GetStatus() != typev1.Link_ERRORED {
		t.Errorf("after the failure the consent is %v", got)
	}
	renewed := must(c.Consents.RenewConsentLink(t.Context(), &consentv1.RenewConsentLinkRequest{
		Name: consent.GetName(),
	}))(t)
	if renewed.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION ||
		renewed.GetProviderReference() == consent.GetProviderReference() {
		t.Errorf("with a new link the consent is %v", renewed)
	}
	w.approve(t, c, renewed)
	ready(t, c, consent.GetName())
}
