package fimento

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// stateOf reads a process with these members through the whole adapter, and gives its statuses.
func stateOf(t *testing.T, members string) []providers.Observation {
	t.Helper()
	return read(t, members).Observations
}

// read reads a process with these members through the whole adapter.
func read(t *testing.T, members string) *providers.ConsentState {
	t.Helper()
	f := newFake(t)
	f.answer("get_process", `{"_id": "`+fakeProcess+`", `+members+`}`)
	state, err := f.provider().Consents.GetConsent(t.Context(), refSE)
	if err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	if state.Stateful || state.Connections != nil {
		t.Errorf("the state claims to be complete: %+v", state)
	}
	return state
}

func wantKeys(t *testing.T, members string, want ...string) {
	t.Helper()
	got := keysOf(stateOf(t, members))
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("%s: %s", members, diff)
	}
}

func status(code, timestamp string) string {
	return fmt.Sprintf(`{"code": %q, "desc": "d", "timestamp": %q}`, code, timestamp)
}

func TestOddity1PsuType(t *testing.T) {
	for _, psuType := range []string{"", "business", "transaction-categorisation", "något annat"} {
		f := newFake(t)
		f.answer("create_process",
			withLink(strings.Replace(sampleProcess, `"psuType": "business"`, `"psuType": `+fmt.Sprintf("%q", psuType),
				1)))
		consent := newConsent()
		consent.Psu.PsuType = psuType
		if _, err := f.provider().Consents.CreateConsent(t.Context(), consent); err != nil {
			t.Fatal(err)
		}
		if sent, ok := f.only("create_process").Body["psuType"]; ok != (psuType != "") || ok && sent != psuType {
			t.Errorf("%q was sent as %v", psuType, sent)
		}
	}
	for _, psuType := range []string{"null", "7", `["business"]`, `{}`} {
		wantKeys(t, `"psuType": `+psuType+`, "consent": "paused"`, "consent/paused")
	}
}

func TestOddity2Consent(t *testing.T) {
	const (
		none, approved, revoked = consentv1.Decision_UNDECIDED, consentv1.Decision_APPROVED, consentv1.Decision_REVOKED
		at                      = "2024-01-12T12:00:00Z"
	)
	overall := func(rest string) string { return `"consentFlowStatus": ` + rest }
	denied, agreed := status("customerDeniedConsent", at), status("customerApprovedConsent", at)
	for members, want := range map[string]consentv1.Decision_Value{
		`"consent": null`:   none,
		`"consent": "null"`: none,
		`"consent": ""`:     none,
		`"consent": false`:  none,
		`"consent": "null", ` + overall(`{"consent": "null"}`): none,
		`"consent": "approved"`:                                approved,
		`"consent": "Approved"`:                                approved,
		`"consent": "revoked"`:                                 revoked,
		`"consent": " REVOKED "`:                               revoked,
		`"consent": "paused"`:                                  none,
		overall(`{"consent": "approved"}`):                     approved,
		overall(`{"consent": "revoked"}`):                      revoked,
		overall(`{"current": ` + denied + `}`):                 none, // the status itself says so, with its time
		overall(denied):                                        none, // the status itself says so, with its time
		overall(`{"code": "customerdeniedconsent"}`):           revoked,
		overall(`{"current": ` + agreed +
			`}`): none, // the status itself says so
		overall(`[` + denied + `]`):                                                   none, // as it does here
		`"consent": "approved", ` + overall(`{"consent": "approved"}`):                approved,
		`"consent": "revoked", ` + overall(`{"consent": "approved"}`):                 revoked,
		`"consent": "approved", ` + overall(`{"consent": "revoked"}`):                 revoked,
		`"consent": "approved", ` + overall(`{"current": `+denied+`}`):                approved,
		`"consent": "revoked", ` + overall(`{"current": `+agreed+`}`):                 revoked,
		`"consent": "null", ` + overall(`{"consent": "null", "current": `+denied+`}`): none,
	} {
		if got := read(t, members); got.Decision != want || (got.DecisionCode == "") != (want == none) {
			t.Errorf("%s: %s %q, want %s", members, got.Decision, got.DecisionCode, want)
		}
	}
	wantKeys(t, `"consent": "revoked", "consentFlowStatus": [`+agreed+`]`, "overall/customerApprovedConsent/"+at)
	want := []providers.Observation{{
		Key: "consent/paused", Type: consentv1.ConsentEvent_PROVIDER_STATUS, ProviderCode: "paused",
	}}
	if diff := cmp.Diff(want,
		stateOf(t, `"consent": "paused", "consentFlowStatus": {"consent": "approved"}`)); diff != "" {
		t.Errorf("an unknown decision: %s", diff)
	}
}

// withdrawals are the ways in which a process can tell that its customer withdrew, with a timestamp that cannot be read
// as a time, beside the approval that came before.
var withdrawals = map[string]string{
	"consent":               `"consent": "revoked", "consentFlowStatus": {"history": [approval]}`,
	"flow's consent":        `"consentFlowStatus": {"consent": "revoked", "history": [approval]}`,
	"consents that differ":  `"consent": "approved", "consentFlowStatus": {"consent": "revoked", "history": [approval]}`,
	"in any casing":         `"consent": "Revoked", "consentFlowStatus": {"history": [approval]}`,
	"current":               `"consentFlowStatus": {"current": denial, "history": [approval]}`,
	"current and history":   `"consentFlowStatus": {"current": denial, "history": [approval, denial]}`,
	"history":               `"consentFlowStatus": {"current": approval, "history": [denial, approval]}`,
	"array":                 `"consentFlowStatus": [approval, denial]`,
	"array, out of order":   `"consentFlowStatus": [denial, approval]`,
	"marked as an error":    `"consentFlowStatus": [approval, {"code": "customerDeniedConsent", "isError": true, "timestamp": written}]`,
	"after an earlier one":  `"consentFlowStatus": {"current": denial, "history": [{"code": "customerDeniedConsent", "timestamp": "2024-01-12T11:00:00Z"}, approval]}`,
	"of a bank":             `"consentFlowStatus": [approval], "customerBankConsent": [{"customerBank": {"name": "B"}, "status": [denial]}]`,
	"approval in the field": `"consent": "approved", "consentFlowStatus": [approval, denial]`,
	"with an asterisk":      `"consentFlowStatus": [approval, {"code": " customerDeniedConsent*", "timestamp": written}]`,
	"history of one":        `"consent": "revoked", "consentFlowStatus": {"history": approval}`,
	"history of a word":     `"consent": "revoked", "consentFlowStatus": {"history": ["created", 1, approval]}`,
	"current as a word":     `"consentFlowStatus": {"current": "customerDeniedConsent", "history": [approval]}`,
	"current as a list":     `"consentFlowStatus": {"current": [denial], "history": [approval]}`,
	"error flags as words":  `"consent": "revoked", "consentFlowStatus": [approval, {"code": "x", "isError": "true"}]`,
	"banks as an object":    `"consent": "revoked", "consentFlowStatus": [approval], "customerBankConsent": {"customerBank": "B"}`,
	"a bank's odd history":  `"consent": "revoked", "consentFlowStatus": [approval], "customerBankConsent": [1, {"status": {"history": {}}}]`,
}

