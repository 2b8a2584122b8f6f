package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/store"
)

// openWith opens a store with a store key, closed when the test ends.
func openWith(t *testing.T, path string, text secret.String) (*Store, error) {
	t.Helper()
	key, err := keys.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, key, Options{})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// blobs reads what stands in a column, sealed.
func blobs(t *testing.T, path, query string, args ...any) (found [][]byte) {
	t.Helper()
	rows, err := raw(t, path).QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var blob []byte
		if err := rows.Scan(&blob); err != nil {
			t.Fatal(err)
		}
		if len(blob) < 28 { // a nonce and a tag
			t.Fatalf("%s finds %q, which is not sealed", query, blob)
		}
		found = append(found, blob)
	}
	if err := rows.Err(); err != nil || len(found) == 0 {
		t.Fatalf("%s finds nothing (%v)", query, err)
	}
	return found
}

// TestErasedConsentsLeaveTheFiles looks for what was sealed of a deleted consent: not even that stays.
func TestErasedConsentsLeaveTheFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	setUp(t, s, "kept", "gone")
	inUpdate(t, s, func(tx store.Tx) error {
		for _, id := range []string{"kept", "gone"} {
			c, err := tx.Consent(id)
			if err != nil {
				return err
			}
			c.State = bytes.Repeat([]byte("s"), 100)
			err = errors.Join(tx.UpdateConsent(c),
				tx.AppendEvent(id, consent.Event{Sequence: 1, Key: id}, c.Resource),
				tx.InsertIdempotency(&store.Idempotency{
					Tenant: tenant, Method: "m", Key: id, CustomerID: c.CustomerID, ConsentID: id,
					Response: []byte("answer"), Done: true,
				}))
			if err != nil {
				return err
			}
		}
		return nil
	})
	sealed := func(id string) (all [][]byte) {
		for _, query := range []string{
			"SELECT state FROM consents WHERE id = ?", "SELECT resource FROM consents WHERE id = ?",
			"SELECT event FROM consent_log WHERE consent_id = ?", "SELECT resource FROM consent_log WHERE consent_id = ?",
			"SELECT response FROM idempotency WHERE key = ?",
		} {
			all = append(all, blobs(t, path, query, id)...)
		}
		return all
	}
	gone, kept := sealed("gone"), sealed("kept")
	inUpdate(t, s, func(tx store.Tx) error {
		after := consent.Event{Sequence: 2, Type: deletedEvent}
		c, err := tx.Consent("gone")
		if err != nil {
			return err
		}
		return errors.Join(tx.AppendEvent("gone", after, c.Resource), deleteConsent(tx, "gone"))
	})
	files := filesOf(t, path)
	for i, blob := range gone {
		if bytes.Contains(files, blob) {
			t.Errorf("sealed value %d of the deleted consent is still in the files", i)
		}
	}
	for i, blob := range kept {
		if !bytes.Contains(files, blob) {
			t.Errorf("sealed value %d of the other consent is not in the files: the test proves nothing", i)
		}
	}
}

// TestErasedKeysLeaveTheFiles deletes a customer, and a shipment that has nobody.
func TestErasedKeysLeaveTheFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	inUpdate(t, s, func(tx store.Tx) error {
		return errors.Join(
			tx.InsertCustomer(&store.Customer{Tenant: tenant, ID: "gone"}),
			tx.InsertCustomer(&store.Customer{Tenant: tenant, ID: "kept"}),
			tx.InsertShipment(&store.Shipment{Tenant: tenant, ID: "letter"}))
	})
	key := func(owner string) []byte {
		return blobs(t, path, "SELECT wrapped FROM data_keys WHERE owner = ?", owner)[0]
	}
	erased, kept := [][]byte{key("gone"), key("letter")}, key("kept")
	inUpdate(t, s, func(tx store.Tx) error { return tx.DeleteShipment("letter") })
	if bytes.Contains(filesOf(t, path), erased[1]) {
		t.Error("the erased data key of a shipment is still in the files")
	}
	inUpdate(t, s, func(tx store.Tx) error {
		_, err := tx.DeleteCustomer("gone", 9)
		return err
	})
	files := filesOf(t, path)
	if bytes.Contains(files, erased[0]) {
		t.Error("the erased data key of a customer is still in the files")
	}
	if !bytes.Contains(files, kept) {
		t.Error("the other data key is not in the files: the test proves nothing")
	}
}

