package consent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

const (
	categorisation = consentv1.DataCollection_TRANSACTION_CATEGORISATION
	verification   = consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION
)

// The provider's clock is years off Kontor's: nothing may depend on how the two compare.
var (
	kontorStart   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	providerStart = time.Date(2019, 8, 24, 14, 15, 22, 0, time.UTC)
)

// begun is the history of a consent whose first link was just issued.
func begun() []consent.Event {
	return consent.Add(nil, consent.Created(kontorStart, "made"),
		consent.LinkIssued(1, "https://bank.example/1", kontorStart.Add(24*time.Hour), kontorStart))
}

// status is what a provider with a history reports, at a second of its clock.
func status(second int, t consentv1.ConsentEvent_Type, bank string) providers.Observation {
	o := providers.Observation{
		Key: fmt.Sprintf("%s/%s/%d", bank, t, second), Type: t, ProviderCode: t.String(), ConnectionID: bank,
		Time: providerStart.Add(time.Duration(second) * time.Second),
	}
	if bank != "" {
		o.Bank = &consentv1.Connection_Bank{DisplayName: optional.Of(bank)}
	}
	if t == consentv1.ConsentEvent_AUTHORIZATION_FAILED {
		o.Error = &errorv1.Error{Reason: errorv1.Error_AUTHORIZATION_FAILED, ProviderCode: optional.Of("authError")}
	}
	return o
}

func grow(history []consent.Event, observations ...providers.Observation) []consent.Event {
	return append(history, consent.Observe(history, providers.ConsentState{Observations: observations}, kontorStart)...)
}

func connections(history []consent.Event, states ...providers.ConnectionState) []consent.Event {
	return append(history,
		consent.Observe(history, providers.ConsentState{Stateful: true, Connections: states}, kontorStart)...)
}

// journey is a consent that goes well, as the documentation orders it.
func journey() []providers.Observation {
	var all []providers.Observation
	for i, t := range []consentv1.ConsentEvent_Type{
		consentv1.ConsentEvent_LINK_OPENED, consentv1.ConsentEvent_BANK_SELECTED,
		consentv1.ConsentEvent_BANK_AUTHORIZED,
		consentv1.ConsentEvent_FETCH_STARTED, consentv1.ConsentEvent_FETCH_COMPLETED, consentv1.ConsentEvent_APPROVED,
		consentv1.ConsentEvent_CATEGORISATION_STARTED, consentv1.ConsentEvent_CATEGORISATION_COMPLETED,
		consentv1.ConsentEvent_INSIGHTS_STARTED, consentv1.ConsentEvent_COMPLETED,
	} {
		bank := ""
		if t >= consentv1.ConsentEvent_BANK_SELECTED && t <= consentv1.ConsentEvent_FETCH_COMPLETED {
			bank = "Bank"
		}
		all = append(all, status(i, t, bank))
	}
	return all
}

func TestStatusAlongTheWay(t *testing.T) {
	steps := []struct {
		status consentv1.Consent_Status
		stage  consentv1.DataStage_Value
		link   typev1.Link_Status
	}{
		{consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.DataStage_NOT_STARTED, typev1.Link_OPENED},
		{consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.DataStage_NOT_STARTED, typev1.Link_OPENED},
		{consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.DataStage_NOT_STARTED, typev1.Link_OPENED},
		{consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.DataStage_FETCHING, typev1.Link_OPENED},
		{consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.DataStage_FETCHING, typev1.Link_OPENED},
		{consentv1.Consent_AUTHORIZED, consentv1.DataStage_FETCHING, typev1.Link_COMPLETED},
		{consentv1.Consent_AUTHORIZED, consentv1.DataStage_CATEGORISING, typev1.Link_COMPLETED},
		{consentv1.Consent_AUTHORIZED, consentv1.DataStage_CATEGORISING, typev1.Link_COMPLETED},
		{consentv1.Consent_AUTHORIZED, consentv1.DataStage_GENERATING_INSIGHTS, typev1.Link_COMPLETED},
		{consentv1.Consent_AUTHORIZED, consentv1.DataStage_READY, typev1.Link_COMPLETED},
	}
	history := begun()
	for i, o := range journey() {
		history = grow(history, o)
		got := consent.Derive(categorisation, history)
		if got.Status != steps[i].status || got.DataStage != steps[i].stage || got.Link.GetStatus() != steps[i].link {
			t.Errorf("after %s: %s, %s, link %s", o.Type, got.Status, got.DataStage, got.Link.GetStatus())
		}
	}
}