// Whatever a withdrawal lacks, the consent ends: what follows from the report is never that data may be read.
func TestWithdrawalsWithoutATimeEndTheConsent(t *testing.T) {
	for spelling, members := range withdrawals {
		for name, written := range map[string]string{
			"none": "", "null": "null", "empty": `""`, "epoch seconds": "1705060800",
			"epoch milliseconds": `"1705060800000"`,
			"no zone":            `"2024-01-12T13:00:00"`, "date": `"2024-01-12"`, "words": `"yesterday"`,
			"an object": `{"at": "2024-01-12T13:00:00Z"}`,
			"year 1":    `"0001-01-01T00:00:00Z"`, "before the API": `"2014-12-31T23:59:59Z"`,
			"year 9999": `"9999-12-31T23:59:59-14:00"`,
			"far ahead": `"2026-03-03T12:00:01Z"`, // more than a day after the report
		} {
			timestamp := `, "timestamp": ` + written
			if written == "" {
				timestamp, written = "", "null"
			}
			report := strings.NewReplacer("approval", status("customerApprovedConsent", "2024-01-12T12:00:00Z"),
				"denial", `{"code": "customerDeniedConsent"`+timestamp+`}`, "written", written).Replace(members)
			received := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
			history := consent.Add(nil, consent.Created(received, "made"),
				consent.LinkIssued(1, "https://bank.example", received, received))
			state := read(t, report)
			for range 2 { // told again, it stays so
				history = append(history, consent.Observe(history, *state, received)...)
				got := consent.Derive(consentv1.DataCollection_TRANSACTION_CATEGORISATION, history)
				if got.Status != consentv1.Consent_REVOKED || got.DataStage != consentv1.DataStage_NOT_STARTED {
					t.Errorf("withdrawn by %s, time %s: %s, %s", spelling, name, got.Status, got.DataStage)
				}
			}
		}
	}
}

// fimentoFlow is a consent that is read again and again, with what Kontor remembers from one read to the next.
type fimentoFlow struct {
	t        *testing.T
	events   []consent.Event
	stated   consent.Withdrawals
	received time.Time
}

func (f *fimentoFlow) next() {
	link := consent.LinkIssued(len(f.events), "https://bank.example", f.received, f.received)
	f.events = append(f.events, consent.Add(f.events, link)...)
}

func (f *fimentoFlow) reads(members string, want consentv1.Consent_Status) {
	f.t.Helper()
	added, stated := consent.Follow(f.events, f.stated, *read(f.t, members), f.received)
	f.events, f.stated = append(f.events, added...), stated
	got := consent.Derive(consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION, f.events).Status
	if got != want {
		f.t.Errorf("%s: %s, want %s", members, got, want)
	}
}

// A withdrawal in a later flow counts, whatever an earlier flow left over and however alike it is told; what is left
// over does not.
func TestWithdrawalsInALaterFlow(t *testing.T) {
	const authorized, revoked = consentv1.Consent_AUTHORIZED, consentv1.Consent_REVOKED
	const before, after = "2024-01-12T12:00:00Z", "2024-01-12T14:00:00Z"
	const rejected = consentv1.Consent_REJECTED
	denied, agreed := status("customerDeniedConsent", before), status("customerApprovedConsent", after)
	untimed := `{"code": "customerDeniedConsent"}`
	impossible := status("customerDeniedConsent", "1970-01-01T00:00:00Z")
	flow := func(list string) string { return `"consentFlowStatus": [` + list + `]` }
	for name, reads := range map[string][]struct {
		members string
		want    consentv1.Consent_Status
	}{ // the second one is read in the second flow
		"the field alone": {
			{`"consent": "revoked", ` + flow(denied), rejected}, {`"consent": "revoked", ` + flow(denied+","+agreed), authorized},
			{`"consent": "approved", ` + flow(denied+","+agreed), authorized},
			{`"consent": "revoked", ` + flow(denied+","+agreed), revoked},
		},
		"after null": {
			{`"consent": "revoked"`, rejected}, {`"consent": "revoked", ` + flow(agreed), authorized},
			{`"consent": null, ` + flow(agreed), authorized}, {`"consent": "revoked", ` + flow(agreed), revoked},
		},
		"current, while the field is left over": {
			{`"consent": "revoked", ` + flow(denied), rejected},
			{`"consent": "revoked", "consentFlowStatus": {"current": ` + agreed + `}`, authorized},
			{`"consent": "revoked", "consentFlowStatus": {"current": ` + untimed + `, "history": [` + agreed + `]}`, revoked},
		},
		"an impossible time, twice": {
			{flow(impossible), rejected}, {flow(impossible + "," + agreed), authorized},
			{flow(impossible + "," + agreed + "," + impossible), revoked},
		},
		"a history that begins anew": {
			{flow(untimed), rejected}, {flow(agreed), authorized}, {flow(agreed + "," + untimed), revoked},
		},
		"within a second": {
			{flow(denied), rejected}, {flow(denied + "," + agreed), authorized},
			{flow(denied + "," + agreed + "," + status("customerDeniedConsent", "2024-01-12T14:00:00.100Z")), revoked},
		},
		"a stale current with a time": {
			{flow(denied), rejected},
			{`"consentFlowStatus": {"current": ` + denied + `, "history": [` + denied + `,` + agreed + `]}`, authorized},
		},
	} {
		t.Run(name, func(t *testing.T) {
			received := time.Date(2024, 1, 13, 0, 0, 0, 0, time.UTC)
			f := &fimentoFlow{t: t, events: consent.Add(nil, consent.Created(received, "made")), received: received}
			f.next()
			for i, step := range reads {
				if i == 1 {
					f.next()
				}
				f.reads(step.members, step.want)
			}
		})
	}
}

func bank(flow, name, country, statuses string) string {
	return fmt.Sprintf(`{"customerBank": {"name": %q, "country": %q}, "consentFlowStatusId": %q, "status": %s}`, name,
		country, flow, statuses)
}

