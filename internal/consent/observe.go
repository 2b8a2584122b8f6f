package consent

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// Keys of events that happen once in a consent.
const (
	keyCreated = providers.KeyCreated
	keyFinal   = "revoked-by-caller"
	keyDeleted = "deleted"

	keyCompleted = "completed"
	keyReplace   = "superseded"
)

// flowPrefix begins the keys of events that happen once in a flow.
const flowPrefix = "flow/"

// Created is the first event of a consent.
func Created(now time.Time, description string) Event {
	return Event{
		Key: keyCreated, Type: consentv1.ConsentEvent_CREATED, EventTime: now, ReceiveTime: now,
		Description: description,
	}
}

// LinkIssued opens the flow with the given number.
func LinkIssued(flow int, uri string, expires, now time.Time) Event {
	return Event{
		Flow: flow, Key: fmt.Sprintf(flowPrefix+"%d/issued", flow),
		Type: consentv1.ConsentEvent_LINK_ISSUED, EventTime: now,
		ReceiveTime: now,
		Description: "A link was issued.", Link: &Link{URI: uri, ExpireTime: expires},
	}
}

// LinkFor opens the flow with the given number, in which the customer authenticates anew at one bank, and notes that
// the bank asks for it, unless that is known.
func LinkFor(history []Event, connectionID string, flow int, uri string, expires, now time.Time) []Event {
	issued := LinkIssued(flow, uri, expires, now)
	issued.ConnectionID = connectionID
	for _, c := range Derive(consentv1.DataCollection_VALUE_UNSPECIFIED, history).Connections {
		if c.ID == connectionID && c.Status == consentv1.Connection_REAUTHORIZATION_REQUIRED {
			return []Event{issued}
		}
	}
	return []Event{{
		Flow: flow, Key: fmt.Sprintf("flow/%d/asked/%s", flow, connectionID),
		Type: consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED, ConnectionID: connectionID, Asked: true,
		EventTime: now, ReceiveTime: now,
		Description: "The bank asks for a new authentication before it gives newer data.",
	}, issued}
}

// BroughtAlong notes that the caller is about to bring along the data of a bank that is not known yet.
func BroughtAlong(history []Event, connectionID string, now time.Time) []Event {
	for _, c := range Derive(consentv1.DataCollection_VALUE_UNSPECIFIED, history).Connections {
		if c.ID == connectionID {
			return nil
		}
	}
	return []Event{{
		Key: "brought/" + connectionID, Type: consentv1.ConsentEvent_BANK_SELECTED, ConnectionID: connectionID,
		EventTime: now, ReceiveTime: now, Description: "The caller brings the bank's data along.",
	}}
}

// Synchronized notes that a bank gave newer data without a new authentication, if it was last known to ask for one.
func Synchronized(history []Event, connectionID string, flow int, now time.Time) []Event {
	for _, c := range Derive(consentv1.DataCollection_VALUE_UNSPECIFIED, history).Connections {
		if c.ID != connectionID || c.Status != consentv1.Connection_REAUTHORIZATION_REQUIRED {
			continue
		}
		const t = consentv1.ConsentEvent_SYNC_COMPLETED
		return []Event{{
			Flow: flow, Key: fmt.Sprintf("state/%d/synchronized/%s", newestOf(history), connectionID), Type: t,
			ConnectionID: connectionID, EventTime: now, ReceiveTime: now, Description: descriptions[t],
		}}
	}
	return nil
}

// Returned gives what a successful return from a flow means: nothing by itself. Only where the flow was to authenticate
// anew at one bank that had asked, while the provider said all along that the connection stands, does the return tell
// that the bank has what it asked for. So it must only be asked when the provider has just said that. Where the
// permission had ended, the return gives it back only with data that is newer than the link: a browser proves nothing.
func Returned(history []Event, flow int, now time.Time) []Event {
	state := Derive(consentv1.DataCollection_VALUE_UNSPECIFIED, history)
	if currentFlow(history) != flow || state.LinkFor == "" || state.Decision == consentv1.Decision_REVOKED {
		return nil
	}
	for _, c := range state.Connections {
		newer := state.Link != nil && c.SyncTime.After(state.Link.GetCreateTime().AsTime())
		if c.ID == state.LinkFor && c.asked && (newer || state.Decision == consentv1.Decision_APPROVED) {
			return append(Synchronized(history, c.ID, flow, now), Approved(flow, again, now))
		}
	}
	return nil
}

