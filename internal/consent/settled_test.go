package consent_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
)

// eventGen makes any event, as late and as badly told as providers may tell it.
func eventGen() *rapid.Generator[consent.Event] {
	types := slices.Sorted(maps.Keys(consentv1.ConsentEvent_Type_name))
	return rapid.Custom(func(t *rapid.T) consent.Event {
		e := consent.Event{
			Type: consentv1.ConsentEvent_Type(rapid.SampledFrom(types).Draw(t, "type")),
			Flow: rapid.IntRange(0, 4).Draw(t, "flow"), ConnectionID: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "bank"),
			Stage: rapid.SampledFrom([]consentv1.DataStage_Value{
				0, 0, consentv1.DataStage_NOT_STARTED, consentv1.DataStage_FETCHING, consentv1.DataStage_READY,
			}).Draw(t, "stage"),
			ProviderCode: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "code"),
		}
		if e.Type == consentv1.ConsentEvent_DELETED && rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
			e.Type = consentv1.ConsentEvent_APPROVED // Nothing follows a deletion.
		}
		if second := rapid.IntRange(-1, 20).Draw(t, "second"); second >= 0 {
			e.EventTime = kontorStart.Add(time.Duration(second) * 500 * time.Millisecond)
		}
		if second := rapid.IntRange(-1, 9).Draw(t, "synced"); second >= 0 {
			e.SyncTime = kontorStart.Add(time.Duration(second) * time.Second)
		}
		if rapid.Bool().Draw(t, "named") {
			e.Bank = &consent.Bank{DisplayName: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "name")}
		}
		switch e.Type {
		case consentv1.ConsentEvent_LINK_ISSUED:
			e.Link = &consent.Link{URI: fmt.Sprint("https://x/", e.Flow), ExpireTime: kontorStart.Add(time.Hour)}
		case consentv1.ConsentEvent_AUTHORIZATION_FAILED:
			e.Error = &consent.Error{Message: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "failure")}
		case consentv1.ConsentEvent_PROVIDER_STATUS:
			e.Lapsed = rapid.Bool().Draw(t, "lapsed")
		case consentv1.ConsentEvent_REVOKED:
			e.Final = rapid.IntRange(0, 30).Draw(t, "final") == 0
		}
		return e
	})
}

// reportGen makes what a provider tells, with a history or without.
func reportGen() *rapid.Generator[providers.ConsentState] {
	return rapid.Custom(func(t *rapid.T) providers.ConsentState {
		report := providers.ConsentState{
			Stateful: rapid.Bool().Draw(t, "stateful"),
			Decision: rapid.SampledFrom([]consentv1.Decision_Value{
				0, consentv1.Decision_APPROVED, consentv1.Decision_REVOKED,
			}).Draw(t, "decision"),
			Stage: rapid.SampledFrom([]consentv1.DataStage_Value{
				0, consentv1.DataStage_CATEGORISING, consentv1.DataStage_READY,
			}).Draw(t, "stage"),
		}
		if rapid.Bool().Draw(t, "until") {
			report.ValidUntil = kontorStart.AddDate(1, 0, 0)
		}
		for _, id := range []string{"a", "b"} {
			if rapid.Bool().Draw(t, "there") {
				report.Connections = append(report.Connections, providers.ConnectionState{
					ID: id, Active: rapid.Bool().Draw(t, "active"),
					SyncTime: kontorStart.Add(time.Duration(rapid.IntRange(0, 12).Draw(t, "synced")) * time.Second),
				})
			}
		}
		for range rapid.IntRange(0, 30).Draw(t, "observations") {
			e := eventGen().Draw(t, "observation")
			report.Observations = append(report.Observations, providers.Observation{
				Key: fmt.Sprint("told/", rapid.IntRange(0, 60).Draw(t, "key")), Type: e.Type, Time: e.EventTime,
				ConnectionID: e.ConnectionID, ProviderCode: e.ProviderCode,
			})
		}
		return report
	})
}

// told is a history twice: as a whole, and without what is settled.
type told struct {
	whole, left       []consent.Event
	statedW, statedL  consent.Withdrawals
	now               time.Time
	settled, repeated bool
}

// known leaves out what the whole history has and the other does not tell of, as its owner does.
func (h *told) known(key string) bool {
	has := func(e consent.Event) bool { return e.Key == key }
	return slices.ContainsFunc(h.whole, has) && !slices.ContainsFunc(h.left, has)
}

func (h *told) add(t *rapid.T, toWhole, toLeft []consent.Event) {
	if diff := cmp.Diff(toWhole, toLeft); diff != "" {
		t.Fatalf("of %d and %d events follows different news (- whole, + left):\n%s", len(h.whole), len(h.left), diff)
	}
	h.whole, h.left = append(h.whole, toWhole...), append(h.left, toLeft...)
	settled := consent.Settled(h.left)
	h.settled = h.settled || len(settled) > 0
	h.left = slices.DeleteFunc(slices.Clone(h.left), func(e consent.Event) bool {
		return slices.Contains(settled, e.Sequence)
	})
	for _, collection := range []consentv1.DataCollection_Value{
		consentv1.DataCollection_TRANSACTION_CATEGORISATION, consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION,
	} {
		want, got := consent.Derive(collection, h.whole), consent.Derive(collection, h.left)
		diff := cmp.Diff(want, got, protocmp.Transform(), cmpopts.IgnoreUnexported(consent.Connection{}))
		if diff != "" {
			t.Fatalf("after %d events, of which %d are left (- whole, + left):\n%s", len(h.whole), len(h.left), diff)
		}
	}
	if want, got := consent.After(h.whole, kontorStart), consent.After(h.left, kontorStart); !want.Equal(got) {
		t.Fatalf("what comes next is noted at %s, and at %s without what is settled", want, got)
	}
}

