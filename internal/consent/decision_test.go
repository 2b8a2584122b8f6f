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

// story is a consent's history, with what Kontor remembers beside it from one report to the next.
type story struct {
	events []consent.Event
	stated consent.Withdrawals
}

func begin() story { return story{events: begun()} }

// reports is a report that tells a standing decision beside the statuses.
func (s story) reports(decision consentv1.Decision_Value, observations ...providers.Observation) story {
	report := providers.ConsentState{Observations: observations, Decision: decision, DecisionCode: decision.String()}
	return s.takes(report)
}

// withdrawn is a report that tells a withdrawal at places of its own.
func (s story) withdrawn(places []string, observations ...providers.Observation) story {
	return s.takes(providers.ConsentState{
		Observations: observations, Decision: consentv1.Decision_REVOKED, Withdrawn: places,
	})
}

func (s story) takes(report providers.ConsentState) story {
	added, stated := consent.Follow(s.events, s.stated, report, kontorStart)
	return story{append(s.events, added...), stated}
}

// next issues another link.
func (s story) next() story { return story{nextFlow(s.events), s.stated} }

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
		"stated alone":              {begin().reports(stated).events, rejected},
		"stated beside an approval": {begin().reports(stated, said(approved, "", 5)).events, withdrawn},
		"stated after an approval":  {begin().reports(none, said(approved, "", 5)).reports(stated).events, withdrawn},
		"stated before an approval": {begin().reports(stated).reports(stated, said(approved, "", 5)).events, withdrawn},
		"only repeated": {
			begin().reports(stated, said(approved, "", 5), said(revoked, "", 6)).events, withdrawn,
		},
		"approved again, still stated": {
			begin().reports(stated, said(revoked, "", 6)).reports(stated, said(approved, "", 7)).events, withdrawn,
		},
		"approved again, so stated": {
			begin().reports(stated, said(revoked, "", 6)).reports(stands, said(approved, "", 7)).events, authorized,
		},
		"an approval that is only stated": {begin().reports(stands).events, authorized},
		"stated against a withdrawal": {
			begin().reports(none, said(revoked, "", 6)).reports(stands).events, rejected,
		},
		"left over from the last flow": {
			begin().reports(stated, said(revoked, "", 6)).next().reports(stated, said(approved, "", 7)).events,
			authorized,
		},
		"left over, without a status then": {
			begin().reports(stated).next().reports(stated, said(approved, "", 7)).events, authorized,
		},
		"withdrawn again, as before": {
			begin().reports(stated).next().reports(stands, said(approved, "", 7)).reports(stated).events, withdrawn,
		},
		"withdrawn again, nothing stated in between": {
			begin().reports(stated).next().reports(none, said(approved, "", 7)).reports(stated).events, withdrawn,
		},
		"left over, then not, then again": {
			begin().reports(stated).next().reports(stated,
				said(approved, "", 7)).reports(stands).reports(stated).events,
			withdrawn,
		},
		"left over, then forgotten, then again": {
			begin().reports(stated).next().reports(stated, said(approved, "", 7)).reports(none).reports(stated).events,
			withdrawn,
		},
		"left over at one place, withdrawn at another": {
			begin().withdrawn([]string{"a"}).next().withdrawn([]string{"a"}, said(approved, "", 7)).
				withdrawn([]string{"a", "b"}).events, withdrawn,
		},
		"left over at fewer places": {
			begin().withdrawn([]string{"a", "b"}).next().withdrawn([]string{"a"}, said(approved, "", 7)).events,
			authorized,
		},
		"within one second": {
			grow(begun(), said(approved, "", 5), on(revoked, providerStart.Add(5100*time.Millisecond)),
				on(approved, providerStart.Add(5900*time.Millisecond))), withdrawn,
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
	told := begin().reports(consentv1.Decision_APPROVED, said(approved, "", 5))
	for _, next := range []consentv1.Decision_Value{
		consentv1.Decision_APPROVED, consentv1.Decision_UNDECIDED, consentv1.Decision_APPROVED,
		consentv1.Decision_VALUE_UNSPECIFIED,
	} {
		if longer := told.reports(next); len(longer.events) != len(told.events) {
			t.Errorf("%s added %s", next, longer.events[len(told.events)].Type)
		}
	}
	told = told.reports(consentv1.Decision_REVOKED)
	if again := told.reports(consentv1.Decision_REVOKED); len(again.events) != len(told.events) {
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

// A withdrawal that is stated anew in a flow holds against any approval of it, whatever earlier flows left over.
func TestStandingWithdrawalsFailClosed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told, before := begin(), false // before: whether a withdrawal is stated since an earlier flow
		for i := range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, fmt.Sprint("next ", i)) == 0 {
				told = told.next()
				before = len(told.stated) > 0
			}
			statuses := decisionsGen().Draw(t, fmt.Sprint("report ", i))
			decision := consentv1.Decision_Value(rapid.IntRange(1, 3).Draw(t, fmt.Sprint("stated ", i)))
			told = told.reports(decision, statuses...)
			before = before && decision == consentv1.Decision_REVOKED
			if decision == consentv1.Decision_REVOKED && !before &&
				statusOf(told.events) == consentv1.Consent_AUTHORIZED {
				t.Fatal("the provider states a withdrawal anew, and the consent is authorized")
			}
		}
	})
}