func TestStatusRule(t *testing.T) {
	opened := status(0, consentv1.ConsentEvent_LINK_OPENED, "")
	selected := status(1, consentv1.ConsentEvent_BANK_SELECTED, "Bank")
	failed := status(2, consentv1.ConsentEvent_AUTHORIZATION_FAILED, "Bank")
	approved := status(6, consentv1.ConsentEvent_APPROVED, "")
	denied := status(8, consentv1.ConsentEvent_REVOKED, "")
	again := status(9, consentv1.ConsentEvent_APPROVED, "")
	unknown := status(20, consentv1.ConsentEvent_PROVIDER_STATUS, "")
	undated := providers.Observation{
		Key: "consent/approved", Type: consentv1.ConsentEvent_APPROVED, ProviderCode: "approved",
	}
	active, inactive := providers.ConnectionState{ID: "login", Active: true}, providers.ConnectionState{ID: "login"}
	for name, tc := range map[string]struct {
		history    []consent.Event
		collection consentv1.DataCollection_Value
		status     consentv1.Consent_Status
		decision   consentv1.Decision_Value
		link       typev1.Link_Status
	}{
		"new": {
			begun(), 0, consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Decision_UNDECIDED, typev1.Link_PENDING,
		},
		"refused": {
			grow(begun(), opened, denied), 0, consentv1.Consent_REJECTED, consentv1.Decision_REVOKED,
			typev1.Link_COMPLETED,
		},
		"withdrawn": {
			grow(begun(), approved, denied), 0, consentv1.Consent_REVOKED, consentv1.Decision_REVOKED,
			typev1.Link_COMPLETED,
		},
		"refused, then approved": {
			grow(begun(), denied, again), 0, consentv1.Consent_AUTHORIZED, consentv1.Decision_APPROVED,
			typev1.Link_COMPLETED,
		},
		"failed": {
			grow(begun(), opened, selected, failed), 0, consentv1.Consent_FAILED, consentv1.Decision_UNDECIDED,
			typev1.Link_ERRORED,
		},
		"failed, then approved": {
			grow(begun(), opened, selected, failed, approved), 0, consentv1.Consent_AUTHORIZED,
			consentv1.Decision_APPROVED, typev1.Link_COMPLETED,
		},
		"unknown code": {
			grow(begun(), unknown), 0, consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Decision_UNDECIDED,
			typev1.Link_PENDING,
		},
		"decision without status": {
			grow(begun(), undated), 0, consentv1.Consent_AUTHORIZED, consentv1.Decision_APPROVED, typev1.Link_COMPLETED,
		},
		"decision first, refusal later": {
			grow(begun(), undated, denied), 0, consentv1.Consent_REVOKED, consentv1.Decision_REVOKED,
			typev1.Link_COMPLETED,
		},
		"only the end was seen": {
			grow(begun(), status(9, consentv1.ConsentEvent_COMPLETED, "")), 0, consentv1.Consent_AUTHORIZED,
			consentv1.Decision_APPROVED, typev1.Link_COMPLETED,
		},
		"link ran out": {
			append(begun(), consent.Add(begun(), consent.LinkExpired(1, kontorStart.Add(25*time.Hour)))...), 0,
			consentv1.Consent_EXPIRED, consentv1.Decision_UNDECIDED, typev1.Link_EXPIRED,
		},
		"left early": {
			append(begun(), consent.Add(begun(), consent.LinkExited(1, kontorStart))...), 0,
			consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Decision_UNDECIDED, typev1.Link_EXITED,
		},
		"bank connected": {
			connections(begun(), active), 0, consentv1.Consent_AUTHORIZED, consentv1.Decision_APPROVED,
			typev1.Link_COMPLETED,
		},
		"new SCA needed": {
			connections(connections(begun(), active), inactive), 0, consentv1.Consent_AWAITING_REAUTHORIZATION,
			consentv1.Decision_APPROVED, typev1.Link_COMPLETED,
		},
		"new SCA done": {
			connections(connections(connections(begun(), active), inactive), active), 0, consentv1.Consent_AUTHORIZED,
			consentv1.Decision_APPROVED, typev1.Link_COMPLETED,
		},
		"connection gone": {
			connections(connections(begun(), active)), 0, consentv1.Consent_AUTHORIZED, consentv1.Decision_APPROVED,
			typev1.Link_COMPLETED,
		},
		"bank connected again": {
			connections(connections(connections(begun(), active)), active), 0, consentv1.Consent_AUTHORIZED,
			consentv1.Decision_APPROVED, typev1.Link_COMPLETED,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := consent.Derive(tc.collection, tc.history)
			if got.Status != tc.status || got.Decision != tc.decision || got.Link.GetStatus() != tc.link {
				t.Errorf("got %s, %s, link %s; want %s, %s, link %s", got.Status, got.Decision, got.Link.GetStatus(),
					tc.status, tc.decision, tc.link)
			}
			over := tc.link == typev1.Link_COMPLETED || tc.link == typev1.Link_EXPIRED
			if gone := got.Link.GetUri() == ""; gone != over {
				t.Errorf("the address of a link that is %s is gone: %t", tc.link, gone)
			}
		})
	}
}

