package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

var _ = providers.Add(fimento.ID, provider{
	alone:  "nordic",
	origin: consentv1.ConsentOrigin_NATIVE,
	setups: map[string]setup{
		// a consent that the customer refused
		"rejected": func(t *testing.T, w *world, c *client, provider string) vars {
			consent := w.createConsent(t, c, provider)
			return consentVars(must(c.Consents.SimulateDecision(t.Context(), &consentv1.SimulateDecisionRequest{
				Name: consent.GetName(), Decision: consentv1.Decision_REVOKED,
			}))(t))
		},
		// a partner bank
		"partnerBank": func(t *testing.T, _ *world, c *client, _ string) vars {
			bank := must(c.Consents.CreatePartnerBank(t.Context(), &consentv1.CreatePartnerBankRequest{
				PartnerBank: &consentv1.PartnerBank{
					Provider: "providers/" + fimento.ID, DisplayName: "Sparbanken Skåne",
					LogoUri: optional.Of("www.example.com/logo.png"),
				},
				RequestId: uuid.NewString(),
			}))(t)
			return vars{"partnerBank": bank.GetName()}
		},
	},
	// What is booked at the market's first bank, which customers choose.
	logins:      func(_ *sandbox.Population, person sandbox.Person) []sandbox.BankLogin { return person.Logins[:1] },
	journeys:    fimentoJourneys,
	failedLogin: failedLoginAtFimento,
	creations:   fimentoCreations,
	forge: func(t *testing.T, w *world, _ *client, consent *consentv1.Consent) (func(string) map[string]int, func()) {
		return func(token string) map[string]int {
			address := w.public.URL + "/callbacks/fimento/webhook/" + token
			return map[string]int{"webhook": post(t, address, `{"_id":"`+consent.GetProviderReference()+`"}`)}
		}, func() {}
	},
	receipt: "consent",
	left: func(t *testing.T, _ *world, consent *consentv1.Consent) {
		if status := get(t, pageOf(t, consent)); status != http.StatusGone {
			t.Errorf("Fimento's link answers %d", status)
		}
	},
})

// fimento is the played Fimento.
func (w *world) fimento() *fimento.Server {
	return sandboxes.As[*fimento.Server](w.Running, fimento.ID)
}

func failedLoginAtFimento(t *testing.T, w *world, c *client) {
	consent := w.createConsent(t, c, fimento.ID)
	visit := w.pages(t, consent.GetLink().GetUri())
	visit.open()
	visit.submit("/bank", url.Values{"bank": {visit.bank}})
	visit.submit("/authenticate", url.Values{"outcome": {"fail"}})
	got := refresh(t, c, consent.GetName())
	if got.GetStatus() != consentv1.Consent_FAILED || got.GetError().GetReason().String() != "AUTHORIZATION_FAILED" ||
		got.GetConnections()[0].GetStatus() != consentv1.Connection_ERROR ||
		got.GetLink().GetStatus() != typev1.Link_ERRORED {
		t.Errorf("after the failure the consent is %v", got)
	}
	if strings.Contains(got.String(), "could not be authenticated") {
		t.Error("the provider's own words came through")
	}
	visit.approve()
	got = ready(t, c, consent.GetName())
	if got.GetError() != nil || got.GetConnections()[0].GetStatus() != consentv1.Connection_ACTIVE {
		t.Errorf("after it went well the consent is %v", got)
	}
}

func fimentoCreations(*world) []*creation {
	return []*creation{
		{
			what: "consent at Fimento", rpc: "kontor.consent.v1.ConsentService/CreateConsent", setup: "none",
			callers: 100,
			request: object{
				"consent": object{"provider": fimento.ID, "market": "SE"},
				"psu":     object{"nationalId": sandbox.GoodNationalID},
			},
			change:   func(r object) { r["psu"] = object{"nationalId": sandbox.BadNationalID} },
			upstream: upstreamCalls{"create_process": 1},
		}, {
			what: "another bank at Fimento", rpc: "kontor.consent.v1.ConsentService/AddBank", setup: "authorized",
			callers:  20,
			request:  object{"name": "${consent}"},
			upstream: upstreamCalls{"get_process": 1, "new_consent_flow": 1},
		}, {
			what: "a new link at Fimento", rpc: "kontor.consent.v1.ConsentService/RenewConsentLink", setup: "pending",
			callers: 20, request: object{"name": "${consent}"}, upstream: upstreamCalls{"new_consent_link": 1},
		}, {
			what: "a decision", rpc: "kontor.consent.v1.ConsentService/SimulateDecision", setup: "pending",
			callers: 20, request: object{"name": "${consent}", "decision": "APPROVED"},
			change:   func(r object) { r["decision"] = "REVOKED" },
			upstream: upstreamCalls{"test_decision": 1, "get_process": 1},
		}, {
			what: "an end at Fimento", rpc: "kontor.consent.v1.ConsentService/RevokeConsent", setup: "authorized",
			callers: 20, request: object{"name": "${consent}"}, change: func(r object) { r["etag"] = "*" },
			upstream: upstreamCalls{"delete_process": 1},
		}, {
			what: "a change of a partner bank", rpc: "kontor.consent.v1.ConsentService/UpdatePartnerBank",
			setup: "partnerBank", callers: 20,
			request: object{
				"partnerBank": object{"name": "${partnerBank}", "displayName": "Sparbanken Syd"},
				"updateMask":  "displayName",
			},
			upstream: upstreamCalls{"list_partner_banks": 1, "update_partner_bank": 1},
		}, {
			what: "partner bank", rpc: "kontor.consent.v1.ConsentService/CreatePartnerBank", setup: "none", callers: 20,
			request:  object{"partnerBank": object{"provider": "providers/" + fimento.ID, "displayName": "Sparbanken"}},
			change:   func(r object) { r["partnerBank"] = object{"displayName": "Andelsbanken"} },
			upstream: upstreamCalls{"create_partner_bank": 1},
		},
	}
}

// fimentoVisit is a customer on Fimento's pages.
type fimentoVisit struct {
	visit
	bank string // that they choose
}

// pages gives the pages behind a link of Fimento. The customer chooses the market's first bank.
func (w *world) pages(t *testing.T, link string) *fimentoVisit {
	return &fimentoVisit{visit{t, link}, w.core(fimento.ID).Population.Banks("SE")[0].ID}
}

// authenticate chooses the bank and logs in there.
func (v *fimentoVisit) authenticate() {
	v.t.Helper()
	v.submit("/bank", url.Values{"bank": {v.bank}})
	v.submit("/authenticate", url.Values{"outcome": {"authenticate"}})
}

// approve goes through all pages and gives where the customer is sent then.
func (v *fimentoVisit) approve() string {
	v.t.Helper()
	v.authenticate()
	return v.submit("/decision", url.Values{"decision": {"approve"}})
}
