package storetest

import (
	"reflect"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

// acrossTenants is the reason why a method needs no tenant.
const (
	bySecret  = "whoever knows the token's or the registration's hash speaks for its tenant"
	forKontor = "Kontor's own upkeep works on all tenants"
)

// write is a call of one of Tx's methods.
type write struct {
	method string
	// do makes the call as a tenant, on the rows that seed gave the tenant hansa. It succeeds, and changes the state, when hansa makes it.
	do func(tx store.Tx, tenant string) error
	// foreign is the error when another tenant makes it, who has a customer of their own with the id 9 and nothing else.
	foreign error
	// exempt says why the method has no tenant.
	exempt string
}

// writes has one call of every method that writes.
var writes = []write{
	{method: "InsertCustomer", do: func(tx store.Tx, tenant string) error {
		return tx.InsertCustomer(newCustomer(tenant, 7, "reference-7"))
	}},
	{method: "UpdateCustomer", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.UpdateCustomer(newCustomer(tenant, seedCustomer, "other"))
	}},
	{method: "DeleteCustomer", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.DeleteCustomer(tenant, id(seedCustomer))
	}},
	{method: "InsertConsent", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.InsertConsent(newConsent(tenant, 7, id(seedCustomer)))
	}},
	{method: "UpdateConsent", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		c := newConsent(tenant, seedConsent, id(seedCustomer))
		c.Version, c.Flow = 1, 9
		return tx.UpdateConsent(c)
	}},
	{method: "DeleteConsent", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.DeleteConsent(tenant, id(seedConsent))
	}},
	{method: "AppendEvent", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.AppendEvent(tenant, id(seedConsent), newEvent(2, consentv1.ConsentEvent_APPROVED), &consentv1.Consent{})
	}},
	{method: "InsertShipment", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.InsertShipment(newShipment(tenant, 7, id(seedCustomer)))
	}},
	{method: "UpdateShipment", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		s := newShipment(tenant, seedShipment, "")
		s.Version = 1
		return tx.UpdateShipment(s)
	}},
	{method: "DeleteShipment", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.DeleteShipment(tenant, id(seedShipment))
	}},
	{method: "AppendShipment", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.AppendShipment(tenant, id(seedShipment), newShipment(tenant, seedShipment, "").Resource)
	}},
	{method: "InsertCallback", do: func(tx store.Tx, tenant string) error {
		return tx.InsertCallback(newCallback(tenant, store.CallbackRedirect, "new", id(seedConsent)))
	}},
	{method: "DeleteCallbacksBefore", exempt: forKontor, do: func(tx store.Tx, _ string) error {
		_, err := tx.DeleteCallbacksBefore(noon.AddDate(1, 0, 0))
		return err
	}},
	{method: "InsertIdempotency", do: func(tx store.Tx, tenant string) error {
		return tx.InsertIdempotency(newIdempotency(tenant, "CreateConsent", "key-2"))
	}},
	{method: "CompleteIdempotency", foreign: store.ErrConflict, do: func(tx store.Tx, tenant string) error {
		i := newIdempotency(tenant, "CreateConsent", "key-1")
		i.Response = []byte("answer")
		return tx.CompleteIdempotency(i)
	}},
	{method: "DeleteIdempotency", do: func(tx store.Tx, tenant string) error {
		return tx.DeleteIdempotency(tenant, "CreateConsent", "key-1")
	}},
	{method: "DeleteIdempotencyBefore", exempt: forKontor, do: func(tx store.Tx, _ string) error {
		_, err := tx.DeleteIdempotencyBefore(noon.AddDate(1, 0, 0))
		return err
	}},
	{method: "ReleaseIdempotency", exempt: forKontor, do: func(tx store.Tx, _ string) error {
		return tx.ReleaseIdempotency()
	}},
	{method: "InsertIntent", do: func(tx store.Tx, tenant string) error {
		return tx.InsertIntent(newIntent(tenant, 7, "consents/"+id(seedConsent)))
	}},
	{method: "UpdateIntent", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.UpdateIntent(tenant, id(seedIntent), store.IntentDone, noon.Add(time.Minute))
	}},
	{method: "DeleteIntentsBefore", exempt: forKontor, do: func(tx store.Tx, tenant string) error {
		if err := tx.UpdateIntent(tenant, id(seedIntent), store.IntentDone, noon); err != nil {
			return err
		}
		_, err := tx.DeleteIntentsBefore(noon.AddDate(1, 0, 0))
		return err
	}},
	{method: "PutWebhook", exempt: bySecret, do: func(tx store.Tx, tenant string) error {
		return tx.PutWebhook(&store.Webhook{Key: "webhook " + tenant, Tenant: tenant, Provider: fimento, Registered: true, UpdateTime: noon})
	}},
	{method: "AppendAudit", do: func(tx store.Tx, tenant string) error {
		return tx.AppendAudit(newAudit(tenant, "RevokeConsent", noon))
	}},
	{method: "DeleteAuditBefore", exempt: forKontor, do: func(tx store.Tx, _ string) error {
		_, err := tx.DeleteAuditBefore(noon.AddDate(1, 0, 0))
		return err
	}},
}

// lookup is a call of one of Reader's methods.
type lookup struct {
	method string
	// find looks, as a tenant, for a row that seed gave the tenant hansa, and returns how many it found.
	find func(r store.Reader, tenant string) (int, error)
	// list says that the method returns a list, empty where others answer ErrNotFound.
	list bool
	// exempt says why the method has no tenant.
	exempt string
}

