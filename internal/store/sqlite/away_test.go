package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/synctest"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/store"
)

// TestBusyIsAway has another process keep the file for longer than is waited: what was to be written may be written
// soon, and is once the file is free.
func TestBusyIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openNew(t)
		db, err := sql.Open("sqlite", "file:"+s.files.path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		write := func() error {
			return s.Update(t.Context(), "default", func(tx store.Tx) error {
				return tx.InsertCustomer(&store.Customer{
					Tenant: "default", ID: "customer", Resource: &customerv1.Customer{},
				})
			})
		}
		for _, statement := range []string{"BEGIN IMMEDIATE", "ROLLBACK"} {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			err := write()
			if busy := statement != "ROLLBACK"; errors.Is(err, store.ErrAway) != busy || !busy && err != nil {
				t.Errorf("after %s: %v", statement, err)
			}
		}
	})
}

// TestWhatIsAway: what is wrong with a file and not over soon, and what may have become durable, are other errors.
func TestWhatIsAway(t *testing.T) {
	busy := &store.FaultError{Kind: store.FaultBusy, Err: errors.New("busy")}
	for _, c := range []struct {
		err  error
		away bool
	}{
		{nil, false}, {busy, true}, {fmt.Errorf("sqlite: begin: %w", busy), true},
		{fmt.Errorf("%w: %w", errDoubtful, busy), false}, {errGone, false}, {errReplaced, false},
		{&store.FaultError{Kind: store.FaultFull, Err: errors.New("full")}, false},
		{store.ErrNotFound, false}, {store.ErrConflict, false}, {errClosed, false}, {fs.ErrNotExist, false},
	} {
		if got := away(c.err); errors.Is(got, store.ErrAway) != c.away || !errors.Is(got, c.err) {
			t.Errorf("%v becomes %v", c.err, got)
		}
	}
}
