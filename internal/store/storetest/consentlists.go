package storetest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

// testConsentListsMeanwhile goes through lists while consents change their statuses between two pages: what belongs to
// the list all the time is on it once, in order, what never did is not, and nothing is behind the last page.
func testConsentListsMeanwhile(t *testing.T, s *spread) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const consents, size = 60, 7
	wanted := []consentv1.Consent_Status{consentv1.Consent_AUTHORIZED, consentv1.Consent_REVOKED}
	rows := make([]*store.Consent, consents)
	update(t, s, func(tx store.Tx) error {
		errs := []error{tx.InsertCustomer(newCustomer(hansa, 1, ""))}
		for n := range rows {
			c := newConsent(hansa, 100+n, id(1))
			c.Reference = lookup("loan")
			c.Resource.Status = consentv1.Consent_Status(n % 7)
			rows[n] = c
			errs = append(errs, tx.InsertConsent(c))
		}
		return errors.Join(errs...)
	})
	for name, filter := range map[string]store.ConsentFilter{
		"statuses": {Statuses: wanted}, "customer": {Statuses: wanted, CustomerID: id(1)},
		"reference": {Statuses: wanted, Reference: lookup("loan")},
		"provider":  {Statuses: wanted, Provider: fimento},
		"both":      {Statuses: wanted, CustomerID: id(1), Reference: lookup("loan")},
	} {
		always, never := map[string]bool{}, map[string]bool{}
		for _, c := range rows {
			in := slices.Contains(wanted, c.Resource.GetStatus())
			always[c.ID], never[c.ID] = in, !in
		}
		var got []string
		for after, last := "", false; !last; {
			page := read(t, s, func(r store.Reader) ([]*store.Consent, error) {
				return r.Consents(filter, store.Page{After: after, Size: size})
			})
			for _, c := range page {
				got, after = append(got, c.ID), c.ID
			}
			if last = len(page) < size; last {
				for _, c := range rows { // There is nothing behind the last page.
					if in := slices.Contains(wanted, c.Resource.GetStatus()); in && c.ID > after {
						t.Errorf("%s: %s is missing behind the last page", name, c.ID)
					}
				}
				break
			}
			changed := random.Perm(consents)[:consents/6]
			update(t, s, func(tx store.Tx) error {
				var errs []error
				for _, n := range changed {
					c := rows[n]
					c.Resource.Status = consentv1.Consent_Status(random.IntN(7))
					in := slices.Contains(wanted, c.Resource.GetStatus())
					always[c.ID], never[c.ID] = always[c.ID] && in, never[c.ID] && !in
					errs = append(errs, tx.UpdateConsent(c))
				}
				return errors.Join(errs...)
			})
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%s: the pages are not in order, or repeat: %q", name, got)
		}
		for _, c := range rows {
			if found := slices.Contains(got, c.ID); always[c.ID] && !found || never[c.ID] && found {
				t.Errorf("%s: %s is on the list: %v; it belonged there all the time: %v, never: %v", name, c.ID, found,
					always[c.ID], never[c.ID])
			}
		}
	}
}
