package fimento

import (
	"net/url"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/sandbox"
)

func TestApproveThroughThePages(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create(`"socialSecurityNumber":"199503096316","redirectUrl":"https://app.example.com/back?case=7"`)
	b := p.browse(made.ConsentLink).sees(200, "Choose your bank", "Demo partner bank", "Nordfjäll Bank",
		"Mälar Sparbank")
	b.click("bank-1").sees(200, "Mälar Sparbank", "Elin Sandström", "electronic ID")
	wantCodes(t, p.process(made.ID).CustomerBankConsent[0].Status.History, "bankAddedNotCompletedAuthFlow")

	b.click("authenticate").sees(200, "Share your bank data?", "Mälar Sparbank")
	got := p.process(made.ID)
	wantCodes(t, got.ConsentFlowStatus.History, "created", "consentLinkOpened")
	wantCodes(t, got.CustomerBankConsent[0].Status.History, "bankAddedNotCompletedAuthFlow",
		"bankAddedCompletedAuthFlow", "fetchingTransactionsStarted")
	if bank := got.CustomerBankConsent[0].CustomerBank; bank.Name != "Mälar Sparbank" || bank.Country != "SE" {
		t.Errorf("bank %+v", bank)
	}

	p.clock.Advance(step)
	wantCodes(t, p.process(made.ID).CustomerBankConsent[0].Status.History,
		"bankAddedNotCompletedAuthFlow", "bankAddedCompletedAuthFlow", "fetchingTransactionsStarted",
		"fetchingTransactionsDone")
	p.clock.Advance(10 * step) // nothing goes on by itself before the customer has decided
	b.click("approve")
	if b.at != "https://app.example.com/back?case=7" {
		t.Errorf("sent back to %s", b.at)
	}
	wantCodes(t, p.process(made.ID).ConsentFlowStatus.History, "created", "consentLinkOpened",
		"customerApprovedConsent")
	p.clock.Advance(4 * step)
	got = p.process(made.ID)
	wantCodes(t, got.ConsentFlowStatus.History, "created", "consentLinkOpened", "customerApprovedConsent",
		"categorisationStarted", "categorisationDone", "insightsStarted", "completed")
	if got.ConsentFlowStatus.Current.Desc != "Customer has approved consent and insights is generated" {
		t.Errorf("current %+v", got.ConsentFlowStatus.Current)
	}
	if p.core.Calls.Count(sandbox.OperationPage) == 0 {
		t.Error("the pages are not recorded")
	}
}

// An approval may come before the transactions are there; the stages wait for them.
func TestApproveWhileFetching(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	b := p.browse(made.ConsentLink).click("bank-0").click("authenticate")
	p.clock.Advance(step / 2)
	b.click("add-bank").click("bank-2").click("authenticate").sees(200, "Nordfjäll Bank",
		"Västkustbanken").click("approve")
	b.sees(200, "Thank you")
	p.clock.Advance(step) // one bank is done, then the other
	wantCodes(t, p.process(made.ID).ConsentFlowStatus.History, "created", "consentLinkOpened",
		"customerApprovedConsent")
	p.clock.Advance(step)
	if got := p.process(made.ID).ConsentFlowStatus.Current.Code; got != "categorisationStarted" {
		t.Errorf("current %s", got)
	}
	p.clock.Advance(3 * step)
	got := p.process(made.ID)
	if len(got.CustomerBankConsent) != 2 || got.ConsentFlowStatus.Current.Code != "completed" {
		t.Errorf("at the end %+v", got)
	}
}

// A bank that is chosen and left is no part of what is approved.
func TestBankWithoutAuthentication(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	b := p.browse(made.ConsentLink).click("bank-0").click("authenticate").click("add-bank").click("bank-1")
	b.open(made.ConsentLink + "/decision")
	b.click("approve").sees(200, "Thank you")
	link := strings.TrimPrefix(made.ConsentLink, p.url)
	b.submit(link+"/authenticate", url.Values{"outcome": {"authenticate"}}) // too late
	b.sees(200, "Thank you")
	p.clock.Advance(5 * step)
	got := p.process(made.ID).CustomerBankConsent
	if got[0].ConsentGivenAt == nil || got[1].ConsentGivenAt != nil ||
		got[1].Status.Current.Code != "bankAddedNotCompletedAuthFlow" {
		t.Errorf("bank consents %+v", got)
	}
	if accounts := p.insightsOf(made.ID).AccountsInfo; len(accounts) != 3 {
		t.Errorf("%d accounts, want those of one bank", len(accounts))
	}
}

