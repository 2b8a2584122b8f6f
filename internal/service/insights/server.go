// Package insights serves evaluations of bank data, made by the provider or derived by package
// internal/insights, and company logos.
package insights

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/bankdata"
	"kontor.dev/kontor/internal/insights"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Server implements insightsv1.InsightsServiceServer.
type Server struct {
	insightsv1.UnimplementedInsightsServiceServer

	Tenants service.Tenants
	Reads   *bankdata.Reader
}

// GetInsights implements insightsv1.InsightsServiceServer.
func (s *Server) GetInsights(ctx context.Context, req *insightsv1.GetInsightsRequest) (*insightsv1.Insights, error) {
	what := []string{"GetInsights", req.GetName(), req.GetReferenceId()}
	result, err := bankdata.Under(ctx, s.Reads, req.GetName(), "GetInsights", func(
		ctx context.Context, p *providers.Provider, row *store.Consent,
	) (*insightsv1.Insights, error) {
		return bankdata.Share(ctx, s.Reads, p, row, what, proto.CloneOf,
			func(ctx context.Context) (*insightsv1.Insights, error) { return s.insights(ctx, p, row, req) })
	})
	if err != nil {
		return nil, err
	}
	if req.GetView() == insightsv1.InsightsView_SUMMARY {
		insights.Summarise(result)
	}
	return result, nil
}

// insights reads or derives insights, of which callers that ask for the same get copies.
func (s *Server) insights(
	ctx context.Context, p *providers.Provider, row *store.Consent, req *insightsv1.GetInsightsRequest,
) (result *insightsv1.Insights, err error) {
	if p.Insights == nil {
		result, err = s.deriveInsights(ctx, p, row)
	} else {
		result, err = s.readInsights(ctx, p, row, req.GetReferenceId())
	}
	if err != nil {
		return nil, err
	}
	result.Name = req.GetName()
	result.StartTime, result.EndTime = insights.Span(result.GetMovements(), p.Market(row.Market).Location)
	insights.Cover(result, row.Resource)
	return result, nil
}

func (s *Server) readInsights(
	ctx context.Context, p *providers.Provider, row *store.Consent, referenceID string,
) (*insightsv1.Insights, error) {
	ref, err := s.Reads.Ref(ctx, row)
	if err != nil {
		return nil, err
	}
	result, accounts, err := p.Insights.GetInsights(ctx, ref, referenceID)
	if err != nil {
		return nil, s.Reads.Explain(ctx, row, err)
	}
	result.Origin = insightsv1.InsightsOrigin_NATIVE
	result.Accounts = s.Reads.NameAccounts(row, accounts)
	return result, nil
}

// deriveInsights computes insights for a provider that has none.
func (s *Server) deriveInsights(
	ctx context.Context, p *providers.Provider, row *store.Consent,
) (*insightsv1.Insights, error) {
	accounts, err := s.Reads.Accounts(ctx, p, row)
	if err != nil {
		return nil, err
	}
	ref, err := s.Reads.Ref(ctx, row)
	if err != nil {
		return nil, err
	}
	d := insights.NewDeriver(accounts)
	for t, err := range p.Accounts.Transactions(ctx, ref, providers.Query{}) {
		if err != nil {
			return nil, s.Reads.Explain(ctx, row, err)
		}
		d.Add(t.Transaction)
	}
	return d.Result(), nil
}

// CreateVisualizationLink implements insightsv1.InsightsServiceServer.
func (s *Server) CreateVisualizationLink(
	ctx context.Context, req *insightsv1.CreateVisualizationLinkRequest,
) (*typev1.Link, error) {
	uri, err := bankdata.Change(ctx, s.Reads, req.GetName(), "CreateVisualizationLink", func(
		p *providers.Provider, row *store.Consent,
	) (string, error) {
		ref, err := s.Reads.Ref(ctx, row)
		if err != nil {
			return "", err
		}
		uri, err := p.Visualizations.VisualizationLink(ctx, ref, req.GetReferenceId())
		if err != nil {
			return "", s.Reads.Explain(ctx, row, err)
		}
		return uri, nil
	})
	if err != nil {
		return nil, err
	}
	return &typev1.Link{
		Uri: &uri, Status: typev1.Link_PENDING, CreateTime: timestamppb.New(s.Reads.Follower.Clock.Now()),
	}, nil
}

// GetPaymentPartnerAnalysis implements insightsv1.InsightsServiceServer.
func (s *Server) GetPaymentPartnerAnalysis(
	ctx context.Context, req *insightsv1.GetPaymentPartnerAnalysisRequest,
) (*insightsv1.PaymentPartnerAnalysis, error) {
	what := []string{"GetPaymentPartnerAnalysis", req.GetName()}
	return bankdata.Under(ctx, s.Reads, req.GetName(), "GetPaymentPartnerAnalysis", func(
		ctx context.Context, p *providers.Provider, row *store.Consent,
	) (*insightsv1.PaymentPartnerAnalysis, error) {
		return bankdata.Share(ctx, s.Reads, p, row, what, proto.CloneOf,
			func(ctx context.Context) (*insightsv1.PaymentPartnerAnalysis, error) {
				return s.analysis(ctx, p, row, req.GetName())
			})
	})
}

