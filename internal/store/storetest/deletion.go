package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

// testDeleteCustomer deletes a customer who has everything, and looks for what is left of them, and whether anything of
// others is missing.
func testDeleteCustomer(t *testing.T, s *spread) {
	const goner, neighbour = 100, 200
	live, gone, foreign := newConsent(hansa, goner+1,
		id(goner)), newConsent(hansa, goner+2, id(goner)), newConsent(hansa, neighbour+1, id(neighbour))
	shipment, other := newShipment(hansa, goner+3, id(goner)), newShipment(hansa, neighbour+3, id(neighbour))
	other.CustomerID = id(neighbour)
	records := func(r store.Reader) (found []*store.Idempotency, err error) {
		for _, key := range []string{"answer", "failure", "intent", "connection"} {
			i, err := r.Idempotency("other", key)
			if err != nil {
				return nil, err
			}
			found = append(found, i)
		}
		return found, nil
	}
	// The same ids belong to somebody else in another tenant; the neighbours are in the same one.
	for _, tenant := range []string{hansa, stranger} {
		updateOf(t, s, tenant, func(tx store.Tx) error { return seed(tx, tenant) })
	}
	update(t, s, func(tx store.Tx) error {
		if err := errors.Join(tx.InsertCustomer(newCustomer(hansa, goner, "goner")),
			tx.InsertCustomer(newCustomer(hansa, neighbour, "neighbour"))); err != nil {
			return err
		}
		for _, c := range []*store.Consent{live, gone, foreign} {
			err := errors.Join(tx.InsertConsent(c),
				tx.AppendEvent(c.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1)),
				tx.AppendEvent(c.ID, newEvent(2, consentv1.ConsentEvent_BANK_SELECTED), consentAfter(c, 2)),
				tx.InsertCallback(newCallback(hansa, store.CallbackRedirect, "redirect "+c.ID, c.ID)))
			if err != nil {
				return err
			}
		}
		err := errors.Join(tx.AppendEvent(gone.ID, newEvent(3, consentv1.ConsentEvent_DELETED), consentAfter(gone, 3)),
			deleteConsent(tx, gone.ID))
		for _, p := range []*store.Shipment{shipment, other} {
			err = errors.Join(err, tx.InsertShipment(p), tx.AppendShipment(p.ID, p.Resource),
				tx.InsertCallback(newCallback(hansa, store.CallbackShipment, "shipment "+p.ID, p.ID)))
		}
		for method, owner := range map[string]struct {
			consent *store.Consent
			number  int
		}{"goner": {live, goner}, "other": {foreign, neighbour}} {
			answer, e := proto.Marshal(&consentv1.Consent{Name: owner.consent.Resource.GetName()})
			if e != nil {
				return e
			}
			failure := []byte("about shipments/" + id(owner.number+3))
			for key, i := range map[string]*store.Idempotency{
				"answer":     {Response: answer, CustomerID: id(owner.number)},
				"failure":    {Failure: failure, CustomerID: id(owner.number)},
				"intent":     {},
				"connection": {},
			} {
				i.Tenant, i.Method, i.Key, i.Lease, i.Done = hansa, method, key, lease("owner-1"), i.CustomerID != ""
				err = errors.Join(err, tx.InsertIdempotency(i))
			}
			for n, resource := range []string{
				"customers/" + id(owner.number), "consents/" + id(owner.number+1), "consents/" + id(owner.number+2),
				"shipments/" + id(owner.number+3),
				"consents/" + id(owner.number+1) + "/connections/7",
			} {
				intent := newIntent(hansa, owner.number+10+n, resource)
				intent.CustomerID = id(owner.number)
				switch n {
				case 1:
					intent.IdempotencyMethod, intent.IdempotencyKey = method, "intent"
				case 4:
					intent.IdempotencyMethod, intent.IdempotencyKey = method, "connection"
				}
				err = errors.Join(err, tx.InsertIntent(intent))
			}
		}
		return err
	})
	others := [2]*state{dumpAll(t, s, hansa), dumpAll(t, s, stranger)}
	otherRecords := read(t, s, records)
	lastConsent := read(t, s, func(r store.Reader) (store.Cursor, error) { return r.Head(store.ConsentLog) })

	wake, cancel := s.System().Subscribe(store.ConsentLog)
	defer cancel()
	// As the service does it: the live consents are deleted, then the customer.
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(tx.AppendEvent(live.ID, newEvent(3, consentv1.ConsentEvent_DELETED), consentAfter(live, 3)),
			deleteConsent(tx, live.ID))
		if err != nil {
			return err
		}
		removed, err := tx.DeleteCustomer(id(goner), many)
		if !removed.Done {
			t.Error("the customer is not done with")
		}
		return err
	})
	select {
	case <-wake:
	case <-time.After(10 * time.Second):
		t.Error("who watches the consent is not woken")
	}

	view(t, s, func(r store.Reader) error {
		for what, find := range map[string]func() error{
			"the customer":             func() error { _, err := r.Customer(id(goner)); return err },
			"the reference":            func() error { _, err := r.CustomerByReference(lookup("goner")); return err },
			"a consent":                func() error { _, err := r.Consent(live.ID); return err },
			"the deleted consent":      func() error { _, err := r.Consent(gone.ID); return err },
			"a shipment":               func() error { _, err := r.Shipment(shipment.ID); return err },
			"the record of an answer":  func() error { _, err := r.Idempotency("goner", "answer"); return err },
			"the record of a failure":  func() error { _, err := r.Idempotency("goner", "failure"); return err },
			"the record that waits":    func() error { _, err := r.Idempotency("goner", "intent"); return err },
			"that of a connection":     func() error { _, err := r.Idempotency("goner", "connection"); return err },
			"the customer's intent":    func() error { _, err := r.Intent(id(goner + 10)); return err },
			"the consent's intent":     func() error { _, err := r.Intent(id(goner + 11)); return err },
			"the deleted one's intent": func() error { _, err := r.Intent(id(goner + 12)); return err },
			"the shipment's intent":    func() error { _, err := r.Intent(id(goner + 13)); return err },
			"the connection's intent":  func() error { _, err := r.Intent(id(goner + 14)); return err },
		} {
			wantError(t, what, find(), store.ErrNotFound)
		}
		users, err := r.CustomersByUser(finoos, []string{"user-hansa-100", "user-hansa-200"})
		wantEqual(t, "the users", users, map[string]string{"user-hansa-200": id(neighbour)})
		if err != nil {
			return err
		}
		for _, shipmentID := range []string{shipment.ID, other.ID} {
			n, err := rows(r.ShipmentEntries(shipmentID, "", 9))
			if want := map[string]int{other.ID: 1}[shipmentID]; n != want || err != nil {
				t.Errorf("shipment %s has %d entries in the log (%v), want %d", shipmentID, n, err, want)
			}
		}
		return nil
	})

	token := func(kind store.CallbackKind, name string) error {
		_, err := s.System().Callback(t.Context(), kind, hash(name))
		return err
	}
	wantError(t, "a redirect's token", token(store.CallbackRedirect, "redirect "+live.ID), store.ErrNotFound)
	wantError(t, "a deleted consent's token", token(store.CallbackRedirect, "redirect "+gone.ID), store.ErrNotFound)
	wantError(t, "a shipment's token", token(store.CallbackShipment, "shipment "+shipment.ID), store.ErrNotFound)
	wantError(t, "another consent's token", token(store.CallbackRedirect, "redirect "+foreign.ID), nil)
	wantError(t, "another shipment's token", token(store.CallbackShipment, "shipment "+other.ID), nil)

	// Those who follow the log learn of the deletion, and nothing else.
	for _, c := range []*store.Consent{live, gone} {
		entries := read(t, s,
			func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries(c.ID, "", 9) })
		if len(entries) != 1 {
			t.Fatalf("the log has %d entries of %s, want that of its deletion", len(entries), c.ID)
		}
		deleted := newEvent(3, consentv1.ConsentEvent_DELETED)
		wantEqual(t, "the entry", entries[0], store.ConsentEntry{
			Cursor: entries[0].Cursor, Tenant: hansa, ConsentID: c.ID,
			Event: consent.Event{
				Sequence: 3, Type: deleted.Type, EventTime: deleted.EventTime, ReceiveTime: deleted.ReceiveTime,
			},
			After: &consentv1.Consent{Name: "consents/" + c.ID, EventCount: 3},
		})
		text, err := json.Marshal(entries[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, detail := range []string{
			"connection-1", "fino Bank", "FINODEXX", "bank.example.com", "key-3", "code", "ran out", id(goner) + `"`,
		} {
			if strings.Contains(string(text), detail) {
				t.Errorf("the entry still has %q: %s", detail, text)
			}
		}
	}
	if last := read(t, s,
		func(r store.Reader) (store.Cursor, error) { return r.Head(store.ConsentLog) }); !last.Behind(lastConsent) {
		t.Errorf("the log's end went from %s to %s", lastConsent, last)
	}

	// Nobody else misses anything.
	without := func(s *state) *state {
		s.Customers = slices.DeleteFunc(s.Customers, func(c *store.Customer) bool { return c.ID == id(goner) })
		delete(s.ByReference, string(lookup("goner")))
		s.ByUser = nil // That of the last customer, checked above.
		s.Consents = slices.DeleteFunc(s.Consents, func(c *store.Consent) bool { return c.CustomerID == id(goner) })
		s.ConsentEntries = slices.DeleteFunc(s.ConsentEntries,
			func(e store.ConsentEntry) bool { return e.ConsentID == live.ID || e.ConsentID == gone.ID })
		s.Shipments = slices.DeleteFunc(s.Shipments, func(p *store.Shipment) bool { return p.CustomerID == id(goner) })
		s.ShipmentEntries = slices.DeleteFunc(s.ShipmentEntries,
			func(e store.ShipmentEntry) bool { return e.ShipmentID == shipment.ID })
		s.Heads = [2]store.Cursor{}
		return s
	}
	for i, tenant := range []string{hansa, stranger} {
		wantEqual(t, "what others of "+tenant+" have", without(dumpAll(t, s, tenant)), without(others[i]))
	}
	wantEqual(t, "the others' records", read(t, s, records), otherRecords)
	wantError(t, "again", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		_, err := tx.DeleteCustomer(id(goner), many)
		return err
	}), store.ErrNotFound)

	// What comes later comes behind all that watchers have seen, also when the newest entries were deleted.
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 300, "")),
			tx.InsertShipment(newShipment(hansa, 300, id(300))),
			tx.AppendShipment(id(300), &documentsv1.Shipment{}))
	})
	lastShipment := read(t, s, func(r store.Reader) (store.Cursor, error) { return r.Head(store.ShipmentLog) })
	update(t, s, func(tx store.Tx) error {
		_, err := tx.DeleteCustomer(id(300), many)
		return err
	})
	if last := read(t, s,
		func(r store.Reader) (store.Cursor, error) { return r.Head(store.ShipmentLog) }); last != lastShipment {
		t.Errorf("the log's end went from %s to %s", lastShipment, last)
	}
	update(t, s, func(tx store.Tx) error { return tx.AppendShipment(other.ID, &documentsv1.Shipment{}) })
	if n := len(read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
		return r.ShipmentEntries("", lastShipment, 9)
	})); n != 1 {
		t.Errorf("behind the former end there are %d new entries, want 1", n)
	}
}

