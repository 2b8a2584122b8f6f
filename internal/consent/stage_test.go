package consent_test

import (
	"slices"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// bank is how a provider without a history reports one.
func bank(id string, stage consentv1.DataStage_Value) providers.ConnectionState {
	return providers.ConnectionState{
		ID: id, Active: true, Stage: stage, Bank: &consentv1.Connection_Bank{DisplayName: optional.Of("Bank " + id)},
	}
}

// reported gives a history after reports, and the types of the events that each added.
func reported(
	history []consent.Event,
	reports ...providers.ConsentState,
) ([]consent.Event, [][]consentv1.ConsentEvent_Type) {
	var added [][]consentv1.ConsentEvent_Type
	for i, report := range reports {
		report.Stateful = true
		var types []consentv1.ConsentEvent_Type
		for _, e := range consent.Observe(history, report, kontorStart.Add(time.Duration(i+1)*time.Minute)) {
			history = append(history, e)
			types = append(types, e.Type)
		}
		added = append(added, types)
	}
	return history, added
}

// While a provider says that data is still coming, a connected bank is approved and no more.
func TestDataComesOn(t *testing.T) {
	type types = []consentv1.ConsentEvent_Type
	const (
		authorized  = consentv1.ConsentEvent_BANK_AUTHORIZED
		started     = consentv1.ConsentEvent_FETCH_STARTED
		fetched     = consentv1.ConsentEvent_FETCH_COMPLETED
		approved    = consentv1.ConsentEvent_APPROVED
		categorised = consentv1.ConsentEvent_CATEGORISATION_STARTED
		insights    = consentv1.ConsentEvent_INSIGHTS_STARTED
		completed   = consentv1.ConsentEvent_COMPLETED

		none     = consentv1.DataStage_VALUE_UNSPECIFIED
		waiting  = consentv1.DataStage_NOT_STARTED
		fetching = consentv1.DataStage_FETCHING
		grouping = consentv1.DataStage_CATEGORISING
		making   = consentv1.DataStage_GENERATING_INSIGHTS
		ready    = consentv1.DataStage_READY
	)
	type step struct {
		whole consentv1.DataStage_Value
		banks []providers.ConnectionState
		adds  types
		stage consentv1.DataStage_Value
	}
	one := func(stage consentv1.DataStage_Value) []providers.ConnectionState {
		return []providers.ConnectionState{bank("a", stage)}
	}
	for name, steps := range map[string][]step{
		"not told": {
			{none, one(none), types{authorized, approved, completed}, ready},
			{none, one(none), nil, ready},
		},
		"ready at once": {{none, one(ready), types{authorized, approved, completed}, ready}},
		"step by step": {
			{none, one(waiting), types{authorized, approved}, waiting},
			{none, one(waiting), nil, waiting},
			{none, one(fetching), types{started}, fetching},
			{none, one(grouping), nil, fetching},
			{none, one(ready), types{fetched, completed}, ready},
			{none, one(ready), nil, ready},
			{none, one(fetching), nil, ready}, // newer data takes nothing away
		},
		"steps left out": {
			{none, one(fetching), types{authorized, started, approved}, fetching},
			{none, one(ready), types{fetched, completed}, ready},
		},
		"as a whole": {
			{fetching, one(none), types{authorized, approved}, waiting},
			{grouping, one(none), types{categorised}, grouping},
			{grouping, one(none), nil, grouping},
			{making, one(none), types{insights}, making},
			{ready, one(none), types{completed}, ready},
			{fetching, one(none), nil, ready},
		},
		"banks ahead of the whole": {
			{making, one(ready), types{authorized, insights, approved}, making},
			{ready, one(ready), types{completed}, ready},
		},
		"a further bank": {
			{none, one(ready), types{authorized, approved, completed}, ready},
			{none, append(one(ready), bank("b", fetching)), types{authorized, started}, ready},
			{none, append(one(ready), bank("b", ready)), types{fetched}, ready},
		},
		"a bank that comes back": {
			{none, one(ready), types{authorized, approved, completed}, ready},
			{none, nil, types{consentv1.ConsentEvent_CONNECTION_REMOVED}, ready},
			{none, one(fetching), types{authorized, started}, ready},
			{none, one(ready), types{fetched}, ready},
		},
		"ready without a bank": {{ready, nil, nil, waiting}},
	} {
		t.Run(name, func(t *testing.T) {
			history := begun()
			for i, step := range steps {
				var added [][]consentv1.ConsentEvent_Type
				history, added = reported(history, providers.ConsentState{Stage: step.whole, Connections: step.banks})
				got := consent.Derive(categorisation, history)
				if !slices.Equal(added[0], step.adds) || got.DataStage != step.stage {
					t.Fatalf(
						"step %d adds %v, data %s; want %v, %s",
						i,
						added[0],
						got.DataStage,
						step.adds,
						step.stage,
					)
				}
				for j, c := range step.banks {
					want := ready
					switch c.Stage {
					case waiting, fetching:
						want = c.Stage
					case grouping, making:
						want = fetching
					}
					if have := got.Connections[j].Stage; have != want && have != ready {
						t.Errorf("step %d: bank %s is %s, want %s", i, c.ID, have, want)
					}
				}
			}
		})
	}
}

// A withdrawal has the provider delete what it has. What comes of a later flow tells of that flow's banks alone.
func TestDeletedDataDoesNotComeBackWithALaterApproval(t *testing.T) {
	withdrawn := grow(begun(), journey()...)
	withdrawn = slices.Clip(grow(withdrawn, status(30, consentv1.ConsentEvent_REVOKED, "")))
	again := slices.Clip(nextFlow(withdrawn))
	for name, tc := range map[string]struct {
		history []consent.Event
		stage   consentv1.DataStage_Value
		banks   map[string]consentv1.Connection_Status
	}{
		"approved anew, nothing fetched yet": {
			grow(again, status(40, consentv1.ConsentEvent_BANK_AUTHORIZED, "new"), status(41, approved, "")),
			consentv1.DataStage_NOT_STARTED, map[string]consentv1.Connection_Status{"new": consentv1.Connection_ACTIVE},
		},
		"fetched anew": {
			grow(again, status(40, consentv1.ConsentEvent_FETCH_COMPLETED, "new"), status(41, approved, ""),
				status(42, consentv1.ConsentEvent_COMPLETED, "")),
			consentv1.DataStage_READY, map[string]consentv1.Connection_Status{"new": consentv1.Connection_ACTIVE},
		},
		"the same bank anew": {
			grow(again, status(40, consentv1.ConsentEvent_FETCH_STARTED, "Bank"), status(41, approved, "")),
			consentv1.DataStage_FETCHING, map[string]consentv1.Connection_Status{"Bank": consentv1.Connection_ACTIVE},
		},
		"approved again in the same flow": {
			grow(withdrawn, status(40, approved, "")),
			consentv1.DataStage_READY, map[string]consentv1.Connection_Status{"Bank": consentv1.Connection_ACTIVE},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := consent.Derive(categorisation, tc.history)
			if got.Status != consentv1.Consent_AUTHORIZED || got.DataStage != tc.stage {
				t.Errorf("got %s, %s, want AUTHORIZED, %s", got.Status, got.DataStage, tc.stage)
			}
			for _, c := range got.Connections {
				want, stands := tc.banks[c.ID]
				if !stands {
					want = consentv1.Connection_DISCONNECTED
				}
				if c.Status != want {
					t.Errorf("%s: got %s, want %s", c.ID, c.Status, want)
				}
				if gone := c.DataStage == consentv1.DataStage_NOT_STARTED; !stands && !gone {
					t.Errorf("%s: got %s of what was deleted", c.ID, c.DataStage)
				}
			}
		})
	}
}

