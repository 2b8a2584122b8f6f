package insights

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/providers"
)

func TestAnalysedAccountIsTheOneThatFits(t *testing.T) {
	t.Parallel()
	accounts := []providers.Account{{ID: "L/A"}, {ID: "L/B"}, {ID: "M/B"}, {ID: "C"}}
	for id, want := range map[string]string{"A": "L/A", "B": "", "L/B": "L/B", "C": "C", "D": "", "": "", "/A": ""} {
		got := ""
		if found := analysed(accounts, id); found != nil {
			got = found.ID
		}
		if got != want {
			t.Errorf("%q is %q, want %q", id, got, want)
		}
	}
}

// TestAnalysesOfTheOtherConsentAreLeftOut: where a user has two consents, each shows the analyses of its own accounts,
// and neither one that may be the other's.
func TestAnalysesOfTheOtherConsentAreLeftOut(t *testing.T) {
	t.Parallel()
	own := []providers.Account{{ID: "L/A"}, {ID: "L/B"}}
	all := append([]providers.Account{{ID: "M/B"}, {ID: "M/C"}}, own...)
	var analyses []*insightsv1.PaymentPartnerAnalysis_AccountAnalysis
	for _, id := range []string{"A", "B", "C", "L/B", "D", ""} {
		analyses = append(analyses, &insightsv1.PaymentPartnerAnalysis_AccountAnalysis{Account: &id})
	}
	var got []string
	for _, a := range covered(analyses, own, all) {
		got = append(got, a.GetAccount())
	}
	if diff := cmp.Diff([]string{"A", "L/B"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAmountsOfAnAnalysisAreInTheAccountsCurrency(t *testing.T) {
	t.Parallel()
	in := func(currency string) *insightsv1.PaymentPartnerAnalysis_AccountAnalysis {
		amount := func() *typev1.Money { return &typev1.Money{Value: "1", CurrencyCode: currency} }
		return &insightsv1.PaymentPartnerAnalysis_AccountAnalysis{
			Customers: &insightsv1.PaymentPartnerAnalysis_Partners{Quarter: []*insightsv1.PaymentPartner{{
				TotalAmount: amount(), MedianAmount: amount(),
				AverageAmountsMonthly: []*insightsv1.PaymentPartner_Average{{Average: amount()}, {}},
				TotalAmountYearly:     []*insightsv1.PaymentPartner_Total{{TotalAmount: amount()}},
			}}},
			Suppliers: &insightsv1.PaymentPartnerAnalysis_Partners{
				All: []*insightsv1.PaymentPartner{{TotalAmount: amount()}},
			},
		}
	}
	got := in("EUR")
	setCurrency(got.ProtoReflect(), "CHF")
	if diff := cmp.Diff(in("CHF"), got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
