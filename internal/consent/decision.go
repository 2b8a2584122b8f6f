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
//   - Among decisions with a time the last by the provider's clock counts; of two at the same time, the withdrawal.
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
		later := e.EventTime.After(at)
		if later || e.EventTime.Equal(at) && told == consentv1.Decision_REVOKED {
			decision, at = told, e.EventTime
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

// standing gives the event that a report's standing decision adds to a history. A provider may state beside its
// history, without a time, how the customer has decided so far. Mostly that repeats what the history says, and adds
// nothing. Where it would change the decision it becomes an event of the flow in which it was first seen: a decision
// that is merely left over from an earlier flow does not speak for this one.
func standing(history []Event, report providers.ConsentState, flow int, now time.Time) []Event {
	kind := consentv1.ConsentEvent_APPROVED
	switch report.Decision {
	case consentv1.Decision_APPROVED:
	case consentv1.Decision_REVOKED:
		kind = consentv1.ConsentEvent_REVOKED
	default:
		return nil
	}
	event := Event{
		Flow: standsSince(history, report.Decision, flow), Key: fmt.Sprintf("decision/%d", len(history)), Type: kind,
		ProviderCode: report.DecisionCode, Description: descriptions[kind], ReceiveTime: now, Standing: report.Decision,
	}
	if decide(append(slices.Clip(history), event)) == decide(history) {
		return nil
	}
	return []Event{event}
}

// standsSince gives the flow in which a standing decision was first seen, the current one for a decision that has just
// changed. Each event remembers which decision stood when Kontor learnt of it.
func standsSince(history []Event, decision consentv1.Decision_Value, flow int) int {
	for _, e := range slices.Backward(history) {
		switch e.Standing {
		case consentv1.Decision_VALUE_UNSPECIFIED: // Kontor's own event
		case decision:
			flow = e.Flow
		default:
			return flow
		}
	}
	return flow
}

// earliestTime is before anything that a provider can date: neither API is older, and clocks that were never set, and
// seconds taken for milliseconds, give earlier times.
var earliestTime = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

// latestAhead is how far a provider's clock may be ahead of Kontor's.
const latestAhead = 24 * time.Hour

// credible gives a time that a provider told, or none when it cannot be right. A decision without a time is taken for
// the worse; one with a wrong time could outweigh a withdrawal for ever.
func credible(told, received time.Time) time.Time {
	if told.Before(earliestTime) || told.After(received.Add(latestAhead)) {
		return time.Time{}
	}
	return told
}
