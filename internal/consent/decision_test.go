package consent_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
)

const (
	approved = consentv1.ConsentEvent_APPROVED
	revoked  = consentv1.ConsentEvent_REVOKED
)

// said is a decision as a provider tells it: at a second of its clock, or without a time.
func said(t consentv1.ConsentEvent_Type, key string, second int) providers.Observation {
	o := status(second, t, "")
	o.Key += key
	if second < 0 {
		o.Time = time.Time{}
	}
	return o
}

const untimed = -1

// nextFlow issues another link.
func nextFlow(history []consent.Event) []consent.Event {
	flow := 1
	for _, e := range history {
		flow = max(flow, e.Flow)
	}
	link := consent.LinkIssued(flow+1, "https://bank.example/next", kontorStart.Add(24*time.Hour), kontorStart)
	return append(history, consent.Add(history, link)...)
}

// states is a report that tells a standing decision beside the statuses.
func states(history []consent.Event, decision consentv1.Decision_Value,
	observations ...providers.Observation) []consent.Event {
	report := providers.ConsentState{Observations: observations, Decision: decision, DecisionCode: decision.String()}
	return append(history, consent.Observe(history, report, kontorStart)...)
}

func statusOf(history []consent.Event) consentv1.Consent_Status {
	return consent.Derive(categorisation, history).Status
}

func TestDecisions(t *testing.T) {
	const (
		authorized, rejected = consentv1.Consent_AUTHORIZED, consentv1.Consent_REJECTED
		withdrawn            = consentv1.Consent_REVOKED
		stated, stands       = consentv1.Decision_REVOKED, consentv1.Decision_APPROVED
		none                 = consentv1.Decision_UNDECIDED
	)
	for name, tc := range map[string]struct {
		history []consent.Event
		want    consentv1.Consent_Status
	}{
		"withdrawn without a time": {
			grow(begun(), said(approved, "", 5), said(revoked, "", untimed)), withdrawn,
		},
		"the same, told first": {
			grow(grow(begun(), said(revoked, "", untimed)), said(approved, "", 5)), withdrawn,
		},
		"approved later in the same flow": {
			grow(grow(begun(), said(revoked, "", untimed)), said(approved, "", 900)), withdrawn,
		},
		"refused without a time": {grow(begun(), said(revoked, "", untimed)), rejected},
		"neither has a time": {
			grow(begun(), said(revoked, "", untimed), said(approved, "", untimed)), withdrawn,
		},
		"approved without a time": {grow(begun(), said(approved, "", untimed)), authorized},
		"approved without a time, refused": {
			grow(begun(), said(approved, "", untimed), said(revoked, "", 3)), withdrawn,
		},
		"on a tie the withdrawal": {grow(begun(), said(approved, "", 5), said(revoked, "", 5)), withdrawn},
		"approved anew in the next flow": {
			grow(nextFlow(grow(begun(), said(revoked, "", untimed))), said(approved, "", 5)), authorized,
		},
		"the next flow without a time": {
			grow(nextFlow(grow(begun(), said(revoked, "", untimed))), said(approved, "", untimed)), withdrawn,
		},
		"the next flow, an earlier withdrawal": {
			grow(nextFlow(grow(begun(), said(revoked, "", 5))), said(approved, "", untimed)), withdrawn,
		},
		"withdrawn in the next flow": {
			grow(nextFlow(grow(begun(), said(approved, "", 5))), said(revoked, "", untimed)), withdrawn,
		},
		"a time before there was an API": {
			grow(begun(), said(approved, "", 5), on(revoked, time.Date(2014, 12, 31, 0, 0, 0, 0, time.UTC))), withdrawn,
		},
		"a withdrawal far ahead": {
			grow(begun(), said(approved, "", 5), on(revoked, kontorStart.Add(25*time.Hour))), withdrawn,
		},
		"an approval far ahead": {
			grow(begun(), said(revoked, "", 5), on(approved, kontorStart.Add(25*time.Hour))), withdrawn,
		},
		"an approval a little ahead": {
			grow(begun(), said(revoked, "", 5), on(approved, kontorStart.Add(23*time.Hour))), authorized,
		},
		"stated alone":              {states(begun(), stated), rejected},
		"stated beside an approval": {states(begun(), stated, said(approved, "", 5)), withdrawn},
		"stated after an approval":  {states(states(begun(), none, said(approved, "", 5)), stated), withdrawn},
		"stated before an approval": {states(states(begun(), stated), stated, said(approved, "", 5)), withdrawn},
		"only repeated": {
			states(begun(), stated, said(approved, "", 5), said(revoked, "", 6)), withdrawn,
		},
		"approved again, still stated": {
			states(states(begun(), stated, said(revoked, "", 6)), stated, said(approved, "", 7)), withdrawn,
		},
		"approved again, so stated": {
			states(states(begun(), stated, said(revoked, "", 6)), stands, said(approved, "", 7)), authorized,
		},
		"an approval that is only stated": {states(begun(), stands), authorized},
		"stated against a withdrawal":     {states(states(begun(), none, said(revoked, "", 6)), stands), rejected},
		"left over from the last flow": {
			states(nextFlow(states(begun(), stated, said(revoked, "", 6))), stated, said(approved, "", 7)), authorized,
		},
		"left over, without a status then": {
			states(nextFlow(states(begun(), stated)), stated, said(approved, "", 7)), authorized,
		},
		"withdrawn again, as before": {
			states(states(nextFlow(states(begun(), stated)), stands, said(approved, "", 7)), stated), withdrawn,
		},
		"withdrawn again, nothing stated in between": {
			states(states(nextFlow(states(begun(), stated)), none, said(approved, "", 7)), stated), withdrawn,
		},
		"the end by the caller": {
			append(begun(),
				consent.Add(begun(), consent.RevokedByCaller(1, kontorStart),
					consent.Approved(1, "", kontorStart.Add(time.Hour)))...), withdrawn,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := consent.Derive(categorisation, tc.history)
			if got.Status != tc.want {
				t.Errorf("got %s, want %s", got.Status, tc.want)
			}
			if decided := got.Decision == consentv1.Decision_APPROVED; decided != (tc.want == authorized) {
				t.Errorf("the decision is %s", got.Decision)
			}
		})
	}
}