// TestWhatWasMovedDoesNotOpen moves sealed columns from row to row, and takes a data key away: nothing is read then,
// rather than something wrong.
func TestWhatWasMovedDoesNotOpen(t *testing.T) {
	t.Parallel()
	read := map[string]func(store.Reader) error{
		"Consent":        func(r store.Reader) error { _, err := r.Consent("a"); return err },
		"Events":         func(r store.Reader) error { _, err := r.Events("a", 0, 9); return err },
		"ConsentEntries": func(r store.Reader) error { _, err := r.ConsentEntries("a", "", 9); return err },
		"Shipment":       func(r store.Reader) error { _, err := r.Shipment("a"); return err },
		"Idempotency":    func(r store.Reader) error { _, err := r.Idempotency("m", "a"); return err },
		"Customer":       func(r store.Reader) error { _, err := r.Customer("customer"); return err },
	}
	for _, test := range []struct{ change, method string }{
		{"UPDATE consents SET state = (SELECT state FROM consents WHERE id = 'b') WHERE id = 'a'", "Consent"},
		{"UPDATE consents SET state = (SELECT resource FROM consents WHERE id = 'a') WHERE id = 'a'", "Consent"},
		{"UPDATE consents SET resource = (SELECT resource FROM consents WHERE id = 'b') WHERE id = 'a'", "Consent"},
		{"UPDATE consents SET customer_id = 'other' WHERE id = 'a'", "Consent"},
		{"UPDATE consent_log SET event = (SELECT event FROM consent_log WHERE consent_id = 'b') WHERE consent_id = 'a'",
			"Events"},
		{"UPDATE consent_log SET sequence = 2 WHERE consent_id = 'a'", "Events"},
		{"UPDATE consent_log SET resource = (SELECT resource FROM consent_log WHERE consent_id = 'b') " +
			"WHERE consent_id = 'a'", "ConsentEntries"},
		{"UPDATE shipments SET resource = (SELECT resource FROM shipments WHERE id = 'b') WHERE id = 'a'", "Shipment"},
		{"UPDATE idempotency SET response = (SELECT response FROM idempotency WHERE key = 'b') WHERE key = 'a'",
			"Idempotency"},
		{"UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE owner = 'other') " +
			"WHERE owner = 'customer'", "Customer"},
		{"DELETE FROM data_keys WHERE owner = 'customer'", "Customer"},
		{"DELETE FROM data_keys WHERE owner = 'customer'", "ConsentEntries"},
	} {
		path := filepath.Join(t.TempDir(), "kontor.db")
		s := openAt(t, path)
		setUp(t, s, "a", "b")
		inUpdate(t, s, func(tx store.Tx) error {
			err := tx.InsertCustomer(&store.Customer{Tenant: tenant, ID: "other"})
			for _, id := range []string{"a", "b"} {
				c, e := tx.Consent(id)
				if e != nil {
					return e
				}
				c.State = []byte("state of " + id)
				err = errors.Join(err, tx.UpdateConsent(c),
					tx.AppendEvent(id, consent.Event{Sequence: 1, Key: id}, c.Resource),
					tx.InsertShipment(&store.Shipment{Tenant: tenant, ID: id}),
					tx.InsertIdempotency(&store.Idempotency{
						Tenant: tenant, Method: "m", Key: id, Response: []byte("answer"), Done: true,
					}))
			}
			return err
		})
		view := func() error { return s.View(t.Context(), tenant, read[test.method]) }
		if err := view(); err != nil {
			t.Fatalf("%s before: %v", test.method, err)
		}
		if _, err := raw(t, path).ExecContext(t.Context(), test.change); err != nil {
			t.Fatal(err)
		}
		if err := view(); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("after %s, %s gives %v", test.change, test.method, err)
		}
	}
}

// TestRotation replaces the store key while other processes have the store open, and takes the old one out.
func TestRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	must := func(text secret.String, err error) secret.String {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	opened := func(text secret.String) *Store {
		t.Helper()
		s, err := openWith(t, path, text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := must(keys.New())
	before := opened(first)
	setUp(t, before, "a")
	mark := func(s *Store) string { return string(s.Keys().MAC(keys.Requests, tenant, []byte("x"))) }
	both := must(keys.Rotate(first))
	for i, text := range []secret.String{both, must(keys.Newest(both))} {
		after := opened(text)
		if mark(after) != mark(before) {
			t.Fatalf("step %d changes what is hashed", i)
		}
		// Both go on beside each other.
		for n, s := range []*Store{before, after} {
			id := fmt.Sprint(i, n)
			inUpdate(t, s, func(tx store.Tx) error {
				c := newConsent(id)
				return tx.InsertConsent(c)
			})
			for _, reader := range []*Store{before, after} {
				if err := reader.View(t.Context(), tenant, func(r store.Reader) error {
					_, err := r.Consent(id)
					return err
				}); err != nil {
					t.Errorf("step %d: what one process wrote another cannot read: %v", i, err)
				}
			}
		}
	}
	for _, text := range []secret.String{first, must(keys.New())} {
		_, err := openWith(t, path, text)
		if !errors.Is(err, keys.ErrOtherStoreKey) || !strings.Contains(err.Error(), "store_key") ||
			strings.Contains(err.Error(), text.Reveal()) {
			t.Errorf("a key that is not in the set: %v", err)
		}
	}
	r := openReadOnly(t, path)
	key, err := keys.Parse(must(keys.Newest(both)))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := r.Keys(t.Context(), key); err != nil || string(k.MAC(keys.Requests, tenant, []byte("x"))) != mark(before) {
		t.Errorf("who only reads has other keys: %v", err)
	}
	if _, err := r.Keys(t.Context(), keystest.StoreKey()); !errors.Is(err, keys.ErrOtherStoreKey) {
		t.Errorf("who only reads opens it with any key: %v", err)
	}
}

// TestNoStoreKey refuses before it makes a file.
func TestNoStoreKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	if _, err := Open(t.Context(), path, nil, Options{}); !errors.Is(err, keys.ErrNoStoreKey) {
		t.Errorf("without a store key: %v", err)
	}
	if left, err := filepath.Glob(path + "*"); len(left) > 0 || err != nil {
		t.Errorf("it left %q (%v)", left, err)
	}
}
