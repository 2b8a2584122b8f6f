package consent_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
)

// opened are openings of a link as a provider tells them, from one second to another.
func opened(from, to int) (all []providers.Observation) {
	for second := from; second < to; second++ {
		o := status(second, consentv1.ConsentEvent_LINK_OPENED, "")
		o.Key = fmt.Sprint("opened/", second)
		all = append(all, o)
	}
	return all
}

// openedIn counts the openings in a flow's history.
func (s story) openedIn(flow int) (n int) {
	for _, e := range s.events {
		if e.Type == consentv1.ConsentEvent_LINK_OPENED && e.Flow == flow {
			n++
		}
	}
	return n
}

func (s story) link() typev1.Link_Status {
	return consent.Derive(consentv1.DataCollection_TRANSACTION_CATEGORISATION, s.events).Link.GetStatus()
}

// TestOpeningsAreBounded opens one link very often. Twenty of them are events, the rest adds nothing, however often and
// in whatever order the provider tells of them; and none of them opens the next link.
func TestOpeningsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 20
	s := begin()
	for _, n := range []int{1, 19, 20, 21, 25, 3000, 6000, 6000} {
		all := opened(0, n)
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		s = s.takes(providers.ConsentState{Observations: all})
		if got := s.openedIn(1); got != min(n, most) {
			t.Fatalf("%d openings are %d events, want %d", n, got, min(n, most))
		}
	}
	before := len(s.events)
	if s = s.takes(providers.ConsentState{Observations: opened(0, 6000)}); len(s.events) != before {
		t.Errorf("the same report again adds %d events", len(s.events)-before)
	}

	s.events = nextFlow(s.events)
	s = s.takes(providers.ConsentState{Observations: opened(0, 6000)})
	if s.openedIn(2) != 0 || s.link() != typev1.Link_PENDING {
		t.Errorf("what is left over from the first link are %d events of the second, which is %s", s.openedIn(2), s.link())
	}
	// A report that lacks some of them does not make them news when they come back.
	s = s.takes(providers.ConsentState{Observations: opened(0, 100)})
	s = s.takes(providers.ConsentState{Observations: opened(0, 6000)})
	if s.openedIn(2) != 0 {
		t.Errorf("what was missing for a while are %d events of the second link", s.openedIn(2))
	}
	s = s.takes(providers.ConsentState{Observations: opened(0, 6001)})
	if s.openedIn(2) != 1 || s.link() != typev1.Link_OPENED {
		t.Errorf("opened once, the second link has %d events and is %s", s.openedIn(2), s.link())
	}
	if i := slices.IndexFunc(s.events, func(e consent.Event) bool { return e.Key == "opened/6000" }); i < 0 {
		t.Error("not the opening that came is the event, but an old one")
	}
	s = s.takes(providers.ConsentState{Observations: opened(0, 9000)})
	if s.openedIn(1) != most || s.openedIn(2) != most {
		t.Errorf("there are %d and %d events", s.openedIn(1), s.openedIn(2))
	}
}

// TestOpeningsHideNothingElse tells of other news among very many openings.
func TestOpeningsHideNothingElse(t *testing.T) {
	t.Parallel()
	s := begin().takes(providers.ConsentState{Observations: opened(0, 500)})
	s = s.takes(providers.ConsentState{
		Observations: slices.Concat(opened(0, 600), []providers.Observation{said(approved, "a", 700)}, opened(701, 900)),
	})
	s = s.takes(providers.ConsentState{
		Observations: opened(0, 900), Decision: consentv1.Decision_REVOKED, Withdrawn: []string{"overall"},
	})
	state := consent.Derive(consentv1.DataCollection_TRANSACTION_CATEGORISATION, s.events)
	if state.Status != consentv1.Consent_REVOKED {
		t.Errorf("the consent is %s", state.Status)
	}
}
