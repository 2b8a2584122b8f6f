package finoos

import (
	"context"
	"net/url"
	"strconv"

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
