package providertest

import (
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/providers"
)

func testInsights(s *suite) {
	if s.provider.Insights == nil {
		return
	}
	ref := s.approved()
	insights, accounts, err := s.provider.Insights.GetInsights(s.ctx(), ref, "clerk-1")
	if err != nil {
		s.Fatal(s.hear(err))
	}
	if len(accounts) == 0 || len(insights.GetMovements()) == 0 || len(insights.GetCategories()) == 0 {
		s.Errorf("%d accounts, %d movements, %d categories",
			len(accounts), len(insights.GetMovements()), len(insights.GetCategories()))
	}
	for _, sum := range insights.GetCategories() {
		s.wantMoney("income", sum.GetIncome())
		s.wantMoney("expense", sum.GetExpense())
	}
}

func testVisualizations(s *suite) {
	if s.provider.Visualizations == nil {
		return
	}
	ref := s.approved()
	before := s.calls("")
	for range 2 {
		uri, err := s.provider.Visualizations.VisualizationLink(s.ctx(), ref, "")
		if err != nil || uri == "" {
			s.Fatalf("%q, %v", uri, s.hear(err))
		}
	}
	if made := s.calls("") - before; made != 2 {
		s.Errorf("two links took %d calls: they must never be cached", made)
	}
}

func testPaymentPartners(s *suite) {
	if s.provider.PaymentPartners == nil {
		return
	}
	ref := s.approved()
	analysis, err := s.provider.PaymentPartners.PaymentPartnerAnalysis(s.ctx(), ref)
	if !s.h.Company {
		if kind := s.failure(err).Kind; kind != providers.KindNotEnabled {
			s.Errorf("the analysis of a person fails as %s", kind)
		}
		return
	}
	if err != nil || len(analysis.GetAccounts()) == 0 {
		s.Fatalf("%v, %v", analysis, s.hear(err))
	}
}

func testLogos(s *suite) {
	if s.provider.Logos == nil {
		return
	}
	request := &insightsv1.SearchCompanyLogosRequest{Queries: []*insightsv1.SearchCompanyLogosRequest_Query{
		{QueryId: "1", Domain: "eon.de", Name: "E.ON"}, {QueryId: "2", Name: "no such company anywhere"},
	}}
	results, err := s.provider.Logos.SearchLogos(s.ctx(), request)
	if err != nil {
		s.Fatal(s.hear(err))
	}
	for _, result := range results {
		if result.GetQueryId() != "1" && result.GetQueryId() != "2" {
			s.Errorf("a result answers %q", result.GetQueryId())
		}
	}
}