// again says that a customer authenticated at a bank once more.
const again = "The customer authenticated at the bank again."

// LinkExpired notes that the time of a flow's link ran out.
func LinkExpired(flow int, now time.Time) Event {
	return Event{
		Flow: flow, Key: fmt.Sprintf(flowPrefix+"%d/expired", flow), Type: consentv1.ConsentEvent_LINK_EXPIRED,
		EventTime: now, ReceiveTime: now,
		Description: "The link's time ran out.",
	}
}

// LinkExited notes that the customer left a flow's pages early.
func LinkExited(flow int, now time.Time) Event {
	return Event{
		Flow: flow, Key: fmt.Sprintf(flowPrefix+"%d/exited", flow),
		Type: consentv1.ConsentEvent_LINK_EXITED, EventTime: now,
		ReceiveTime: now,
		Description: "The customer left the pages.",
	}
}

// LinkErrored notes that the provider returned the customer with an error.
func LinkErrored(flow int, failure Error, now time.Time) Event {
	return Event{
		Flow: flow, Key: fmt.Sprintf(flowPrefix+"%d/errored", flow), Type: consentv1.ConsentEvent_AUTHORIZATION_FAILED,
		EventTime:   now,
		ReceiveTime: now, Description: "The authentication at the bank failed.", Error: &failure,
	}
}

// Approved notes that the customer approved in a flow, for a provider that does not report it.
func Approved(flow int, description string, now time.Time) Event {
	return Event{
		Flow: flow, Key: fmt.Sprintf(flowPrefix+"%d/approved", flow),
		Type: consentv1.ConsentEvent_APPROVED, EventTime: now,
		ReceiveTime: now,
		Description: description,
	}
}

// Expired notes that the permission of a flow ended by itself, at a time that the provider had told. Only an approval
// in a later flow brings it back.
func Expired(flow int, now time.Time) Event {
	return Event{
		Flow: flow, Key: fmt.Sprintf(flowPrefix+"%d/lapsed", flow), Type: consentv1.ConsentEvent_PROVIDER_STATUS,
		EventTime: now, ReceiveTime: now, Description: "The permission's time ran out.", Lapsed: true,
	}
}

// Vanished notes that the provider no longer knows a consent that stood. It ends what Expired ends, and as that does.
func Vanished(flow int, now time.Time) Event {
	e := Expired(flow, now)
	e.Description = "The provider no longer knows the consent."
	return e
}

// RevokedByCaller ends a consent.
func RevokedByCaller(flow int, now time.Time) Event {
	return Event{
		Flow: flow, Key: keyFinal, Type: consentv1.ConsentEvent_REVOKED, EventTime: now, ReceiveTime: now, Final: true,
		Description: "The caller revoked the consent.",
	}
}

// Withdrawn notes that the customer had withdrawn, of which only Kontor's own record tells: at a time, or with the last
// approval that the history has, if that is later by the provider's clock. An approval after that counts.
func Withdrawn(history []Event, flow int, at time.Time) Event {
	for _, e := range history {
		if e.Type == consentv1.ConsentEvent_APPROVED && e.EventTime.After(at) {
			at = e.EventTime
		}
	}
	return Event{
		Flow: flow, Key: fmt.Sprintf("withdrawn/%d", newestOf(history)), Type: consentv1.ConsentEvent_REVOKED,
		EventTime: at, ReceiveTime: at, Description: "The customer withdrew.",
	}
}

