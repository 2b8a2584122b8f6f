package consent_test

import (
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
)

var morning = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// grown is a history that reports make.
type grown struct {
	events []consent.Event
	stated consent.Withdrawals
	now    time.Time
}

func beginning() *grown {
	g := &grown{now: morning}
	g.add(consent.Created(g.now, "made"), consent.LinkIssued(1, "https://bank.example.com", g.now.Add(time.Hour), g.now))
	return g
}

func (g *grown) add(events ...consent.Event) {
	g.events = append(g.events, consent.Add(g.events, events...)...)
	g.now = g.now.Add(time.Minute)
}

func (g *grown) report(state providers.ConsentState) (added []consent.Event) {
	added, g.stated = consent.Follow(g.events, g.stated, state, g.now)
	g.events = append(g.events, added...)
	g.now = g.now.Add(time.Minute)
	return added
}

func (g *grown) state() consent.State {
	return consent.Derive(consentv1.DataCollection_TRANSACTION_CATEGORISATION, g.events)
}

func (g *grown) connection(t *testing.T, id string) consent.Connection {
	t.Helper()
	for _, c := range g.state().Connections {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("there is no connection %s", id)
	return consent.Connection{}
}

// observed is a status that a provider with a history reports.
func observed(kind consentv1.ConsentEvent_Type, bank string, minute int) providers.Observation {
	return providers.Observation{
		Key: kind.String() + bank + time.Duration(minute).String(), Type: kind, ConnectionID: bank,
		Time: morning.Add(time.Duration(minute) * time.Minute),
	}
}

// Each bank's data comes on by itself: a second one takes nothing from what can be read, and is not READY with it.
func TestEachBankHasItsDataStage(t *testing.T) {
	const (
		authorized, started, done = consentv1.ConsentEvent_BANK_AUTHORIZED, consentv1.ConsentEvent_FETCH_STARTED,
			consentv1.ConsentEvent_FETCH_COMPLETED
		notStarted, fetching, categorising, ready = consentv1.DataStage_NOT_STARTED, consentv1.DataStage_FETCHING,
			consentv1.DataStage_CATEGORISING, consentv1.DataStage_READY
	)
	steps := []struct {
		o                    providers.Observation
		whole, first, second consentv1.DataStage_Value
	}{
		{observed(authorized, "a", 1), notStarted, notStarted, 0},
		{observed(started, "a", 2), fetching, fetching, 0},
		{observed(done, "a", 3), fetching, fetching, 0},
		{observed(consentv1.ConsentEvent_APPROVED, "", 4), fetching, fetching, 0},
		{observed(consentv1.ConsentEvent_CATEGORISATION_STARTED, "", 5), categorising, categorising, 0},
		{observed(consentv1.ConsentEvent_COMPLETED, "", 6), ready, ready, 0},
		{observed(authorized, "b", 7), ready, ready, notStarted},
		{observed(started, "b", 8), ready, ready, fetching},
		{observed(done, "b", 9), ready, ready, fetching},
		{observed(consentv1.ConsentEvent_CATEGORISATION_STARTED, "", 10), ready, ready, categorising},
		{observed(consentv1.ConsentEvent_COMPLETED, "", 11), ready, ready, ready},
	}
	g := beginning()
	var observations []providers.Observation
	for _, step := range steps {
		observations = append(observations, step.o)
		g.report(providers.ConsentState{Observations: observations})
		if got := g.state().DataStage; got != step.whole {
			t.Errorf("after %s of %q the whole is %s, want %s", step.o.Type, step.o.ConnectionID, got, step.whole)
		}
		if got := g.connection(t, "a").DataStage; got != step.first {
			t.Errorf("after %s of %q the first is %s, want %s", step.o.Type, step.o.ConnectionID, got, step.first)
		}
		if step.second == 0 {
			continue
		}
		if got := g.connection(t, "b").DataStage; got != step.second {
			t.Errorf("after %s of %q the second is %s, want %s", step.o.Type, step.o.ConnectionID, got, step.second)
		}
	}
	g.add(consent.RevokedByCaller(1, g.now))
	if got := g.connection(t, "a").DataStage; got != notStarted {
		t.Errorf("after the end the first is %s", got)
	}
}

// When a customer authenticated is what the provider says, also when it says so late.
func TestAuthorizeTimeIsTheProviders(t *testing.T) {
	given := morning.Add(-time.Hour)
	g := beginning()
	first := observed(consentv1.ConsentEvent_BANK_AUTHORIZED, "a", 1)
	g.report(providers.ConsentState{Observations: []providers.Observation{first}})
	if got := g.connection(t, "a").AuthorizeTime; !got.Equal(first.Time) {
		t.Errorf("as long as it says nothing it is %s", got)
	}
	first.AuthorizeTime = given
	second := observed(consentv1.ConsentEvent_APPROVED, "", 2)
	g.report(providers.ConsentState{Observations: []providers.Observation{first, second}})
	if got := g.connection(t, "a").AuthorizeTime; !got.Equal(given) {
		t.Errorf("then it is %s, want %s", got, given)
	}
	if added := g.report(providers.ConsentState{Observations: []providers.Observation{first, second}}); len(added) > 0 {
		t.Errorf("the same again adds %v", added)
	}

	stateful := beginning()
	stateful.report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
		{ID: "a", Active: true, AuthorizeTime: given},
	}})
	if got := stateful.connection(t, "a").AuthorizeTime; !got.Equal(given) {
		t.Errorf("of a provider without a history it is %s, want %s", got, given)
	}
}

