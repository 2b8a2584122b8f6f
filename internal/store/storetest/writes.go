package storetest

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

// write is a call of one of Tx's methods.
type write struct {
	method string
	// do makes the call on the rows that seed gave the tenant hansa; rows that it makes are a tenant's. In a
	// transaction of hansa it succeeds, and changes the state, when the tenant is hansa.
	do func(tx store.Tx, tenant string) error
	// foreign is the error in a transaction of another tenant, who has a customer of their own with the id 9 and
	// nothing else.
	foreign error
	// row says that the method takes a row, which names its tenant.
	row bool
	// unseen says that no method of Reader shows the change; another test does.
	unseen bool
}

// writes has one call of every method that writes.
var writes = []write{
	{method: "InsertCustomer", row: true, do: func(tx store.Tx, tenant string) error {
		return tx.InsertCustomer(newCustomer(tenant, 7, "reference-7"))
	}},
	{method: "UpdateCustomer", row: true, foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.UpdateCustomer(newCustomer(tenant, seedCustomer, "other"))
	}},
	{method: "DeleteCustomer", foreign: store.ErrNotFound, do: func(tx store.Tx, _ string) error {
		_, err := tx.DeleteCustomer(id(seedCustomer), many)
		return err
	}},
	{method: "PutReceipt", row: true, do: func(tx store.Tx, tenant string) error {
		return tx.PutReceipt(newReceipt(tenant, "customers/other"))
	}},
	{method: "ClaimUser", foreign: store.ErrNotFound, unseen: true, do: func(tx store.Tx, _ string) error {
		return tx.ClaimUser(id(seedCustomer), fimento, noon, lease("owner-2"))
	}},
	{method: "ReleaseUser", foreign: store.ErrClaimLost, unseen: true, do: func(tx store.Tx, _ string) error {
		return tx.ReleaseUser(id(seedCustomer), finoos, "owner-1")
	}},
	{method: "InsertConsent", row: true, foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.InsertConsent(newConsent(tenant, 7, id(seedCustomer)))
	}},
	{method: "UpdateConsent", row: true, foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		c := newConsent(tenant, seedConsent, id(seedCustomer))
		c.Version, c.Flow = 1, 9
		return tx.UpdateConsent(c)
	}},
	{method: "DeleteConsent", foreign: store.ErrNotFound, do: func(tx store.Tx, _ string) error {
		return deleteConsent(tx, id(seedConsent))
	}},
	{method: "ClaimFlow", foreign: store.ErrNotFound, unseen: true, do: func(tx store.Tx, _ string) error {
		return tx.ClaimFlow(id(seedConsent), noon.Add(time.Hour), lease("owner-2"))
	}},
	{method: "ReleaseFlow", foreign: store.ErrClaimLost, unseen: true, do: func(tx store.Tx, _ string) error {
		return tx.ReleaseFlow(id(seedConsent), "owner-1")
	}},
	{method: "PauseProvider", unseen: true, do: func(tx store.Tx, _ string) error {
		return tx.PauseProvider(fimento, noon.Add(time.Hour))
	}},
	{method: "AppendEvent", foreign: store.ErrNotFound, do: func(tx store.Tx, _ string) error {
		return tx.AppendEvent(id(seedConsent), newEvent(2, consentv1.ConsentEvent_APPROVED), &consentv1.Consent{})
	}},
	{method: "SettleEvents", unseen: true, do: func(tx store.Tx, _ string) error {
		return tx.SettleEvents(id(seedConsent), []int64{1})
	}},
	{method: "InsertShipment", row: true, foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.InsertShipment(newShipment(tenant, 7, id(seedCustomer)))
	}},
	{method: "UpdateShipment", row: true, foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		s := newShipment(tenant, seedShipment, "")
		s.Version = 1
		return tx.UpdateShipment(s)
	}},
	{method: "DeleteShipment", foreign: store.ErrNotFound, do: func(tx store.Tx, _ string) error {
		return tx.DeleteShipment(id(seedShipment))
	}},
	{method: "AppendShipment", foreign: store.ErrNotFound, do: func(tx store.Tx, tenant string) error {
		return tx.AppendShipment(id(seedShipment), newShipment(tenant, seedShipment, "").Resource)
	}},
	{method: "InsertCallback", row: true, unseen: true, do: func(tx store.Tx, tenant string) error {
		return tx.InsertCallback(newCallback(tenant, store.CallbackRedirect, "new", id(seedConsent)))
	}},
	{
		method: "UpdateCallback", row: true, foreign: store.ErrNotFound, unseen: true,
		do: func(tx store.Tx, tenant string) error {
			c := newCallback(tenant, store.CallbackRedirect, "r hansa", id(seedConsent))
			c.Outcome = "exit"
			return tx.UpdateCallback(c)
		},
	},
	{method: "InsertIdempotency", row: true, do: func(tx store.Tx, tenant string) error {
		return tx.InsertIdempotency(newIdempotency(tenant, "CreateConsent", "key-2"))
	}},
	{method: "CompleteIdempotency", row: true, foreign: store.ErrClaimLost, do: func(tx store.Tx, tenant string) error {
		i := newIdempotency(tenant, "CreateConsent", "key-1")
		i.Response = []byte("answer")
		return tx.CompleteIdempotency(i)
	}},
	{method: "TakeOverIdempotency", row: true, foreign: store.ErrClaimLost, do: func(tx store.Tx, tenant string) error {
		return tx.TakeOverIdempotency(newIdempotency(tenant, "CreateConsent", "key-1"), lease("owner-2"))
	}},
	{method: "DeleteIdempotency", foreign: store.ErrClaimLost, do: func(tx store.Tx, _ string) error {
		return tx.DeleteIdempotency("CreateConsent", "key-1", "owner-1")
	}},
	{method: "InsertIntent", row: true, do: func(tx store.Tx, tenant string) error {
		return tx.InsertIntent(newIntent(tenant, 7, "consents/"+id(seedConsent)))
	}},
	{method: "UpdateIntent", foreign: store.ErrNotFound, do: func(tx store.Tx, _ string) error {
		return tx.UpdateIntent(id(seedIntent), store.IntentDone, noon.Add(time.Minute))
	}},
	{method: "PutWebhook", row: true, do: func(tx store.Tx, tenant string) error {
		return tx.PutWebhook(&store.Webhook{
			Key: "webhook " + tenant, Tenant: tenant, Provider: fimento, Registered: true, UpdateTime: noon,
		})
	}},
	{method: "AppendAudit", row: true, do: func(tx store.Tx, tenant string) error {
		return tx.AppendAudit(newAudit(tenant, "RevokeConsent", noon))
	}},
	{method: "SealAudit", row: true, do: func(tx store.Tx, tenant string) error {
		return tx.SealAudit(nil, newSeal(tenant, 1_000))
	}},
	{method: "KeepCheckpoint", row: true, do: func(tx store.Tx, tenant string) error {
		return tx.KeepCheckpoint(newSeal(tenant, 1_000))
	}},
	{method: "CutAudit", row: true, do: func(tx store.Tx, tenant string) error {
		_, err := tx.CutAudit(newSeal(tenant, 1_000), 10)
		return err
	}},
}

