package e2e

import (
	"strings"

	"github.com/chromedp/chromedp"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
)

// finoosJourneys are what customers do on finoOS's pages.
var finoosJourneys = []journey{
	{
		what: "approves at finoOS", arrives: "success", phone: true, last: consentv1.ConsentEvent_COMPLETED,
		steps: func(p *page) {
			finoBank(p)
			p.click("#confirm")
			p.click("#finish")
		},
		status: consentv1.Consent_AUTHORIZED, link: typev1.Link_COMPLETED,
		seen: []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_BANK_AUTHORIZED, consentv1.ConsentEvent_APPROVED},
		unseen: []consentv1.ConsentEvent_Type{
			consentv1.ConsentEvent_LINK_EXITED, consentv1.ConsentEvent_AUTHORIZATION_FAILED,
		},
	}, {
		what: "cancels at finoOS", arrives: "exit", last: consentv1.ConsentEvent_LINK_EXITED,
		steps: func(p *page) {
			finoBank(p)
			p.click("#cancel")
		},
		status: consentv1.Consent_AWAITING_AUTHORIZATION, link: typev1.Link_EXITED,
		unseen: []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_BANK_AUTHORIZED, consentv1.ConsentEvent_APPROVED},
	}, {
		what: "meets a bank in trouble at finoOS", arrives: "error", last: consentv1.ConsentEvent_AUTHORIZATION_FAILED,
		steps: func(p *page) {
			p.click("#bank-20050099")
			p.fill("#login", "dummy")
			p.fill("#pin", "654321")
			p.click("#login-submit")
			p.click("#leave")
		},
		status: consentv1.Consent_FAILED, link: typev1.Link_ERRORED,
		unseen: []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_APPROVED},
	},
}

// finoBank logs in at finoOS's test bank, up to the choice of accounts.
func finoBank(p *page) {
	p.t.Helper()
	p.click("#bank-10020000")
	p.fill("#login", "dummy")
	p.fill("#pin", "654321")
	p.click("#login-submit")
	p.fill("#tan", strings.TrimSpace(read(p, "reading the TAN", chromedp.Text(
		chromedp.CSS("#tan-shown"), chromedp.NodeVisible,
	))))
	p.click("#tan-submit")
}
