package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/store"
)

// errUndo makes a transaction roll back.
var errUndo = errors.New("undo")

// testRollback sees that of a transaction that ends with an error nothing stays, whatever it did.
func testRollback(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error { return seed(tx, hansa) })
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.ClaimUser(id(seedCustomer), finoos, noon, lease("owner-1")),
			tx.ClaimFlow(id(seedConsent), noon, lease("owner-1")))
	})
	before := dumpAll(t, s, hansa)
	for _, w := range writes {
		err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
			first, err := dump(tx, hansa)
			if err != nil {
				return err
			}
			if err := w.do(tx, hansa); err != nil {
				t.Errorf("%s: %v", w.method, err)
			}
			within, err := dump(tx, hansa)
			if err == nil && !w.unseen && difference(within, first) == "" {
				t.Errorf("%s changes nothing that the transaction itself sees", w.method)
			}
			return errUndo
		})
		wantError(t, w.method, err, errUndo)
		wantEqual(t, "after the rollback of "+w.method+", the state", dumpAll(t, s, hansa), before)
	}
	// The same, but committed, changes the state: the above would have seen it.
	update(t, s, func(tx store.Tx) error { return tx.AppendAudit(newAudit(hansa, "RevokeConsent", noon)) })
	if difference(dumpAll(t, s, hansa), before) == "" {
		t.Error("a committed change cannot be seen")
	}
}

func testPanic(t *testing.T, s *spread) {
	for range 3 { // A store that kept the transaction open would be stuck the second time.
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v, want the panic of the function", got)
				}
			}()
			_ = s.Update(t.Context(), hansa, func(tx store.Tx) error {
				if err := tx.InsertCustomer(newCustomer(hansa, 1, "")); err != nil {
					t.Errorf("InsertCustomer: %v", err)
				}
				panic("boom")
			})
		}()
	}
	wantError(t, "Customer",
		readError(t, s, func(r store.Reader) (*store.Customer, error) { return r.Customer(id(1)) }), store.ErrNotFound)
}

// testGoexit ends the goroutine within a transaction, as a failing test does.
func testGoexit(t *testing.T, s *spread) {
	for range 3 {
		var group sync.WaitGroup
		group.Go(func() {
			_ = s.Update(t.Context(), hansa, func(tx store.Tx) error {
				if err := tx.InsertCustomer(newCustomer(hansa, 1, "")); err != nil {
					t.Errorf("InsertCustomer: %v", err)
				}
				runtime.Goexit()
				return nil
			})
			t.Error("Update came back from a goroutine that ended")
		})
		group.Wait()
	}
	wantError(t, "Customer",
		readError(t, s, func(r store.Reader) (*store.Customer, error) { return r.Customer(id(1)) }), store.ErrNotFound)
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(hansa, 1, "")) })
}

// testConflicts counts how often a function runs that meets a conflict.
func testConflicts(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error { return seed(tx, hansa) })
	get := func(r store.Reader) (*store.Consent, error) { return r.Consent(id(seedConsent)) }
	stale := read(t, s, get)
	// Somebody else is faster, the first time.
	runs := 0
	update(t, s, func(tx store.Tx) error {
		runs++
		if err := tx.AppendAudit(newAudit(hansa, "run", noon)); err != nil {
			return err
		}
		c, err := tx.Consent(id(seedConsent))
		if err != nil {
			return err
		}
		if runs == 1 {
			c.Version--
		}
		return tx.UpdateConsent(c)
	})
	if runs != 2 {
		t.Errorf("the function ran %d times, want 2", runs)
	}
	if trail := read(t, s,
		func(r store.Reader) ([]store.Audit, error) { return r.AuditTrail(0, many) }); len(trail) != 2 {
		t.Errorf("the trail has %d entries, want that of seed and that of the last run", len(trail))
	}
	// What was read outside the transaction stays what it is.
	runs = 0
	wantError(t, "a stale consent", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		runs++
		return tx.UpdateConsent(stale)
	}), store.ErrConflict)
	if runs < 2 || runs > 20 {
		t.Errorf("the function ran %d times, want a few", runs)
	}
	// Other errors are no reason to try again.
	for _, want := range []error{
		store.ErrExists, store.ErrNotFound, store.ErrClaimed, store.ErrClaimLost, store.ErrCursor, errUndo,
	} {
		runs = 0
		wantError(t, "Update", s.Update(t.Context(), hansa, func(store.Tx) error { runs++; return want }), want)
		if runs != 1 {
			t.Errorf("after %v the function ran %d times, want once", want, runs)
		}
	}
}