// readCall is a call of one of Reader's methods.
type readCall struct {
	method string
	// find looks for a row that seed gave the tenant hansa, and returns how many it found.
	find func(r store.Reader) (int, error)
	// list says that the method returns a list, empty where others answer ErrNotFound.
	list bool
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
var lookups = []readCall{
	{method: "Customer", find: func(r store.Reader) (int, error) { return row(r.Customer(id(seedCustomer))) }},
	{method: "CustomerByReference", find: func(r store.Reader) (int, error) {
		return row(r.CustomerByReference(lookup("reference-1")))
	}},
	{method: "CustomersByUser", list: true, find: func(r store.Reader) (int, error) {
		found, err := r.CustomersByUser(finoos, []string{"user-hansa-1"})
		return len(found), err
	}},
	{method: "Customers", list: true, find: func(r store.Reader) (int, error) {
		return rows(r.Customers(store.Page{Size: 10}))
	}},
	{method: "Consent", find: func(r store.Reader) (int, error) { return row(r.Consent(id(seedConsent))) }},
	{method: "Consents", list: true, find: func(r store.Reader) (int, error) {
		return rows(r.Consents(store.ConsentFilter{}, store.Page{Size: 10}))
	}},
	{method: "ConsentsByProviderRef", list: true, find: func(r store.Reader) (int, error) {
		return rows(r.ConsentsByProviderRef(fimento, []string{"process-2"}))
	}},
	{method: "Events", list: true, find: func(r store.Reader) (int, error) {
		return rows(r.Events(id(seedConsent), 0, 10))
	}},
	{method: "UnsettledEvents", list: true, find: func(r store.Reader) (int, error) {
		return rows(r.UnsettledEvents(id(seedConsent)))
	}},
	{method: "KnownEvents", list: true, find: func(r store.Reader) (int, error) {
		known, err := r.KnownEvents(id(seedConsent), []string{"key-1", "key-9"})
		return len(known), err
	}},
	{method: "FlowClaim", find: func(r store.Reader) (int, error) { return row(r.FlowClaim(id(seedConsent))) }},
	{method: "ConsentEntries", list: true, find: func(r store.Reader) (int, error) {
		all, err := rows(r.ConsentEntries("", "", 10))
		if err != nil {
			return 0, err
		}
		one, err := rows(r.ConsentEntries(id(seedConsent), "", 10))
		return all + one, err
	}},
	{method: "Newest", list: true, find: func(r store.Reader) (int, error) {
		found, err := r.Newest(store.ConsentLog, []string{id(seedConsent)}, "")
		return len(found), err
	}},
	{method: "ShipmentEntries", list: true, find: func(r store.Reader) (int, error) {
		all, err := rows(r.ShipmentEntries("", "", 10))
		if err != nil {
			return 0, err
		}
		one, err := rows(r.ShipmentEntries(id(seedShipment), "", 10))
		return all + one, err
	}},
	{method: "Shipment", find: func(r store.Reader) (int, error) { return row(r.Shipment(id(seedShipment))) }},
	{method: "Shipments", list: true, find: func(r store.Reader) (int, error) {
		return rows(r.Shipments(store.ShipmentFilter{}, store.Page{Size: 10}))
	}},
	{method: "Idempotency", find: func(r store.Reader) (int, error) {
		return row(r.Idempotency("CreateConsent", "key-1"))
	}},
	{
		method: "OpenIntents", list: true,
		find: func(r store.Reader) (int, error) { return rows(r.OpenIntents("CreateConsent", "key-1")) },
	},
	{method: "Intent", find: func(r store.Reader) (int, error) { return row(r.Intent(id(seedIntent))) }},
	{method: "Callback", find: func(r store.Reader) (int, error) {
		return row(r.Callback(store.CallbackRedirect, hash("r hansa")))
	}},
	{method: "OthersRead", list: true, find: func(r store.Reader) (int, error) {
		found, err := r.OthersRead(fimento, id(9), noon)
		if found {
			return 1, err
		}
		return 0, err
	}},
	{method: "Receipt", find: func(r store.Reader) (int, error) { return row(r.Receipt("gone")) }},
	{method: "Webhook", find: func(r store.Reader) (int, error) { return row(r.Webhook("webhook hansa")) }},
	{method: "AuditTrail", list: true, find: func(r store.Reader) (int, error) { return rows(r.AuditTrail(0, 10)) }},
	{method: "AuditBefore", find: func(r store.Reader) (int, error) { return row(r.AuditBefore(math.MaxInt64)) }},
	{method: "AuditChain", list: true, find: func(r store.Reader) (int, error) {
		chain, err := r.AuditChain()
		if chain.Head == nil && chain.Checkpoint == nil {
			return 0, err
		}
		return 1, err
	}},
	{method: "AuditCheckpoints", list: true, find: func(r store.Reader) (int, error) {
		return rows(r.AuditCheckpoints(0, 10))
	}},
	{method: "AuditCheckpointBefore", find: func(r store.Reader) (int, error) {
		return row(r.AuditCheckpointBefore(noon.AddDate(1, 0, 0)))
	}},
}

// systemMethods are those of System, each with the test that calls it.
var systemMethods = map[string]string{
	"ClaimDue": "ClaimDue", "RenewClaims": "RenewedClaims", "RenewLeases": "Leases", "ExpiredIntents": "Intents",
	"TailConsents":  "Tails",
	"TailShipments": "Tails", "Head": "Tails",
	"Subscribe": "Subscribe", "Callback": "Callbacks", "DeleteCallbacksBefore": "Callbacks",
	"DeleteIdempotencyBefore": "IdempotencyCleanup",
	"DeleteIntentsBefore":     "Intents", "AuditTrail": "Audit", "AuditTenants": "AuditSeals",
	"FinishErasures": "ErasureInPieces", "GiveRoomBack": "RoomGivenBack",
	"DeleteQuotasBefore": "Quotas", "DeleteShipmentsBefore": "OldShipments", "TrimLog": "TrimmedLogs",
	"Beat": "ClockGoesBack", "Time": "ClockGoesBack", "Backlog": "Backlog",
}

// testEveryMethod sees that the suite calls every method of a store: add a call of a new one to lookups, writes or
// systemMethods.
func testEveryMethod(t *testing.T, _ *spread) {
	covered := map[string]bool{
		"Head":      true,                        // tells how many entries all tenants have, and nothing else
		"AuditRoll": true, "KeepAuditRoll": true, // are about all tenants: see testAuditRoll
	}
	for _, l := range lookups {
		covered[l.method] = true
	}
	for _, w := range writes {
		covered[w.method] = true
	}
	wantMethods(t, reflect.TypeFor[store.Tx](), covered)
	covered = map[string]bool{}
	for method, name := range systemMethods {
		covered[method] = true
		if !slices.ContainsFunc(tests(), func(test suiteTest) bool { return test.name == name }) {
			t.Errorf("there is no test %s for %s", name, method)
		}
	}
	wantMethods(t, reflect.TypeFor[store.System](), covered)
}

func wantMethods(t *testing.T, of reflect.Type, covered map[string]bool) {
	t.Helper()
	for method := range of.Methods() {
		if !covered[method.Name] {
			t.Errorf("no call of %s of %v", method.Name, of)
		}
		delete(covered, method.Name)
	}
	for name := range covered {
		t.Errorf("%v has no method %s", of, name)
	}
}

// testIsolation calls every method in a transaction of a tenant who owns nothing of what is asked for.
func testIsolation(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error {
		return errors.Join(seed(tx, hansa), tx.ClaimFlow(id(seedConsent), noon, lease("owner-1")))
	})
	before := dumpAll(t, s, hansa)
	for _, l := range lookups {
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

	updateOf(t, s, stranger,
		func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(stranger, 9, "reference-1")) })
	for _, w := range writes {
		t.Run(w.method, func(t *testing.T) {
			updateOf(t, s, stranger, func(tx store.Tx) error {
				wantError(t, "another tenant", w.do(tx, stranger), w.foreign)
				return nil
			})
			after := dumpAll(t, s, hansa)
			after.Heads = before.Heads
			wantEqual(t, "the owner's state", after, before)
		})
	}
}

