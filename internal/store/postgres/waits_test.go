package postgres

import (
	"errors"
	"testing"
	"time"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// TestExportIsReadSlowly: who serves ends transactions that do nothing for some seconds; an export goes to who reads it
// at their leisure.
func TestExportIsReadSlowly(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	a, err := OpenArchive(t.Context(), rest)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	limit := func(r *reader) (time.Duration, error) {
		n, err := one(r, columns.Only[int64], "SELECT setting::bigint FROM pg_settings WHERE name = "+
			"'idle_in_transaction_session_timeout'")
		return time.Duration(n) * time.Millisecond, err
	}
	if idle, err := readAll(t.Context(), s, limit); idle != idleLimit || err != nil {
		t.Errorf("who serves may do nothing for %s, %v", idle, err)
	}
	if err := a.ViewAudit(t.Context(), func(r store.AuditTrails) error {
		idle, err := limit(r.(trails).reader)
		if idle != archiveIdle {
			t.Errorf("who exports may do nothing for %s", idle)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// TestHeadsLeaveConnections has streams begin while a transaction dallies, so that the log's end is not settled: those
// that wait for it leave connections to others.
func TestHeadsLeaveConnections(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, with(t, rest, "pool_max_conns", "4"))
	s.headWait = time.Hour
	setUp(t, s, "a")
	dallies := sqlOn(t, rest)
	if _, err := dallies.Exec(t.Context(), "BEGIN; SELECT pg_current_xact_id()"); err != nil {
		t.Fatal(err)
	}
	if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
		t.Fatal(err)
	}
	const streams = 8
	begun := make(chan error, streams)
	for range streams {
		go func() {
			_, err := s.System().Head(t.Context(), store.ConsentLog)
			begun <- err
		}()
	}
	// Those that found another one waiting do not wait, and neither does who asks for something else.
	for range streams - 1 {
		if err := <-begun; err != nil {
			t.Error(err)
		}
	}
	if err := s.View(t.Context(), tenant, func(r store.Reader) error {
		_, err := r.Consent("a")
		return err
	}); err != nil {
		t.Error(err)
	}
	if _, err := dallies.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-begun; err != nil {
		t.Error(err)
	}
}

// TestAnswerIsWaitedFor: whoever waits for a record until its answer is there reads the answer, although the customer
// whose key opens it was made in the same transaction.
func TestAnswerIsWaitedFor(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	first, second := openAt(t, rest), openAt(t, with(t, rest, "application_name", t.Name()))
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
