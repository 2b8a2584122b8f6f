package finoos_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/sandbox/finoos"
)

type logoResult struct{ Company, QueryID, Status, URL string }

func (h *harness) logos(query string, queries ...object) []logoResult {
	h.t.Helper()
	if queries == nil {
		queries = []object{}
	}
	var found struct{ Results []logoResult }
	h.call("POST", "/companies/logos"+query, object{"queries": queries}).into(&found)
	if len(found.Results) != len(queries) || found.Results == nil {
		h.t.Errorf("%d results for %d queries", len(found.Results), len(queries))
	}
	return found.Results
}

func TestLogosAreFound(t *testing.T) {
	h := setup(t, finoos.Config{})
	for _, c := range []struct {
		query  string
		asked  object
		wanted string
	}{
		{"", object{"creditorID": "DE41EON00000129793"}, "E.ON"},
		{"", object{"domain": "EON.de"}, "E.ON"},
		{"", object{"iban": "DE83701999010000002000"}, "Schettchens Schnittchen"},
		{"", object{"bic": "FINODEKS"}, "fino Bank"},
		{"", object{"bankCode": "20190033"}, "Hanse Kontorbank"},
		{"", object{"creditorID": "DE41EON00000129793", "name": "Streamly"}, "E.ON"}, // the surer one counts
		{"", object{"creditorID": "none", "name": "Streamly"}, "Streamly"},
		{"", object{"name": "stremly"}, "Streamly"},
		{"", object{"name": "stemly"}, "Streamly"},
		{"", object{"name": "steml"}, ""}, // five letters, so one may differ
		{"?exactMatch=false&fuzziness=AUTO", object{"name": "stemly"}, "Streamly"},
		{"?fuzziness=1", object{"name": "stemly"}, ""},
		{"?fuzziness=2", object{"name": "stemly"}, "Streamly"},
		{"?exactMatch=true", object{"name": "Streamly"}, "Streamly"},
		{"?exactMatch=true&fuzziness=2", object{"name": "Stremly"}, ""},
		{"", object{"name": "eon"}, "E.ON"},
		{"", object{"name": "eo"}, ""},
		{"", object{"name": "E-ON"}, "E.ON"},
		{"", object{"name": "Deichschutz Versicherung"}, "Deichschutz Versicherung"},
		{"", object{"name": "Nowhere GmbH"}, ""},
		{"", object{}, ""},
	} {
		c.asked["queryID"] = "q"
		got := h.logos(c.query, c.asked)[0]
		status := "ok"
		if c.wanted == "" {
			status = "notFound"
		}
		if got.Company != c.wanted || got.Status != status || got.QueryID != "q" ||
			(got.URL == "") != (c.wanted == "") {
			t.Errorf("%s %v: %+v, want %q", c.query, c.asked, got, c.wanted)
		}
		if c.wanted == "" {
			continue
		}
		logo := h.call("GET", strings.TrimPrefix(got.URL, h.url), nil)
		if logo.status != http.StatusOK || logo.header.Get("Content-Type") != "image/svg+xml" ||
			!strings.HasPrefix(string(logo.body), "<svg ") {
			t.Errorf("%s: status %d", got.URL, logo.status)
		}
	}
	h.call("GET", "/logos/none.svg", nil).refused(404, "notFound")
	for _, query := range []string{"?exactMatch=yes", "?fuzziness=auto", "?fuzziness=3", "?fuzziness=-1"} {
		h.call("POST", "/companies/logos"+query, object{"queries": []object{}}).refused(400, "badRequest")
	}
}

func TestLogosComeInAnotherOrder(t *testing.T) {
	h := setup(t, finoos.Config{})
	h.logos("")
	for n := 2; n <= 200; n += 33 {
		var queries []object
		for i := range n {
			queries = append(queries, object{"queryID": fmt.Sprint(i)})
		}
		inOrder, seen := true, map[string]bool{}
		for i, r := range h.logos("", queries...) {
			inOrder = inOrder && r.QueryID == fmt.Sprint(i)
			seen[r.QueryID] = true
		}
		if inOrder || len(seen) != n {
			t.Errorf("%d queries: in order %v, %d answered", n, inOrder, len(seen))
		}
	}
	queries := make([]object, 201)
	for i := range queries {
		queries[i] = object{"queryID": "x"}
	}
	h.call("POST", "/companies/logos", object{"queries": queries}).refused(400, "badRequest")
	h.logos("", queries[:200]...)
}