// Superseded notes that another consent of the customer's took the place of one that was never approved. Nothing
// follows but its deletion.
func Superseded(flow int, now time.Time) Event {
	return Event{
		Flow: flow, Key: keyReplace, Type: consentv1.ConsentEvent_SUPERSEDED, EventTime: now, ReceiveTime: now,
		Description: "A new consent took its place.",
	}
}

// Deleted is the last event of a consent.
func Deleted(flow int, now time.Time) Event {
	return Event{
		Flow: flow, Key: keyDeleted, Type: consentv1.ConsentEvent_DELETED, EventTime: now, ReceiveTime: now,
		Description: "The consent was deleted.",
	}
}

// Add gives those of the events whose keys are new to the history, numbered to follow it.
func Add(history []Event, events ...Event) []Event {
	known := make(map[string]bool, len(history))
	for _, e := range history {
		known[e.Key] = true
	}
	sequence := newestOf(history)
	var added []Event
	for _, e := range events {
		if known[e.Key] {
			continue
		}
		known[e.Key] = true
		sequence++
		e.Sequence = sequence
		added = append(added, e)
	}
	return added
}

// After gives the moment now, moved behind everything that Kontor noted in the history before: the order of Kontor's
// own events must not depend on a clock that was set back.
func After(history []Event, now time.Time) time.Time {
	for _, e := range history {
		if !now.After(e.ReceiveTime) {
			now = e.ReceiveTime.Add(time.Microsecond)
		}
	}
	return now
}

// Observe gives the events by which a provider's first report extends a history: see Follow.
func Observe(history []Event, report providers.ConsentState, now time.Time) []Event {
	events, _ := Follow(history, nil, report, now)
	return events
}

// Follow gives the events by which a provider's report extends a history: one for each status that the history does
// not know yet, however often and in whatever order it is reported. A consent that the caller ended takes no more.
//
// stated is what Follow gave beside the events of the report before, to be remembered for the next one.
func Follow(
	history []Event, stated Withdrawals, report providers.ConsentState, now time.Time,
) ([]Event, Withdrawals) {
	for _, e := range history {
		if e.Final || e.Type == consentv1.ConsentEvent_DELETED || e.Type == consentv1.ConsentEvent_SUPERSEDED {
			return nil, stated
		}
	}
	now = After(history, now)
	flow := currentFlow(history)
	var counted int
	report.Observations, counted = openings(history, stated[onlyCounted], report.Observations, flow)
	events := observed(report, flow, now)
	if report.Stateful {
		events = append(events, transitions(history, report, flow, now)...)
	}
	added := Add(history, events...)
	known := slices.Concat(history, added)
	decided, stated := standing(known, stated, report, flow, now)
	if counted > 0 {
		stated[onlyCounted] = counted
	}
	if added = append(added, Add(known, decided...)...); len(added) > 0 {
		added[0].Authorized = authorized(history, report, now)
	}
	return added, stated
}

// authorized gives the times of authentication at banks that a report tells and the history does not know.
func authorized(history []Event, report providers.ConsentState, now time.Time) map[string]time.Time {
	told := make(map[string]time.Time)
	note := func(connectionID string, at time.Time) {
		if at = providers.Credible(at, now); connectionID != "" && at.After(told[connectionID]) {
			told[connectionID] = at
		}
	}
	for _, o := range report.Observations {
		note(o.ConnectionID, o.AuthorizeTime)
	}
	for _, c := range report.Connections {
		note(c.ID, c.AuthorizeTime)
	}
	for _, e := range history {
		for id, at := range e.Authorized {
			if !told[id].After(at) {
				delete(told, id)
			}
		}
	}
	if len(told) == 0 {
		return nil
	}
	return told
}

// openingsNoted is how many openings of one link become events. A page that is reloaded all day must not make a history
// that costs more with each further event; how often it was opened after that tells nobody anything.
const openingsNoted = 20

