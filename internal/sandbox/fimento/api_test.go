package fimento

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

func TestLogin(t *testing.T) {
	p := startProvider(t, Config{TokenTTL: 10 * time.Minute})
	for unit, want := range map[ValidUntil]int64{
		ValidUntilMillis:   start.Add(10 * time.Minute).UnixMilli(),
		ValidUntilSeconds:  start.Add(10 * time.Minute).Unix(),
		ValidUntilDuration: 600, ValidUntilZero: 0,
	} {
		p.SetBehaviour(Behaviour{ValidUntil: unit})
		var out loginWire
		p.call("POST", "/auth/login", `{"name":"demo","password":"demo-password"}`, header("Authorization", "")).want(t,
			200).into(t, &out)
		if out.ValidUntil != want || out.AccessToken == "" {
			t.Errorf("%q: valid_until %d, want %d", unit, out.ValidUntil, want)
		}
	}
	p.call("POST", "/auth/login", `{"name":"demo","password":"wrong"}`).refused(t, 401)
	p.call("POST", "/auth/login", `{"name":"other","password":"demo-password"}`).refused(t, 401)
	if got := p.call("POST", "/auth/login", `{"name":7}`).refused(t,
		400); got != `["name must be a string","password is required"]` {
		t.Errorf("messages %s", got)
	}
}

func TestTokensExpire(t *testing.T) {
	p := startProvider(t, Config{TokenTTL: 10 * time.Minute})
	p.call("GET", "/partner-bank", "").want(t, 200)
	p.clock.Advance(10*time.Minute - time.Second)
	p.call("GET", "/partner-bank", "").want(t, 200)
	p.clock.Advance(time.Second)
	p.call("GET", "/partner-bank", "").refused(t, 401)

	p.token = p.logIn()
	p.call("POST", "/_sandbox/tokens:expire", "").want(t, 204)
	p.call("GET", "/partner-bank", "").refused(t, 401)

	p.token = p.logIn()
	p.core.Faults.Add(sandbox.Fault{Operation: OpListPartnerBanks, ExpireTokens: true, Times: 1})
	p.call("GET", "/partner-bank", "").refused(t, 401)
	p.token = p.logIn()
	p.call("GET", "/partner-bank", "").want(t, 200)
}

// Every operation but login refuses a request without a token of its own, in the provider's words, before anything
// else is looked at.
func TestEveryOperationWantsAToken(t *testing.T) {
	p := startProvider(t, Config{})
	process := p.ready("")
	for operation, pattern := range Operations() {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{processId}", process.ID, "{id}", DefaultPartnerBankID, "{status}",
			"approved").Replace(path)
		if operation == OpLogin {
			continue
		}
		for _, token := range []string{
			"", p.token, "Bearer", "Bearer ", "bearer " + p.token, "Bearer " + p.token + "x", "Basic " + p.token,
		} {
			p.core.Calls.Reset()
			p.call(method, path, "", header("Authorization", token)).refused(t, 401)
			if p.core.Calls.Count(operation) != 1 {
				t.Errorf("%s was counted as %+v", operation, p.core.Calls.All())
			}
		}
	}
	p.process(process.ID) // still there
}