// analysis reads an analysis, of which callers that ask for the same get copies.
func (s *Server) analysis(
	ctx context.Context, p *providers.Provider, row *store.Consent, name string,
) (*insightsv1.PaymentPartnerAnalysis, error) {
	ref, err := s.Reads.Ref(ctx, row)
	if err != nil {
		return nil, err
	}
	analysis, err := p.PaymentPartners.PaymentPartnerAnalysis(ctx, ref)
	if err != nil {
		return nil, s.Reads.Explain(ctx, row, err)
	}
	analysis.Name = name
	return analysis, s.nameAnalysed(ctx, p, row, analysis)
}

// nameAnalysed replaces the provider's ids of analysed accounts by names, and says which currency the amounts are in:
// that of the account, or else the market's. The provider's id does not say under which bank login the account is: one
// that fits no account, or several, is left out.
func (s *Server) nameAnalysed(
	ctx context.Context, p *providers.Provider, row *store.Consent, analysis *insightsv1.PaymentPartnerAnalysis,
) error {
	ref, err := s.Reads.Ref(ctx, row)
	if err != nil {
		return err
	}
	accounts, err := p.Accounts.ListAccounts(ctx, ref)
	if err != nil {
		return s.Reads.Explain(ctx, row, err)
	}
	if ref.Share != nil {
		// The provider analyses all of a user's accounts, those under the user's other consent, too.
		whole := ref
		whole.Share = nil
		all, err := p.Accounts.ListAccounts(ctx, whole)
		if err != nil {
			return s.Reads.Explain(ctx, row, err)
		}
		analysis.Accounts = covered(analysis.GetAccounts(), accounts, all)
	}
	for _, a := range analysis.GetAccounts() {
		of := analysed(accounts, a.GetAccount())
		a.Account = nil
		if of == nil {
			continue
		}
		a.Account = optional.Of(s.Reads.Names.Account(row.Tenant, row.ID, of.ID))
		if currency := of.GetCurrencyCode(); currency != "" {
			setCurrency(a.ProtoReflect(), currency)
		}
	}
	return nil
}

// covered gives the analyses of a consent's own accounts, out of those of all accounts of its user. One whose account
// cannot be told is left out: it may be the other consent's.
func covered(
	analyses []*insightsv1.PaymentPartnerAnalysis_AccountAnalysis, own, all []providers.Account,
) []*insightsv1.PaymentPartnerAnalysis_AccountAnalysis {
	return slices.DeleteFunc(analyses, func(a *insightsv1.PaymentPartnerAnalysis_AccountAnalysis) bool {
		of := analysed(all, a.GetAccount())
		return of == nil ||
			!slices.ContainsFunc(own, func(account providers.Account) bool { return account.ID == of.ID })
	})
}

// analysed finds the one account that a provider's id fits, nil when there is none or several.
func analysed(accounts []providers.Account, id string) *providers.Account {
	var found *providers.Account
	for i, account := range accounts {
		if id == "" || account.ID != id && !strings.HasSuffix(account.ID, "/"+id) {
			continue
		}
		if found != nil {
			return nil
		}
		found = &accounts[i]
	}
	return found
}

// setCurrency sets the currency of all amounts within a message.
func setCurrency(m protoreflect.Message, currency string) {
	if amount, ok := m.Interface().(*typev1.Money); ok {
		amount.CurrencyCode = currency
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			for i := range value.List().Len() {
				setCurrency(value.List().Get(i).Message(), currency)
			}
		default:
			setCurrency(value.Message(), currency)
		}
		return true
	})
}

// SearchCompanyLogos implements insightsv1.InsightsServiceServer.
func (s *Server) SearchCompanyLogos(
	ctx context.Context, req *insightsv1.SearchCompanyLogosRequest,
) (*insightsv1.SearchCompanyLogosResponse, error) {
	p, err := s.Tenants.Offering(service.TenantOf(ctx), req.GetProvider(), "provider", "SearchCompanyLogos")
	if err != nil {
		return nil, err
	}
	request := proto.CloneOf(req)
	if err := identify(request.GetQueries()); err != nil {
		return nil, err
	}
	results, err := p.Logos.SearchLogos(ctx, request)
	if err != nil {
		return nil, service.CallError(err)
	}
	byQuery := make(map[string]*insightsv1.CompanyLogo, len(results))
	for _, result := range results {
		byQuery[result.GetQueryId()] = result
	}
	resp := &insightsv1.SearchCompanyLogosResponse{}
	for _, query := range request.GetQueries() {
		result := byQuery[query.GetQueryId()]
		if result == nil {
			result = &insightsv1.CompanyLogo{QueryId: query.GetQueryId(), Status: insightsv1.CompanyLogo_NOT_FOUND}
		}
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}

// identify refuses queries that say nothing or cannot be told apart, and makes ids from the positions of those that
// have none, such as "query-0", beside the caller's own.
func identify(queries []*insightsv1.SearchCompanyLogosRequest_Query) error {
	taken := make(map[string]bool)
	for i, query := range queries {
		path := "queries[" + strconv.Itoa(i) + "]"
		bare := proto.CloneOf(query)
		bare.QueryId = ""
		if proto.Size(bare) == 0 {
			return kerr.InvalidField(path, "must say something about the company")
		}
		if id := query.GetQueryId(); id != "" && taken[id] {
			return kerr.InvalidField(path+".queryId", "must be unique")
		}
		taken[query.GetQueryId()] = true
	}
	for i, query := range queries {
		if query.GetQueryId() != "" {
			continue
		}
		id := "query-" + strconv.Itoa(i)
		for taken[id] {
			id += "-"
		}
		query.QueryId, taken[id] = id, true
	}
	return nil
}
