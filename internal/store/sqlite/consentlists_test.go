package sqlite

import (
	"strings"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

// TestListsReadOnlyTheirPage: an index has all that callers can ask a list for, in order, so that what they do not ask
// for is not read, be that a million others, and nothing is sorted.
func TestListsReadOnlyTheirPage(t *testing.T) {
	t.Parallel()
	loan, some := store.Lookup("loan"), []consentv1.Consent_Status{1, 2, 2}
	for _, test := range []struct {
		filter store.ConsentFilter
		index  string
	}{
		{store.ConsentFilter{}, "consents_present (tenant=? AND id>?)"},
		{store.ConsentFilter{CustomerID: "c"}, "consents_by_customer (tenant=? AND customer_id=? AND deleted=? AND id>?)"},
		{
			store.ConsentFilter{Reference: loan},
			"consents_by_reference_status (tenant=? AND reference=? AND status=? AND id>?)",
		},
		{store.ConsentFilter{Statuses: some}, "consents_by_status (tenant=? AND status=? AND id>?)"},
		{
			store.ConsentFilter{CustomerID: "c", Statuses: some},
			"consents_by_customer_status (tenant=? AND customer_id=? AND status=? AND id>?)",
		},
		{
			store.ConsentFilter{Reference: loan, Statuses: some},
			"consents_by_reference_status (tenant=? AND reference=? AND status=? AND id>?)",
		},
		{
			store.ConsentFilter{CustomerID: "c", Reference: loan},
			"consents_by_customer_reference_status (tenant=? AND customer_id=? AND reference=? AND status=? AND id>?)",
		},
		{
			store.ConsentFilter{CustomerID: "c", Reference: loan, Statuses: some},
			"consents_by_customer_reference_status (tenant=? AND customer_id=? AND reference=? AND status=? AND id>?)",
		},
		{store.ConsentFilter{Provider: "p"}, "consents_by_provider_status (tenant=? AND provider=? AND status=? AND id>?)"},
		{
			store.ConsentFilter{Provider: "p", Statuses: some[:1]},
			"consents_by_provider_status (tenant=? AND provider=? AND status=? AND id>?)",
		},
	} {
		s := openNew(t)
		if err := s.View(t.Context(), tenant, func(r store.Reader) error {
			_, err := r.Consents(test.filter, store.Page{Size: 9})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		lists := 0
		for _, c := range connections(s) {
			for query := range c.statements {
				if !strings.Contains(query, "FROM consents") {
					continue
				}
				lists++
				for _, step := range planOf(t, c, query, make([]any, strings.Count(query, "?"))...) {
					step, _ = strings.CutPrefix(step, "SEARCH consents USING ")
					step, _ = strings.CutPrefix(step, "COVERING ")
					switch step, _ = strings.CutPrefix(step, "INDEX "); {
					case step == test.index, step == "sqlite_autoindex_consents_1 (tenant=? AND id=?)":
					case strings.Contains(step, "consents"), strings.Contains(step, "TEMP B-TREE"):
						t.Errorf("a list by %+v goes by %s", test.filter, step)
					}
				}
			}
		}
		if lists != 1 {
			t.Errorf("a list by %+v took %d statements", test.filter, lists)
		}
	}
}