// extend adds an event of Kontor's own, or one that was told at any time.
func (h *told) extend(t *rapid.T, e consent.Event) {
	e.ReceiveTime = consent.After(h.whole, h.now)
	toWhole := consent.Add(h.whole, e)
	var toLeft []consent.Event
	if !h.known(e.Key) {
		toLeft = consent.Add(h.left, e)
	} else {
		h.repeated = true
	}
	h.add(t, toWhole, toLeft)
}

// follow adds what follows from a report.
func (h *told) follow(t *rapid.T, report providers.ConsentState) {
	toWhole, statedW := consent.Follow(h.whole, h.statedW, report, h.now)
	report.Observations = slices.DeleteFunc(slices.Clone(report.Observations), func(o providers.Observation) bool {
		h.repeated = h.repeated || h.known(o.Key)
		return h.known(o.Key)
	})
	toLeft, statedL := consent.Follow(h.left, h.statedL, report, h.now)
	if diff := cmp.Diff(statedW, statedL); diff != "" {
		t.Fatalf("different things are remembered (- whole, + left):\n%s", diff)
	}
	h.statedW, h.statedL = statedW, statedL
	h.add(t, toWhole, toLeft)
}

// TestSettledEventsNoLongerMatter: without what is settled, a history tells the same, and takes the same news, whatever
// follows.
func TestSettledEventsNoLongerMatter(t *testing.T) {
	t.Parallel()
	var settled, repeated bool
	rapid.Check(t, func(t *rapid.T) {
		h := &told{whole: begun(), left: begun(), now: kontorStart}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			h.now = h.now.Add(time.Duration(rapid.IntRange(-1, 5).Draw(t, "later")) * time.Second)
			flow := rapid.IntRange(0, 4).Draw(t, "own flow")
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				h.follow(t, reportGen().Draw(t, "report"))
			case 1:
				h.extend(t, consent.LinkIssued(flow, "https://x", h.now.Add(time.Hour), h.now))
			case 2:
				h.extend(t, consent.LinkExpired(flow, h.now))
			case 3:
				h.extend(t, consent.LinkExited(flow, h.now))
			case 4:
				h.extend(t, consent.Expired(flow, h.now))
			case 5:
				h.extend(t, consent.Approved(flow, "", h.now))
			default:
				e := eventGen().Draw(t, "event")
				e.Key = fmt.Sprint("event/", len(h.whole))
				h.extend(t, e)
			}
		}
		settled, repeated = settled || h.settled, repeated || h.repeated
	})
	if !settled || !repeated {
		t.Errorf("something was settled: %t; something settled was told again: %t", settled, repeated)
	}
}

// TestLongHistoriesStaySmall lives through many flows of every kind: what bears on the consent does not grow.
func TestLongHistoriesStaySmall(t *testing.T) {
	t.Parallel()
	types := slices.Sorted(maps.Keys(consentv1.ConsentEvent_Type_name))
	left, most := begun(), 0
	for flow := 2; flow < 300; flow++ {
		at := kontorStart.Add(time.Duration(flow) * time.Hour)
		events := []consent.Event{consent.LinkIssued(flow, "https://x", at.Add(time.Hour), at)}
		for _, kind := range types {
			e := consent.Event{
				Flow: flow, Type: consentv1.ConsentEvent_Type(kind), EventTime: at, ReceiveTime: at, SyncTime: at,
			}
			if e.Type == consentv1.ConsentEvent_LINK_ISSUED || e.Type == consentv1.ConsentEvent_DELETED {
				continue
			}
			e.ConnectionID, e.Key, e.Lapsed = "bank", fmt.Sprint(flow, kind), e.Type == consentv1.ConsentEvent_PROVIDER_STATUS
			untimed := e
			untimed.EventTime, untimed.Key = time.Time{}, e.Key+" untimed"
			events = append(events, e, untimed)
		}
		left = append(left, consent.Add(left, events...)...)
		settled := consent.Settled(left)
		left = slices.DeleteFunc(left, func(e consent.Event) bool { return slices.Contains(settled, e.Sequence) })
		if flow == 20 {
			most = len(left)
		}
	}
	if len(left) > most || len(left) > 40 {
		t.Errorf("%d events bear on the consent in the end, %d did after twenty flows", len(left), most)
	}
}

// TestHistoryOfYearsStaysSmall synchronises a connection daily for years.
func TestHistoryOfYearsStaysSmall(t *testing.T) {
	t.Parallel()
	const days = 3 * 365
	left, sequence := begun(), int64(0)
	for day := range days {
		at := kontorStart.Add(time.Duration(day) * 24 * time.Hour)
		for _, kind := range []consentv1.ConsentEvent_Type{
			consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED, consentv1.ConsentEvent_SYNC_COMPLETED,
		} {
			added := consent.Add(left, consent.Event{
				Flow: 1, Key: fmt.Sprint(kind, day), Type: kind, ConnectionID: "bank", EventTime: at, SyncTime: at, ReceiveTime: at,
			})
			sequence = added[0].Sequence
			left = append(left, added...)
			settled := consent.Settled(left)
			left = slices.DeleteFunc(left, func(e consent.Event) bool { return slices.Contains(settled, e.Sequence) })
		}
	}
	if len(left) > len(begun())+5 || sequence != int64(len(begun())+2*days) {
		t.Errorf("after %d days %d events bear on the consent, and the last has number %d", days, len(left), sequence)
	}
}
