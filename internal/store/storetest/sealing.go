package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/store"
)

// testSealed puts a mark into everything that is personal or a key to act as somebody, and looks for it in what is
// stored. Services read it back as it was.
func testSealed(t *testing.T, s *spread) {
	const mark = "canary-"
	customer := newCustomer(hansa, 1, mark+"customer reference")
	c := newConsent(hansa, 2, id(1))
	c.State = []byte(mark + "state")
	c.Redirects.Success = optional.Of("https://app.example.com/" + mark + "redirect")
	c.Resource.Reference, c.Resource.RedirectUris = optional.Of(mark+"reference"), c.Redirects
	c.Resource.Link = &typev1.Link{Uri: optional.Of("https://bank.example.com/" + mark + "link")}
	event := newEvent(1, consentv1.ConsentEvent_CREATED)
	event.Link = &consent.Link{URI: "https://bank.example.com/" + mark + "event"}
	event.Description = mark + "description"
	shipments := []*store.Shipment{newShipment(hansa, 3, id(1)), newShipment(hansa, 4, "")}
	for _, p := range shipments {
		p.Resource.Recipient, p.Resource.Subject = mark+"recipient", mark+"subject"
		p.Resource.Address = &documentsv1.Shipment_Address{Street: optional.Of(mark + "street")}
	}
	records := []*store.Idempotency{
		newIdempotency(hansa, "CreateConsent", "key-1"), newIdempotency(hansa, "CreatePartnerBank", "key-1"),
	}
	records[0].CustomerID = id(1)
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(tx.InsertCustomer(customer), tx.InsertConsent(c), tx.AppendEvent(c.ID, event, c.Resource))
		for _, p := range shipments {
			err = errors.Join(err, tx.InsertShipment(p), tx.AppendShipment(p.ID, p.Resource))
		}
		for _, record := range records {
			err = errors.Join(err, tx.InsertIdempotency(record))
			record.Response, record.Done = []byte(mark+"answer"), true
			err = errors.Join(err, tx.CompleteIdempotency(record))
		}
		return err
	})
	// Changes write everything anew.
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(tx.UpdateCustomer(customer), tx.UpdateConsent(c))
		for _, p := range shipments {
			err = errors.Join(err, tx.UpdateShipment(p))
		}
		return err
	})
	stored := s.stored()
	if !bytes.Contains(stored, []byte(c.ProviderRef)) {
		t.Fatal("what is stored does not hold the consent: the test proves nothing")
	}
	for at := bytes.Index(stored, []byte(mark)); at >= 0; at = bytes.Index(stored, []byte(mark)) {
		t.Errorf("in clear text: %q", stored[at:min(at+30, len(stored))])
		stored = stored[at+len(mark):]
	}

	view(t, s, func(r store.Reader) error {
		foundCustomer, err1 := r.Customer(id(1))
		foundConsent, err2 := r.Consent(c.ID)
		wantEqual(t, "the customer", foundCustomer, customer)
		wantEqual(t, "the consent", foundConsent, c)
		entries, err3 := r.ConsentEntries(c.ID, "", 9)
		wantEqual(t, "the log", entries, []store.ConsentEntry{{
			Cursor: entries[0].Cursor, Tenant: hansa, ConsentID: c.ID, Event: event, After: c.Resource,
		}})
		err := errors.Join(err1, err2, err3)
		for _, want := range shipments {
			got, err1 := r.Shipment(want.ID)
			wantEqual(t, "the shipment", got, want)
			entries, err2 := r.ShipmentEntries(want.ID, "", 9)
			wantEqual(t, "its log", entries[0].After, want.Resource)
			err = errors.Join(err, err1, err2)
		}
		for _, want := range records {
			got, err1 := r.Idempotency(want.Method, want.Key)
			wantEqual(t, "the record", got, want)
			err = errors.Join(err, err1)
		}
		return err
	})
}

// testSameKeys compares the working keys of all who have the database open: names and lookups must not depend on who
// makes them.
func testSameKeys(t *testing.T, s *spread) {
	want := s.stores[0].Keys().MAC(keys.Names, hansa, []byte("x"))
	for n, other := range s.stores {
		if !bytes.Equal(other.Keys().MAC(keys.Names, hansa, []byte("x")), want) {
			t.Errorf("store %d has working keys of its own", n)
		}
	}
}

