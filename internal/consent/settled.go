package consent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
)

// Settled gives the sequences of the events that no longer bear on how a consent stands, whatever follows: Derive and
// Follow make of the others what they make of all, wherever in the order events are put that are yet to come. So what
// has to be read to add an event does not grow with the history: it is a few events for each connection, and those of
// the newest flow.
//
// It goes by what an event tells. Derive folds events in canonical order; what an event told is settled when another
// one, which comes later in that order, has told the same thing anew. What only the newest flow's events tell is
// settled once there is a newer flow. A thing of which Derive takes the first, the largest or any event has one event
// that stays for it.
//
// Whether the history has an event with a certain key is to be asked apart: settled events keep theirs.
func Settled(history []Event) (settled []int64) {
	ordered := slices.SortedFunc(slices.Values(history), compare)
	b := bearing{flow: currentFlow(history), told: map[thing]bool{}, stays: map[int64]bool{}}
	b.decisions(ordered)
	b.extremes(ordered)
	b.firsts(ordered)
	for _, e := range slices.Backward(ordered) {
		b.last(e)
	}
	for _, e := range history {
		if !b.stays[e.Sequence] {
			settled = append(settled, e.Sequence)
		}
	}
	slices.SortFunc(settled, cmp.Compare[int64])
	return settled
}

// thing is what an event may tell: of a connection, of a flow, or of the consent.
type thing struct {
	what, connection string
	flow             int
}

// bearing finds the events that stay.
type bearing struct {
	flow  int
	told  map[thing]bool
	stays map[int64]bool
	// stages are how far the data of connections had come by the events that were seen, since it was last removed.
	stages map[string]consentv1.DataStage_Value
}

// tells has an event stay that is the first to come that tells a thing.
func (b *bearing) tells(e Event, t thing) {
	if !b.told[t] {
		b.told[t], b.stays[e.Sequence] = true, true
	}
}

// last takes events, the latest first, and has those stay of which the last one counts, or any.
func (b *bearing) last(e Event) {
	if e.Final || e.Type == consentv1.ConsentEvent_DELETED || b.mayRecur(e) {
		b.stays[e.Sequence] = true
	}
	switch e.Type {
	case consentv1.ConsentEvent_COMPLETED:
		b.tells(e, thing{what: "completed"})
		if e.EventTime.IsZero() {
			b.tells(e, thing{what: "completed without a time"})
		}
	case consentv1.ConsentEvent_APPROVED:
		b.tells(e, thing{what: "approved"})
	case consentv1.ConsentEvent_SUPERSEDED:
		b.tells(e, thing{what: "superseded"})
	}
	if stage := evaluated[e.Type]; stage != consentv1.DataStage_VALUE_UNSPECIFIED {
		b.tells(e, thing{what: "evaluated: " + stage.String()})
	}
	if stageOf(e.Type) == consentv1.DataStage_FETCHING {
		b.tells(e, thing{what: "fetching"})
	}
	if e.Flow >= b.flow {
		b.lastOfFlow(e)
	}
	if e.ConnectionID != "" {
		b.lastOfConnection(e)
	}
}

// mayRecur tells whether Follow may give an event with the same key, which there is once in a flow, or in the consent.
func (b *bearing) mayRecur(e Event) bool {
	return e.Flow >= b.flow && strings.HasPrefix(e.Key, flowPrefix) || e.Key == keyCompleted
}

// lastOfFlow is about what only the newest flow's events tell: the link, and whether it has failed.
func (b *bearing) lastOfFlow(e Event) {
	switch e.Type {
	case consentv1.ConsentEvent_LINK_ISSUED:
		b.tells(e, thing{what: "link", flow: e.Flow})
	case consentv1.ConsentEvent_LINK_OPENED:
		b.stays[e.Sequence] = true // They are counted, and few.
	case consentv1.ConsentEvent_BANK_SELECTED, consentv1.ConsentEvent_BANK_AUTHORIZED,
		consentv1.ConsentEvent_LINK_EXITED, consentv1.ConsentEvent_AUTHORIZATION_FAILED:
		b.tells(e, thing{what: "how the link stands", flow: e.Flow})
	case consentv1.ConsentEvent_LINK_EXPIRED, consentv1.ConsentEvent_SUPERSEDED:
		b.tells(e, thing{what: "the link is over", flow: e.Flow})
	case consentv1.ConsentEvent_APPROVED, consentv1.ConsentEvent_REVOKED:
		b.tells(e, thing{what: "the link is done with", flow: e.Flow})
	}
	if bearsOnFailure(e.Type) {
		b.tells(e, thing{what: "failure", flow: e.Flow})
	}
}