// openings leaves of the openings that a report tells of those that become events of the flow, beside everything else.
// counted is how many openings before had become none: a provider repeats them in every report, so of those that are
// not in the history as many as were counted are old, and the others, the latest by the provider's clock, are news.
func openings(
	history []Event, counted int, observations []providers.Observation, flow int,
) (kept []providers.Observation, nowCounted int) {
	known, room := make(map[string]bool, len(history)), openingsNoted
	for _, e := range history {
		known[e.Key] = true
		if e.Type == consentv1.ConsentEvent_LINK_OPENED && e.Flow == flow {
			room--
		}
	}
	var unknown []providers.Observation
	for _, o := range observations {
		if o.Type != consentv1.ConsentEvent_LINK_OPENED {
			kept = append(kept, o)
		} else if !known[o.Key] {
			known[o.Key] = true
			unknown = append(unknown, o)
		}
	}
	slices.SortStableFunc(unknown, func(a, b providers.Observation) int { return a.Time.Compare(b.Time) })
	news := unknown[min(counted, len(unknown)):]
	news = news[:min(max(room, 0), len(news))]
	return append(kept, news...), max(counted, len(unknown)-len(news))
}

// observed turns statuses into events, in canonical order so that the sequence reads well.
func observed(report providers.ConsentState, flow int, now time.Time) []Event {
	events := make([]Event, 0, len(report.Observations))
	for _, o := range report.Observations {
		e := Event{
			Flow: flow, Key: o.Key, Type: o.Type, ConnectionID: o.ConnectionID, Bank: bankOf(o.Bank),
			ProviderCode: o.ProviderCode,
			Description:  descriptions[o.Type], EventTime: providers.Credible(o.Time, now), ReceiveTime: now,
		}
		if o.Error != nil {
			e.Error = &Error{
				Reason: o.Error.GetReason(), Message: o.Error.GetMessage(), ProviderCode: o.Error.GetProviderCode(),
				Kind: o.Error.GetFailureKind(),
			}
		}
		if o.Type == consentv1.ConsentEvent_PROVIDER_STATUS {
			e.Description = words(o.Description)
		}
		events = append(events, e)
	}
	slices.SortStableFunc(events, compare)
	return events
}

// maxWords bounds what a provider says of a code in its own words, in characters.
const maxWords = 200

// words gives what a provider says in its own words as one line of bounded length.
func words(said string) string {
	between := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
	line := strings.Join(strings.FieldsFunc(said, between), " ")
	if runes := []rune(line); len(runes) > maxWords {
		return string(runes[:maxWords-1]) + "…"
	}
	return line
}

