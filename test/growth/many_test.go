package growth

import (
	"context"
	"fmt"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/test/worldtest"
)

// leaseEnder is a store that a gateway has to itself, which ends the leases that others left when it starts. On other
// stores they run out.
type leaseEnder interface {
	EndLeases(ctx context.Context) error
}

// TestManyConsents prints what lists, the look for what is due, and a start take with many consents.
func TestManyConsents(t *testing.T) {
	sizes := []int{1000}
	if *full {
		sizes = []int{1000, 10_000, 100_000, 1_000_000}
	}
	for _, n := range sizes {
		dir := t.TempDir()
		w := newWorldIn(t, dir, false)
		w.update(1, 1, func(tx store.Tx, _ int) error {
			return tx.InsertCustomer(&store.Customer{
				Tenant: tenant, ID: "customer", Resource: &customerv1.Customer{Name: service.CustomerName("customer")},
			})
		})
		w.update(n, 5000, func(tx store.Tx, i int) error {
			c := &store.Consent{
				Tenant: tenant, ID: fmt.Sprintf("consent-%08d", i), CustomerID: "customer", Provider: "one",
				Reference: store.Lookup("loan"),
				NextPoll:  w.clock().Add(time.Duration(i-100) * time.Second),
				Resource:  &consentv1.Consent{Status: consentv1.Consent_AUTHORIZED},
			}
			if i == n-1 { // The one that lists look for is the last.
				c.Provider, c.Resource.Status = "other", consentv1.Consent_FAILED
			}
			return tx.InsertConsent(c)
		})
		took := func(what string, began time.Time) {
			fmt.Printf("%8d consents: %-44s %s\n", n, what, time.Since(began).Round(10*time.Microsecond))
		}
		list := func(what string, want int, filter store.ConsentFilter, after string) {
			began := time.Now()
			if err := w.db.View(w.ctx, tenant, func(r store.Reader) error {
				found, err := r.Consents(filter, store.Page{Size: 101, After: after})
				if len(found) != want {
					t.Errorf("%s: %d are found", what, len(found))
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			took(what, began)
		}
		last := []consentv1.Consent_Status{consentv1.Consent_FAILED, consentv1.Consent_REJECTED}
		none := []consentv1.Consent_Status{consentv1.Consent_EXPIRED, consentv1.Consent_REJECTED}
		common := []consentv1.Consent_Status{consentv1.Consent_AUTHORIZED, consentv1.Consent_REJECTED}
		loan := store.Lookup("loan")
		for range 2 { // The first time opens connections.
			list("a page of all", 101, store.ConsentFilter{}, "")
			list("a page of all, half way", 101, store.ConsentFilter{}, fmt.Sprintf("consent-%08d", n/2))
			list("a status: one", 1, store.ConsentFilter{Statuses: last[:1]}, "")
			list("two statuses: a page", 101, store.ConsentFilter{Statuses: common}, "")
			list("two statuses: a page, half way", 101, store.ConsentFilter{Statuses: common},
				fmt.Sprintf("consent-%08d", n/2))
			list("two statuses: one", 1, store.ConsentFilter{Statuses: last}, "")
			list("two statuses: none", 0, store.ConsentFilter{Statuses: none}, "")
			list("of a customer, two statuses: none", 0, store.ConsentFilter{CustomerID: "customer", Statuses: none}, "")
			list("with a reference: a page", 101, store.ConsentFilter{Reference: loan}, "")
			list("with a reference, two statuses: none", 0, store.ConsentFilter{Reference: loan, Statuses: none}, "")
			list("of a customer, with a reference, two: none", 0,
				store.ConsentFilter{CustomerID: "customer", Reference: loan, Statuses: none}, "")
			list("of a customer, with another reference: none", 0,
				store.ConsentFilter{CustomerID: "customer", Reference: store.Lookup("none")}, "")
			list("of a provider, two statuses: one", 1, store.ConsentFilter{Provider: "other", Statuses: last}, "")
		}
		began := time.Now()
		if err := w.db.View(w.ctx, tenant, func(r store.Reader) error {
			if _, err := r.Head(store.ConsentLog); err != nil {
				return err
			}
			found, err := r.Consents(store.ConsentFilter{}, store.Page{Size: 100})
			if err != nil {
				return err
			}
			ids := make([]string, len(found))
			for i, c := range found {
				ids[i] = c.ID
			}
			_, err = r.Newest(store.ConsentLog, ids, "")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		took("a stream's place and first state", began)
		began = time.Now()
		due, err := w.db.System().ClaimDue(w.ctx, w.clock(), "owner", time.Minute,
			[]store.Share{{Tenant: tenant, Provider: "one", Limit: 16}})
		if err != nil || len(due) != 16 {
			t.Fatalf("%d are due, %v", len(due), err)
		}
		took("16 that are due, claimed", began)
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		db, err := worldtest.OpenStore(t.Context(), dir, keystest.StoreKey())
		if err != nil {
			t.Fatal(err)
		}
		opened := time.Since(began)
		began = time.Now()
		if left, ok := db.(leaseEnder); ok {
			if err := left.EndLeases(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Printf("%8d consents: a start: %s to open the store of %d MiB, %s for the leases\n", n,
			opened.Round(time.Millisecond), db.Stats().Size>>20, time.Since(began).Round(100*time.Microsecond))
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