// testFailuresBesideOthers has many transactions at the same time, every third of which fails after it wrote: by its
// own error, by panic, by the end of its context. What the others wrote is there, what these wrote is not.
func testFailuresBesideOthers(t *testing.T, s *spread) {
	const writers, each = 12, 30
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			for i := range each {
				number := 1000 + n*each + i
				ctx, cancel := context.WithCancel(t.Context())
				want := []error{nil, errUndo, nil, context.Canceled, nil, errUndo}[number%6]
				func() {
					panics := number%18 == 1
					defer func() {
						if fault := recover(); (fault != nil) != panics {
							t.Errorf("recovered %v", fault)
						}
					}()
					err := s.Update(ctx, hansa, func(tx store.Tx) error {
						if err := tx.InsertCustomer(newCustomer(hansa, number, fmt.Sprint(number))); err != nil {
							return err
						}
						if panics {
							panic("boom")
						}
						if errors.Is(want, context.Canceled) {
							cancel()
							return nil
						}
						return want
					})
					wantError(t, fmt.Sprint("Update ", number), err, want)
				}()
				cancel()
				_, err := s.find(t, number)
				if want == nil {
					wantError(t, fmt.Sprint("customer ", number), err, nil)
				} else {
					wantError(t, fmt.Sprint("customer ", number), err, store.ErrNotFound)
				}
			}
		})
	}
	group.Wait()
}

// find looks for a customer by number.
func (s *spread) find(t *testing.T, n int) (found *store.Customer, err error) {
	err = s.View(t.Context(), hansa, func(r store.Reader) (err error) {
		found, err = r.Customer(id(n))
		return err
	})
	return found, err
}

// testErrorsLeaveTransactionUsable sees that after an error that the store documents, the transaction can go on and be
// committed.
func testErrorsLeaveTransactionUsable(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error { return seed(tx, hansa) })
	conflict := newConsent(hansa, seedConsent, id(seedCustomer))
	conflict.Version = 7
	update(t, s, func(tx store.Tx) error {
		if err := tx.InsertCustomer(newCustomer(hansa, 7, "reference-7")); err != nil {
			return err
		}
		for _, test := range []struct {
			what string
			err  error
			want error
		}{
			{"a customer's id is taken", tx.InsertCustomer(newCustomer(hansa, seedCustomer, "")), store.ErrExists},
			{"a reference is taken", tx.InsertCustomer(newCustomer(hansa, 8, "reference-1")), store.ErrExists},
			{"a new reference is taken", tx.UpdateCustomer(newCustomer(hansa, 7, "reference-1")), store.ErrExists},
			{
				"a consent's id is taken", tx.InsertConsent(newConsent(hansa, seedConsent, id(seedCustomer))),
				store.ErrExists,
			},
			{"a consent's customer is missing", tx.InsertConsent(newConsent(hansa, 8, id(8))), store.ErrNotFound},
			{"a consent changed", tx.UpdateConsent(conflict), store.ErrConflict},
			{
				"an event is out of turn", tx.AppendEvent(id(seedConsent), newEvent(1, 1), &consentv1.Consent{}),
				store.ErrConflict,
			},
			{"a shipment's id is taken", tx.InsertShipment(newShipment(hansa, seedShipment, "")), store.ErrExists},
			{"a shipment's customer is missing", tx.InsertShipment(newShipment(hansa, 8, id(8))), store.ErrNotFound},
			{
				"a token is taken", tx.InsertCallback(newCallback(hansa, store.CallbackShipment, "r "+hansa, "")),
				store.ErrExists,
			},
			{"a record is another's", tx.DeleteIdempotency("CreateConsent", "key-1", "owner-9"), store.ErrClaimLost},
			{"a claim is another's", tx.ReleaseUser(id(seedCustomer), finoos, "owner-9"), store.ErrClaimLost},
			{"a key is taken", tx.InsertIdempotency(newIdempotency(hansa, "CreateConsent", "key-1")), store.ErrExists},
			{"an intent's id is taken", tx.InsertIntent(newIntent(hansa, seedIntent, "")), store.ErrExists},
		} {
			wantError(t, test.what, test.err, test.want)
		}
		return tx.AppendAudit(newAudit(hansa, "after all", noon))
	})
	view(t, s, func(r store.Reader) error {
		trail, err := r.AuditTrail(0, 10)
		if err != nil || len(trail) != 2 {
			t.Errorf("the trail has %d entries (%v), want 2", len(trail), err)
		}
		_, err = r.Customer(id(7))
		wantError(t, "what was done before", err, nil)
		_, err = r.Customer(id(8))
		wantError(t, "what was refused", err, store.ErrNotFound)
		kept, err := r.Customer(id(7))
		if err != nil || kept.Resource.GetReference() != "reference-7" {
			t.Errorf("the refused change shows in the customer: %v, %v", kept, err)
		}
		return nil
	})
}