func TestOpeningsCount(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	for range 3 {
		p.browse(made.ConsentLink)
	}
	b := p.browse(made.ConsentLink).click("bank-0").click("other-bank").sees(200, "Choose your bank")
	wantCodes(t, p.process(made.ID).ConsentFlowStatus.History,
		"created", "consentLinkOpened", "consentLinkOpened", "consentLinkOpened", "consentLinkOpened")
	b.click("bank-0").click("authenticate").click("deny")
	p.browse(made.ConsentLink).sees(200, "Nothing is shared")
	if got := p.process(made.ID).ConsentFlowStatus.Current.Code; got != "customerDeniedConsent" {
		t.Errorf("an opening after the decision counts: %s", got)
	}
}

func TestDenyThroughThePages(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	b := p.browse(made.ConsentLink).click("bank-0").click("authenticate").click("deny").sees(200, "Nothing is shared")
	got := p.process(made.ID)
	wantCodes(t, got.ConsentFlowStatus.History, "created", "consentLinkOpened", "customerDeniedConsent")
	if got.Consent != "revoked" || *got.ConsentFlowStatus.Consent != "revoked" {
		t.Errorf("consent %v", got.Consent)
	}
	p.clock.Advance(10 * step)
	if after := p.process(made.ID); len(after.ConsentFlowStatus.History) != 3 ||
		after.CustomerBankConsent[0].Status.Current.Code != "fetchingTransactionsStarted" {
		t.Errorf("after a denial: %+v", after)
	}
	p.call("GET", "/insights/"+made.ID, "").refused(t, 404)
	b.submit("/consent/"+strings.TrimPrefix(made.ConsentLink, p.url+"/consent/")+"/decision",
		url.Values{"decision": {"approve"}})
	if p.process(made.ID).Consent != "revoked" {
		t.Error("a denial was taken back")
	}
	b.submit("/consent/"+strings.TrimPrefix(made.ConsentLink, p.url+"/consent/")+"/decision",
		url.Values{"decision": {"deny"}})
	if got := p.process(made.ID).ConsentFlowStatus.History; len(got) != 3 {
		t.Errorf("denied twice: %v", codes(got))
	}
}

func TestWithdrawThroughThePages(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	p.browse(made.ConsentLink).click("bank-0").click("authenticate").click("approve").sees(200, "Thank you")
	p.clock.Advance(5 * step)
	p.call("GET", "/insights/"+made.ID, "").want(t, 200)
	p.browse(made.ConsentLink).click("withdraw-consent").sees(200, "Nothing is shared")
	if got := p.process(made.ID); got.Consent != "revoked" ||
		got.ConsentFlowStatus.Current.Code != "customerDeniedConsent" {
		t.Errorf("after the withdrawal: %+v", got.ConsentFlowStatus.Current)
	}
	p.call("GET", "/insights/"+made.ID, "").refused(t, 404)
}

func TestFailedAuthentication(t *testing.T) {
	for where, want := range map[AuthErrors]struct{ bank, overall bool }{
		AuthErrorsBoth: {true, true}, AuthErrorsBank: {true, false}, AuthErrorsOverall: {false, true},
	} {
		p := startProvider(t, Config{Behaviour: Behaviour{AuthErrors: where}})
		made := p.create(`"redirectUrl":"http://127.0.0.1:9/back"`)
		b := p.browse(made.ConsentLink).click("bank-0").click("fail").sees(200, "Identification failed",
			"could not be authenticated")
		got := p.process(made.ID)
		bank := got.CustomerBankConsent[0].Status.Current
		if bank.Code != "bankAddedNotCompletedAuthFlow" || bank.IsError != want.bank ||
			(bank.ErrorMessage != "") != want.bank {
			t.Errorf("%q: the bank shows %+v", where, bank)
		}
		overall := got.ConsentFlowStatus.Current
		if (overall.Code == "authError") != want.overall || overall.IsError != want.overall ||
			(overall.ErrorMessage != "") != want.overall {
			t.Errorf("%q: overall %+v", where, overall)
		}
		b.click("retry").click("bank-0").click("authenticate").sees(200, "Share your bank data?")
		if got := p.process(made.ID).CustomerBankConsent; len(got) != 1 ||
			got[0].Status.Current.Code != "fetchingTransactionsStarted" {
			t.Errorf("%q: after the retry %+v", where, got)
		}
		b.click("approve")
		if b.at != "http://127.0.0.1:9/back" {
			t.Errorf("sent back to %s", b.at)
		}
	}
}