// row counts what a method that returns one row found.
func row[T any](_ T, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// rows counts what a method that returns a list found.
func rows[T any](found []T, err error) (int, error) { return len(found), err }

// lookups has one call of every method that reads.
var lookups = []lookup{
	{method: "Customer", find: func(r store.Reader, tenant string) (int, error) { return row(r.Customer(tenant, id(seedCustomer))) }},
	{method: "CustomerByReference", find: func(r store.Reader, tenant string) (int, error) {
		return row(r.CustomerByReference(tenant, "reference-1"))
	}},
	{method: "CustomersByUser", list: true, find: func(r store.Reader, tenant string) (int, error) {
		found, err := r.CustomersByUser(tenant, finoos, []string{"user-hansa-1"})
		return len(found), err
	}},
	{method: "Customers", list: true, find: func(r store.Reader, tenant string) (int, error) {
		return rows(r.Customers(tenant, store.Page{Size: 10}))
	}},
	{method: "Consent", find: func(r store.Reader, tenant string) (int, error) { return row(r.Consent(tenant, id(seedConsent))) }},
	{method: "Consents", list: true, find: func(r store.Reader, tenant string) (int, error) {
		return rows(r.Consents(tenant, store.ConsentFilter{}, store.Page{Size: 10}))
	}},
	{method: "ConsentsByProviderRef", list: true, find: func(r store.Reader, tenant string) (int, error) {
		return rows(r.ConsentsByProviderRef(tenant, fimento, []string{"process-2"}))
	}},
	{method: "DueConsents", exempt: forKontor},
	{method: "Events", list: true, find: func(r store.Reader, tenant string) (int, error) {
		return rows(r.Events(tenant, id(seedConsent), 0, 10))
	}},
	{method: "ConsentEntries", list: true, find: func(r store.Reader, tenant string) (int, error) {
		all, err := rows(r.ConsentEntries(tenant, "", 0, 10))
		if err != nil {
			return 0, err
		}
		one, err := rows(r.ConsentEntries(tenant, id(seedConsent), 0, 10))
		return all + one, err
	}},
	{method: "ShipmentEntries", list: true, find: func(r store.Reader, tenant string) (int, error) {
		all, err := rows(r.ShipmentEntries(tenant, "", 0, 10))
		if err != nil {
			return 0, err
		}
		one, err := rows(r.ShipmentEntries(tenant, id(seedShipment), 0, 10))
		return all + one, err
	}},
	{method: "LastPosition", exempt: "positions number the entries of all tenants, and tell only how many there are"},
	{method: "Shipment", find: func(r store.Reader, tenant string) (int, error) { return row(r.Shipment(tenant, id(seedShipment))) }},
	{method: "Shipments", list: true, find: func(r store.Reader, tenant string) (int, error) {
		return rows(r.Shipments(tenant, store.ShipmentFilter{}, store.Page{Size: 10}))
	}},
	{method: "Callback", exempt: bySecret},
	{method: "Idempotency", find: func(r store.Reader, tenant string) (int, error) {
		return row(r.Idempotency(tenant, "CreateConsent", "key-1"))
	}},
	{method: "OpenIntents", exempt: forKontor},
	{method: "Intent", find: func(r store.Reader, tenant string) (int, error) { return row(r.Intent(tenant, id(seedIntent))) }},
	{method: "Webhook", exempt: bySecret},
	{method: "AuditTrail", list: true, find: func(r store.Reader, tenant string) (int, error) { return rows(r.AuditTrail(tenant, 0, 10)) }},
}

// testIsolation calls every method as a tenant who owns nothing of what is asked for.
func testIsolation(t *testing.T, s store.Store) {
	var before *state
	update(t, s, func(tx store.Tx) (err error) {
		if err := seed(tx, hansa); err != nil {
			return err
		}
		before, err = dump(tx, hansa)
		return err
	})

	t.Run("every method is covered", func(t *testing.T) {
		covered := map[string]bool{}
		for _, l := range lookups {
			covered[l.method] = true
		}
		for _, w := range writes {
			covered[w.method] = true
		}
		methods := reflect.TypeFor[store.Tx]()
		for i := range methods.NumMethod() {
			if name := methods.Method(i).Name; !covered[name] {
				t.Errorf("no call of %s: add one to lookups or writes", name)
			}
			delete(covered, methods.Method(i).Name)
		}
		for name := range covered {
			t.Errorf("there is no method %s", name)
		}
	})

	for _, l := range lookups {
		if l.exempt != "" {
			continue
		}
		t.Run(l.method, func(t *testing.T) {
			if n, err := countRows(t, s, l, hansa); n == 0 || err != nil {
				t.Errorf("the owner finds %d, error %v", n, err)
			}
			n, err := countRows(t, s, l, stranger)
			if n != 0 {
				t.Errorf("another tenant finds %d", n)
			}
			want := store.ErrNotFound
			if l.list {
				want = nil
			}
			wantError(t, "another tenant", err, want)
		})
	}

	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(stranger, 9, "reference-1")) })
	for _, w := range writes {
		if w.exempt != "" {
			continue
		}
		t.Run(w.method, func(t *testing.T) {
			err := s.Update(t.Context(), func(tx store.Tx) error {
				wantError(t, "another tenant", w.do(tx, stranger), w.foreign)
				after, err := dump(tx, hansa)
				if err != nil {
					return err
				}
				after.LastPositions = before.LastPositions
				wantEqual(t, "the owner's state", after, before)
				return errUndo
			})
			wantError(t, "Update", err, errUndo)
		})
	}
}

func countRows(t *testing.T, s store.Store, l lookup, tenant string) (n int, err error) {
	t.Helper()
	err = s.View(t.Context(), func(r store.Reader) (err error) {
		n, err = l.find(r, tenant)
		return err
	})
	return n, err
}
