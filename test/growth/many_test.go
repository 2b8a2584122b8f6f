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
		sizes = []int{100_000, 1_000_000}
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
				NextPoll: w.clock().Add(time.Duration(i-100) * time.Second),
				Resource: &consentv1.Consent{Status: consentv1.Consent_AUTHORIZED},
			}
			if i == n-1 { // The one that lists look for is the last.
				c.Provider, c.Resource.Status = "other", consentv1.Consent_FAILED
			}
			return tx.InsertConsent(c)
		})
		list := func(what string, filter store.ConsentFilter) {
			began := time.Now()
			if err := w.db.View(w.ctx, tenant, func(r store.Reader) error {
				found, err := r.Consents(filter, store.Page{Size: 101})
				if len(found) == 0 {
					t.Errorf("%s: nothing is found", what)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%8d consents: %-44s %s\n", n, what, time.Since(began).Round(100*time.Microsecond))
		}
		rare := []consentv1.Consent_Status{consentv1.Consent_FAILED, consentv1.Consent_REJECTED}
		for range 2 { // The first time opens connections.
			list("a page of all", store.ConsentFilter{})
			list("the one with a status", store.ConsentFilter{Statuses: rare[:1]})
			list("the one with one of two statuses", store.ConsentFilter{Statuses: rare})
			list("the one of a provider", store.ConsentFilter{Provider: "other"})
			list("the one of a provider, of two statuses", store.ConsentFilter{Provider: "other", Statuses: rare})
		}
		began := time.Now()
		due, err := w.db.System().ClaimDue(w.ctx, w.clock(), "owner", time.Minute,
			[]store.Share{{Tenant: tenant, Provider: "one", Limit: 16}})
		if err != nil || len(due) != 16 {
			t.Fatalf("%d are due, %v", len(due), err)
		}
		fmt.Printf("%8d consents: %-44s %s\n", n, "16 that are due, claimed", time.Since(began).Round(100*time.Microsecond))
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
