package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/store"
)

// locked tells how many of a test's connections wait for a lock.
func locked(t *testing.T, c *pgx.Conn) (n int) {
	t.Helper()
	const query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'"
	if err := c.QueryRow(t.Context(), query, t.Name()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReleaseWhileAnotherClaims has one gateway give the right to make a user back, and store the user, while another
// one looks for the user and claims the right. Nobody is undone: the other one waits, and finds the user.
func TestReleaseWhileAnotherClaims(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	watch := sqlOn(t, rest)
	named := with(t, rest, "application_name", t.Name())
	maker, other := openAt(t, named), openAt(t, named)
	setUp(t, maker)
	now := time.Now()
	claim := func(tx store.Tx, owner string) error {
		return tx.ClaimUser("customer", "p", now, store.Lease{Owner: owner, Until: now.Add(time.Minute)})
	}
	if err := maker.Update(t.Context(), tenant, func(tx store.Tx) error { return claim(tx, "maker") }); err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	var once sync.Once
	var made, looked int
	var group sync.WaitGroup
	group.Go(func() {
		<-released
		err := other.Update(t.Context(), tenant, func(tx store.Tx) error {
			looked++
			c, err := tx.Customer("customer")
			switch {
			case err != nil:
				return err
			case c.Users["p"] != "":
				return nil
			}
			return claim(tx, "other")
		})
		if err != nil {
			t.Errorf("the other one: %v", err)
		}
	})
	err := maker.Update(t.Context(), tenant, func(tx store.Tx) error {
		made++
		if err := tx.ReleaseUser("customer", "p", "maker"); err != nil {
			return err
		}
		once.Do(func() { close(released) })
		for limit := time.Now().Add(10 * time.Second); locked(t, watch) == 0; {
			if time.Now().After(limit) {
				return errors.New("the other one does not wait")
			}
		}
		c, err := tx.Customer("customer")
		if err != nil {
			return err
		}
		c.Users = map[string]string{"p": "user"}
		return tx.UpdateCustomer(c)
	})
	if err != nil {
		t.Errorf("who made the user: %v", err)
	}
	group.Wait()
	if made != 1 || looked != 1 {
		t.Errorf("who made the user took %d transactions, the other one %d; want one each", made, looked)
	}
}

// TestLeasesAreRenewedBesideWork renews leases while a transaction settles what is under one of them: neither waits for
// the other, and the other lease is renewed.
func TestLeasesAreRenewedBesideWork(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s, other := openAt(t, rest), openAt(t, rest)
	setUp(t, s)
	now := time.Now().Truncate(time.Microsecond)
	lease := store.Lease{Owner: "owner", Until: now.Add(time.Minute)}
	err := s.Update(t.Context(), tenant, func(tx store.Tx) (err error) {
		for _, id := range []string{"settled", "open"} {
			err = errors.Join(err,
				tx.InsertIdempotency(&store.Idempotency{Tenant: tenant, Method: "m", Key: id, Lease: lease}),
				tx.InsertIntent(&store.Intent{Tenant: tenant, ID: id, State: store.IntentOpen, Lease: lease}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	later := lease.Until.Add(time.Minute)
	runs := 0
	err = s.Update(t.Context(), tenant, func(tx store.Tx) error {
		runs++
		if err := tx.UpdateIntent("settled", store.IntentDone, now); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := other.System().RenewLeases(ctx, []string{"owner"}, later); err != nil {
			t.Errorf("leases are not renewed beside a transaction: %v", err)
		}
		return tx.CompleteIdempotency(&store.Idempotency{Tenant: tenant, Method: "m", Key: "settled", Lease: lease})
	})
	if err != nil || runs != 1 {
		t.Errorf("the transaction ran %d times, %v", runs, err)
	}
	err = s.View(t.Context(), tenant, func(r store.Reader) error {
		record, err := r.Idempotency("m", "open")
		intent, err2 := r.Intent("open")
		if err = errors.Join(err, err2); err != nil {
			return err
		}
		if !record.Lease.Until.Equal(later) || !intent.Lease.Until.Equal(later) {
			t.Errorf("the leases end at %s and %s, want %s", record.Lease.Until, intent.Lease.Until, later)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