func (b *bearing) lastOfConnection(e Event) {
	id := e.ConnectionID
	if e.Bank != nil {
		b.tells(e, thing{what: "bank", connection: id})
	}
	if e.ProviderCode != "" {
		b.tells(e, thing{what: "code", connection: id})
	}
	switch e.Type {
	case consentv1.ConsentEvent_FETCH_STARTED, consentv1.ConsentEvent_FETCH_COMPLETED,
		consentv1.ConsentEvent_AUTHORIZATION_FAILED:
		b.tells(e, thing{what: "fetching", connection: id})
		b.tells(e, thing{what: "status", connection: id})
	case consentv1.ConsentEvent_BANK_SELECTED, consentv1.ConsentEvent_BANK_AUTHORIZED,
		consentv1.ConsentEvent_SYNC_COMPLETED, consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED:
		b.tells(e, thing{what: "status", connection: id})
	case consentv1.ConsentEvent_CONNECTION_REMOVED:
		b.tells(e, thing{what: "status", connection: id})
		b.tells(e, thing{what: "removed", connection: id}) // What came before tells nothing of the stage.
		return
	}
	if e.Stage == consentv1.DataStage_READY && !b.told[thing{what: "removed", connection: id}] {
		b.tells(e, thing{what: "held", connection: id})
	}
	if stage := max(stages[e.Type], e.Stage); stage > b.stages[id] && !b.told[thing{what: "removed", connection: id}] {
		if b.stages == nil {
			b.stages = map[string]consentv1.DataStage_Value{}
		}
		b.stages[id] = stage
		b.stays[e.Sequence] = true
	}
}

// firsts takes events in order and has those stay of which the first one counts.
func (b *bearing) firsts(ordered []Event) {
	for _, e := range ordered {
		if e.ConnectionID == "" {
			continue
		}
		// It gives the connection its place among the others.
		b.tells(e, thing{what: "first", connection: e.ConnectionID})
		if isActive(e.Type) && !e.EventTime.IsZero() {
			b.tells(e, thing{what: "authorized", connection: e.ConnectionID})
		}
	}
}

// extremes has those stay of which the newest, the furthest or the largest counts.
func (b *bearing) extremes(ordered []Event) {
	most := func(bears func(Event) bool, compare func(a, b Event) int) {
		var found *Event
		for i := range ordered {
			if e := &ordered[i]; bears(*e) && (found == nil || compare(*e, *found) > 0) {
				found = e
			}
		}
		if found != nil {
			b.stays[found.Sequence] = true
		}
	}
	bySequence := func(a, b Event) int { return cmp.Compare(a.Sequence, b.Sequence) }
	byReceipt := func(a, b Event) int { return a.ReceiveTime.Compare(b.ReceiveTime) }
	byFlow := func(a, b Event) int { return cmp.Compare(a.Flow, b.Flow) }
	byStage := func(a, b Event) int { return cmp.Compare(stageOf(a.Type), stageOf(b.Type)) }
	every := func(Event) bool { return true }
	most(every, bySequence)
	most(every, byReceipt)
	most(every, byStage)
	most(func(e Event) bool { return e.Lapsed }, byFlow)
	most(func(e Event) bool { return e.Type == consentv1.ConsentEvent_APPROVED }, byFlow)
	synced := map[string]Event{}
	for _, e := range ordered {
		if e.ConnectionID != "" && e.SyncTime.After(synced[e.ConnectionID].SyncTime) {
			synced[e.ConnectionID] = e
		}
	}
	for _, e := range synced {
		b.stays[e.Sequence] = true
	}
	authorized := map[string]Event{}
	for _, e := range ordered {
		for id, at := range e.Authorized {
			if at.After(authorized[id].Authorized[id]) {
				authorized[id] = e
			}
		}
	}
	for _, e := range authorized {
		b.stays[e.Sequence] = true
	}
}

// decisions has those stay of which decide may yet take one. An approval counts only as long as no withdrawal without
// a time is told of its flow or a later one; so it is settled by another one that is as late by the provider's clock,
// and of a flow as new.
func (b *bearing) decisions(ordered []Event) {
	var withdrawn, untimed, revoked *Event
	var approved []*Event
	for i := range ordered {
		e := &ordered[i]
		switch told := decisionOf(e.Type); {
		case told == consentv1.Decision_VALUE_UNSPECIFIED:
		case told == consentv1.Decision_REVOKED && e.EventTime.IsZero():
			if withdrawn == nil || e.Flow > withdrawn.Flow {
				withdrawn = e
			}
		case told == consentv1.Decision_REVOKED:
			revoked = e // They come in order.
		case e.EventTime.IsZero():
			untimed = e
		default:
			approved = append(approved, e)
		}
	}
	newest := -1 // flow of the approvals that are later
	for _, e := range slices.Backward(approved) {
		outweighed := revoked != nil && !second(e).After(second(revoked)) ||
			withdrawn != nil && e.Flow <= withdrawn.Flow
		if !outweighed && e.Flow > newest {
			b.stays[e.Sequence], newest = true, e.Flow
		}
	}
	for _, e := range []*Event{withdrawn, untimed, revoked} {
		if e != nil {
			b.stays[e.Sequence] = true
		}
	}
}

// second is when a decision was made: providers leave fractions out.
func second(e *Event) time.Time { return e.EventTime.Truncate(time.Second) }

// newestOf gives the highest sequence of a history, 0 for none.
func newestOf(history []Event) (sequence int64) {
	for _, e := range history {
		sequence = max(sequence, e.Sequence)
	}
	return sequence
}
