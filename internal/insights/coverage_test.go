package insights

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

func TestSpanIsOfTheBookings(t *testing.T) {
	t.Parallel()
	entries := []*insightsv1.Insights_Entry{{}}
	sum := func(value string) *typev1.Money { return &typev1.Money{Value: value, CurrencyCode: "SEK"} }
	at := func(s string) *timestamppb.Timestamp {
		parsed, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return timestamppb.New(parsed)
	}
	on := func(date string) *insightsv1.Insights_Movement {
		return &insightsv1.Insights_Movement{Date: optional.Of(date), Entries: entries}
	}
	for name, c := range map[string]struct {
		movements  []*insightsv1.Insights_Movement
		start, end *timestamppb.Timestamp
	}{
		"none": {},
		"no date is one": {movements: []*insightsv1.Insights_Movement{
			on("January"), on("2024-02-30"), {Entries: entries},
		}},
		"in the bank's zone, in any order": {
			movements: []*insightsv1.Insights_Movement{on("2024-07-02"), on("week 3"), on("2024-01-12"), on("2024-03-01")},
			start:     at("2024-01-11T23:00:00Z"), end: at("2024-07-02T22:00:00Z"),
		},
		"the day on which clocks change": {
			movements: []*insightsv1.Insights_Movement{on("2024-03-31")},
			start:     at("2024-03-30T23:00:00Z"), end: at("2024-03-31T22:00:00Z"),
		},
		"days with sums alone, not those with a balance alone": {
			movements: []*insightsv1.Insights_Movement{
				{Date: optional.Of("2024-01-01"), Balance: sum("5"), Income: sum("0"), Expense: sum("0.00")},
				{Date: optional.Of("2024-01-02"), Income: sum("1")}, {Date: optional.Of("2024-01-03"), Expense: sum("-1")},
				{Date: optional.Of("2024-01-04"), Balance: sum("5")},
			},
			start: at("2024-01-01T23:00:00Z"), end: at("2024-01-03T23:00:00Z"),
		},
	} {
		start, end := Span(c.movements, providers.MarketSE.Location)
		if diff := cmp.Diff([]*timestamppb.Timestamp{c.start, c.end}, []*timestamppb.Timestamp{start, end},
			protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	bank := func(id string, status consentv1.Connection_Status, stage consentv1.DataStage_Value) *consentv1.Connection {
		return &consentv1.Connection{
			Name: id, Status: status, DataStage: stage, Bank: &consentv1.Connection_Bank{DisplayName: optional.Of("Bank " + id)},
		}
	}
	const (
		ready, fetching, none = consentv1.DataStage_READY, consentv1.DataStage_FETCHING, consentv1.DataStage_NOT_STARTED
		active                = consentv1.Connection_ACTIVE
	)
	for name, c := range map[string]struct {
		banks    []*consentv1.Connection
		accounts []string // the connections of the accounts that the evaluation shows
		want     map[string]bool
		complete bool
	}{
		"no bank": {complete: true},
		"one":     {[]*consentv1.Connection{bank("a", active, ready)}, []string{"a"}, map[string]bool{"a": true}, true},
		"a second one that is being fetched": {
			[]*consentv1.Connection{bank("a", active, ready), bank("b", active, fetching)}, []string{"a"},
			map[string]bool{"a": true, "b": false}, false,
		},
		"a second one that was just connected": {
			[]*consentv1.Connection{bank("a", active, ready), bank("b", active, none)}, []string{"a"},
			map[string]bool{"a": true, "b": false}, false,
		},
		"a second one that is fetched and not evaluated": {
			[]*consentv1.Connection{bank("a", active, ready), bank("b", active, ready)}, []string{"a"},
			map[string]bool{"a": true, "b": false}, false,
		},
		"accounts of which nobody knows the bank": {
			[]*consentv1.Connection{bank("a", active, ready), bank("b", active, ready)}, []string{"a", ""},
			map[string]bool{"a": true, "b": true}, true,
		},
		"banks without data to come": {
			[]*consentv1.Connection{
				bank("a", consentv1.Connection_REAUTHORIZATION_REQUIRED, ready),
				bank("b", consentv1.Connection_DISCONNECTED, none), bank("c", consentv1.Connection_ERROR, none),
				bank("d", consentv1.Connection_PENDING_AUTHORIZATION, none),
			},
			[]string{"a"}, map[string]bool{"a": true}, true,
		},
		"a failure while data was fetched": {
			[]*consentv1.Connection{bank("a", consentv1.Connection_ERROR, fetching)}, nil,
			map[string]bool{"a": false}, false,
		},
	} {
		result := &insightsv1.Insights{}
		for _, connection := range c.accounts {
			result.Accounts = append(result.Accounts, &bankingv1.Account{Connection: optional.Of(connection)})
		}
		Cover(result, &consentv1.Consent{Connections: c.banks})
		got := map[string]bool{}
		for _, covered := range result.GetConnections() {
			got[covered.GetConnection()] = covered.GetComplete()
			if covered.GetBankName() != "Bank "+covered.GetConnection() {
				t.Errorf("%s: %v", name, covered)
			}
		}
		if c.want == nil {
			c.want = map[string]bool{}
		}
		if diff := cmp.Diff(c.want, got); diff != "" || result.GetComplete() != c.complete {
			t.Errorf("%s: complete is %t\n%s", name, result.GetComplete(), diff)
		}
	}
}

func TestASummaryHasNoSingleTransaction(t *testing.T) {
	t.Parallel()
	result := &insightsv1.Insights{
		Movements: []*insightsv1.Insights_Movement{
			{Date: optional.Of("2024-01-12"), Entries: []*insightsv1.Insights_Entry{{}}},
		},
		Categories:   []*insightsv1.Insights_CategorySum{{TransactionCount: 1}},
		TotalBalance: &structpb.Struct{}, Categorisation: &structpb.Struct{}, ComputationAutomation: &structpb.Struct{},
	}
	Summarise(result)
	want := &insightsv1.Insights{
		Movements:  []*insightsv1.Insights_Movement{{Date: optional.Of("2024-01-12")}},
		Categories: []*insightsv1.Insights_CategorySum{{TransactionCount: 1}},
	}
	if diff := cmp.Diff(want, result, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
