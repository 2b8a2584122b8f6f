package providertest

import (
	"testing"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/providers"
)

func testInsights(t *testing.T, h Harness) {
	if h.Provider.Insights == nil {
		if s := h.Provider.Supports("GetInsights"); s.Level != providers.Emulated {
			t.Errorf("insights have no port and are declared %+v, want emulated", s)
		}
		return
	}
	ref := h.approved(t)
	insights, accounts, err := h.Provider.Insights.GetInsights(call(t), ref, "clerk-1")
	if err != nil {
		t.Fatal(err)
	}
	if len(accounts) == 0 || len(insights.GetMovements()) == 0 || len(insights.GetCategories()) == 0 {
		t.Errorf("%d accounts, %d movements, %d categories", len(accounts), len(insights.GetMovements()), len(insights.GetCategories()))
	}
	for _, sum := range insights.GetCategories() {
		wantMoney(t, "income", sum.GetIncome())
		wantMoney(t, "expense", sum.GetExpense())
	}
}

func testVisualizations(t *testing.T, h Harness) {
	if h.Provider.Visualizations == nil {
		unsupported(t, h.Provider, "CreateVisualizationLink")
		return
	}
	ref := h.approved(t)
	before := h.Calls("")
	for range 2 {
		uri, err := h.Provider.Visualizations.VisualizationLink(call(t), ref, "")
		if err != nil || uri == "" {
			t.Fatalf("%q, %v", uri, err)
		}
	}
	if made := h.Calls("") - before; made != 2 {
		t.Errorf("two links took %d calls: they must never be cached", made)
	}
}

func testPaymentPartners(t *testing.T, h Harness) {
	if h.Provider.PaymentPartners == nil {
		unsupported(t, h.Provider, "GetPaymentPartnerAnalysis")
		return
	}
	ref := h.approved(t)
	analysis, err := h.Provider.PaymentPartners.PaymentPartnerAnalysis(call(t), ref)
	if !h.Company {
		if kind := failure(t, err).Kind; kind != providers.KindNotEnabled {
			t.Errorf("the analysis of a person fails as %s", kind)
		}
		return
	}
	if err != nil || len(analysis.GetAccounts()) == 0 {
		t.Fatalf("%v, %v", analysis, err)
	}
}

func testLogos(t *testing.T, h Harness) {
	if h.Provider.Logos == nil {
		unsupported(t, h.Provider, "SearchCompanyLogos")
		return
	}
	request := &insightsv1.SearchCompanyLogosRequest{Queries: []*insightsv1.SearchCompanyLogosRequest_Query{
		{QueryId: "1", Domain: "eon.de", Name: "E.ON"}, {QueryId: "2", Name: "no such company anywhere"},
	}}
	results, err := h.Provider.Logos.SearchLogos(call(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		if result.GetQueryId() != "1" && result.GetQueryId() != "2" {
			t.Errorf("a result answers %q", result.GetQueryId())
		}
	}
}
