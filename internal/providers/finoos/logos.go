package finoos

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
)

// SearchLogos answers each query that finoOS has a result for, in the order of the queries.
func (a *adapter) SearchLogos(ctx context.Context,
	search *insightsv1.SearchCompanyLogosRequest) ([]*insightsv1.CompanyLogo, error) {
	query := url.Values{"exactMatch": {strconv.FormatBool(search.GetExactMatch())}}
	if fuzziness := search.GetFuzziness(); fuzziness != "" {
		query.Set("fuzziness", fuzziness)
	}
	var found wireLogoResults
	r := request{Operation: opSearchCompanyLogos, Query: query, Body: logoQueries(search.GetQueries())}
	if err := a.do(ctx, r, &found); err != nil {
		return nil, err
	}
	return logosOf(search.GetQueries(), found.Results.value), nil
}

type wireLogoQueries struct {
	Queries []wireLogoQuery `json:"queries"`
}

type wireLogoQuery struct {
	QueryID    string `json:"queryID"`
	Name       string `json:"name,omitempty"`
	Domain     string `json:"domain,omitempty"`
	IBAN       string `json:"iban,omitempty"`
	BIC        string `json:"bic,omitempty"`
	BankCode   string `json:"bankCode,omitempty"`
	CreditorID string `json:"creditorID,omitempty"`
}

type wireLogoResults struct {
	Results required[[]wireLogoResult] `json:"results"`
}

func (w *wireLogoResults) check() error { return w.Results.checkAs("results") }

type wireLogoResult struct {
	QueryID text `json:"queryID"`
	Company text `json:"company"`
	Status  text `json:"status"`
	URL     text `json:"url"`
}

func logoQueries(queries []*insightsv1.SearchCompanyLogosRequest_Query) wireLogoQueries {
	body := wireLogoQueries{Queries: make([]wireLogoQuery, len(queries))}
	for i, q := range queries {
		body.Queries[i] = wireLogoQuery{
			QueryID: q.GetQueryId(), Name: q.GetName(), Domain: q.GetDomain(), IBAN: q.GetIban(), BIC: q.GetBic(),
			BankCode: q.GetBankCode(), CreditorID: q.GetCreditorId(),
		}
	}
	return body
}

// logosOf joins results to queries by id, since their order means nothing. Of several results for one query the first
// counts.
func logosOf(queries []*insightsv1.SearchCompanyLogosRequest_Query,
	results []wireLogoResult) []*insightsv1.CompanyLogo {
	byID := make(map[string]wireLogoResult, len(results))
	for _, result := range results {
		if _, ok := byID[string(result.QueryID)]; !ok {
			byID[string(result.QueryID)] = result
		}
	}
	var logos []*insightsv1.CompanyLogo
	for _, query := range queries {
		if result, ok := byID[query.GetQueryId()]; ok {
			logos = append(logos, &insightsv1.CompanyLogo{
				QueryId: query.GetQueryId(), Company: told(result.Company), LogoUri: told(result.URL),
				Status: logoStatus(result), ProviderCode: told(result.Status),
			})
		}
	}
	return logos
}

// logoStatus reads finoOS's word, in whatever case and with or without separators: the documentation shows none. A
// result without a word speaks for itself.
func logoStatus(result wireLogoResult) insightsv1.CompanyLogo_Status {
	switch strings.ToLower(plainType.Replace(string(result.Status))) {
	case "ok", "found", "success":
		return insightsv1.CompanyLogo_OK
	case "notfound", "nomatch", "none":
		return insightsv1.CompanyLogo_NOT_FOUND
	case "":
		if result.Company == "" && result.URL == "" {
			return insightsv1.CompanyLogo_NOT_FOUND
		}
		return insightsv1.CompanyLogo_OK
	default:
		return insightsv1.CompanyLogo_OTHER
	}
}