// transitions compares what a provider without a history says of its connections with what is known of them.
func transitions(history []Event, report providers.ConsentState, flow int, now time.Time) []Event {
	known := make(map[string]Connection)
	state := Derive(consentv1.DataCollection_VALUE_UNSPECIFIED, history)
	for _, c := range state.Connections {
		known[c.ID] = c
	}
	step := newestOf(history) // and not how many there are: settled ones are left out
	note := func(t consentv1.ConsentEvent_Type, c providers.ConnectionState) Event {
		step++
		return Event{
			Flow: flow, Key: fmt.Sprintf("state/%d/%s/%s", step, strings.ToLower(t.String()), c.ID), Type: t,
			ConnectionID: c.ID,
			Bank:         bankOf(c.Bank), Description: descriptions[t], EventTime: now, ReceiveTime: now,
			SyncTime: c.SyncTime,
			Stage:    c.Stage,
		}
	}
	var events []Event
	gained, active, ready, returned := false, false, false, false
	for _, c := range report.Connections {
		have, ok := known[c.ID]
		delete(known, c.ID)
		if c.Stage == consentv1.DataStage_VALUE_UNSPECIFIED {
			c.Stage = consentv1.DataStage_READY // a provider that does not tell has the data with the bank
		}
		if !ok || have.Status == consentv1.Connection_DISCONNECTED {
			have = Connection{Status: consentv1.Connection_DISCONNECTED}
			gained = gained || c.Active
		}
		// A bank that was connected, and at which the customer had to authenticate once more before it counted. One
		// that was asked, while the provider said all along that it is active, shows nothing by being so still.
		gained = gained || c.Active && state.Decision == consentv1.Decision_UNDECIDED &&
			have.Status == consentv1.Connection_REAUTHORIZATION_REQUIRED && !have.asked
		progressed := progress(have, c, note)
		events = append(events, progressed...)
		// The bank for which the link was asked again, and has what it asked for.
		returned = returned || c.ID == state.LinkFor && have.Status == consentv1.Connection_REAUTHORIZATION_REQUIRED &&
			slices.ContainsFunc(progressed, func(e Event) bool {
				return e.Type == consentv1.ConsentEvent_SYNC_COMPLETED
			})
		active = active || c.Active
		ready = ready || c.Stage == consentv1.DataStage_READY
	}
	for _, c := range state.Connections {
		if _, gone := known[c.ID]; gone && c.Status != consentv1.Connection_DISCONNECTED {
			events = append(events,
				note(consentv1.ConsentEvent_CONNECTION_REMOVED, providers.ConnectionState{ID: c.ID}))
		}
	}
	if report.Stage != consentv1.DataStage_VALUE_UNSPECIFIED {
		ready = report.Stage == consentv1.DataStage_READY
		if t, ok := evaluations[report.Stage]; ok && state.DataStage < report.Stage {
			events = append(events, note(t, providers.ConnectionState{}))
		}
	}
	switch {
	case gained:
		events = append(events, Approved(flow, "The customer connected a bank.", now))
	case prolonged(history, report, flow, now) && active:
		events = append(events, Approved(flow, "The customer prolonged the permission.", now))
	case returned && state.Decision == consentv1.Decision_APPROVED: // a provider may sync by itself
		events = append(events, Approved(flow, again, now))
	}
	if ready && len(report.Connections) > 0 && (gained || state.Decision == consentv1.Decision_APPROVED) {
		events = append(events, Completed(flow, now))
	}
	return events
}

// progress gives the events of one bank, which so far stood as have says: disconnected, when it is new.
func progress(
	have Connection, c providers.ConnectionState,
	note func(consentv1.ConsentEvent_Type, providers.ConnectionState) Event,
) (events []Event) {
	waiting := have.Status == consentv1.Connection_REAUTHORIZATION_REQUIRED
	switch {
	case have.Status == consentv1.Connection_DISCONNECTED,
		have.Status == consentv1.Connection_PENDING_AUTHORIZATION:
		events = append(events, note(consentv1.ConsentEvent_BANK_AUTHORIZED, c))
		if !c.Active {
			events = append(events, note(consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED, c))
		}
		if c.Stage == consentv1.DataStage_READY {
			return events // nothing came in between that could be told
		}
	case !c.Active && (!waiting || have.asked):
		events = append(events, note(consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED, c))
	case c.Active && have.asked && !c.SyncTime.IsZero() && !c.SyncTime.After(have.SyncTime):
		// The provider's status does not show what the bank said when newer data was asked for.
	case c.Active && (waiting || c.SyncTime.After(have.SyncTime)):
		events = append(events, note(consentv1.ConsentEvent_SYNC_COMPLETED, c))
	}
	return append(events, fetched(have.Stage, c, note)...)
}

// fetched gives the events by which a bank's data comes on. It does not go back: newer data that is being fetched
// takes nothing away.
func fetched(
	have consentv1.DataStage_Value, c providers.ConnectionState,
	note func(consentv1.ConsentEvent_Type, providers.ConnectionState) Event,
) (events []Event) {
	if have < consentv1.DataStage_FETCHING && c.Stage >= consentv1.DataStage_FETCHING {
		begun := c
		begun.Stage = consentv1.DataStage_FETCHING
		events = append(events, note(consentv1.ConsentEvent_FETCH_STARTED, begun))
	}
	if have < consentv1.DataStage_READY && c.Stage == consentv1.DataStage_READY {
		events = append(events, note(consentv1.ConsentEvent_FETCH_COMPLETED, c))
	}
	return events
}

