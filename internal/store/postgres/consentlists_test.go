package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

// TestListsReadOnlyTheirPage lists, of a customer who has very many consents, half of them with one reference and all
// in one status, those in two others: an index has all that is asked for, so that none of the many is read, with a plan
// for these arguments and with one for any.
func TestListsReadOnlyTheirPage(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	openAt(t, rest)
	c := sqlOn(t, rest)
	for _, statement := range []string{
		"INSERT INTO customers SELECT 'hansa', 'c', NULL, 'x'",
		`INSERT INTO consents (tenant, id, customer_id, provider, provider_ref, user_id, partner_bank, market, valid_until,
			withdrawals, flow, reference, status, resource, next_poll, poll_step, last_poll, last_read, missing_since,
			missing_count, ended)
		SELECT 'hansa', 's' || lpad(n::text, 6, '0'), 'c', 'p', '', '', '', 'SE', 0, '{}', 1,
			CASE n % 2 WHEN 0 THEN 'r' ELSE 'r' || n END::bytea, 2, 'x', 0, 0, 0, 0, 0, 0,
			false FROM generate_series(1, 20000) n`,
		"ANALYZE consents",
	} {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	var l listener
	s := l.overheard(t, rest)
	loan, rare := store.Lookup("r"), []consentv1.Consent_Status{4, 7}
	for _, test := range []struct {
		filter  store.ConsentFilter
		indexes []string // any of them passes by the many
	}{
		{store.ConsentFilter{Statuses: rare}, []string{"consents_by_status"}},
		{store.ConsentFilter{Statuses: rare, CustomerID: "c"}, []string{"consents_by_customer_status", "consents_by_status"}},
		{
			store.ConsentFilter{Statuses: rare, Reference: loan},
			[]string{"consents_by_reference_status", "consents_by_status"},
		},
		{
			store.ConsentFilter{Statuses: rare, CustomerID: "c", Reference: loan},
			[]string{
				"consents_by_customer_reference_status", "consents_by_status", "consents_by_reference_status",
				"consents_by_customer_status",
			},
		},
		{
			store.ConsentFilter{CustomerID: "c", Reference: store.Lookup("none")},
			[]string{"consents_by_customer_reference_status", "consents_by_reference_status"},
		},
		{
			store.ConsentFilter{Reference: loan},
			[]string{"consents_by_reference_status", "consents_by_customer_reference_status"},
		},
		{store.ConsentFilter{Statuses: rare, Provider: "p"}, []string{"consents_by_provider_status", "consents_by_status"}},
	} {
		clear(l.heard)
		ask(t, s, func(r store.Reader) error { return second(r.Consents(test.filter, store.Page{Size: 101})) })
		lists := 0
		for statement, args := range l.heard {
			if !strings.Contains(statement, ") found ORDER") {
				continue
			}
			lists++
			plans := [][]string{
				planOf(t, c, statement, args...),
				genericPlanOf(t, c, statement, len(args)),
			}
			for i, plan := range plans {
				for _, step := range plan {
					_, using, reads := strings.Cut(step, " using ")
					index, _, _ := strings.Cut(using, " ")
					if strings.HasPrefix(step, "Index Scan using consents_pkey") { // for the rows that were found
						continue
					}
					if strings.HasPrefix(step, "Bitmap Index Scan on ") {
						index, _, _ = strings.Cut(strings.TrimPrefix(step, "Bitmap Index Scan on "), " ")
						reads = true
					}
					if strings.HasPrefix(step, "Seq Scan on consents") ||
						reads && strings.HasPrefix(index, "consents") && !slices.Contains(test.indexes, index) {
						t.Errorf("a list by %+v goes by %s (plan %d)", test.filter, step, i)
					}
				}
			}
		}
		if lists != 1 {
			t.Errorf("a list by %+v took %d merges", test.filter, lists)
		}
	}
}

// genericPlanOf gives the steps by which the server would carry out a statement whatever its arguments are.
func genericPlanOf(t *testing.T, c *pgx.Conn, statement string, args int) (steps []string) {
	t.Helper()
	script := "SET plan_cache_mode = force_generic_plan; PREPARE list AS " + statement + "; EXPLAIN EXECUTE list (NULL" +
		strings.Repeat(", NULL", args-1) + "); DEALLOCATE list; RESET plan_cache_mode"
	results, err := c.PgConn().Exec(t.Context(), script).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range results[2].Rows {
		steps = append(steps, strings.TrimLeft(string(row[0]), " ->"))
	}
	return steps
}