// on is a decision at a time.
func on(kind consentv1.ConsentEvent_Type, at time.Time) providers.Observation {
	return providers.Observation{Key: kind.String() + at.String(), Type: kind, Time: at}
}

// A standing decision that says what the history says, however often, adds no event.
func TestStandingDecisionsThatRepeatTheHistoryAddNothing(t *testing.T) {
	history := states(begun(), consentv1.Decision_APPROVED, said(approved, "", 5))
	for _, next := range []consentv1.Decision_Value{
		consentv1.Decision_APPROVED, consentv1.Decision_UNDECIDED, consentv1.Decision_APPROVED,
		consentv1.Decision_VALUE_UNSPECIFIED,
	} {
		if longer := states(history, next); len(longer) != len(history) {
			t.Errorf("%s added %s", next, longer[len(history)].Type)
		}
	}
	history = states(history, consentv1.Decision_REVOKED)
	if again := states(history, consentv1.Decision_REVOKED); len(again) != len(history) {
		t.Error("a withdrawal that is stated twice became two events")
	}
}

// decisionsGen draws decisions of several flows, on few moments and often without one.
func decisionsGen() *rapid.Generator[[]providers.Observation] {
	one := rapid.Custom(func(t *rapid.T) providers.Observation {
		kind := rapid.SampledFrom([]consentv1.ConsentEvent_Type{approved, revoked}).Draw(t, "kind")
		return said(kind, fmt.Sprint("#", rapid.IntRange(0, 2).Draw(t, "which")),
			rapid.IntRange(untimed, 4).Draw(t, "second"))
	})
	return rapid.SliceOfN(one, 1, 6)
}

// Whatever is told within a flow, in whatever order and division into reports: a withdrawal without a time is never
// outweighed, and among timed decisions the last by the provider's clock counts.
func TestWithinAFlowWithdrawalsFailClosed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := begun()
		if rapid.Bool().Draw(t, "an earlier flow") {
			before = nextFlow(grow(before, decisionsGen().Draw(t, "earlier")...))
		}
		told := decisionsGen().Draw(t, "told")
		history := slices.Clone(before)
		for left := rapid.Permutation(told).Draw(t, "order"); len(left) > 0; {
			n := rapid.IntRange(1, len(left)).Draw(t, "report")
			history, left = grow(history, left[:n]...), left[n:]
		}
		got := statusOf(history)
		if got != statusOf(grow(before, told...)) {
			t.Fatalf("the status depends on the order: %s", got)
		}
		// A decision that an earlier flow told already belongs to that one.
		known := map[string]bool{}
		last, lastTimed, open := time.Time{}, consentv1.ConsentEvent_TYPE_UNSPECIFIED, false
		for _, e := range before {
			known[e.Key] = true
		}
		for _, o := range told {
			switch {
			case known[o.Key]:
			case o.Time.IsZero() && o.Type == revoked:
				open = true
			case !o.Time.IsZero() && (o.Time.After(last) || o.Time.Equal(last) && o.Type == revoked):
				last, lastTimed = o.Time, o.Type
			}
		}
		if open && got == consentv1.Consent_AUTHORIZED {
			t.Fatal("a withdrawal without a time was outweighed")
		}
		if len(before) == len(begun()) && !open && lastTimed != consentv1.ConsentEvent_TYPE_UNSPECIFIED &&
			(got == consentv1.Consent_AUTHORIZED) != (lastTimed == approved) {
			t.Fatalf("the last timed decision is %s, the status %s", lastTimed, got)
		}
	})
}

// A standing withdrawal of this flow holds against any approval of it.
func TestStandingWithdrawalsFailClosed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := begun()
		for i := range rapid.IntRange(1, 4).Draw(t, "reports") {
			statuses := decisionsGen().Draw(t, fmt.Sprint("report ", i))
			decision := consentv1.Decision_Value(rapid.IntRange(1, 3).Draw(t, "stated"))
			history = states(history, decision, statuses...)
			if decision == consentv1.Decision_REVOKED && statusOf(history) == consentv1.Consent_AUTHORIZED {
				t.Fatal("the provider states a withdrawal, and the consent is authorized")
			}
		}
	})
}
