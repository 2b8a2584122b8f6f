package postgres

import (
	"errors"
	"testing"
	"time"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/store"
)

// TestAnswerIsWaitedFor: whoever waits for a record until its answer is there reads the answer, although the customer
// whose key opens it was made in the same transaction.
func TestAnswerIsWaitedFor(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	first, second := openAt(t, rest), openAt(t, withApplication(t, rest))
	looking := sqlOn(t, rest)
	const method, key = "CreateConsent", "key"
	lease := store.Lease{Owner: "first", Until: time.Now().Add(time.Minute)}
	if err := first.Update(t.Context(), tenant, func(tx store.Tx) error {
		return tx.InsertIdempotency(&store.Idempotency{Tenant: tenant, Method: method, Key: key, Lease: lease})
	}); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	var got *store.Idempotency
	err := first.Update(t.Context(), tenant, func(tx store.Tx) error {
		record, err := tx.Idempotency(method, key)
		if err != nil {
			return err
		}
		go func() {
			read <- second.Update(t.Context(), tenant, func(tx store.Tx) (err error) {
				got, err = tx.Idempotency(method, key)
				return err
			})
		}()
		for waits := false; !waits; {
			const query = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = $1 AND " +
				"wait_event_type = 'Lock'"
			if err := looking.QueryRow(t.Context(), query, t.Name()).Scan(&waits); err != nil {
				return err
			}
		}
		record.Done, record.CustomerID, record.Response = true, "customer", []byte("answer")
		return errors.Join(tx.InsertCustomer(&store.Customer{
			Tenant: tenant, ID: "customer", Resource: &customerv1.Customer{},
		}), tx.CompleteIdempotency(record))
	})
	if err := errors.Join(err, <-read); err != nil {
		t.Fatal(err)
	}
	if !got.Done || string(got.Response) != "answer" {
		t.Errorf("who waited reads %+v", got)
	}
}