func TestVerificationIsReadyWithoutCategorisation(t *testing.T) {
	history := grow(begun(), journey()[:4]...) // fetching
	if got := consent.Derive(verification,
		grow(history, status(9, consentv1.ConsentEvent_APPROVED, ""))); got.DataStage != consentv1.DataStage_FETCHING {
		t.Errorf("approved while fetching: %s", got.DataStage)
	}
	history = grow(history, journey()[4:6]...)
	if got := consent.Derive(verification, history); got.DataStage != consentv1.DataStage_READY {
		t.Errorf("fetched and approved: %s", got.DataStage)
	}
	if got := consent.Derive(categorisation, history); got.DataStage == consentv1.DataStage_READY {
		t.Error("a categorisation was ready before it began")
	}
}

// The end of a consent by its caller is final: whatever the provider still reports changes nothing.
func TestRevokedByCallerIsFinal(t *testing.T) {
	history := grow(begun(), journey()...)
	history = append(history, consent.Add(history, consent.RevokedByCaller(1, kontorStart))...)
	later := grow(history, status(99, consentv1.ConsentEvent_APPROVED, ""))
	if len(later) != len(history) {
		t.Errorf("%d events were added after the end", len(later)-len(history))
	}
	got := consent.Derive(categorisation, later)
	if got.Status != consentv1.Consent_REVOKED || got.DataStage != consentv1.DataStage_NOT_STARTED || !got.Ended ||
		got.Link.GetUri() != "" {
		t.Errorf("got %s, %s, ended %t, link %q", got.Status, got.DataStage, got.Ended, got.Link.GetUri())
	}
	if got.Connections[0].Status != consentv1.Connection_DISCONNECTED {
		t.Errorf("the connection is %s", got.Connections[0].Status)
	}
}