// testSnapshot sees that what a View reads does not change under it.
func testSnapshot(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(hansa, 1, "")) })
	view(t, s, func(r store.Reader) error {
		before, err := dump(r, hansa)
		if err != nil {
			return err
		}
		update(t, s, func(tx store.Tx) error {
			if err := tx.InsertConsent(newConsent(hansa, 2, id(1))); err != nil {
				return err
			}
			return tx.AppendEvent(id(2), newEvent(1, consentv1.ConsentEvent_CREATED), &consentv1.Consent{})
		})
		after, err := dump(r, hansa)
		wantEqual(t, "the state within the View", after, before)
		return err
	})
	if entries := read(t, s,
		func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries("", "", 9) }); len(entries) != 1 {
		t.Errorf("the next View sees %d entries, want 1", len(entries))
	}
}

// testLostUpdates counts in a consent and in a shipment from many sides.
func testLostUpdates(t *testing.T, s *spread) {
	consentRow, shipment := newConsent(hansa, 2, id(1)), newShipment(hansa, 3, id(1))
	consentRow.Flow = 0
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(consentRow),
			tx.InsertShipment(shipment))
	})
	const sides, times = 8, 20
	var group sync.WaitGroup
	for range sides {
		group.Go(func() {
			for done := 0; done < times; {
				err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
					c, err := tx.Consent(id(2))
					if err != nil {
						return err
					}
					c.Flow++
					if err := tx.UpdateConsent(c); err != nil {
						return err
					}
					s, err := tx.Shipment(id(3))
					if err != nil {
						return err
					}
					s.Provider += "."
					return tx.UpdateShipment(s)
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					t.Errorf("Update: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	view(t, s, func(r store.Reader) error {
		c, err := r.Consent(id(2))
		if err != nil || c.Flow != sides*times || c.Version != 1+sides*times {
			t.Errorf("flow %d, version %d (%v), want %d and one more", c.Flow, c.Version, err, sides*times)
		}
		s, err := r.Shipment(id(3))
		if err != nil || len(s.Provider) != len(finoos)+sides*times || s.Version != 1+sides*times {
			t.Errorf("%d dots, version %d (%v), want %d and one more", len(s.Provider)-len(finoos), s.Version, err,
				sides*times)
		}
		return nil
	})
}

func testContext(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error { return seed(tx, hansa) })
	before := dumpAll(t, s, hansa)
	add := func(tx store.Tx) error { return tx.AppendAudit(newAudit(hansa, "too late", noon)) }

	t.Run("canceled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantError(t, "Update", s.Update(ctx, hansa, add), context.Canceled)
		wantError(t, "View", s.View(ctx, hansa, func(store.Reader) error { return nil }), context.Canceled)
		wantError(t, "Ping", s.Ping(ctx), context.Canceled)
	})
	t.Run("canceled within an Update", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wantError(t, "Update", s.Update(ctx, hansa, func(tx store.Tx) error {
			err := add(tx)
			cancel()
			return err
		}), context.Canceled)
	})
	t.Run("canceled before a statement", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wantError(t, "Update", s.Update(ctx, hansa, func(tx store.Tx) error {
			cancel()
			return add(tx)
		}), context.Canceled)
	})
	t.Run("canceled within a View", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wantError(t, "View", s.View(ctx, hansa, func(r store.Reader) error {
			cancel()
			_, err := r.Consent(id(seedConsent))
			return err
		}), context.Canceled)
	})
	t.Run("while another changes the same", func(t *testing.T) {
		change := func(tx store.Tx) error {
			c, err := tx.Consent(id(seedConsent))
			if err != nil {
				return err
			}
			return tx.UpdateConsent(c)
		}
		err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
			if err := change(tx); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			begin := time.Now()
			result := make(chan error)
			go func() { result <- s.Update(ctx, hansa, change) }()
			wantError(t, "the second Update", <-result, context.DeadlineExceeded)
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("it took %v to give up", took)
			}
			return errUndo
		})
		wantError(t, "the first Update", err, errUndo)
	})
	wantEqual(t, "the state", dumpAll(t, s, hansa), before)
	wantError(t, "Ping", s.Ping(t.Context()), nil)
}