// How far the data has come since a withdrawal follows from what stays of a history, too.
func TestSettledEventsTellHowFarDataCameAfterADeletion(t *testing.T) {
	history := grow(begun(), journey()...)
	history = nextFlow(grow(history, status(30, consentv1.ConsentEvent_REVOKED, "")))
	history = grow(history, status(40, consentv1.ConsentEvent_BANK_AUTHORIZED, "new"),
		status(41, consentv1.ConsentEvent_FETCH_STARTED, "new"), status(42, approved, ""),
		status(43, consentv1.ConsentEvent_AUTHORIZATION_FAILED, "new"),
		status(44, consentv1.ConsentEvent_CONNECTION_REMOVED, "new"))
	settled := consent.Settled(history)
	left := slices.DeleteFunc(slices.Clone(history), func(e consent.Event) bool {
		return slices.Contains(settled, e.Sequence)
	})
	want, got := consent.Derive(categorisation, history).DataStage, consent.Derive(categorisation, left).DataStage
	if want != consentv1.DataStage_FETCHING || got != want {
		t.Errorf("got %s, and %s of the %d events that stay of %d", want, got, len(left), len(history))
	}
}

func approve(flow int) consent.Event { return consent.Approved(flow, "approved", kontorStart) }

func issue(flow int) consent.Event {
	return consent.LinkIssued(flow, "https://bank.example/again", kontorStart.Add(24*time.Hour), kontorStart)
}