// evaluations are the events that begin what a provider does with data that it has fetched.
var evaluations = map[consentv1.DataStage_Value]consentv1.ConsentEvent_Type{
	consentv1.DataStage_CATEGORISING:        consentv1.ConsentEvent_CATEGORISATION_STARTED,
	consentv1.DataStage_GENERATING_INSIGHTS: consentv1.ConsentEvent_INSIGHTS_STARTED,
}

// prolonged tells whether a permission that had ended by itself stands again: the customer was at the provider's
// pages since, and the provider tells of an end to come.
func prolonged(history []Event, report providers.ConsentState, flow int, now time.Time) bool {
	before, lapsed, renewed := lapsedFlow(history)
	return lapsed && !renewed && flow > before && report.ValidUntil.After(now)
}

// descriptions are Kontor's own words for what a provider reports.
var descriptions = map[consentv1.ConsentEvent_Type]string{
	consentv1.ConsentEvent_CREATED:                  "The consent was made.",
	consentv1.ConsentEvent_LINK_OPENED:              "The customer opened the link.",
	consentv1.ConsentEvent_BANK_SELECTED:            "The customer chose a bank.",
	consentv1.ConsentEvent_BANK_AUTHORIZED:          "The customer authenticated at the bank.",
	consentv1.ConsentEvent_FETCH_STARTED:            "Fetching transactions began.",
	consentv1.ConsentEvent_FETCH_COMPLETED:          "Fetching transactions is done.",
	consentv1.ConsentEvent_APPROVED:                 "The customer approved.",
	consentv1.ConsentEvent_REVOKED:                  "The customer refused or withdrew.",
	consentv1.ConsentEvent_CATEGORISATION_STARTED:   "Categorisation began.",
	consentv1.ConsentEvent_CATEGORISATION_COMPLETED: "Categorisation is done.",
	consentv1.ConsentEvent_INSIGHTS_STARTED:         "Computing insights began.",
	consentv1.ConsentEvent_COMPLETED:                "The data is ready.",
	consentv1.ConsentEvent_AUTHORIZATION_FAILED:     "The authentication at the bank failed.",
	consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED: "The bank asks for a new authentication.",
	consentv1.ConsentEvent_SYNC_COMPLETED:           "Newer data was fetched from the bank.",
	consentv1.ConsentEvent_CONNECTION_REMOVED:       "The connection to the bank was removed.",
}

func bankOf(b *consentv1.Connection_Bank) *Bank {
	if b == nil {
		return nil
	}
	return &Bank{
		DisplayName: b.GetDisplayName(), BIC: b.GetBic(), BankCode: b.GetBankCode(), CountryCode: b.GetCountryCode(),
		LogoURI: b.GetLogoUri(),
	}
}

// Proto gives the bank as callers see it.
func (b *Bank) Proto() *consentv1.Connection_Bank {
	if b == nil {
		return nil
	}
	return &consentv1.Connection_Bank{
		DisplayName: optional.Of(b.DisplayName),
		Bic:         optional.Of(b.BIC),
		BankCode:    optional.Of(b.BankCode),
		CountryCode: optional.Of(b.CountryCode),
		LogoUri:     optional.Of(b.LogoURI),
	}
}

// Removed notes that a connection was removed on the caller's request, as the step-th event.
func Removed(connectionID string, flow int, step int64, now time.Time) Event {
	return Event{
		Flow: flow, Key: fmt.Sprintf("state/%d/removed/%s", step, connectionID),
		Type:         consentv1.ConsentEvent_CONNECTION_REMOVED,
		ConnectionID: connectionID, EventTime: now, ReceiveTime: now,
		Description: descriptions[consentv1.ConsentEvent_CONNECTION_REMOVED],
	}
}

// Completed notes that the data is ready, for a provider that does not report it.
func Completed(flow int, now time.Time) Event {
	return Event{
		Flow: flow, Key: keyCompleted, Type: consentv1.ConsentEvent_COMPLETED, EventTime: now, ReceiveTime: now,
		Description: descriptions[consentv1.ConsentEvent_COMPLETED],
	}
}