// What a bank said when newer data was asked for stands against a status that does not know of it, until the bank has
// given newer data.
func TestBanksThatAskWhenTheyAreAsked(t *testing.T) {
	const required, active = consentv1.Connection_REAUTHORIZATION_REQUIRED, consentv1.Connection_ACTIVE
	connected := func(active bool, synced time.Time) providers.ConsentState {
		return providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
			{ID: "a", Active: active, SyncTime: synced},
		}}
	}
	asked := func() *grown {
		g := beginning()
		g.report(connected(true, morning))
		g.add(consent.LinkFor(g.events, "a", 2, "https://bank.example.com/2", g.now.Add(time.Hour), g.now)...)
		state := g.state()
		if g.connection(t, "a").Status != required || state.Status != consentv1.Consent_AWAITING_REAUTHORIZATION ||
			state.LinkFor != "a" || state.DataStage != consentv1.DataStage_READY {
			t.Fatalf("asked for newer data, the consent is %+v", state)
		}
		return g
	}
	done := func(t *testing.T, g *grown) {
		t.Helper()
		state := g.state()
		if g.connection(t, "a").Status != active || state.Status != consentv1.Consent_AUTHORIZED ||
			state.Link.GetUri() != "" {
			t.Errorf("authenticated again, the consent is %+v", state)
		}
	}
	t.Run("newer data", func(t *testing.T) {
		g := asked()
		if added := g.report(connected(true, morning)); len(added) > 0 {
			t.Errorf("the status that knows nothing adds %v", added)
		}
		g.report(connected(true, morning.Add(time.Hour)))
		done(t, g)
	})
	t.Run("a status that comes after", func(t *testing.T) {
		g := asked()
		g.report(connected(false, morning))
		if added := consent.Returned(g.events, 2, g.now); len(added) > 0 {
			t.Errorf("to come back says %v", added)
		}
		g.report(connected(true, morning))
		done(t, g)
	})
	t.Run("a return", func(t *testing.T) {
		g := asked()
		g.add(consent.Returned(g.events, 1, g.now)...)
		if g.connection(t, "a").Status != required {
			t.Error("a return from another flow counts")
		}
		g.add(consent.Returned(g.events, 2, g.now)...)
		done(t, g)
		g.report(connected(true, morning))
		done(t, g)
	})
	t.Run("known before", func(t *testing.T) {
		g := beginning()
		g.report(connected(true, morning))
		g.report(connected(false, morning))
		added := consent.LinkFor(g.events, "a", 2, "https://bank.example.com/2", g.now.Add(time.Hour), g.now)
		if len(added) != 1 || added[0].Type != consentv1.ConsentEvent_LINK_ISSUED {
			t.Fatalf("what is known is noted again: %v", added)
		}
		g.add(added...)
		g.report(connected(true, morning.Add(time.Hour)))
		done(t, g)
	})
}