func TestLeavingThePages(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create(`"redirectUrl":"https://app.example.com/"`)
	if b := p.browse(made.ConsentLink).click("cancel"); b.at != "https://app.example.com/" {
		t.Errorf("sent back to %s", b.at)
	}
	wantCodes(t, p.process(made.ID).ConsentFlowStatus.History, "created", "consentLinkOpened")
	for _, redirect := range []string{"", "javascript:alert(1)", "not a url", "//app.example.com", "https:///x"} {
		other := p.create(`"redirectUrl":"` + redirect + `"`)
		p.browse(other.ConsentLink).click("cancel").sees(200, "Not finished").click("resume").sees(200,
			"Choose your bank")
	}
}

// Pages that are asked for out of turn lead back to where the customer is.
func TestPagesOutOfTurn(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	for _, path := range []string{"/authenticate", "/decision", "/bank"} {
		p.browse(made.ConsentLink+path).sees(200, "Choose your bank")
	}
	link := strings.TrimPrefix(made.ConsentLink, p.url)
	b := p.browse(made.ConsentLink)
	for _, decision := range []string{"approve", "deny"} {
		b.submit(link+"/decision", url.Values{"decision": {decision}})
		b.sees(200, "Choose your bank")
	}
	b.submit(link+"/authenticate", url.Values{"outcome": {"authenticate"}})
	b.sees(200, "Choose your bank")
	b.submit(link+"/bank", url.Values{"bank": {"none"}})
	b.sees(400, "Please choose one of the banks")
	b.click("bank-0")
	b.submit(link+"/authenticate", url.Values{"outcome": {"maybe"}})
	b.sees(400, "Please use one of the buttons")
	if got := p.process(made.ID); got.Consent != "null" || len(got.CustomerBankConsent) != 1 {
		t.Errorf("something happened: %+v", got)
	}
	b.click("authenticate")
	b.click("add-bank").click("bank-0").click("authenticate").sees(200, "Share your bank data?")
	if got := p.process(made.ID).CustomerBankConsent; len(got) != 1 || len(got[0].Status.History) != 3 {
		t.Errorf("the same bank counts twice: %+v", got)
	}
	b.click("add-bank").click("bank-0").click("fail")
	if got := p.process(made.ID); got.CustomerBankConsent[0].Status.Current.IsError ||
		got.ConsentFlowStatus.Current.Code == "authError" {
		t.Errorf("a login that is done cannot fail any more: %+v", got)
	}
	b.open(made.ConsentLink + "/decision")
	b.click("approve").sees(200, "Thank you")
	for _, path := range []string{"", "/bank", "/decision", "/authenticate"} {
		p.browse(made.ConsentLink+path).sees(200, "Thank you")
	}
	b.submit(link+"/bank", url.Values{"bank": {"none"}})
	b.sees(200, "Thank you")
	p.browse(p.url+"/consent/0123").sees(410, "no longer valid")
}

func TestFinnishAndBrokeredPages(t *testing.T) {
	p := startProvider(t, Config{})
	var broker partnerBank
	p.call("POST", "/partner-bank", `{"name":"Kanta Broker","isBroker":true}`).want(t, 201).into(t, &broker)
	var made processView
	p.call("POST", "/process",
		`{"market":"FI","dataCollectionType":"transaction-categorisation","socialSecurityNumber":"`+
			sandbox.FinnishGoodID+`","brokerBanks":[{"name":"Lainapankki"}]}`,
		header("partner-bank-id", broker.ID)).want(t, 201).into(t, &made)
	p.browse(made.ConsentLink).sees(200, "Kanta Broker", "Lainapankki", "Suomenlahden Pankki").click("bank-0").sees(200,
		"Aino Koskela")
}

func TestVisualisation(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	p.call("GET", "/insights/"+made.ID+"/visualisation", "").refused(t, 400)
	process := p.ready("")
	link := func() string {
		var out visualisationWire
		p.call("GET", "/insights/"+process.ID+"/visualisation", "", header("reference-id", "user-1")).want(t,
			200).into(t, &out)
		return out.URL
	}
	first := link()
	p.browse(first).sees(200, "Bank data of Elin Sandström", "Nordfjäll Bank", "housing", "SEK")
	p.clock.Advance(visualisationTTL)
	p.browse(first).sees(410)
	second := link()
	if first == second || len(p.visualisations) != 1 {
		t.Errorf("%d links are kept", len(p.visualisations))
	}
	p.call("DELETE", "/process/"+process.ID, "").want(t, 204)
	p.browse(second).sees(410)
}