// testDeleteConsentErases deletes a consent beside another of the same customer, and looks for what is left.
func testDeleteConsentErases(t *testing.T, s *spread) {
	gone, kept := newConsent(hansa, 2, id(1)), newConsent(hansa, 3, id(1))
	records := func(key string, c *store.Consent) []*store.Idempotency {
		answered, failed := newIdempotency(hansa, "CreateConsent", key), newIdempotency(hansa, "AddBank", key)
		answered.Response, failed.Failure = []byte("answer"), []byte("failure")
		for _, i := range []*store.Idempotency{answered, failed} {
			i.CustomerID, i.ConsentID, i.Done = id(1), c.ID, true
		}
		return []*store.Idempotency{answered, failed}
	}
	update(t, s, func(tx store.Tx) error {
		err := tx.InsertCustomer(newCustomer(hansa, 1, ""))
		for key, c := range map[string]*store.Consent{"gone": gone, "kept": kept} {
			err = errors.Join(err, tx.InsertConsent(c),
				tx.AppendEvent(c.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1)),
				tx.InsertCallback(newCallback(hansa, store.CallbackRedirect, key, c.ID)))
			for _, record := range records(key, c) {
				err = errors.Join(err, tx.InsertIdempotency(newIdempotency(hansa, record.Method, record.Key)),
					tx.CompleteIdempotency(record))
			}
		}
		open := newIdempotency(hansa, "CreateConsent", "open") // of nobody's consent yet
		return errors.Join(err, tx.InsertIdempotency(open))
	})
	update(t, s, func(tx store.Tx) error {
		return errors.Join(
			tx.AppendEvent(gone.ID, newEvent(2, consentv1.ConsentEvent_DELETED), consentAfter(gone, 2)),
			deleteConsent(tx, gone.ID))
	})
	view(t, s, func(r store.Reader) error {
		for key, c := range map[string]*store.Consent{"gone": gone, "kept": kept} {
			for _, want := range records(key, c) {
				if key == "gone" {
					want.Erased, want.Response, want.Failure = true, nil, nil
				}
				got, err := r.Idempotency(want.Method, want.Key)
				if err != nil {
					return err
				}
				wantEqual(t, fmt.Sprint("a record of the consent that is ", key), got, want)
			}
		}
		open, err := r.Idempotency("CreateConsent", "open")
		if err != nil || open.Erased {
			t.Errorf("a request that has no answer yet: %v, %v", open, err)
		}
		entries, err := r.ConsentEntries(gone.ID, "", 9)
		deleted := newEvent(2, consentv1.ConsentEvent_DELETED)
		wantEqual(t, "the log of the consent that is gone", entries, []store.ConsentEntry{{
			Cursor: entries[0].Cursor, Tenant: hansa, ConsentID: gone.ID,
			Event: consent.Event{
				Sequence: 2, Type: deleted.Type, EventTime: deleted.EventTime, ReceiveTime: deleted.ReceiveTime,
			},
			After: &consentv1.Consent{Name: "consents/" + gone.ID, EventCount: 2},
		}})
		found, err2 := r.Consent(kept.ID)
		wantEqual(t, "the other consent", found, kept)
		n, err3 := rows(r.ConsentEntries(kept.ID, "", 9))
		if n != 1 {
			t.Errorf("the other consent has %d entries", n)
		}
		return errors.Join(err, err2, err3)
	})
	find := func(token string) error {
		_, err := s.System().Callback(t.Context(), store.CallbackRedirect, hash(token))
		return err
	}
	wantError(t, "its token", find("gone"), store.ErrNotFound)
	wantError(t, "the other's token", find("kept"), nil)
}

// testAnswersOfTheGone completes a record for a customer who is gone meanwhile.
func testAnswersOfTheGone(t *testing.T, s *spread) {
	record := newIdempotency(hansa, "CreateConsent", "key-1")
	update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(record) })
	record.CustomerID, record.Response = id(9), []byte("answer")
	wantError(t, "an answer about nobody who is there", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.CompleteIdempotency(record)
	}), store.ErrClaimLost)
}

// testReplacedWebhooks registers an address in the place of another one.
func testReplacedWebhooks(t *testing.T, s *spread) {
	webhook := func(tenant, key, provider string, registered bool) *store.Webhook {
		return &store.Webhook{
			Key: key, Tenant: tenant, Provider: provider, Registered: registered, UpdateTime: noon,
		}
	}
	token := func(tenant, token, key string) *store.Callback {
		c := newCallback(tenant, store.CallbackWebhook, token, key)
		c.ExpireTime = time.Time{}
		return c
	}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(
			tx.PutWebhook(webhook(hansa, "old", fimento, true)), tx.InsertCallback(token(hansa, "old", "old")),
			tx.PutWebhook(webhook(hansa, "other", finoos, true)), tx.InsertCallback(token(hansa, "other", "other")),
			tx.PutWebhook(webhook(hansa, "new", fimento, false)), tx.InsertCallback(token(hansa, "new", "new")))
	})
	updateOf(t, s, stranger, func(tx store.Tx) error {
		return errors.Join(tx.PutWebhook(webhook(stranger, "old", fimento, true)),
			tx.InsertCallback(token(stranger, "stranger's", "old")))
	})
	want := func(when string, left map[string]bool) {
		t.Helper()
		for name, there := range left {
			var want error
			if !there {
				want = store.ErrNotFound
			}
			_, err := s.System().Callback(t.Context(), store.CallbackWebhook, hash(name))
			wantError(t, when+", the token "+name, err, want)
			if name != "stranger's" {
				wantError(t, when+", the registration "+name,
					readError(t, s, func(r store.Reader) (*store.Webhook, error) { return r.Webhook(name) }), want)
			}
		}
	}
	all := map[string]bool{"old": true, "new": true, "other": true, "stranger's": true}
	want("while the new one is not registered yet", all)
	update(t, s, func(tx store.Tx) error { return tx.PutWebhook(webhook(hansa, "new", fimento, true)) })
	all["old"] = false
	want("once it is", all)
}