func TestOddity3OneListOfBanks(t *testing.T) {
	one := bank("f1", "Nordfjäll Bank", "SE", "["+status("bankAddedNotCompletedAuthFlow", "2024-01-12T12:00:00Z")+"]")
	more := bank("f1", "Nordfjäll Bank", "SE", "["+status("bankAddedCompletedAuthFlow", "2024-01-12T12:01:00Z")+"]")
	other := bank("f1", "Mälar Sparbank", "", "["+status("bankAddedNotCompletedAuthFlow", "2024-01-12T12:00:00Z")+"]")
	const (
		first  = "bank/f1|Nordfjäll Bank|SE/bankAddedNotCompletedAuthFlow/2024-01-12T12:00:00Z"
		second = "bank/f1|Nordfjäll Bank|SE/bankAddedCompletedAuthFlow/2024-01-12T12:01:00Z"
		third  = "bank/f1|Mälar Sparbank/bankAddedNotCompletedAuthFlow/2024-01-12T12:00:00Z"
	)
	for members, want := range map[string][]string{
		`"customerBankConsent": [` + one + `], "consentFlowStatuses": [` + one + `]`:    {first},
		`"customerBankConsent": [` + one + `], "consentFlowStatuses": [` + other + `]`:  {first},
		`"customerBankConsent": [], "consentFlowStatuses": [` + one + `,` + other + `]`: {first, third},
		`"customerBankConsent": null, "consentFlowStatuses": [` + one + `]`:             {first},
		`"consentFlowStatuses": [` + one + `]`:                                          {first},
		`"customerBankConsent": [` + one + `,` + more + `,` + one + `]`:                 {first, second},
		`"customerBankConsent": [` + other + `]`:                                        {third},
		`"customerBankConsent": [null, {}, {"customerBank": null, "status": null}]`:     {},
	} {
		wantKeys(t, members, want...)
	}
	got := stateOf(t, `"customerBankConsent": [`+one+`]`)
	want := []providers.Observation{
		{
			Key:          first,
			Type:         consentv1.ConsentEvent_BANK_SELECTED,
			ConnectionID: "f1|Nordfjäll Bank|SE",
			ProviderCode: "bankAddedNotCompletedAuthFlow",
			Bank: &consentv1.Connection_Bank{
				DisplayName: optional.Of("Nordfjäll Bank"),
				CountryCode: optional.Of("SE"),
			},
			Time: noon,
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestOddity4ShapesOfAStatus(t *testing.T) {
	created, opened := status("created", "2024-01-12T12:00:00Z"), status("consentLinkOpened", "2024-01-12T12:01:00Z")
	const openedKey = "overall/consentLinkOpened/2024-01-12T12:01:00Z#1"
	for shape, want := range map[string][]string{
		`null`:                         {},
		`{}`:                           {},
		`[]`:                           {},
		`[null]`:                       {},
		created:                        {"created"},
		`[` + created + `]`:            {"created"},
		`{"current": ` + created + `}`: {"created"},
		`{"current": ` + created + `, "history": []}`:                                 {"created"},
		`{"current": ` + created + `, "history": null}`:                               {"created"},
		`{"current": null, "history": [` + created + `]}`:                             {"created"},
		`{"current": ` + opened + `, "history": [` + created + `,` + opened + `]}`:    {"created", openedKey},
		`{"current": ` + opened + `, "history": [` + created + `]}`:                   {"created", openedKey},
		`{"current": {"code": "consentLinkOpened"}, "history": [` + opened + `]}`:     {openedKey},
		`{"current": ` + opened + `, "history": [{"code": "consentLinkOpened"}]}`:     {"overall/consentLinkOpened#1"},
		`{"current": {"code": "completed"}, "history": [` + created + `]}`:            {"created", "overall/completed"},
		`{"current": ` + created + `, "history": [` + status("created", "x") + `]}`:   {"created"},
		`[` + created + `,` + status("created", "2024-02-01T00:00:00Z") + `]`:         {"created"},
		`[{"code": "completed", "timestamp": 17}, {"code": "completed"}]`:             {"overall/completed"},
		`{"code": "completed", "timestamp": null, "_id": "1", "consent": "approved"}`: {"overall/completed"},
	} {
		wantKeys(t, `"consentFlowStatus": `+shape, want...)
	}
	for shape, want := range map[string]int{
		`[` + opened + `]`: 1, `{"current": ` + opened + `}`: 1, opened: 1, `[]`: 0,
	} {
		if got := stateOf(t, `"customerBankConsent": [`+bank("f", "B", "SE", shape)+`]`); len(got) != want {
			t.Errorf("a bank's %s gave %d observations", shape, len(got))
		}
	}
}

func TestOddity5Errors(t *testing.T) {
	const at = "2024-01-12T12:00:00Z"
	failure := func(code, rest string) string { return fmt.Sprintf(`{"code": %q, "timestamp": %q%s}`, code, at, rest) }
	const secret = "199503096316 ville inte"
	for members, code := range map[string]string{
		`"consentFlowStatus": {"current": ` + failure("authError",
			"") + `}`: "authError",
		`"consentFlowStatus": [` + failure("authError",
			`, "isError": true`) + `]`: "authError",
		`"consentFlowStatus": [` + failure("consentLinkOpened",
			`, "isError": true`) + `]`: "consentLinkOpened",
		`"customerBankConsent": [` + bank("f", "B", "SE",
			"["+failure("authError", "")+"]") + `]`: "authError",
		`"customerBankConsent": [` + bank("f", "B", "SE",
			"["+failure("bankAddedNotCompletedAuthFlow", `, "isError": true`)+"]") +
			`]`: "bankAddedNotCompletedAuthFlow",
		`"customerBankConsent": [` + bank("f", "B", "SE",
			failure("", `, "isError": true`)) + `]`: "",
	} {
		got := stateOf(t, members)
		if len(got) != 1 {
			t.Errorf("%s gave %v", members, keysOf(got))
			continue
		}
		want := &errorv1.Error{
			Reason:       errorv1.Error_AUTHORIZATION_FAILED,
			Message:      optional.Of("The customer's authentication at the bank failed."),
			ProviderCode: optional.Of(code),
			FailureKind:  errorv1.FailureKind_OTHER.Enum(),
		}
		if got[0].Type != consentv1.ConsentEvent_AUTHORIZATION_FAILED || got[0].ProviderCode != code ||
			!got[0].Time.Equal(noon) {
			t.Errorf("%s gave %+v", members, got[0])
		}
		if diff := cmp.Diff(want, got[0].Error, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", members, diff)
		}
		if onBank := strings.Contains(members,
			"customerBankConsent"); onBank != (got[0].ConnectionID == "f|B|SE") || onBank != (got[0].Bank != nil) {
			t.Errorf("%s concerns %q", members, got[0].ConnectionID)
		}
	}

	// The provider's own words go nowhere; only that there are some is told.
	for message, told := range map[string]bool{
		fmt.Sprintf("%q", secret): true, `{"text": "x"}`: true, `""`: false, `null`: false,
	} {
		got := stateOf(t,
			`"consentFlowStatus": [`+failure("authError", `, "isError": true, "errorMessage": `+message)+`]`)
		if strings.Contains(fmt.Sprintf("%+v", got),
			secret) || strings.Contains(got[0].Error.GetMessage(), "in its own words") != told {
			t.Errorf("errorMessage %s became %q", message, got[0].Error.GetMessage())
		}
	}

	// A failure that strikes a status which was reported before is news; told once by its code and once by the flag, it
	// is not.
	wantKeys(t,
		`"consentFlowStatus": {"current": `+failure("completed",
			`, "isError": true`)+`, "history": [`+failure("completed", "")+`]}`,
		"overall/completed/"+at, "overall/completed/"+at+"/error")
	wantKeys(t,
		`"consentFlowStatus": {"current": `+failure("authError",
			`, "isError": true`)+`, "history": [`+failure("authError", "")+`]}`,
		"overall/authError/"+at)
	if got := stateOf(t,
		`"consentFlowStatus": [`+failure("completed",
			`, "isError": false, "errorMessage": "x"`)+`]`)[0]; got.Error != nil {
		t.Errorf("a success has the error %v", got.Error)
	}
}

// What a failure's message holds is not documented. It becomes one of few kinds, and never a word of it goes on.
func TestFailuresHaveAKind(t *testing.T) {
	for message, want := range map[string]errorv1.FailureKind_Value{
		"":                                       errorv1.FailureKind_OTHER,
		"string":                                 errorv1.FailureKind_OTHER,
		"Access denied: BankID is not activated": errorv1.FailureKind_OTHER,
		"199503096316 is not a customer":         errorv1.FailureKind_OTHER,
		"User cancelled the login":               errorv1.FailureKind_CUSTOMER_DENIED,
		"userCancel":                             errorv1.FailureKind_CUSTOMER_DENIED,
		"access_denied":                          errorv1.FailureKind_CUSTOMER_DENIED,
		"The authentication was aborted":         errorv1.FailureKind_CUSTOMER_DENIED,
		"Kunden avbröt":                          errorv1.FailureKind_CUSTOMER_DENIED,
		"Timeout":                                errorv1.FailureKind_TIMED_OUT,
		"The request to the bank timed out":      errorv1.FailureKind_TIMED_OUT,
		"The bank is unavailable":                errorv1.FailureKind_BANK_UNAVAILABLE,
		"Service is down for maintenance":        errorv1.FailureKind_BANK_UNAVAILABLE,
		"No accounts found":                      errorv1.FailureKind_NO_ACCOUNTS,
		"no available accounts at this bank":     errorv1.FailureKind_NO_ACCOUNTS,
	} {
		for _, place := range []string{
			`"consentFlowStatus": [%s]`, `"customerBankConsent": [{"customerBank": {"name": "B"}, "status": [%s]}]`,
		} {
			got := stateOf(t, fmt.Sprintf(place, fmt.Sprintf(`{"code": "authError", "isError": true, "errorMessage": %q}`,
				message)))
			if len(got) != 1 || got[0].Error.GetFailureKind() != want ||
				message != "" && strings.Contains(fmt.Sprintf("%+v", got), message) {
				t.Errorf("%q became %+v", message, got)
			}
		}
	}
}

// How a code is worded matters for one that nobody knows.
func TestWordsOfUnknownCodes(t *testing.T) {
	for status, want := range map[string]string{
		`{"code": "quarantined", "desc": "The data is being looked at"}`: "The data is being looked at",
		`{"code": "quarantined", "desc": {"sv": "x"}}`:                   "",
		`{"code": "quarantined", "desc": null}`:                          "",
		`{"code": "quarantined"}`:                                        "",
		`"quarantined"`:                                                  "",
		`{"code": "completed", "desc": "Insights are generated"}`:        "",
		`{"code": "authError", "desc": "Auth error of 199503096316"}`:    "",
		`{"code": "quarantined", "desc": "Failed", "isError": true}`:     "",
	} {
		got := stateOf(t, `"consentFlowStatus": [`+status+`]`)
		if len(got) != 1 || got[0].Description != want {
			t.Errorf("%s became %+v", status, got)
		}
	}
}

func TestConsentGivenAtIsOfEachBank(t *testing.T) {
	got := stateOf(t, `"consentFlowStatus": ["created"], "customerBankConsent": [
		{"customerBank": {"name": "A"}, "status": ["fetchingTransactionsDone"], "consentGivenAt": "2024-01-12T12:00:00Z"},
		{"customerBank": {"name": "B"}, "status": ["fetchingTransactionsDone"], "consentGivenAt": null},
		{"customerBank": {"name": "C"}, "status": ["fetchingTransactionsDone"], "consentGivenAt": "1995-01-01T00:00:00Z"},
		{"customerBank": {"name": "D"}, "status": ["fetchingTransactionsDone"], "consentGivenAt": "yesterday"}]`)
	times := map[string]time.Time{}
	for _, o := range got {
		times[o.ConnectionID] = o.AuthorizeTime
	}
	want := map[string]time.Time{"": {}, "|A": noon, "|B": {}, "|C": {}, "|D": {}}
	if diff := cmp.Diff(want, times); diff != "" {
		t.Error(diff)
	}
}

func TestDocumentedCodes(t *testing.T) {
	for code, want := range map[string]consentv1.ConsentEvent_Type{
		"created":                       consentv1.ConsentEvent_CREATED,
		"consentLinkOpened":             consentv1.ConsentEvent_LINK_OPENED,
		"bankAddedNotCompletedAuthFlow": consentv1.ConsentEvent_BANK_SELECTED,
		"bankAddedCompletedAuthFlow":    consentv1.ConsentEvent_BANK_AUTHORIZED,
		"fetchingTransactionsStarted":   consentv1.ConsentEvent_FETCH_STARTED,
		"fetchingTransactionsDone":      consentv1.ConsentEvent_FETCH_COMPLETED,
		"customerApprovedConsent":       consentv1.ConsentEvent_APPROVED,
		"customerDeniedConsent":         consentv1.ConsentEvent_REVOKED,
		"categorisationStarted":         consentv1.ConsentEvent_CATEGORISATION_STARTED,
		"categorisationDone":            consentv1.ConsentEvent_CATEGORISATION_COMPLETED,
		"insightsStarted":               consentv1.ConsentEvent_INSIGHTS_STARTED,
		"completed":                     consentv1.ConsentEvent_COMPLETED,
		"authError":                     consentv1.ConsentEvent_AUTHORIZATION_FAILED,
		"somethingNew":                  consentv1.ConsentEvent_PROVIDER_STATUS,
		"Created":                       consentv1.ConsentEvent_PROVIDER_STATUS, // codes are passed on as they are, not guessed at
	} {
		got := stateOf(t, `"consentFlowStatus": [`+status(code, "2024-01-12T12:00:00Z")+`]`)
		if len(got) != 1 || got[0].Type != want || got[0].ProviderCode != code {
			t.Errorf("%s is %+v, want %s", code, got, want)
		}
	}
}

func TestOddity6StatusesInAnyOrder(t *testing.T) {
	var history []string
	want := []string{"created"}
	for i, code := range []string{
		"completed", "customerApprovedConsent", "created", "somethingNew", "categorisationDone", "", "somethingNew",
		"customerDeniedConsent",
	} {
		at := noon.Add(time.Duration(-i) * time.Minute).Format(time.RFC3339)
		history = append(history, status(code, at))
		if code != "created" && code != "" {
			want = append(want, "overall/"+code+"/"+at)
		}
	}
	wantKeys(t, `"consentFlowStatus": [`+strings.Join(history, ",")+`]`, want...)

	// A thousand unknown codes: none is an error, none is lost, none is changed.
	history = nil
	for i := range 1000 {
		history = append(history, status(fmt.Sprintf("kod-%d", i), "2024-01-12T12:00:00Z"))
	}
	got := stateOf(t, `"consentFlowStatus": {"history": [`+strings.Join(history, ",")+`]}`)
	if len(got) != 1000 {
		t.Fatalf("%d observations came through", len(got))
	}
	for i, o := range got {
		if o.ProviderCode != fmt.Sprintf("kod-%d", i) || o.Type != consentv1.ConsentEvent_PROVIDER_STATUS {
			t.Errorf("number %d is %+v", i, o)
		}
	}
}

// Each status is one event, however often it is reported; a link opened n times is n events.
func TestRepeatedStatuses(t *testing.T) {
	at := func(code, timestamp string) string { return status(code, timestamp) }
	const noonKey = "/2024-01-12T12:00:00Z"
	for history, want := range map[string][]string{
		at("completed",
			"2024-01-12T12:00:00Z") + `,` + at("completed", "2024-01-12T12:00:00.999Z"): {
			"overall/completed" + noonKey,
		},
		at("completed",
			"2024-01-12T12:00:00Z") + `,` + at("completed", "2024-01-12T12:00:01Z"): {
			"overall/completed" + noonKey, "overall/completed/2024-01-12T12:00:01Z",
		},
		at("consentLinkOpened",
			"2024-01-12T12:00:00.1Z") + `,` + at("consentLinkOpened", "2024-01-12T13:00:00.2+01:00"): {
			"overall/consentLinkOpened" + noonKey + "#1", "overall/consentLinkOpened" + noonKey + "#2",
		},
		at("consentLinkOpened",
			"2024-01-12T12:00:00Z") + `,` + at("created",
			"x") + `,` + at("consentLinkOpened", "2024-01-12T12:00:07Z"): {
			"created", "overall/consentLinkOpened" + noonKey + "#1", "overall/consentLinkOpened/2024-01-12T12:00:07Z#1",
		},
		`{"code": "consentLinkOpened"}, {"code": "consentLinkOpened"}`: {
			"overall/consentLinkOpened#1", "overall/consentLinkOpened#2",
		},
	} {
		wantKeys(t, `"consentFlowStatus": [`+history+`]`, want...)
	}
	// The present status is the last of the history, not one more, with or without its milliseconds.
	wantKeys(t,
		`"consentFlowStatus": {"current": `+at("consentLinkOpened",
			"2024-01-12T12:00:00.5Z")+`, "history": [`+at("consentLinkOpened", "2024-01-12T12:00:00Z")+`]}`,
		"overall/consentLinkOpened"+noonKey+"#1")
	opened := at("consentLinkOpened", "2024-01-12T12:00:00Z")
	wantKeys(t, `"consentFlowStatus": {"current": `+opened+`, "history": [`+opened+`,`+opened+`]}`,
		"overall/consentLinkOpened"+noonKey+"#1", "overall/consentLinkOpened"+noonKey+"#2")
}

func TestOddity7BrokerBanksAndLogos(t *testing.T) {
	for _, answered := range []string{
		`["b1", "b2"]`, `[{"name": "A", "id": "b1", "logoUrl": "www.logo.example"}]`, `null`, `"b1"`, `{}`,
	} {
		f := newFake(t)
		f.answer("create_process", withLink(strings.Replace(sampleProcess, `["string"]`, answered, 1)))
		if err := operations["create_process"](t.Context(), f.provider()); err != nil {
			t.Errorf("%s: %v", answered, err)
		}
		banks := f.only("create_process").Body["brokerBanks"].([]any)
		if first := banks[0].(map[string]any); first["logoUri"] != "www.logo.example/a.png" {
			t.Errorf("sent was %v", first)
		}
	}
	for _, field := range []string{"logoUrl", "logoUri"} {
		f := newFake(t)
		f.answer("create_partner_bank", `{"_id": "1", "name": "Demo", "`+field+`": "www.logoUrl.com"}`)
		got, err := f.provider().PartnerBanks.CreatePartnerBank(t.Context(), providers.PartnerBank{DisplayName: "Demo"})
		if err != nil || got.LogoURI != "www.logoUrl.com" {
			t.Errorf("%s: %v, %v", field, got, err)
		}
	}
}

func TestOddity9Times(t *testing.T) {
	for written, want := range map[string]time.Time{
		"2024-01-12T12:00:00Z":            noon,
		"2024-01-12T12:00:00.000Z":        noon,
		"2024-01-12T12:00:00+00:00":       noon,
		"2024-01-12T12:00:00.239+00:00":   noon.Add(239 * time.Millisecond),
		"2024-01-12T13:00:00+01:00":       noon,
		"":                                {},
		"yesterday":                       {},
		"2024-01-12":                      {},
		"0000-01-01T00:00:00Z":            {},
		"9999-12-31T23:59:59-14:00":       {},
		"2024-13-12T12:00:00Z":            {},
		"2024-01-12T12:00:00.1234567890Z": noon.Add(123456789),
	} {
		got := stateOf(t, `"consentFlowStatus": [`+status("completed", written)+`]`)
		key := "overall/completed"
		if !want.IsZero() {
			key += "/2024-01-12T12:00:00Z"
		}
		if len(got) != 1 || !got[0].Time.Equal(want) || got[0].Key != key {
			t.Errorf("%q became %+v", written, got)
		}
	}
	// A date is the market's: Stockholm is an hour ahead of UTC in winter, Helsinki two; both one more in summer.
	for _, tc := range []struct{ written, stockholm, helsinki, movement string }{
		{"2024-01-12", "2024-01-12", "2024-01-12", ""},
		{"2024-01-12T00:00:00.000Z", "2024-01-12", "2024-01-12", ""},
		{"2024-01-11T22:59:59Z", "2024-01-11", "2024-01-12", ""},
		{"2024-01-11T23:00:00+00:00", "2024-01-12", "2024-01-12", ""},
		{"2024-06-11T21:30:00Z", "2024-06-11", "2024-06-12", ""},
		{"2024-06-11T22:00:00.5Z", "2024-06-12", "2024-06-12", ""},
		{"2024-01-12T23:59:59", "2024-01-12", "2024-01-12", ""},
		{"2024-01-12 23:59", "2024-01-12", "2024-01-12", ""},
		{"2024-02-30", "", "", "2024-02-30"},
		{"2024-01", "", "", "2024-01"},
		{"2024-01-01/2024-01-31", "", "", "2024-01-01/2024-01-31"},
		{"vecka 3", "", "", "vecka 3"},
		{"", "", "", ""},
	} {
		if got := dateOf(text(tc.written), providers.MarketSE); got != tc.stockholm {
			t.Errorf("%q in Stockholm is %q, want %q", tc.written, got, tc.stockholm)
		}
		if got := dateOf(text(tc.written), providers.MarketFI); got != tc.helsinki {
			t.Errorf("%q in Helsinki is %q, want %q", tc.written, got, tc.helsinki)
		}
		want := tc.stockholm + tc.movement
		if got := movementOf(wireMovement{Date: text(tc.written)}, providers.MarketSE).GetDate(); got != want {
			t.Errorf("%q is the movement's date %q, want %q", tc.written, got, want)
		}
	}
}

func TestOddity11OpenObjects(t *testing.T) {
	evaluate := func(t *testing.T, members string) *insightsv1.Insights {
		t.Helper()
		f := newFake(t)
		f.answer("insights", `{"accountsInfo": []`+members+`}`)
		insights, _, err := f.provider().Insights.GetInsights(t.Context(), refSE, "")
		if err != nil {
			t.Fatal(err)
		}
		return insights
	}
	same(t,
		evaluate(
			t,
			`, "totalBalance": {"sum": 9007199254740993, "tenth": 0.1, "deep": [{"a": null}]}, "categorisation": [1, "x"], "computationAutomation": {}`,
		),
		&insightsv1.Insights{}, `{
			"origin": "NATIVE",
			"totalBalance": {"sum": "9007199254740993", "tenth": 0.1, "deep": [{"a": null}]}, "categorisation": {"value": [1, "x"]}, "computationAutomation": {}
		}`)
	same(t, evaluate(t, `, "accountsInfo": [{"accountNumber": "1"}]`), &insightsv1.Insights{},
		`{"origin": "NATIVE"}`) // no balance, no total
	same(t, evaluate(t, `, "totalBalance": null`), &insightsv1.Insights{}, `{"origin": "NATIVE"}`)
	same(t, evaluate(t, `, "fetchedAtInterval": {"min": "soon"}, "transactionGraph": null`), &insightsv1.Insights{},
		`{"origin": "NATIVE"}`)
}

func TestOddity12Amounts(t *testing.T) {
	amounts := map[string]string{
		"0.1": "0.1", "1e3": "1000", "12345678901234.56": "12345678901234.56", "-0.00": "-0.00", "-24.99": "-24.99",
		"0.30000000000000004": "0.30000000000000004",
		`"17.50"`:             "17.50", "2.8421709430404007e-14": "0.000000000000028422",
		"-1.1368683772161603e-13": "-0.000000000000113687", "1e-400": "0.000000000000000000",
		"99999999999999999999999999999999": "99999999999999999999999999999999",
	}
	for written, want := range amounts {
		f := newFake(t)
		f.respond("transactions", pages([]string{`{"_id": "1", "amount": ` + written + `}`}))
		f.answer("insights",
			`{"accountsInfo": [{"accountNumber": "1", "balance": `+written+
				`}], "transactionGraph": [{"info": {"balance": `+written+`}}]}`)
		p := f.provider()
		for ref, currency := range map[providers.ConsentRef]string{refSE: "SEK", refFI: "EUR"} {
			got, err := transactions(t.Context(), p, ref)
			if err != nil || got[0].Amount.GetValue() != want || got[0].Amount.GetCurrencyCode() != currency {
				t.Errorf("%s became %v, %v, want %s %s", written, got, err, want, currency)
			}
			insights, accounts, err := p.Insights.GetInsights(t.Context(), ref, "")
			if err != nil {
				t.Errorf("%s: %v", written, err)
				continue
			}
			for _, amount := range []string{accounts[0].Balance.GetValue(), insights.Movements[0].Balance.GetValue()} {
				if amount != want {
					t.Errorf("%s became %s", written, amount)
				}
			}
			if accounts[0].Balance.CurrencyCode != currency || accounts[0].GetCurrencyCode() != currency ||
				insights.TotalBalances[0].CurrencyCode != currency {
				t.Errorf("the currency is not %s", currency)
			}
		}
	}
	for _, written := range []string{
		"1e33", "1e400000000", `"NaN"`, `"Infinity"`, `"0x10"`, `""`, "true", "{}", "1e-4000000000",
		"1" + strings.Repeat("0", 70) + "e-60",
	} {
		var a amount
		if err := json.Unmarshal([]byte(written), &a); err == nil {
			t.Errorf("%s was taken for %s", written, a)
		}
	}
}

// The number is small on the wire, and a hundred thousand digits when written out.
func TestOddity12HugeExponentsCostNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		var a amount
		if err := json.Unmarshal([]byte("1e90000"), &a); err == nil {
			t.Fatal("it was taken")
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("a hundred of them took %d bytes", took)
	}
}

func TestInsightsSumsAreExact(t *testing.T) {
	entries := strings.TrimSuffix(strings.Repeat(`{"amount": -0.1, "category": "food"},`, 1000), ",")
	f := newFake(t)
	f.answer("insights", `{
		"accountsInfo": [{"accountNumber": "1", "balance": 0.1}, {"accountNumber": "2", "balance": 0.2}, {"accountNumber": "3"}],
		"transactionGraph": [
			{"date": "vecka 3", "info": {"negativeSum": 100, "negativeTransactions": [`+entries+`]}},
			{"info": {"negativeTransactions": [{"amount": 5.5, "category": "gambling"}], "positiveTransactions": [
				{"amount": 0.3, "category": "food"}, {"category": "mystery"}, {"amount": 7}
			]}}
		]
	}`)
	got, _, err := f.provider().Insights.GetInsights(t.Context(), refSE, "")
	if err != nil {
		t.Fatal(err)
	}
	// What stands among the negative leaves the account, whichever sign it has.
	if first := got.Movements[0]; first.Expense.Value != "-100" || first.GetDate() != "vecka 3" ||
		first.Income != nil ||
		first.Balance != nil {
		t.Errorf("the first movement is %v", first)
	}
	if entry := got.Movements[1].Entries[0]; entry.Amount.Value != "-5.5" {
		t.Errorf("the entry is %v", entry)
	}
	got.Movements, got.Origin = nil, 0
	same(t, got, &insightsv1.Insights{}, `{
		"totalBalances": [{"value": "0.3", "currencyCode": "SEK"}],
		"categories": [
			{"transactionCount": 1, "income": {"value": "7", "currencyCode": "SEK"}, "expense": {"value": "0", "currencyCode": "SEK"}},
			{"category": "GROCERIES", "providerCategory": "food", "transactionCount": 1001,
				"income": {"value": "0.3", "currencyCode": "SEK"}, "expense": {"value": "-100.0", "currencyCode": "SEK"}},
			{"category": "GAMBLING", "providerCategory": "gambling", "transactionCount": 1,
				"income": {"value": "0", "currencyCode": "SEK"}, "expense": {"value": "-5.5", "currencyCode": "SEK"}},
			{"category": "OTHER", "providerCategory": "mystery", "transactionCount": 1,
				"income": {"value": "0", "currencyCode": "SEK"}, "expense": {"value": "0", "currencyCode": "SEK"}}
		]
	}`)
}

// The customer's identity comes back with every answer, and goes nowhere.
func TestIdentityIsDropped(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	insights, accounts, err := p.Insights.GetInsights(t.Context(), refSE, "")
	if err != nil {
		t.Fatal(err)
	}
	state, err := p.Consents.GetConsent(t.Context(), refSE)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %v %+v", insights, accounts, state)
	for _, identity := range []string{"199503096316", "5569876542", "Elin", "Sandström"} {
		if strings.Contains(all, identity) {
			t.Errorf("%s came through", identity)
		}
	}
}

func TestConsentLinkNames(t *testing.T) {
	const link = "https://consent.example/l/1"
	for body, want := range map[string]string{
		`{"consent-link": "https://consent.example/l/1"}`:                             link,
		`{"consentLink": "https://consent.example/l/1"}`:                              link,
		`{"consent_link": "https://consent.example/l/1"}`:                             link,
		`{"consentUrl": "https://consent.example/l/1"}`:                               link,
		`{"link": "https://consent.example/l/1", "redirectUrl": "https://b.example"}`: link,
		`{"url": "http://127.0.0.1:4711/l"}`:                                          "http://127.0.0.1:4711/l",
		`{"url": "https://b.example", "consent-link": "https://consent.example/l/1"}`: link,
		`{"link": null, "url": "https://consent.example/l/1"}`:                        link,
		`{"link": {"href": "x"}, "url": "https://consent.example/l/1"}`:               link,
		`{"Link": "https://a.example", "URL": "https://b.example"}`:                   "",
		`{"redirectUrl": "https://a.example", "logoUri": "https://b.example/l.png"}`:  "",
		`{"consent-link": "ftp://consent.example"}`:                                   "",
		`[]`: "",
	} {
		if got := namedLink([]byte(body)); got != want {
			t.Errorf("%s holds %q, want %q", body, got, want)
		}
	}
	// The two answers that are nothing but a link may hold it anywhere, as long as there is no doubt which one it is.
	for body, want := range map[string]string{
		`{"x": "https://consent.example/l/1"}`:                                          link,
		`{"data": {"items": [1, {"href": "https://consent.example/l/1"}]}, "ok": true}`: link,
		`"https://consent.example/l/1"`:                                                 link,
		`{"a": "https://consent.example/l/1", "b": "https://consent.example/l/1"}`:      link,
		`{"a": "https://a.example", "b": "https://b.example"}`:                          "",
		`{"a": "https://a.example", "link": "https://consent.example/l/1"}`:             link,
		`{"a": "no link"}`: "",
	} {
		var got wireLink
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.URI != want {
			t.Errorf("%s holds %q (%v), want %q", body, got.URI, err, want)
		}
	}
	// The process is no such answer: its redirectUrl would match.
	f := newFake(t)
	f.answer("create_process", `{"redirectUrl": "https://kontor.example/s", `+strings.TrimPrefix(sampleProcess, "{"))
	got := errorOf(t, operations["create_process"](t.Context(), f.provider()))
	if got.Kind != providers.KindInvalidResponse || !got.MayHaveHappened {
		t.Errorf("a process without a link is %+v", got)
	}
}

func TestAccountTypes(t *testing.T) {
	for written, want := range map[string]bankingv1.Account_Type{
		"": bankingv1.Account_OTHER, " ": bankingv1.Account_OTHER,
		"wallet": bankingv1.Account_OTHER, "risk": bankingv1.Account_OTHER,
		"CURRENT": bankingv1.Account_CURRENT, "checking": bankingv1.Account_CURRENT,
		"Lönekonto": bankingv1.Account_CURRENT, "Privatkonto": bankingv1.Account_CURRENT,
		"TRANSAKTIONSKONTO": bankingv1.Account_CURRENT, "Käyttötili": bankingv1.Account_CURRENT,
		"CACC": bankingv1.Account_CURRENT, "Företagskonto": bankingv1.Account_CURRENT,
		"savings": bankingv1.Account_SAVINGS, "Sparkonto": bankingv1.Account_SAVINGS,
		"Säästötili": bankingv1.Account_SAVINGS, "svgs": bankingv1.Account_SAVINGS,
		"term deposit": bankingv1.Account_SAVINGS, "card": bankingv1.Account_CARD, "creditCard": bankingv1.Account_CARD,
		"Kreditkort":   bankingv1.Account_CARD,
		"Luottokortti": bankingv1.Account_CARD, "loan": bankingv1.Account_LOAN, "Bolån": bankingv1.Account_LOAN,
		"Privatlån":   bankingv1.Account_LOAN,
		"Asuntolaina": bankingv1.Account_LOAN, "mortgage": bankingv1.Account_LOAN,
		"SECURITIES": bankingv1.Account_SECURITIES, "ISK": bankingv1.Account_SECURITIES,
		"Investeringssparkonto": bankingv1.Account_SECURITIES, "Osakesäästötili": bankingv1.Account_SECURITIES,
		"Depå":  bankingv1.Account_SECURITIES,
		"depot": bankingv1.Account_SECURITIES, "investment": bankingv1.Account_SECURITIES,
		"Fondkonto": bankingv1.Account_SECURITIES,
	} {
		if got := accountTypeOf(written); got != want {
			t.Errorf("%q is %s, want %s", written, got, want)
		}
	}
}

// What a transaction's accountId is, the documentation does not say. It is on an account when it is the number of that
// one account, and else on none.
func TestTransactionsAreOnAccountsWhoseNumberTheyName(t *testing.T) {
	f := newFake(t)
	f.answer("insights", `{"accountsInfo": [
		{"accountNumber": "8327-9, 123 456 789-0", "bank": "X"},
		{"accountNumber": "se45 5000 0000 0583 9825 7466", "bank": "X"},
		{"accountNumber": "**** 1234", "bank": "X"},
		{"accountNumber": "4711", "bank": "X"},
		{"accountNumber": "77 77", "bank": "X"}, {"accountNumber": "7777", "bank": "Y"},
		{"name": "no number", "bank": "X"}, {"bank": "Z"}
	]}`)
	p := f.provider()
	for accountID, want := range map[string]string{
		`"8327-9, 123 456 789-0"`:         "832791234567890",
		`"832791234567890"`:               "832791234567890",
		`" 8327 9 123.456.789/0 "`:        "832791234567890",
		"\"8327\u201391234567890\"":       "832791234567890",
		`"SE4550000000058398257466"`:      "SE4550000000058398257466",
		`"SE45 5000-0000-0583 9825 7466"`: "SE4550000000058398257466",
		`"****1234"`:                      "****1234",
		`4711`:                            "4711",
		`"04711"`:                         "", // a leading zero is part of a number
		`"1234"`:                          "", // the mask is part of one, too
		`"5839 825 746-6"`:                "", // the number within an IBAN
		`"123 456 789-0"`:                 "", // without its clearing number
		`"6630da8590502faa7517e0fc"`:      "", // an id of another kind
		`"7777"`:                          "", // two accounts have it
		`"no number"`:                     "",
		`"-"`:                             "",
		`""`:                              "",
		`null`:                            "",
	} {
		f.respond("transactions", pages([]string{`{"_id": "t", "amount": 1, "accountId": ` + accountID + `}`}))
		got, err := transactions(t.Context(), p, refSE)
		if err != nil || len(got) != 1 || got[0].AccountID != want {
			t.Errorf("%s is on %+v, want %q (%v)", accountID, got, want, err)
		}
	}
}

// Accounts are read once, and only for transactions that name one. When they cannot be read, no transaction is told
// without its account.
func TestAccountsAreReadForTransactions(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	f.respond("transactions", pages(page("a", "b"), page("c")))
	if got, err := transactions(t.Context(), p, refSE); err != nil || len(got) != 3 || len(f.seen("insights")) != 0 {
		t.Errorf("%d transactions after %d reads of accounts, %v", len(got), len(f.seen("insights")), err)
	}
	named := func(id string) []string {
		return []string{`{"_id": "` + id + `", "amount": 1, "accountId": "93001234567"}`}
	}
	f.respond("transactions", pages(named("a"), named("b")))
	if got, err := transactions(t.Context(), p, refSE); err != nil || len(got) != 2 || len(f.seen("insights")) != 1 {
		t.Errorf("%d transactions after %d reads of accounts, %v", len(got), len(f.seen("insights")), err)
	}
	f.fail("insights", 503)
	if got, err := transactions(t.Context(), p, refSE); len(got) != 0 || errorOf(t,
		err).Kind != providers.KindUnavailable {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAccountsAreToldApart(t *testing.T) {
	f := newFake(t)
	f.answer("insights", `{"accountsInfo": [
		{"accountNumber": " 8247-1, 234 567 ", "name": "A", "type": "current", "bank": "X"},
		{"accountNumber": "82471234567", "name": "A", "type": "current", "bank": "X"},
		{"accountNumber": "82471234567", "name": "A", "type": "current", "bank": "Y"},
		{"accountNumber": "se45 5000 0000 0583 9825 7466", "bank": "X"},
		{"accountNumber": "**** 1234", "name": "Kort", "type": "card", "bank": "X", "balance": null},
		{"name": "Depå", "type": "isk", "bank": "X"},
		{"name": "Depå", "type": "isk", "bank": "Y", "surprise": {"a": 1}},
		{"accountNumber": 4711}
	]}`)
	got, err := f.provider().Accounts.ListAccounts(t.Context(), refSE)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, account := range got {
		ids = append(ids, account.ID)
	}
	want := []string{
		"82471234567", "82471234567|Y|A|current", "SE4550000000058398257466", "****1234", "|X|Depå|isk", "|Y|Depå|isk",
		"4711",
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
	if iban := got[2]; iban.GetIban() != "se45 5000 0000 0583 9825 7466" || iban.GetAccountNumber() != "" {
		t.Errorf("the IBAN is %v", iban)
	}
	if card := got[3]; card.GetIban() != "" || card.GetAccountNumber() != "**** 1234" || card.Balance != nil {
		t.Errorf("the card is %v", card)
	}
}

// No check digits are looked at.
func TestIBANsAreToldByTheirForm(t *testing.T) {
	for number, want := range map[string]bool{
		"SE4550000000058398257466": true, "SE0050000000058398257466": true, "FI2112345600000785": true,
		"DE64100200007791587578": true,
		"93001234567":            false, "SE45": false, "SEX550000000058398257466": false,
		"SE45ÅÄÖ0000000058398257466": false,
		"12345678901234567890":       false,
	} {
		if got := isIBAN(number); got != want {
			t.Errorf("%s: %v", number, got)
		}
	}
}

// The id is found among however many other words, wherever it stands.
func TestWebhookFindsTheIDAmongManyWords(t *testing.T) {
	var words []string
	for i := range 500 {
		words = append(words, fmt.Sprintf(`"w%d": {"code": "code%d"}`, i, i))
	}
	body := `{` + strings.Join(words[:250], ",") + `, "process": {"_id": "p1"}, ` + strings.Join(words[250:], ",") + `}`
	for range 20 { // a map's order is another each time
		ids, err := webhook(t.Context(), nil, []byte(body))
		if err != nil || len(ids) == 0 || ids[0] != "p1" || len(ids) > webhookIDs {
			t.Fatalf("%d ids, the first %q, %v", len(ids), ids[:min(1, len(ids))], err)
		}
	}
}