// A further flow asks anew, and does not take away what the first one gave.
func TestAnotherFlow(t *testing.T) {
	history := grow(begun(), journey()...)
	history = append(history,
		consent.Add(history, consent.LinkIssued(2, "https://bank.example/2", kontorStart, kontorStart))...)
	got := consent.Derive(categorisation, history)
	if got.Status != consentv1.Consent_AUTHORIZED || got.DataStage != consentv1.DataStage_READY ||
		got.Link.GetStatus() != typev1.Link_PENDING {
		t.Errorf("got %s, %s, link %s", got.Status, got.DataStage, got.Link.GetStatus())
	}
	history = grow(history, status(30, consentv1.ConsentEvent_LINK_OPENED, ""),
		status(31, consentv1.ConsentEvent_BANK_SELECTED, "Other"),
		status(32, consentv1.ConsentEvent_AUTHORIZATION_FAILED, "Other"))
	got = consent.Derive(categorisation, history)
	if got.Status != consentv1.Consent_AUTHORIZED || got.Link.GetStatus() != typev1.Link_ERRORED || got.Error == nil {
		t.Errorf("got %s, link %s, error %v", got.Status, got.Link.GetStatus(), got.Error)
	}
}

// observationGen draws statuses of all kinds, on few moments, so that many coincide.
func observationGen() *rapid.Generator[providers.Observation] {
	types := []consentv1.ConsentEvent_Type{
		consentv1.ConsentEvent_LINK_OPENED, consentv1.ConsentEvent_BANK_SELECTED,
		consentv1.ConsentEvent_BANK_AUTHORIZED,
		consentv1.ConsentEvent_FETCH_STARTED, consentv1.ConsentEvent_FETCH_COMPLETED, consentv1.ConsentEvent_APPROVED,
		consentv1.ConsentEvent_REVOKED, consentv1.ConsentEvent_CATEGORISATION_STARTED,
		consentv1.ConsentEvent_INSIGHTS_STARTED,
		consentv1.ConsentEvent_COMPLETED, consentv1.ConsentEvent_AUTHORIZATION_FAILED,
		consentv1.ConsentEvent_PROVIDER_STATUS,
	}
	return rapid.Custom(func(t *rapid.T) providers.Observation {
		bank := rapid.SampledFrom([]string{"", "Bank A", "Bank B"}).Draw(t, "bank")
		return status(rapid.IntRange(0, 5).Draw(t, "second"), rapid.SampledFrom(types).Draw(t, "type"), bank)
	})
}

// Any order, any repetition and any division into reports of the same statuses gives one final state and one event for
// each status.
func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statuses := rapid.SliceOfN(observationGen(), 1, 20).Draw(t, "statuses")
		want := consent.Derive(categorisation, grow(begun(), statuses...))

		shuffled := rapid.Permutation(append(statuses,
			rapid.SliceOf(rapid.SampledFrom(statuses)).Draw(t, "repeats")...)).Draw(t, "shuffled")
		history := begun()
		for len(shuffled) > 0 {
			n := rapid.IntRange(1, len(shuffled)).Draw(t, "report")
			history = grow(history, shuffled[:n]...)
			shuffled = shuffled[n:]
		}
		got := consent.Derive(categorisation, history)
		if diff := cmp.Diff(want, got, protocmp.Transform(), cmp.AllowUnexported(consent.Connection{})); diff != "" {
			t.Fatalf("the state depends on the order:\n%s", diff)
		}

		keys := make(map[string]bool)
		for _, o := range statuses {
			keys[o.Key] = true
		}
		if len(history) != len(begun())+len(keys) {
			t.Fatalf("%d different statuses became %d events", len(keys), len(history)-len(begun()))
		}
		for i, e := range history {
			if e.Sequence != int64(i+1) {
				t.Fatalf("event %d has sequence %d", i+1, e.Sequence)
			}
		}
	})
}