// testEnded uses what a transaction handed out after its end.
func testEnded(t *testing.T, s *spread) {
	var reader store.Reader
	var writer store.Tx
	view(t, s, func(r store.Reader) error { reader = r; return nil })
	update(t, s, func(tx store.Tx) error { writer = tx; return nil })
	if _, err := reader.Customers(store.Page{Size: 1}); err == nil {
		t.Error("a Reader reads after its View")
	}
	if err := writer.InsertCustomer(newCustomer(hansa, 1, "")); err == nil {
		t.Error("a Tx writes after its Update")
	}
	if found := read(t, s,
		func(r store.Reader) ([]*store.Customer, error) { return r.Customers(store.Page{Size: 1}) }); len(found) != 0 {
		t.Error("it is stored")
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if s.Update(t.Context(), hansa, func(store.Tx) error { return nil }) == nil {
		t.Error("Update works after Close")
	}
	if s.View(t.Context(), hansa, func(store.Reader) error { return nil }) == nil {
		t.Error("View works after Close")
	}
	if s.Ping(t.Context()) == nil {
		t.Error("Ping works after Close")
	}
}

// testCopies changes what was handed in and what was handed out, and sees that the store's own did not.
func testCopies(t *testing.T, s *spread) {
	c, consentRow, shipment := newCustomer(hansa, 1,
		"reference-1"), newConsent(hansa, 2, id(1)), newShipment(hansa, 3, id(1))
	key, event, after := newIdempotency(hansa, "CreateConsent",
		"key-1"), newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(consentRow, 1)
	key.Response = []byte("answer")
	var before *state
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(tx.InsertCustomer(c), tx.InsertConsent(consentRow), tx.InsertShipment(shipment),
			tx.InsertIdempotency(key),
			tx.AppendEvent(id(2), event, after))
		if err != nil {
			return err
		}
		if before, err = dump(tx, hansa); err != nil {
			return err
		}
		c.Resource.Reference, c.Reference[0], c.Users[finoos] = optional.Of("changed"), 0, "changed"
		consentRow.Resource.Reference, consentRow.Redirects.Success, consentRow.State[0],
			consentRow.Reference[0] = optional.Of("changed"), optional.Of("changed"), 'X', 0
		shipment.Resource.Address.City = "changed"
		event.Bank.DisplayName, after.Link.Uri, key.Response[0] = "changed", optional.Of("changed"), 'X'
		within, err := dump(tx, hansa)
		wantEqual(t, "after changes of what was handed in, the state", within, before)
		return err
	})
	view(t, s, func(r store.Reader) error {
		first, err := dump(r, hansa)
		if err != nil {
			return err
		}
		first.Consents[0].State[0], first.Consents[0].Reference[0], first.Customers[0].Reference[0] = 'X', 0, 0
		first.Customers[0].Resource.Reference, first.Customers[0].Users[finoos] = optional.Of("changed"), "changed"
		first.Consents[0].Resource.Reference = optional.Of("changed")
		first.Consents[0].Redirects.Success = optional.Of("changed")
		first.Shipments[0].Resource.Address.City = "changed"
		first.Events[0].Bank.DisplayName, first.ConsentEntries[0].After.Link.Uri = "changed", optional.Of("changed")
		first.ConsentEntries[0].Event.Link.URI, first.Idempotency[0].Response[0] = "changed", 'X'
		second, err := dump(r, hansa)
		wantEqual(t, "after changes of what was handed out, the state", second, before)
		return err
	})
}

// testLookBeforeInsert has many look for what is not there and then insert it: one does, and the others see it.
func testLookBeforeInsert(t *testing.T, s *spread) {
	const sides = 12
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(hansa, 1, "")) })
	for what, ensure := range map[string]func(tx store.Tx, n int) (made bool, err error){
		"record": func(tx store.Tx, _ int) (bool, error) {
			_, err := tx.Idempotency("CreateConsent", "key-1")
			if !errors.Is(err, store.ErrNotFound) {
				return false, err
			}
			return true, tx.InsertIdempotency(newIdempotency(hansa, "CreateConsent", "key-1"))
		},
		"customer's only consent": func(tx store.Tx, n int) (bool, error) {
			have, err := tx.Consents(store.ConsentFilter{CustomerID: id(1)}, store.Page{Size: many})
			if err != nil || len(have) > 0 {
				return false, err
			}
			return true, tx.InsertConsent(newConsent(hansa, 10+n, id(1)))
		},
		"webhook": func(tx store.Tx, _ int) (bool, error) {
			_, err := tx.Webhook("key")
			if !errors.Is(err, store.ErrNotFound) {
				return false, err
			}
			return true, tx.PutWebhook(&store.Webhook{Key: "key", Tenant: hansa, Provider: fimento, UpdateTime: noon})
		},
	} {
		var group sync.WaitGroup
		made := make([]bool, sides)
		for n := range sides {
			group.Go(func() {
				err := s.Update(t.Context(), hansa, func(tx store.Tx) (err error) {
					made[n], err = ensure(tx, n)
					return err
				})
				if err != nil {
					t.Errorf("the %s: %v", what, err)
				}
			})
		}
		group.Wait()
		makers := 0
		for _, made := range made {
			if made {
				makers++
			}
		}
		if makers != 1 {
			t.Errorf("the %s was made %d times", what, makers)
		}
	}
}
