package consent

import (
	"fmt"
	"slices"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
)

// decide gives the customer's decision that counts among all that a history tells, unspecified when it tells none. It
// fails closed: in doubt the customer has withdrawn, and no more data is read. The order of the events does not matter.
//
//   - Among decisions with a time the last by the provider's clock counts; of two in the same second, the withdrawal:
//     providers leave fractions out.
//   - A withdrawal without a time ends what was approved in its own flow and in earlier ones, whenever that was: the
//     customer has to approve in a later flow, with a time, to come back.
//   - An approval without a time counts only while nothing tells of a withdrawal.
//   - The end by the caller stands above everything.
func decide(events []Event) consentv1.Decision_Value {
	const never = -1
	withdrawn, approvedUntimed := never, false // withdrawn is the newest flow with a withdrawal that has no time
	for _, e := range events {
		switch {
		case e.Final:
			return consentv1.Decision_REVOKED
		case !e.EventTime.IsZero():
		case e.Type == consentv1.ConsentEvent_REVOKED:
			withdrawn = max(withdrawn, e.Flow)
		case e.Type == consentv1.ConsentEvent_APPROVED:
			approvedUntimed = true
		}
	}
	decision, at := consentv1.Decision_VALUE_UNSPECIFIED, time.Time{}
	for _, e := range events {
		told := decisionOf(e.Type)
		if told == consentv1.Decision_VALUE_UNSPECIFIED || e.EventTime.IsZero() ||
			told == consentv1.Decision_APPROVED && e.Flow <= withdrawn {
			continue
		}
		second := e.EventTime.Truncate(time.Second)
		if second.After(at) || second.Equal(at) && told == consentv1.Decision_REVOKED {
			decision, at = told, second
		}
	}
	switch {
	case decision != consentv1.Decision_VALUE_UNSPECIFIED:
		return decision
	case withdrawn != never:
		return consentv1.Decision_REVOKED
	case approvedUntimed:
		return consentv1.Decision_APPROVED
	}
	return consentv1.Decision_VALUE_UNSPECIFIED
}

// lapsedFlow gives the newest flow whose permission ended by itself, and whether a later flow was approved.
func lapsedFlow(events []Event) (flow int, lapsed, renewed bool) {
	for _, e := range events {
		if e.Lapsed {
			flow, lapsed = max(flow, e.Flow), true
		}
	}
	for _, e := range events {
		renewed = renewed || lapsed && e.Type == consentv1.ConsentEvent_APPROVED && e.Flow > flow
	}
	return flow, lapsed, renewed
}

// decisionOf gives the decision that an event tells of, unspecified for any other event.
func decisionOf(t consentv1.ConsentEvent_Type) consentv1.Decision_Value {
	switch t {
	case consentv1.ConsentEvent_APPROVED:
		return consentv1.Decision_APPROVED
	case consentv1.ConsentEvent_REVOKED:
		return consentv1.Decision_REVOKED
	}
	return consentv1.Decision_VALUE_UNSPECIFIED
}

// Withdrawals are the places at which a provider states, at present and without a time, that the customer has
// withdrawn, each with the flow in which Kontor first saw it there. It is what Kontor remembers from one report to the
// next: a place that states it anew tells of a withdrawal of the present flow, one that has stated it all along is left
// over from an earlier one.
//
// Beside the places, onlyCounted stands for how many openings of links became no events.
type Withdrawals map[string]int

const onlyCounted = "openings only counted"

// standing gives the event that a report's standing decision adds to a history, and what to remember of it. A provider
// may state beside its history, without a time, how the customer has decided so far. Mostly that repeats what the
// history says, and adds nothing. Where it would change the decision it becomes an event of the flow in which it was
// first seen: a decision that is merely left over from an earlier flow does not speak for this one.
func standing(
	history []Event, stated Withdrawals, report providers.ConsentState, flow int, now time.Time,
) ([]Event, Withdrawals) {
	places := report.Withdrawn
	if report.Decision == consentv1.Decision_REVOKED && len(places) == 0 {
		places = []string{"decision"}
	}
	next, since := make(Withdrawals, len(places)), 0
	for _, place := range places {
		first, ok := stated[place]
		if !ok {
			first = flow
		}
		next[place], since = first, max(since, first)
	}
	event := Event{
		Flow: flow, Key: fmt.Sprintf("decision/%d", newestOf(history)), Type: consentv1.ConsentEvent_APPROVED,
		ProviderCode: report.DecisionCode, ReceiveTime: now,
	}
	switch {
	case len(places) > 0:
		event.Flow, event.Type = since, consentv1.ConsentEvent_REVOKED
	case report.Decision != consentv1.Decision_APPROVED:
		return nil, next
	}
	event.Description = descriptions[event.Type]
	if decide(append(slices.Clip(history), event)) == decide(history) {
		return nil, next
	}
	return []Event{event}, next
}