// A permission that ended by itself is EXPIRED, whatever order its events come in, until the customer approves in a
// later flow.
func TestPermissionsEndByThemselves(t *testing.T) {
	completed := consent.Completed(1, kontorStart)
	for name, c := range map[string]struct {
		events   []consent.Event
		status   consentv1.Consent_Status
		decision consentv1.Decision_Value
		stage    consentv1.DataStage_Value
	}{
		"approved, then over": {
			[]consent.Event{approve(1), completed, consent.Expired(1, kontorStart)},
			consentv1.Consent_EXPIRED, consentv1.Decision_APPROVED, consentv1.DataStage_NOT_STARTED,
		},
		"approval not told": {
			[]consent.Event{completed, consent.Expired(1, kontorStart)},
			consentv1.Consent_EXPIRED, consentv1.Decision_APPROVED, consentv1.DataStage_NOT_STARTED,
		},
		"asked anew": {
			[]consent.Event{approve(1), completed, consent.Expired(1, kontorStart), issue(2)},
			consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Decision_UNDECIDED, consentv1.DataStage_NOT_STARTED,
		},
		"asked anew in vain": {
			[]consent.Event{
				approve(1), completed, consent.Expired(1, kontorStart),
				issue(2), consent.LinkExpired(2, kontorStart),
			},
			consentv1.Consent_EXPIRED, consentv1.Decision_UNDECIDED, consentv1.DataStage_NOT_STARTED,
		},
		"approved anew": {
			[]consent.Event{approve(1), completed, consent.Expired(1, kontorStart), issue(2), approve(2)},
			consentv1.Consent_AUTHORIZED, consentv1.Decision_APPROVED, consentv1.DataStage_READY,
		},
		"over once more": {
			[]consent.Event{
				approve(1), completed, consent.Expired(1, kontorStart),
				issue(2), approve(2), consent.Expired(2, kontorStart),
			},
			consentv1.Consent_EXPIRED, consentv1.Decision_APPROVED, consentv1.DataStage_NOT_STARTED,
		},
		"revoked by the caller": {
			[]consent.Event{
				approve(1), completed, consent.Expired(1, kontorStart),
				consent.RevokedByCaller(1, kontorStart),
			},
			consentv1.Consent_REVOKED, consentv1.Decision_REVOKED, consentv1.DataStage_NOT_STARTED,
		},
	} {
		history := append(begun(), consent.Add(begun(), c.events...)...)
		for range 2 {
			got := consent.Derive(categorisation, history)
			if got.Status != c.status || got.Decision != c.decision || got.DataStage != c.stage {
				t.Errorf("%s: %s, %s, data %s", name, got.Status, got.Decision, got.DataStage)
			}
			slices.Reverse(history)
		}
	}
}

// A provider without a history shows by a later end that the customer prolonged the permission. Without a visit of
// the customer's it is not believed.
func TestProlongedPermissions(t *testing.T) {
	at := func(d time.Duration) providers.ConsentState {
		return providers.ConsentState{
			ValidUntil:  kontorStart.Add(d),
			Connections: []providers.ConnectionState{bank("a", 0)},
		}
	}
	history, _ := reported(begun(), at(time.Hour))
	history = append(history, consent.Add(history, consent.Expired(1, kontorStart.Add(time.Hour)))...)
	later := at(90 * 24 * time.Hour)
	if history, _ = reported(history, later, at(0)); consent.Derive(
		categorisation,
		history,
	).Status != consentv1.Consent_EXPIRED {
		t.Error("a report alone prolonged the permission")
	}
	history = append(history, consent.Add(history, issue(2))...)
	for name, report := range map[string]providers.ConsentState{
		"an end in the past": at(0),
		"no end":             {Connections: later.Connections},
		"no bank":            {ValidUntil: later.ValidUntil},
		"a bank that waits":  {ValidUntil: later.ValidUntil, Connections: []providers.ConnectionState{{ID: "a"}}},
	} {
		if got, _ := reported(slices.Clone(history), report); consent.Derive(
			categorisation,
			got,
		).Status != consentv1.Consent_AWAITING_AUTHORIZATION {
			t.Errorf("%s prolonged the permission", name)
		}
	}
	history, added := reported(history, later, later)
	got := consent.Derive(categorisation, history)
	if got.Status != consentv1.Consent_AUTHORIZED || got.DataStage != consentv1.DataStage_READY ||
		!slices.Equal(added[0], []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_APPROVED}) ||
		added[1] != nil {
		t.Errorf("prolonged it is %s, data %s, by %v", got.Status, got.DataStage, added)
	}
}
