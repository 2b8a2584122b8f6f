package e2e

import (
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
)

// fimentoJourneys are what customers do on Fimento's pages.
var fimentoJourneys = []journey{
	{
		what: "approves at Fimento", arrives: "success", phone: true, last: consentv1.ConsentEvent_COMPLETED,
		steps: func(p *page) {
			p.click("#bank-0")
			p.click("#authenticate")
			p.click("#approve")
		},
		status: consentv1.Consent_AUTHORIZED, link: typev1.Link_COMPLETED,
		seen: []consentv1.ConsentEvent_Type{
			consentv1.ConsentEvent_LINK_OPENED, consentv1.ConsentEvent_BANK_SELECTED,
			consentv1.ConsentEvent_BANK_AUTHORIZED,
			consentv1.ConsentEvent_FETCH_STARTED, consentv1.ConsentEvent_FETCH_COMPLETED,
			consentv1.ConsentEvent_APPROVED,
			consentv1.ConsentEvent_CATEGORISATION_STARTED, consentv1.ConsentEvent_CATEGORISATION_COMPLETED,
			consentv1.ConsentEvent_INSIGHTS_STARTED,
		},
		unseen: []consentv1.ConsentEvent_Type{
			consentv1.ConsentEvent_AUTHORIZATION_FAILED, consentv1.ConsentEvent_REVOKED,
		},
	}, {
		what: "adds two banks at Fimento and approves", arrives: "success", last: consentv1.ConsentEvent_COMPLETED,
		steps: func(p *page) {
			p.click("#bank-0")
			p.click("#authenticate")
			p.click("#add-bank")
			p.click("#bank-1")
			p.click("#authenticate")
			p.click("#approve")
		},
		status: consentv1.Consent_AUTHORIZED, link: typev1.Link_COMPLETED,
		seen: []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_BANK_SELECTED, consentv1.ConsentEvent_APPROVED},
	}, {
		what: "denies at Fimento", arrives: "success", last: consentv1.ConsentEvent_REVOKED,
		steps: func(p *page) {
			p.click("#bank-0")
			p.click("#authenticate")
			p.click("#deny")
		},
		status: consentv1.Consent_REJECTED, link: typev1.Link_COMPLETED,
		seen: []consentv1.ConsentEvent_Type{
			consentv1.ConsentEvent_LINK_OPENED, consentv1.ConsentEvent_BANK_AUTHORIZED,
		},
		unseen: []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_APPROVED, consentv1.ConsentEvent_COMPLETED},
	}, {
		what: "fails to authenticate at Fimento, tries again and approves", arrives: "success",
		last: consentv1.ConsentEvent_COMPLETED,
		steps: func(p *page) {
			p.click("#bank-0")
			p.click("#fail")
			p.click("#retry")
			p.click("#bank-1")
			p.click("#authenticate")
			p.click("#approve")
		},
		status: consentv1.Consent_AUTHORIZED, link: typev1.Link_COMPLETED,
		seen: []consentv1.ConsentEvent_Type{
			consentv1.ConsentEvent_AUTHORIZATION_FAILED, consentv1.ConsentEvent_APPROVED,
		},
	},
}
