package insights

import (
	"strings"
	"testing"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/kerr"
)

func TestQueriesHaveIds(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"a b":             "a b",
		". .":             "query-0 query-1",
		"a . b":           "a query-1 b",
		"query-1 . .":     "query-1 query-1- query-2",
		". query-0":       "query-0- query-0",
		"query-2 . . a":   "query-2 query-1 query-2- a",
		"query-0- . x .":  "query-0- query-1 x query-3",
		". query-0 . a a": "",
	} {
		var queries []*insightsv1.SearchCompanyLogosRequest_Query
		for id := range strings.FieldsSeq(given) {
			queries = append(queries, &insightsv1.SearchCompanyLogosRequest_Query{
				QueryId: strings.TrimPrefix(id, "."), Name: "N",
			})
		}
		err := identify(queries)
		if want == "" {
			if kerr.Reason(err) != errorv1.Error_INVALID_FIELD {
				t.Errorf("%s: %v", given, err)
			}
			continue
		}
		var got []string
		for _, query := range queries {
			got = append(got, query.GetQueryId())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s became %v, %v", given, got, err)
		}
	}
	if err := identify([]*insightsv1.SearchCompanyLogosRequest_Query{{QueryId: "a"}}); kerr.Reason(err) !=
		errorv1.Error_INVALID_FIELD {
		t.Errorf("a query that says nothing: %v", err)
	}
}