// testOtherTenantsRows hands in rows of another tenant: the transaction fails, also when its function takes no notice.
func testOtherTenantsRows(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error { return seed(tx, hansa) })
	updateOf(t, s, stranger, func(tx store.Tx) error { return seed(tx, stranger) })
	before := [2]*state{dumpAll(t, s, hansa), dumpAll(t, s, stranger)}
	for _, w := range writes {
		if !w.row {
			continue
		}
		for _, owner := range []string{stranger, ""} {
			err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
				if err := tx.AppendAudit(newAudit(hansa, "before", noon)); err != nil {
					return err
				}
				wantError(t, w.method, w.do(tx, owner), store.ErrTenant)
				return nil
			})
			wantError(t, "Update with "+w.method, err, store.ErrTenant)
		}
	}
	wantEqual(t, "the states", [2]*state{dumpAll(t, s, hansa), dumpAll(t, s, stranger)}, before)
}

// testNoTenant names none.
func testNoTenant(t *testing.T, s *spread) {
	wantError(t, "Update", s.Update(t.Context(), "", func(store.Tx) error {
		t.Error("an Update of no tenant runs")
		return nil
	}), store.ErrTenant)
	wantError(t, "View", s.View(t.Context(), "", func(store.Reader) error {
		t.Error("a View of no tenant runs")
		return nil
	}), store.ErrTenant)
}

func countRows(t *testing.T, s store.Store, l readCall, tenant string) (n int, err error) {
	t.Helper()
	err = s.View(t.Context(), tenant, func(r store.Reader) (err error) {
		n, err = l.find(r)
		return err
	})
	return n, err
}