// A consent whose place was taken takes no more.
func TestSupersededConsentsAreOver(t *testing.T) {
	g := beginning()
	g.add(consent.LinkExpired(1, g.now), consent.Superseded(1, g.now))
	g.report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{{ID: "a", Active: true}}})
	g.add(consent.RevokedByCaller(1, g.now))
	state := g.state()
	if !state.Ended || state.Status != consentv1.Consent_EXPIRED || len(state.Connections) > 0 ||
		state.Link.GetUri() != "" {
		t.Errorf("it is %+v", state)
	}
}

// A permission that ended does not come back by a link that was asked for at the bank: neither by a status that was
// active all along, nor by data that the provider fetched by itself, nor by a browser that returns. It takes a return
// together with data that is newer than the link. After a withdrawal a return says nothing.
func TestEndedPermissionsTakeMoreThanAReturn(t *testing.T) {
	connected := func(active bool, synced time.Time) providers.ConsentState {
		return providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
			{ID: "a", Active: active, SyncTime: synced},
		}}
	}
	for what, end := range map[string]func(flow int, now time.Time) consent.Event{
		"vanished": consent.Vanished, "expired": consent.Expired,
	} {
		t.Run(what, func(t *testing.T) {
			g := beginning()
			g.report(connected(true, morning))
			g.add(end(1, g.now))
			g.add(consent.LinkFor(g.events, "a", 2, "https://bank.example.com/2", g.now.Add(time.Hour), g.now)...)
			wantEnded := func(after string) {
				t.Helper()
				if state := g.state(); state.Status == consentv1.Consent_AUTHORIZED ||
					state.Status == consentv1.Consent_AWAITING_REAUTHORIZATION ||
					state.Decision == consentv1.Decision_APPROVED {
					t.Errorf("%s the consent is %+v", after, state)
				}
			}
			wantEnded("asked anew")
			g.report(connected(true, morning))
			wantEnded("seen active as before")
			g.add(consent.Returned(g.events, 2, g.now)...)
			wantEnded("when a browser has returned")
			g.now = g.now.Add(time.Minute)
			g.report(connected(true, g.now))
			wantEnded("when the provider has fetched by itself")
		})
	}
	g := beginning()
	g.report(connected(true, morning))
	g.add(consent.LinkFor(g.events, "a", 2, "https://bank.example.com/2", g.now.Add(time.Hour), g.now)...)
	g.add(consent.Event{
		Flow: 2, Key: "withdrawn", Type: consentv1.ConsentEvent_REVOKED, EventTime: g.now, ReceiveTime: g.now,
	})
	if added := consent.Returned(g.events, 2, g.now); len(added) > 0 {
		t.Errorf("a return after a withdrawal says %v", added)
	}
}

// A bank that asks for the customer as soon as it is connected is no approval. It is one once it has what it asked for.
func TestApprovalComesFromAnActiveBank(t *testing.T) {
	connected := func(active bool) providers.ConsentState {
		return providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{{ID: "a", Active: active}}}
	}
	g := beginning()
	g.report(connected(false))
	const ready = consentv1.DataStage_READY
	if state := g.state(); state.Decision != consentv1.Decision_UNDECIDED || state.DataStage == ready {
		t.Errorf("with a bank that is not active the consent is %+v", state)
	}
	g.report(connected(true))
	if state := g.state(); state.Status != consentv1.Consent_AUTHORIZED || state.DataStage != ready {
		t.Errorf("once it is active the consent is %+v", state)
	}
}
