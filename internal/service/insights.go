package service

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/insights"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// GetInsights implements insightsv1.InsightsServiceServer.
func (s *insightsServer) GetInsights(ctx context.Context, req *insightsv1.GetInsightsRequest) (*insightsv1.Insights, error) {
	row, p, err := s.data(ctx, req.GetName(), "GetInsights")
	if err != nil {
		return nil, err
	}
	what := []string{"GetInsights", req.GetName(), req.GetReferenceId()}
	return share(ctx, s.Service, p, row, what, proto.CloneOf, func(ctx context.Context) (result *insightsv1.Insights, err error) {
		if p.Insights == nil {
			result, err = s.deriveInsights(ctx, p, row)
		} else {
			result, err = s.readInsights(ctx, p, row, req.GetReferenceId())
		}
		if err != nil {
			return nil, err
		}
		result.Name = req.GetName()
		return result, nil
	})
}

func (s *Service) readInsights(ctx context.Context, p *providers.Provider, row *store.Consent, referenceID string) (*insightsv1.Insights, error) {
	result, accounts, err := p.Insights.GetInsights(ctx, refOf(row), referenceID)
	if err != nil {
		return nil, callError(err)
	}
	result.Origin = insightsv1.Insights_NATIVE
	result.Accounts = nameAccounts(row, accounts)
	return result, nil
}

// deriveInsights computes insights for a provider that has none.
func (s *Service) deriveInsights(ctx context.Context, p *providers.Provider, row *store.Consent) (*insightsv1.Insights, error) {
	accounts, err := s.accounts(ctx, p, row)
	if err != nil {
		return nil, err
	}
	d := insights.NewDeriver(accounts)
	for t, err := range p.Accounts.Transactions(ctx, refOf(row)) {
		if err != nil {
			return nil, callError(err)
		}
		t.Account = accountName(row.ID, t.AccountID)
		d.Add(t.Transaction)
	}
	return d.Result(p.Market(row.Market).Location), nil
}

// CreateVisualizationLink implements insightsv1.InsightsServiceServer.
func (s *insightsServer) CreateVisualizationLink(ctx context.Context, req *insightsv1.CreateVisualizationLinkRequest) (*insightsv1.VisualizationLink, error) {
	row, p, err := s.data(ctx, req.GetName(), "CreateVisualizationLink")
	if err != nil {
		return nil, err
	}
	uri, err := p.Visualizations.VisualizationLink(ctx, refOf(row), req.GetReferenceId())
	if err != nil {
		return nil, callError(err)
	}
	return &insightsv1.VisualizationLink{Uri: uri}, nil
}

// GetPaymentPartnerAnalysis implements insightsv1.InsightsServiceServer.
func (s *insightsServer) GetPaymentPartnerAnalysis(ctx context.Context, req *insightsv1.GetPaymentPartnerAnalysisRequest) (*insightsv1.PaymentPartnerAnalysis, error) {
	row, p, err := s.data(ctx, req.GetName(), "GetPaymentPartnerAnalysis")
	if err != nil {
		return nil, err
	}
	what := []string{"GetPaymentPartnerAnalysis", req.GetName()}
	return share(ctx, s.Service, p, row, what, proto.CloneOf, func(ctx context.Context) (*insightsv1.PaymentPartnerAnalysis, error) {
		analysis, err := p.PaymentPartners.PaymentPartnerAnalysis(ctx, refOf(row))
		if err != nil {
			return nil, callError(err)
		}
		analysis.Name = req.GetName()
		return analysis, s.nameAnalysed(ctx, p, row, analysis)
	})
}

// nameAnalysed replaces the provider's ids of analysed accounts by names. The provider's id does not say under which bank login the account
// is: one that fits no account, or several, is left out.
func (s *Service) nameAnalysed(ctx context.Context, p *providers.Provider, row *store.Consent, analysis *insightsv1.PaymentPartnerAnalysis) error {
	accounts, err := p.Accounts.ListAccounts(ctx, refOf(row))
	if err != nil {
		return callError(err)
	}
	for _, a := range analysis.GetAccounts() {
		id, name := a.GetAccount(), ""
		for _, account := range accounts {
			if id == "" || account.ID != id && !strings.HasSuffix(account.ID, "/"+id) {
				continue
			}
			if name != "" {
				name = ""
				break
			}
			name = accountName(row.ID, account.ID)
		}
		a.Account = name
	}
	return nil
}

// SearchCompanyLogos implements insightsv1.InsightsServiceServer.
func (s *insightsServer) SearchCompanyLogos(ctx context.Context, req *insightsv1.SearchCompanyLogosRequest) (*insightsv1.SearchCompanyLogosResponse, error) {
	p, err := s.offering(tenantOf(ctx), req.GetProvider(), "SearchCompanyLogos")
	if err != nil {
		return nil, err
	}
	request := proto.CloneOf(req)
	seen := make(map[string]bool)
	for i, query := range request.GetQueries() {
		path := "queries[" + strconv.Itoa(i) + "]"
		bare := proto.CloneOf(query)
		bare.QueryId = ""
		if proto.Size(bare) == 0 {
			return nil, kerr.InvalidField(path, "must say something about the company")
		}
		if query.GetQueryId() == "" {
			query.QueryId = "kontor-" + strconv.Itoa(i)
		}
		if seen[query.GetQueryId()] {
			return nil, kerr.InvalidField(path+".queryId", "must be unique")
		}
		seen[query.GetQueryId()] = true
	}
	results, err := p.Logos.SearchLogos(ctx, request)
	if err != nil {
		return nil, callError(err)
	}
	byQuery := make(map[string]*insightsv1.CompanyLogo, len(results))
	for _, result := range results {
		byQuery[result.GetQueryId()] = result
	}
	resp := &insightsv1.SearchCompanyLogosResponse{}
	for i, query := range request.GetQueries() {
		result := byQuery[query.GetQueryId()]
		if result == nil {
			result = &insightsv1.CompanyLogo{}
		}
		result.QueryId = req.GetQueries()[i].GetQueryId()
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}