// The operations that have a partner-bank-id header in the documentation refuse a request without it.
func TestPartnerBankHeader(t *testing.T) {
	p := startProvider(t, Config{})
	var other partnerBank
	p.call("POST", "/partner-bank", `{"name":"Other"}`).want(t, 201).into(t, &other)
	process := p.ready("")
	of := []string{
		OpNewConsentLink, OpNewConsentFlow, OpGetProcess, OpDeleteProcess, OpTestDecision, OpVisualisationLink,
		OpInsights, OpCreateProcess,
	}
	for _, operation := range of {
		method, path, _ := strings.Cut(paths[operation], " ")
		path = strings.NewReplacer("{processId}", process.ID, "{status}", "revoked").Replace(path)
		if got := p.call(method, path, "{}", header("partner-bank-id", "")).refused(t,
			400); got != `["partner-bank-id is required"]` {
			t.Errorf("%s: %s", operation, got)
		}
		p.call(method, path, "{}", header("partner-bank-id", "605c6c479691950d359bb000")).refused(t, 400)
		if operation != OpCreateProcess {
			p.call(method, path, "{}", header("partner-bank-id", other.ID)).refused(t, 404)
		}
	}
	for _, path := range []string{"/insights/" + process.ID + "/transactions?page=1", "/partner-bank"} {
		p.call("GET", path, "", header("partner-bank-id", "")).want(t, 200)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	p := startProvider(t, Config{})
	p.call("GET", "/nowhere", "").refused(t, 404)
	p.call("PUT", "/process", "{}").refused(t, 404)
	if p.core.Calls.Count(sandbox.OperationUnknown) != 2 {
		t.Error("not counted as unknown")
	}
	p.core.Faults.Add(sandbox.Fault{Operation: OpLogin, Status: 503, Times: 1})
	p.call("POST", "/auth/login", "{}").refused(t, 503)
}

func TestPartnerBanks(t *testing.T) {
	p := startProvider(t, Config{})
	list := func(query string) (banks []partnerBank) {
		t.Helper()
		p.call("GET", "/partner-bank"+query, "").want(t, 200).into(t, &banks)
		return banks
	}
	if banks := list(""); len(banks) != 1 || banks[0].ID != DefaultPartnerBankID {
		t.Errorf("from the start: %+v", banks)
	}
	var made partnerBank
	p.call("POST", "/partner-bank", `{"name":"Broker","isBroker":true,"logoUrl":"www.logo.example"}`).want(t,
		201).into(t, &made)
	if made.Name != "Broker" || !made.IsBroker || made.LogoURL != "www.logo.example" || len(made.ID) != 24 {
		t.Errorf("made %+v", made)
	}
	for range 10 {
		p.call("POST", "/partner-bank", `{"name":"More"}`).want(t, 201)
	}
	if got := list(""); len(got) != 10 || got[1] != made {
		t.Errorf("first page %+v", got)
	}
	if got := list("?page=2"); len(got) != 2 {
		t.Errorf("second page %+v", got)
	}
	if got := list("?page=3&limit=5"); len(got) != 2 {
		t.Errorf("third page of five %+v", got)
	}
	if body := string(p.call("GET", "/partner-bank?page=9", "").want(t, 200).body); body != "[]" {
		t.Errorf("beyond the end: %s", body)
	}
	for _, query := range []string{
		"?page=0", "?limit=0", "?page=x", "?limit=-1", "?page=", "?page=9000000000000000000&limit=9000000000000000000",
	} {
		p.call("GET", "/partner-bank"+query, "").refused(t, 400)
	}

	var updated partnerBank
	p.call("PUT", "/partner-bank/"+made.ID, `{"name":"No broker"}`).want(t, 200).into(t, &updated)
	if want := (partnerBank{ID: made.ID, Name: "No broker"}); updated != want || list("")[1] != want {
		t.Errorf("updated %+v", updated)
	}
	p.call("PUT", "/partner-bank/605c6c479691950d359bb000", `{"name":"x"}`).refused(t, 404)
	for _, body := range []string{
		``, `[]`, `{}`, `{"name":1}`, `{"name":"x","isBroker":"yes"}`, `{"name":"x","logoUrl":1}`,
		`{"name":"x","colour":"red"}`,
	} {
		p.call("POST", "/partner-bank", body).refused(t, 400)
		p.call("PUT", "/partner-bank/"+made.ID, body).refused(t, 400)
	}
}

func TestCreateProcess(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create(`"socialSecurityNumber":"199503096316","firstName":"Elin","lastName":"Sandström","redirectUrl":"https://app.example.com/x?y=1","psuType":"bank-account-verification","brokerBanks":[{"name":"A","id":"1","logoUri":"x"}]`)
	if len(made.ID) != 24 || !strings.HasPrefix(made.ConsentLink, p.url+"/consent/") {
		t.Errorf("id %q, link %q", made.ID, made.ConsentLink)
	}
	wantCodes(t, made.ConsentFlowStatus.History, "created")
	if made.ConsentFlowStatus.Current != made.ConsentFlowStatus.History[0] ||
		made.ConsentFlowStatus.Current.Desc != "Created - No banks added" {
		t.Errorf("current %+v", made.ConsentFlowStatus.Current)
	}
	if made.Consent != "null" || made.ConsentFlowStatus.Consent != nil {
		t.Errorf("consent %v and %v: both notations must occur", made.Consent, made.ConsentFlowStatus.Consent)
	}
	if made.PSUType != "bank-account-verification" || made.RedirectURL == "" ||
		made.PartnerBank != DefaultPartnerBankID || made.Market != "SE" ||
		made.FirstName != "Elin" || made.LastName != "Sandström" || made.NationalID != "199503096316" ||
		made.DataCollectionType != "transaction-categorisation" || len(made.CustomerBankConsent) != 0 {
		t.Errorf("made %+v", made)
	}
	if len(made.BrokerBanks) != 0 {
		t.Errorf("broker banks %v without a broker", made.BrokerBanks)
	}
	again := p.process(made.ID)
	if again.ConsentLink != "" {
		t.Error("the link is shown again")
	}

	company := p.create(`"companyId":"5569876542","psuType":"transaction-categorisation"`)
	if company.PSUType != "business" || company.CompanyID != "5569876542" {
		t.Errorf("company %+v", company)
	}

	var broker partnerBank
	p.call("POST", "/partner-bank", `{"name":"Broker","isBroker":true}`).want(t, 201).into(t, &broker)
	var brokered processView
	p.call("POST", "/process",
		`{"market":"FI","dataCollectionType":"bank-account-verification","brokerBanks":[{"name":"A","id":"1","logoUri":"x"},{"name":"B"}]}`,
		header("partner-bank-id", broker.ID)).want(t, 201).into(t, &brokered)
	if len(brokered.BrokerBanks) != 2 || brokered.BrokerBanks[1] != "B" {
		t.Errorf("broker banks %v, want strings", brokered.BrokerBanks)
	}
}

func TestCreateProcessRefusesWhatIsNotDocumented(t *testing.T) {
	p := startProvider(t, Config{})
	const valid = `"market":"SE","dataCollectionType":"transaction-categorisation"`
	for body, want := range map[string]string{
		`{}`: `["market is required","dataCollectionType is required"]`,
		`{"market":"DE","dataCollectionType":"transaction-categorisation"}`: `["market must be one of the following values: SE, FI"]`,
		`{"market":"SE","dataCollectionType":"all"}`:                        `["dataCollectionType must be one of the following values: transaction-categorisation, bank-account-verification"]`,
		`{` + valid +
			`,"psuType":"business"}`: `["psuType must be one of the following values: transaction-categorisation, bank-account-verification"]`,
		`{` + valid +
			`,"socialSecurityNumber":19}`: `["socialSecurityNumber must be a string"]`,
		`{` + valid +
			`,"brokerBanks":{}}`: `["brokerBanks must be an array of objects"]`,
		`{` + valid +
			`,"brokerBanks":["x"]}`: `["brokerBanks must be an array of objects"]`,
		`{` + valid +
			`,"brokerBanks":[{"id":1,"logo":"x"}]}`: `["brokerBanks: id must be a string","brokerBanks: property logo should not exist"]`,
		`{` + valid + `,"market":null}`: `["market is required"]`,
		`{` + valid + `,"ssn":"1"}`:     `["property ssn should not exist"]`,
		`{`:                             `["body must be a JSON object","market is required","dataCollectionType is required"]`,
	} {
		if got := p.call("POST", "/process", body).refused(t, 400); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	p.call("POST", "/process", `{`+valid+`}`, header("Content-Type", "text/plain")).refused(t, 400)
	p.call("POST", "/process", `{`+valid+`,"firstName":null,"brokerBanks":null}`).want(t, 201)
}

func TestIdempotencyKey(t *testing.T) {
	p := startProvider(t, Config{})
	const body = `{"market":"SE","dataCollectionType":"transaction-categorisation"}`
	create := func(key string, options ...option) (out processView) {
		t.Helper()
		p.call("POST", "/process", body, append(options, header("idempotency-key", key))...).want(t, 201).into(t, &out)
		return out
	}
	first, second := create("k1"), create("k1")
	if first.ID != second.ID || first.ConsentLink != second.ConsentLink {
		t.Errorf("%s became %s", first.ID, second.ID)
	}
	var other partnerBank
	p.call("POST", "/partner-bank", `{"name":"Other"}`).want(t, 201).into(t, &other)
	for _, different := range []processView{
		create("k2"), create(""), create(""), create("k1", header("partner-bank-id", other.ID)),
	} {
		if different.ID == first.ID {
			t.Error("another key led to the same process")
		}
	}
	p.call("DELETE", "/process/"+first.ID, "").want(t, 204)
	if create("k1").ID == first.ID {
		t.Error("the key of a deleted process led to it")
	}
}

func TestDeleteProcess(t *testing.T) {
	p := startProvider(t, Config{})
	process := p.ready("")
	if got := p.call("DELETE", "/process/"+process.ID, "").want(t, 204); len(got.body) != 0 {
		t.Errorf("body %s", got.body)
	}
	for _, request := range []string{"GET /process/", "DELETE /process/", "GET /insights/"} {
		method, path, _ := strings.Cut(request, " ")
		p.call(method, path+process.ID, "").refused(t, 404)
	}
	p.call("GET", "/insights/"+process.ID+"/transactions?page=1", "").refused(t, 404)
	p.clock.Advance(time.Minute) // what was still to come must not come
}

func TestDeletedWhileInProgress(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	b := p.browse(made.ConsentLink).click("bank-0").click("authenticate").click("approve")
	r := newReceiver(t, 0)
	p.subscribe(r)
	p.call("DELETE", "/process/"+made.ID, "").want(t, 204)
	p.clock.Advance(time.Minute)
	other := p.create("") // its webhook comes after any of the deleted one's
	if r.wait(t, 1); !r.ids[other.ID] {
		t.Error("a deleted process goes on")
	}
	p.call("GET", "/process/"+made.ID, "").refused(t, 404)
	b.open(made.ConsentLink)
	b.sees(410, "no longer valid")
}

func TestDecisionsForTests(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	decide := func(path string) (out decisionWire) {
		t.Helper()
		p.call("POST", "/process/"+made.ID+"/consent/"+path, "").want(t, 200).into(t, &out)
		return out
	}
	p.call("POST", "/process/"+made.ID+"/consent/maybe", "").refused(t, 400)

	if !decide("approved").IsApproved {
		t.Error("not approved")
	}
	got := p.process(made.ID)
	wantCodes(t, got.ConsentFlowStatus.History, "created", "customerApprovedConsent")
	wantCodes(t, got.CustomerBankConsent[0].Status.History, "bankAddedNotCompletedAuthFlow",
		"bankAddedCompletedAuthFlow", "fetchingTransactionsStarted")
	if got.Consent != "approved" || *got.ConsentFlowStatus.Consent != "approved" ||
		got.CustomerBankConsent[0].ConsentGivenAt == nil {
		t.Errorf("after approval: %v", got.Consent)
	}
	p.call("POST", "/process/"+made.ID+"/consent/approved", "").refused(t, 409)

	want := []string{"created", "customerApprovedConsent"}
	p.clock.Advance(step)
	got = p.process(made.ID)
	if got.CustomerBankConsent[0].Status.Current.Code != "fetchingTransactionsDone" {
		t.Errorf("after a step: %+v", got.CustomerBankConsent[0].Status.Current)
	}
	for _, next := range []string{"categorisationStarted", "categorisationDone", "insightsStarted", "completed"} {
		wantCodes(t, got.ConsentFlowStatus.History, want...)
		p.call("GET", "/insights/"+made.ID, "").refused(t, 400)
		p.clock.Advance(step)
		want = append(want, next)
		got = p.process(made.ID)
	}
	wantCodes(t, got.ConsentFlowStatus.History, want...)
	if got.ConsentFlowStatus.Current.Code != "completed" || got.UpdatedAt == got.CreatedAt {
		t.Errorf("at the end: %+v", got.ConsentFlowStatus.Current)
	}
	p.call("GET", "/insights/"+made.ID, "").want(t, 200)

	if decide("revoked").IsApproved {
		t.Error("still approved")
	}
	got = p.process(made.ID)
	if got.Consent != "revoked" || got.ConsentFlowStatus.Current.Code != "customerDeniedConsent" {
		t.Errorf("after revocation: %+v", got.ConsentFlowStatus)
	}
	p.call("GET", "/insights/"+made.ID, "").refused(t, 404)
	p.call("GET", "/insights/"+made.ID+"/transactions?page=1", "").refused(t, 404)
	p.call("POST", "/process/"+made.ID+"/consent/revoked", "").refused(t, 409)
	p.call("POST", "/process/"+made.ID+"/consent/approved", "").refused(t, 409)
}

// A revocation stops what an approval began.
func TestRevokedWhileInProgress(t *testing.T) {
	for steps := range 5 {
		p := startProvider(t, Config{})
		made := p.create("")
		p.call("POST", "/process/"+made.ID+"/consent/approved", "").want(t, 200)
		p.clock.Advance(time.Duration(steps) * step)
		p.call("POST", "/process/"+made.ID+"/consent/revoked", "").want(t, 200)
		before := p.process(made.ID)
		p.clock.Advance(time.Minute)
		after := p.process(made.ID)
		if len(after.ConsentFlowStatus.History) != len(before.ConsentFlowStatus.History) ||
			after.ConsentFlowStatus.Current.Code != "customerDeniedConsent" {
			t.Errorf("after %d steps: %v", steps, codes(after.ConsentFlowStatus.History))
		}
		p.call("GET", "/insights/"+made.ID, "").refused(t, 404)
	}
}

func TestConsentLinksExpireAndAreReplaced(t *testing.T) {
	p := startProvider(t, Config{TokenTTL: 100 * time.Hour})
	made := p.create("")
	p.clock.Advance(LinkTTL - time.Second)
	p.browse(made.ConsentLink).sees(200, "Choose your bank")
	p.clock.Advance(time.Second)
	p.browse(made.ConsentLink).sees(410, "no longer valid")

	var fresh linkWire
	p.call("POST", "/process/"+made.ID+"/consent-link", "").want(t, 201).into(t, &fresh)
	p.browse(fresh.ConsentLink).sees(200)
	var newer linkWire
	p.call("POST", "/process/"+made.ID+"/consent-link", "").want(t, 201).into(t, &newer)
	p.browse(fresh.ConsentLink).sees(410)
	b := p.browse(newer.ConsentLink).sees(200)
	wantCodes(t, p.process(made.ID).ConsentFlowStatus.History, "created", "consentLinkOpened", "consentLinkOpened",
		"consentLinkOpened")

	b.click("bank-0").click("authenticate").click("approve")
	p.call("POST", "/process/"+made.ID+"/consent-link", "").refused(t, 409)
	p.call("POST", "/process/605c6c479691950d359bb000/consent-link", "").refused(t, 404)
}

func TestNewConsentFlow(t *testing.T) {
	for _, continued := range []bool{false, true} {
		p := startProvider(t, Config{Behaviour: Behaviour{ContinueFlow: continued}})
		made := p.create("")
		p.call("POST", "/process/"+made.ID+"/consent", "").refused(t, 409)
		p.browse(made.ConsentLink).click("bank-0").click("authenticate").click("approve")
		p.clock.Advance(5 * step)
		first := p.process(made.ID)
		var fresh linkWire
		p.call("POST", "/process/"+made.ID+"/consent", "").want(t, 201).into(t, &fresh)
		p.browse(made.ConsentLink).sees(410)
		p.call("POST", "/process/"+made.ID+"/consent", "").refused(t, 409)
		p.call("GET", "/insights/"+made.ID, "").want(t, 200) // what is approved stays

		got := p.process(made.ID)
		if got.Consent != "approved" || got.ConsentFlowStatus.Consent != nil {
			t.Errorf("consent %v and %v", got.Consent, got.ConsentFlowStatus.Consent)
		}
		history := []string{"created"}
		if continued {
			history = append(codes(first.ConsentFlowStatus.History), history...)
		}
		wantCodes(t, got.ConsentFlowStatus.History, history...)
		if same := got.ConsentFlowStatus.ID == first.ConsentFlowStatus.ID; same != continued {
			t.Errorf("continued %v, but the same id is %v", continued, same)
		}

		p.browse(fresh.ConsentLink).click("bank-1").click("authenticate").click("approve")
		p.clock.Advance(5 * step)
		got = p.process(made.ID)
		if len(got.CustomerBankConsent) != 2 ||
			got.CustomerBankConsent[1].ConsentFlowStatusID != got.ConsentFlowStatus.ID ||
			got.ConsentFlowStatus.Current.Code != "completed" {
			t.Errorf("after the second flow: %+v", got.CustomerBankConsent)
		}
		var one struct{ AccountsInfo []accountWire }
		p.call("GET", "/insights/"+made.ID, "").want(t, 200).into(t, &one)
		if len(one.AccountsInfo) != 5 {
			t.Errorf("%d accounts of two banks, want 5", len(one.AccountsInfo))
		}
	}
}

// A revocation stops what earlier flows began, too.
func TestRevokedInALaterFlow(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	p.call("POST", "/process/"+made.ID+"/consent/approved", "").want(t, 200)
	p.call("POST", "/process/"+made.ID+"/consent", "").want(t, 201)
	p.clock.Advance(2 * step)
	if got := p.process(made.ID).ConsentFlowStatus.Current.Code; got != "categorisationStarted" {
		t.Errorf("the earlier flow does not go on: %s", got)
	}
	p.call("POST", "/process/"+made.ID+"/consent/revoked", "").want(t, 200)
	p.clock.Advance(time.Minute)
	if got := p.process(made.ID).ConsentFlowStatus.Current.Code; got != "customerDeniedConsent" {
		t.Errorf("after the revocation: %s", got)
	}
	p.call("GET", "/insights/"+made.ID, "").refused(t, 404)
}

// The same bank in two flows is one bank with one set of data.
func TestSameBankInTwoFlows(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.ready("")
	p.call("POST", "/process/"+made.ID+"/consent", "").want(t, 201)
	p.call("POST", "/process/"+made.ID+"/consent/approved", "").want(t, 200)
	p.clock.Advance(5 * step)
	if got := p.process(made.ID).CustomerBankConsent; len(got) != 2 {
		t.Errorf("%d bank consents, want one for each flow", len(got))
	}
	if got := p.insightsOf(made.ID).AccountsInfo; len(got) != 3 {
		t.Errorf("%d accounts, want 3", len(got))
	}
}

func TestStatusesAsPlainArrays(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.ready("")
	p.call("PATCH", "/_sandbox/behaviour", `{"plainStatuses":true}`).want(t, 200)
	var got struct {
		ConsentFlowStatus   []statusWire
		CustomerBankConsent []struct{ Status []statusWire }
	}
	p.call("GET", "/process/"+made.ID, "").want(t, 200).into(t, &got)
	if len(got.ConsentFlowStatus) != 6 || len(got.CustomerBankConsent[0].Status) != 4 {
		t.Errorf("got %+v", got)
	}
}

func TestBankStatusesStandTwice(t *testing.T) {
	p := startProvider(t, Config{})
	process := p.ready("")
	var raw map[string]json.RawMessage
	p.call("GET", "/process/"+process.ID, "").want(t, 200).into(t, &raw)
	if string(raw["consentFlowStatuses"]) != string(raw["customerBankConsent"]) ||
		len(raw["customerBankConsent"]) < 10 {
		t.Errorf("%s and %s", raw["consentFlowStatuses"], raw["customerBankConsent"])
	}
}

// Times come as Z and as +00:00, with and without milliseconds.
func TestTimesMixTheirNotations(t *testing.T) {
	p := startProvider(t, Config{})
	seen := map[string]bool{}
	for _, s := range p.ready("").ConsentFlowStatus.History {
		if _, err := time.Parse(time.RFC3339, s.Timestamp); err != nil {
			t.Error(err)
		}
		seen[s.Timestamp[len("2006-01-02T15:04:05"):]] = true
	}
	for _, notation := range []string{"Z", ".000Z", "+00:00", ".000+00:00"} {
		if !seen[notation] {
			t.Errorf("no time ends with %s: %v", notation, seen)
		}
	}
	if got := writeTime(start.Add(1500*time.Microsecond), 2); got != "2026-05-20T10:00:00.001+00:00" {
		t.Errorf("milliseconds are lost: %s", got)
	}
}

func TestOperationOverrides(t *testing.T) {
	p := startProvider(t, Config{Operations: map[string]string{
		OpGetProcess:   "GET /v2/consents/{processId}",
		OpTestDecision: "PUT /v2/consents/{processId}/decide",
	}})
	made := p.create("")
	p.call("GET", "/v2/consents/"+made.ID, "").want(t, 200)
	p.call("GET", "/process/"+made.ID, "").refused(t, 404)
	p.call("PUT", "/v2/consents/"+made.ID+"/decide", "").refused(t, 400)
	p.call("PUT", "/v2/consents/"+made.ID+"/decide?status=approved", "").want(t, 200)
	if p.core.Calls.Count(OpGetProcess) != 1 {
		t.Error("not counted under its name")
	}
	defer func() {
		if recover() == nil {
			t.Error("an operation that does not exist was accepted")
		}
	}()
	New(p.core, Config{Operations: map[string]string{"log_in": "POST /x"}})
}

func TestBehaviourControl(t *testing.T) {
	p := startProvider(t, Config{Behaviour: Behaviour{Paging: PagingOverlap}})
	p.call("PATCH", "/_sandbox/behaviour", `{"webhooks":{"duplicates":2}}`).want(t, 200)
	var got Behaviour
	p.call("GET", "/_sandbox/behaviour", "").want(t, 200).into(t, &got)
	if want := (Behaviour{Paging: PagingOverlap, Webhooks: Webhooks{Duplicates: 2}}); got != want {
		t.Errorf("behaviour %+v, want %+v", got, want)
	}
	for _, body := range []string{
		`{"validUntil":"soon"}`, `{"paging":"x"}`, `{"authErrors":"x"}`, `{"webhooks":{"duplicates":-1}}`, `{"x":1}`,
		`[]`,
	} {
		p.call("PATCH", "/_sandbox/behaviour", body).want(t, 400)
	}
	if p.Behaviour() != got {
		t.Error("a refused change had an effect")
	}
}

// The same seed and the same requests give the same bytes, ids and tokens included.
func TestSeedDecidesEverything(t *testing.T) {
	run := func() (all []byte) {
		p := startProvider(t, Config{BaseURL: "https://fimento.example"})
		made := p.ready("")
		for _, path := range []string{
			"/process/" + made.ID, "/insights/" + made.ID, "/insights/" + made.ID + "/transactions?page=2",
			"/insights/" + made.ID + "/visualisation",
		} {
			all = append(all, p.call("GET", path, "").want(t, 200).body...)
		}
		return append(all, p.token...)
	}
	if one, two := run(), run(); string(one) != string(two) {
		t.Error("two runs differ")
	}
}

func TestConfigIsUsed(t *testing.T) {
	p := startProvider(t, Config{BaseURL: "https://fimento.example/"})
	if made := p.create(""); !strings.HasPrefix(made.ConsentLink, "https://fimento.example/consent/") {
		t.Errorf("link %s", made.ConsentLink)
	}
	core := sandbox.NewCore(sandbox.Options{Clock: p.clock})
	mine := New(core, Config{Name: "n", Password: "p", PartnerBankID: "abc"})
	if mine.cfg.Name != "n" || mine.cfg.Password != "p" || mine.partnerBank("abc") == nil {
		t.Errorf("config %+v", mine.cfg)
	}
	var _ http.Handler = mine
}
