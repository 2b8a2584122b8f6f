package storetest

import (
	"encoding/json"
	"errors"
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

// testDeleteCustomer deletes a customer who has everything, and looks for what is left of them, and whether anything of others is missing.
func testDeleteCustomer(t *testing.T, s store.Store) {
	const goner, neighbour = 100, 200
	live, gone, foreign := newConsent(hansa, goner+1, id(goner)), newConsent(hansa, goner+2, id(goner)), newConsent(hansa, neighbour+1, id(neighbour))
	shipment, other := newShipment(hansa, goner+3, id(goner)), newShipment(hansa, neighbour+3, id(neighbour))
	other.CustomerID = id(neighbour)
	var others [2]*state
	var otherRecords []*store.Idempotency
	records := func(r store.Reader) (found []*store.Idempotency, err error) {
		for _, key := range []string{"answer", "failure", "intent", "connection"} {
			i, err := r.Idempotency(hansa, "other", key)
			if err != nil {
				return nil, err
			}
			found = append(found, i)
		}
		return found, nil
	}
	update(t, s, func(tx store.Tx) error {
		// The same ids belong to somebody else in another tenant; the neighbours are in the same one.
		for _, tenant := range []string{hansa, stranger} {
			if err := seed(tx, tenant); err != nil {
				return err
			}
		}
		if err := errors.Join(tx.InsertCustomer(newCustomer(hansa, goner, "goner")), tx.InsertCustomer(newCustomer(hansa, neighbour, "neighbour"))); err != nil {
			return err
		}
		for _, c := range []*store.Consent{live, gone, foreign} {
			err := errors.Join(tx.InsertConsent(c), tx.AppendEvent(hansa, c.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1)),
				tx.AppendEvent(hansa, c.ID, newEvent(2, consentv1.ConsentEvent_BANK_SELECTED), consentAfter(c, 2)),
				tx.InsertCallback(newCallback(hansa, store.CallbackRedirect, "redirect "+c.ID, c.ID)))
			if err != nil {
				return err
			}
		}
		err := errors.Join(tx.AppendEvent(hansa, gone.ID, newEvent(3, consentv1.ConsentEvent_DELETED), consentAfter(gone, 3)), tx.DeleteConsent(hansa, gone.ID))
		for _, p := range []*store.Shipment{shipment, other} {
			err = errors.Join(err, tx.InsertShipment(p), tx.AppendShipment(hansa, p.ID, p.Resource),
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
				"answer":     {Response: answer},
				"failure":    {Failure: failure},
				"intent":     {},
				"connection": {},
			} {
				i.Tenant, i.Method, i.Key, i.Operation, i.Done = hansa, method, key, "operation-1", i.Response != nil || i.Failure != nil
				err = errors.Join(err, tx.InsertIdempotency(i))
			}
			for n, resource := range []string{
				"customers/" + id(owner.number), "consents/" + id(owner.number+1), "consents/" + id(owner.number+2), "shipments/" + id(owner.number+3),
				"consents/" + id(owner.number+1) + "/connections/7",
			} {
				intent := newIntent(hansa, owner.number+10+n, resource)
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
	view(t, s, func(r store.Reader) (err error) {
		if others[0], err = dump(r, hansa); err != nil {
			return err
		}
		if others[1], err = dump(r, stranger); err != nil {
			return err
		}
		otherRecords, err = records(r)
		return err
	})
	lastConsent := read(t, s, func(r store.Reader) (int64, error) { return r.LastPosition(store.ConsentLog) })

	wake, cancel := s.Subscribe(store.Topic{Tenant: hansa, Log: store.ConsentLog, ID: live.ID})
	defer cancel()
	// As the service does it: the live consents are deleted, then the customer.
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.AppendEvent(hansa, live.ID, newEvent(3, consentv1.ConsentEvent_DELETED), consentAfter(live, 3)),
			tx.DeleteConsent(hansa, live.ID), tx.DeleteCustomer(hansa, id(goner)))
	})
	select {
	case <-wake:
	case <-time.After(10 * time.Second):
		t.Error("who watches the consent is not woken")
	}

	view(t, s, func(r store.Reader) error {
		for what, find := range map[string]func() error{
			"the customer":              func() error { _, err := r.Customer(hansa, id(goner)); return err },
			"the reference":             func() error { _, err := r.CustomerByReference(hansa, "goner"); return err },
			"a consent":                 func() error { _, err := r.Consent(hansa, live.ID); return err },
			"the deleted consent":       func() error { _, err := r.Consent(hansa, gone.ID); return err },
			"a shipment":                func() error { _, err := r.Shipment(hansa, shipment.ID); return err },
			"a redirect's token":        func() error { _, err := r.Callback(store.CallbackRedirect, hash("redirect "+live.ID)); return err },
			"a deleted consent's token": func() error { _, err := r.Callback(store.CallbackRedirect, hash("redirect "+gone.ID)); return err },
			"a shipment's token":        func() error { _, err := r.Callback(store.CallbackShipment, hash("shipment "+shipment.ID)); return err },
			"the record of an answer":   func() error { _, err := r.Idempotency(hansa, "goner", "answer"); return err },
			"the record of a failure":   func() error { _, err := r.Idempotency(hansa, "goner", "failure"); return err },
			"the record that waits":     func() error { _, err := r.Idempotency(hansa, "goner", "intent"); return err },
			"that of a connection":      func() error { _, err := r.Idempotency(hansa, "goner", "connection"); return err },
			"the customer's intent":     func() error { _, err := r.Intent(hansa, id(goner+10)); return err },
			"the consent's intent":      func() error { _, err := r.Intent(hansa, id(goner+11)); return err },
			"the deleted one's intent":  func() error { _, err := r.Intent(hansa, id(goner+12)); return err },
			"the shipment's intent":     func() error { _, err := r.Intent(hansa, id(goner+13)); return err },
			"the connection's intent":   func() error { _, err := r.Intent(hansa, id(goner+14)); return err },
		} {
			wantError(t, what, find(), store.ErrNotFound)
		}
		users, err := r.CustomersByUser(hansa, finoos, []string{"user-hansa-100", "user-hansa-200"})
		wantEqual(t, "the users", users, map[string]string{"user-hansa-200": id(neighbour)})
		if err != nil {
			return err
		}
		for _, shipmentID := range []string{shipment.ID, other.ID} {
			n, err := rows(r.ShipmentEntries(hansa, shipmentID, 0, 9))
			if want := map[string]int{other.ID: 1}[shipmentID]; n != want || err != nil {
				t.Errorf("shipment %s has %d entries in the log (%v), want %d", shipmentID, n, err, want)
			}
		}
		return nil
	})

	// Those who follow the log learn of the deletion, and nothing else.
	for _, c := range []*store.Consent{live, gone} {
		entries := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries(hansa, c.ID, 0, 9) })
		if len(entries) != 1 {
			t.Fatalf("the log has %d entries of %s, want that of its deletion", len(entries), c.ID)
		}
		deleted := newEvent(3, consentv1.ConsentEvent_DELETED)
		wantEqual(t, "the entry", entries[0], store.ConsentEntry{
			Position: entries[0].Position, Tenant: hansa, ConsentID: c.ID,
			Event: consent.Event{Sequence: 3, Type: deleted.Type, EventTime: deleted.EventTime, ReceiveTime: deleted.ReceiveTime},
			After: &consentv1.Consent{Name: "consents/" + c.ID},
		})
		text, err := json.Marshal(entries[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, detail := range []string{"connection-1", "fino Bank", "FINODEXX", "bank.example.com", "key-3", "code", "ran out", id(goner) + `"`} {
			if strings.Contains(string(text), detail) {
				t.Errorf("the entry still has %q: %s", detail, text)
			}
		}
	}
	if last := read(t, s, func(r store.Reader) (int64, error) { return r.LastPosition(store.ConsentLog) }); last <= lastConsent {
		t.Errorf("the last position went from %d to %d", lastConsent, last)
	}

	// Nobody else misses anything.
	without := func(s *state) *state {
		s.Customers = slices.DeleteFunc(s.Customers, func(c *store.Customer) bool { return c.ID == id(goner) })
		delete(s.ByReference, "goner")
		s.ByUser = nil // That of the last customer, checked above.
		s.Consents = slices.DeleteFunc(s.Consents, func(c *store.Consent) bool { return c.CustomerID == id(goner) })
		s.Due = slices.DeleteFunc(s.Due, func(c *store.Consent) bool { return c.CustomerID == id(goner) })
		s.ConsentEntries = slices.DeleteFunc(s.ConsentEntries, func(e store.ConsentEntry) bool { return e.ConsentID == live.ID || e.ConsentID == gone.ID })
		s.Shipments = slices.DeleteFunc(s.Shipments, func(p *store.Shipment) bool { return p.CustomerID == id(goner) })
		s.ShipmentEntries = slices.DeleteFunc(s.ShipmentEntries, func(e store.ShipmentEntry) bool { return e.ShipmentID == shipment.ID })
		s.OpenIntents = slices.DeleteFunc(s.OpenIntents, func(i *store.Intent) bool { return i.Tenant == hansa && i.ID >= id(goner) && i.ID < id(neighbour) })
		s.LastPositions = [2]int64{}
		return s
	}
	view(t, s, func(r store.Reader) error {
		for i, tenant := range []string{hansa, stranger} {
			after, err := dump(r, tenant)
			if err != nil {
				return err
			}
			wantEqual(t, "what others of "+tenant+" have", without(after), without(others[i]))
		}
		after, err := records(r)
		wantEqual(t, "the others' records", after, otherRecords)
		_, err2 := r.Callback(store.CallbackRedirect, hash("redirect "+foreign.ID))
		_, err3 := r.Callback(store.CallbackShipment, hash("shipment "+other.ID))
		return errors.Join(err, err2, err3)
	})
	wantError(t, "again", s.Update(t.Context(), func(tx store.Tx) error { return tx.DeleteCustomer(hansa, id(goner)) }), store.ErrNotFound)

	// What comes later comes behind all that watchers have seen, also when the newest entries were deleted.
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 300, "")), tx.InsertShipment(newShipment(hansa, 300, id(300))),
			tx.AppendShipment(hansa, id(300), &documentsv1.Shipment{}))
	})
	lastShipment := read(t, s, func(r store.Reader) (int64, error) { return r.LastPosition(store.ShipmentLog) })
	update(t, s, func(tx store.Tx) error { return tx.DeleteCustomer(hansa, id(300)) })
	if last := read(t, s, func(r store.Reader) (int64, error) { return r.LastPosition(store.ShipmentLog) }); last < lastShipment {
		t.Errorf("the last position went back from %d to %d", lastShipment, last)
	}
	update(t, s, func(tx store.Tx) error { return tx.AppendShipment(hansa, other.ID, &documentsv1.Shipment{}) })
	if n := len(read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
		return r.ShipmentEntries(hansa, "", lastShipment, 9)
	})); n != 1 {
		t.Errorf("behind the former last position there are %d new entries, want 1", n)
	}
}