// testDeleteCustomerInPieces deletes a customer who has much, a few rows at a time, and looks at what is there in
// between. A process that dies after any piece leaves just that.
func testDeleteCustomerInPieces(t *testing.T, s *spread) {
	const customer, consents, shipments, others, limit = 100, 7, 5, 4, 3
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(tx.InsertCustomer(newCustomer(hansa, customer, "goner")),
			tx.InsertCustomer(newCustomer(hansa, customer+50, "")))
		for n := range consents {
			c := newConsent(hansa, customer+1+n, id(customer))
			err = errors.Join(err, tx.InsertConsent(c),
				tx.AppendEvent(c.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1)))
		}
		for n := range shipments {
			err = errors.Join(err, tx.InsertShipment(newShipment(hansa, customer+20+n, id(customer))))
		}
		for n := range others {
			intent, record := newIntent(hansa, customer+30+n,
				""), newIdempotency(hansa, "CreateShipment", fmt.Sprint("key-", n))
			intent.CustomerID, record.CustomerID = id(customer), id(customer)
			err = errors.Join(err, tx.InsertIntent(intent), tx.InsertIdempotency(record))
		}
		return err
	})
	left := func() (total int) {
		view(t, s, func(r store.Reader) error {
			n1, err1 := rows(r.Consents(store.ConsentFilter{CustomerID: id(customer)}, store.Page{Size: many}))
			n2, err2 := rows(r.Shipments(store.ShipmentFilter{CustomerID: id(customer)}, store.Page{Size: many}))
			total = n1 + n2
			for n := range others {
				for _, find := range []func() error{
					func() error { _, err := r.Intent(id(customer + 30 + n)); return err },
					func() error { _, err := r.Idempotency("CreateShipment", fmt.Sprint("key-", n)); return err },
				} {
					if find() == nil {
						total++
					}
				}
			}
			return errors.Join(err1, err2)
		})
		return total
	}
	step := func(deleteConsents bool) (removed store.Removed) {
		update(t, s, func(tx store.Tx) error {
			live, err := tx.Consents(store.ConsentFilter{CustomerID: id(customer)}, store.Page{Size: limit})
			if err != nil {
				return err
			}
			for _, c := range live {
				if !deleteConsents {
					break
				}
				events, err := tx.Events(c.ID, 0, many)
				if err != nil {
					return err
				}
				last := newEvent(int64(len(events))+1, consentv1.ConsentEvent_DELETED)
				if err := errors.Join(tx.AppendEvent(c.ID, last, consentAfter(c, last.Sequence)),
					deleteConsent(tx, c.ID)); err != nil {
					return err
				}
			}
			removed, err = tx.DeleteCustomer(id(customer), limit)
			return err
		})
		return removed
	}
	steps := 0
	var total store.Removed
	for before := left(); ; steps++ {
		removed := step(true)
		now := left()
		total.Consents, total.Shipments = total.Consents+removed.Consents, total.Shipments+removed.Shipments
		if before-now > limit {
			t.Errorf("one step removed %d rows, want at most %d", before-now, limit)
		}
		err := readError(t, s, func(r store.Reader) (*store.Customer, error) { return r.Customer(id(customer)) })
		if removed.Done {
			wantError(t, "the customer in the end", err, store.ErrNotFound)
			break
		}
		wantError(t, "the customer in between", err, nil)
		if before == now && now > 0 || steps > many {
			t.Fatalf("%d rows are left and do not get fewer", now)
		}
		before = now
	}
	if n := left(); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if total.Consents != consents || total.Shipments != shipments {
		t.Errorf("%d consents and %d shipments were removed, want %d and %d", total.Consents, total.Shipments, consents,
			shipments)
	}
	if want := (consents + shipments + 2*others) / limit; steps < want {
		t.Errorf("it took %d steps, want at least %d", steps, want)
	}
	entries := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries("", "", many) })
	if len(entries) != consents {
		t.Errorf("the log has %d entries, want the %d deletions", len(entries), consents)
	}

	// A consent that was not deleted keeps its customer.
	update(t, s, func(tx store.Tx) error {
		removed, err := tx.DeleteCustomer(id(customer+50), limit)
		if !removed.Done {
			t.Error("a customer without anything is not deleted at once")
		}
		return errors.Join(err, tx.InsertCustomer(newCustomer(hansa, customer, "")),
			tx.InsertConsent(newConsent(hansa, customer+60, id(customer))))
	})
	for range 3 {
		if step(false).Done {
			t.Error("a customer with a consent that was not deleted is done with")
		}
	}
	if n := left(); n != 1 {
		t.Errorf("%d rows are left, want the consent", n)
	}
	for range 3 {
		if step(true).Done {
			return
		}
	}
	t.Error("the customer is never done with")
}
