package postgres

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

// BenchmarkAppend has eight writers change a consent of their own and add to its log.
func BenchmarkAppend(b *testing.B) {
	s := openNew(b)
	const writers = 8
	for n := range writers {
		err := s.Update(b.Context(), tenant, func(tx store.Tx) error {
			id := fmt.Sprint(n)
			if err := tx.InsertCustomer(&store.Customer{
				Tenant: tenant, ID: id, Resource: &customerv1.Customer{},
			}); err != nil {
				return err
			}
			return tx.InsertConsent(&store.Consent{
				Tenant: tenant, ID: id, CustomerID: id, Provider: "p", Resource: &consentv1.Consent{},
			})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var group sync.WaitGroup
	for n := range writers {
		id := fmt.Sprint(n)
		group.Go(func() {
			for left.Add(-1) >= 0 {
				err := s.Update(b.Context(), tenant, func(tx store.Tx) error {
					c, err := tx.Consent(id)
					if err != nil {
						return err
					}
					c.Resource.EventCount++
					if err := tx.UpdateConsent(c); err != nil {
						return err
					}
					event := consent.Event{Sequence: int64(c.Resource.GetEventCount())}
					return tx.AppendEvent(id, event, c.Resource)
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}