// Codes that Kontor does not know are kept, and change no status, however many come.
func TestUnknownCodesAreKeptAndHarmless(t *testing.T) {
	history := grow(begun(), journey()[:3]...)
	before := consent.Derive(categorisation, history)
	var codes []providers.Observation
	for i := range 1000 {
		o := status(i, consentv1.ConsentEvent_PROVIDER_STATUS, "")
		o.ProviderCode = fmt.Sprintf("novelty%d", i)
		codes = append(codes, o)
	}
	after := grow(history, codes...)
	if len(after) != len(history)+1000 {
		t.Fatalf("%d of 1000 codes were kept", len(after)-len(history))
	}
	if diff := cmp.Diff(before, consent.Derive(categorisation, after), protocmp.Transform(),
		cmp.AllowUnexported(consent.Connection{})); diff != "" {
		t.Errorf("unknown codes changed the state:\n%s", diff)
	}
}

// Kontor's own order survives a clock that is set back.
// What a provider says of a code in its own words is one line of bounded length, and shown for unknown codes alone.
func TestWordsOfAProvider(t *testing.T) {
	for said, want := range map[string]string{
		"":                        "",
		"The data is looked at":   "The data is looked at",
		" two\nlines\t\x1b[31m  ": "two lines [31m",
		strings.Repeat("ö", 200):  strings.Repeat("ö", 200),
		strings.Repeat("ö", 2000): strings.Repeat("ö", 199) + "…",
	} {
		unknown := status(1, consentv1.ConsentEvent_PROVIDER_STATUS, "")
		known := status(2, consentv1.ConsentEvent_COMPLETED, "")
		unknown.Description, known.Description = said, said
		history := grow(begun(), unknown, known)
		if got := history[len(history)-2].Description; got != want {
			t.Errorf("%q became %q", said, got)
		}
		if got := history[len(history)-1].Description; got != "The data is ready." {
			t.Errorf("a known code is worded %q", got)
		}
	}
}

// Every failure of an authentication has a kind: OTHER where the provider does not tell.
func TestFailuresHaveAKind(t *testing.T) {
	for told, want := range map[errorv1.FailureKind_Value]errorv1.FailureKind_Value{
		errorv1.FailureKind_VALUE_UNSPECIFIED: errorv1.FailureKind_OTHER,
		errorv1.FailureKind_TIMED_OUT:         errorv1.FailureKind_TIMED_OUT,
	} {
		overall, ofBank := status(1, consentv1.ConsentEvent_AUTHORIZATION_FAILED, ""),
			status(2, consentv1.ConsentEvent_AUTHORIZATION_FAILED, "b")
		overall.Error.FailureKind, ofBank.Error.FailureKind = told.Enum(), told.Enum()
		history := grow(begun(), overall, ofBank)
		state := consent.Derive(categorisation, history)
		if state.Error.GetFailureKind() != want || state.Connections[0].Error.GetFailureKind() != want ||
			history[len(history)-1].Error.Proto().GetFailureKind() != want {
			t.Errorf("%s became %v, %v", told, state.Error, state.Connections[0].Error)
		}
	}
	returned := consent.LinkErrored(1, consent.Error{Reason: errorv1.Error_AUTHORIZATION_FAILED}, kontorStart)
	state := consent.Derive(categorisation, append(begun(), consent.Add(begun(), returned)...))
	if state.Error.GetFailureKind() != errorv1.FailureKind_OTHER {
		t.Errorf("a return with an error is %v", state.Error)
	}
	if state := consent.Derive(categorisation, append(begun(), consent.Event{
		Flow: 1, Key: "x", Sequence: 3, Type: consentv1.ConsentEvent_AUTHORIZATION_FAILED,
	})); state.Error.GetFailureKind() != errorv1.FailureKind_OTHER {
		t.Errorf("a failure of which nothing is known is %v", state.Error)
	}
}

func TestClockSetBack(t *testing.T) {
	history := connections(begun(), providers.ConnectionState{ID: "login", Active: true})
	earlier := kontorStart.Add(-time.Hour)
	history = append(history, consent.Observe(history, providers.ConsentState{
		Stateful: true, Connections: []providers.ConnectionState{{ID: "login"}},
	}, earlier)...)
	if got := consent.Derive(categorisation, history).Status; got != consentv1.Consent_AWAITING_REAUTHORIZATION {
		t.Errorf("after a clock set back: %s", got)
	}
}
