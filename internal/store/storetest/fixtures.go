package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/store"
)

// The tenants that own things here, and the providers.
const (
	hansa, stranger = "hansa", "stranger"
	finoos, fimento = "finoos", "fimento"
)

// noon is an instant with microseconds, as stores keep them.
var noon = time.Date(2026, 5, 26, 12, 0, 0, 123_456_000, time.UTC)

// id makes ids whose order is that of n.
func id(n int) string { return fmt.Sprintf("01981234-5678-7000-8000-%012d", n) }

func hash(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// lookup stands for what services compute of a reference or a request.
func lookup(text string) store.Lookup {
	if text == "" {
		return nil
	}
	sum := hash(text)
	return sum[:]
}

// lease is one that lasts for a minute from noon on.
func lease(owner string) store.Lease { return store.Lease{Owner: owner, Until: noon.Add(time.Minute)} }

func newCustomer(tenant string, n int, reference string) *store.Customer {
	return &store.Customer{
		Tenant: tenant, ID: id(n), Reference: lookup(reference),
		Resource: &customerv1.Customer{
			Name: "customers/" + id(n), Type: customerv1.Customer_COMPANY, Reference: optional.Of(reference),
			Products:   []customerv1.Product_Value{customerv1.Product_BANKING, customerv1.Product_CONTRACTS},
			CreateTime: timestamppb.New(noon),
		},
		Users: map[string]string{finoos: fmt.Sprintf("user-%s-%d", tenant, n)},
	}
}

func newConsent(tenant string, n int, customerID string) *store.Consent {
	return &store.Consent{
		Tenant: tenant, ID: id(n), CustomerID: customerID,
		Provider: fimento, ProviderRef: fmt.Sprintf("process-%d", n), UserID: "user", PartnerBank: "lubeck",
		Market: "SE",
		State:  []byte("sealed"), Asked: []byte("asked"), ValidUntil: noon.AddDate(0, 6, 0),
		Withdrawals: consent.Withdrawals{"consent": 1, "status#2": 2}, Reference: lookup(fmt.Sprintf("loan-%d", n)),
		Redirects: &consentv1.Consent_RedirectUris{Success: optional.Of("https://app.example.com/done")},
		Flow:      2,
		Resource: &consentv1.Consent{
			Name: "consents/" + id(
				n,
			),
			Customer:   "customers/" + customerID,
			Reference:  optional.Of(fmt.Sprintf("loan-%d", n)),
			Status:     consentv1.Consent_AWAITING_AUTHORIZATION,
			CreateTime: timestamppb.New(noon),
		},
		NextPoll: noon.Add(time.Duration(n) * time.Minute), PollStep: 3, LastPoll: noon.Add(-time.Hour),
	}
}

// newEvent has every detail that an event can have.
func newEvent(sequence int64, kind consentv1.ConsentEvent_Type) consent.Event {
	return consent.Event{
		Sequence: sequence, Flow: 1, Key: fmt.Sprintf("key-%d", sequence), Type: kind,
		ConnectionID: "connection-1",
		Bank: &consent.Bank{
			DisplayName: "fino Bank", BIC: "FINODEXX", BankCode: "10020000", CountryCode: "DE",
			LogoURI: "logo.example.com",
		},
		ProviderCode: "code", Description: "The customer chose a bank.",
		EventTime: noon.Add(time.Duration(sequence) * time.Second), ReceiveTime: noon.Add(time.Minute),
		Error:    &consent.Error{Reason: errorv1.Error_CONSENT_EXPIRED, Message: "It ran out.", ProviderCode: "x"},
		Link:     &consent.Link{URI: "https://bank.example.com/link", ExpireTime: noon.Add(time.Hour)},
		SyncTime: noon, Final: true,
	}
}

// consentAfter is a consent as it may stand after an event.
func consentAfter(c *store.Consent, sequence int64) *consentv1.Consent {
	return &consentv1.Consent{
		Name: c.Resource.GetName(), Customer: c.Resource.GetCustomer(), Status: consentv1.Consent_AUTHORIZED,
		EventCount:  int32(sequence),
		Link:        &typev1.Link{Uri: optional.Of("https://bank.example.com/link")},
		Connections: []*consentv1.Connection{{Bank: &consentv1.Connection_Bank{DisplayName: optional.Of("fino Bank")}}},
	}
}

func newShipment(tenant string, n int, customerID string) *store.Shipment {
	return &store.Shipment{
		Tenant: tenant, ID: id(n), CustomerID: customerID, Provider: finoos,
		Resource: &documentsv1.Shipment{
			Name: "shipments/" + id(n), Channel: documentsv1.Channel_LETTER, Recipient: "Hinrich Castorp",
			Address: &documentsv1.Shipment_Address{City: "Lübeck", CountryCode: "DE"}, Subject: "Notice",
			Status: documentsv1.Shipment_SUBMITTED, CreateTime: timestamppb.New(noon),
		},
	}
}

func newCallback(tenant string, kind store.CallbackKind, token, resource string) *store.Callback {
	return &store.Callback{
		Hash: hash(token), Kind: kind, Tenant: tenant, Provider: finoos, Resource: resource, Flow: 2, CreateTime: noon,
		ExpireTime: noon.Add(time.Hour),
	}
}

func newIdempotency(tenant, method, key string) *store.Idempotency {
	return &store.Idempotency{
		Tenant: tenant, Method: method, Key: key, Request: lookup("request"), Lease: lease("owner-1"), CreateTime: noon,
	}
}

func newIntent(tenant string, n int, resource string) *store.Intent {
	return &store.Intent{
		Tenant: tenant, ID: id(n), Provider: finoos, Operation: "create_consent", Resource: resource,
		State: store.IntentOpen,
		Lease: lease("owner-1"), CreateTime: noon.Add(time.Duration(n) * time.Second), UpdateTime: noon,
	}
}

func newAudit(tenant, method string, at time.Time) *store.Audit {
	return &store.Audit{
		Time: at, Tenant: tenant, Actor: "lending", Method: method, Resource: "consents/1", Peer: "192.0.2.1",
		RequestID: "r-1", Outcome: "OK",
	}
}

// The rows that seed makes, by number.
const (
	seedCustomer = iota + 1
	seedConsent
	seedDeletedConsent
	seedShipment
	seedIntent
)

// seed gives a tenant one row of everything.
func seed(tx store.Tx, tenant string) error {
	consentRow, deleted := newConsent(tenant, seedConsent,
		id(seedCustomer)), newConsent(tenant, seedDeletedConsent, id(seedCustomer))
	shipment := newShipment(tenant, seedShipment, id(seedCustomer))
	for _, step := range []func() error{
		func() error { return tx.InsertCustomer(newCustomer(tenant, seedCustomer, "reference-1")) },
		func() error {
			consentRow.LastRead = noon.Add(time.Minute)
			return tx.InsertConsent(consentRow)
		},
		func() error { return tx.InsertConsent(deleted) },
		func() error {
			return tx.AppendEvent(consentRow.ID, newEvent(1, consentv1.ConsentEvent_CREATED),
				consentAfter(consentRow, 1))
		},
		func() error {
			return tx.AppendEvent(deleted.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(deleted, 1))
		},
		func() error {
			return tx.AppendEvent(deleted.ID, newEvent(2, consentv1.ConsentEvent_DELETED), consentAfter(deleted, 2))
		},
		func() error { return deleteConsent(tx, deleted.ID) },
		func() error { return tx.InsertShipment(shipment) },
		func() error { return tx.AppendShipment(shipment.ID, shipment.Resource) },
		func() error {
			return tx.InsertCallback(newCallback(tenant, store.CallbackRedirect, "r "+tenant, id(seedConsent)))
		},
		func() error {
			return tx.InsertCallback(newCallback(tenant, store.CallbackShipment, "s "+tenant, id(seedShipment)))
		},
		func() error { return tx.InsertIdempotency(newIdempotency(tenant, "CreateConsent", "key-1")) },
		func() error {
			intent := newIntent(tenant, seedIntent, "consents/"+id(seedConsent))
			intent.IdempotencyMethod, intent.IdempotencyKey = "CreateConsent", "key-1"
			return tx.InsertIntent(intent)
		},
		func() error {
			return tx.PutWebhook(&store.Webhook{
				Key: "webhook " + tenant, Tenant: tenant, Provider: fimento, UpdateTime: noon,
			})
		},
		func() error { return tx.PutReceipt(newReceipt(tenant, "customers/gone")) },
		func() error { return tx.AppendAudit(newAudit(tenant, "CreateConsent", noon)) },
		func() error { return sealAudit(tx, tenant) },
		func() error { return tx.KeepCheckpoint(newSeal(tenant, 1)) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// newReceipt is what was deleted with a customer whose id is "gone".
func newReceipt(tenant, customer string) *store.Receipt {
	return &store.Receipt{Tenant: tenant, ID: "gone", Resource: &customerv1.DeletionReceipt{
		Name: "deletionReceipts/gone", Customer: customer, CompleteTime: timestamppb.New(noon),
	}}
}

// state is what readers find of a tenant, as far as seed and the writes of this suite can change it.
type state struct {
	Customers       []*store.Customer
	ByReference     map[string]*store.Customer
	ByUser          map[string]string
	Consents        []*store.Consent
	Events          []consent.Event
	ConsentEntries  []store.ConsentEntry
	Shipments       []*store.Shipment
	ShipmentEntries []store.ShipmentEntry
	Idempotency     []*store.Idempotency
	Intents         []*store.Intent
	OpenIntents     []*store.Intent
	Webhooks        []*store.Webhook
	Receipts        []*store.Receipt
	Audit           []store.Audit
	AuditChain      store.AuditChain
	Checkpoints     []store.AuditSeal
	Heads           [2]store.Cursor
	// Callbacks are found by System.
	Callbacks []*store.Callback
}

// many is more rows than any of these tests makes.
const many = 1000

// dump reads the state of the reader's tenant, but for what only System finds.
func dump(r store.Reader, tenant string) (*state, error) {
	s := &state{ByReference: map[string]*store.Customer{}}
	var err error
	keep := func(e error) {
		if err == nil && e != nil {
			err = e
		}
	}
	s.Customers, err = r.Customers(store.Page{Size: many})
	for _, c := range s.Customers {
		if len(c.Reference) > 0 {
			found, e := r.CustomerByReference(c.Reference)
			keep(e)
			s.ByReference[string(c.Reference)] = found
		}
		found, e := r.CustomersByUser(finoos, []string{c.Users[finoos]})
		keep(e)
		s.ByUser = found
	}
	var e error
	s.Consents, e = r.Consents(store.ConsentFilter{}, store.Page{Size: many})
	keep(e)
	s.Events, e = r.Events(id(seedConsent), 0, many)
	keep(e)
	s.ConsentEntries, e = r.ConsentEntries("", "", many)
	keep(e)
	s.Shipments, e = r.Shipments(store.ShipmentFilter{}, store.Page{Size: many})
	keep(e)
	s.ShipmentEntries, e = r.ShipmentEntries("", "", many)
	keep(e)
	for _, key := range []string{"key-1", "key-2"} {
		if i, e := r.Idempotency("CreateConsent", key); e == nil {
			s.Idempotency = append(s.Idempotency, i)
		}
	}
	for n := range 10 {
		if i, e := r.Intent(id(n)); e == nil {
			s.Intents = append(s.Intents, i)
		}
	}
	s.OpenIntents, e = r.OpenIntents("CreateConsent", "key-1")
	keep(e)
	if w, e := r.Webhook("webhook " + tenant); e == nil {
		s.Webhooks = append(s.Webhooks, w)
	}
	if receipt, e := r.Receipt("gone"); e == nil {
		s.Receipts = append(s.Receipts, receipt)
	}
	s.Audit, e = r.AuditTrail(0, many)
	keep(e)
	s.AuditChain, e = r.AuditChain()
	keep(e)
	s.Checkpoints, e = r.AuditCheckpoints(0, many)
	keep(e)
	for i, log := range []store.Log{store.ConsentLog, store.ShipmentLog} {
		s.Heads[i], e = r.Head(log)
		keep(e)
	}
	return s, err
}

// dumpAll reads a tenant's state from outside.
func dumpAll(t *testing.T, s store.Database, tenant string) *state {
	t.Helper()
	all := readOf(t, s, tenant, func(r store.Reader) (*state, error) { return dump(r, tenant) })
	for _, kind := range []store.CallbackKind{store.CallbackRedirect, store.CallbackShipment, store.CallbackWebhook} {
		for _, token := range []string{"r " + tenant, "s " + tenant, "new"} {
			if c, err := s.System().Callback(t.Context(), kind, hash(token)); err == nil && c.Tenant == tenant {
				all.Callbacks = append(all.Callbacks, c)
			}
		}
	}
	return all
}

// deleteConsent deletes a consent with all that there is of it.
func deleteConsent(tx store.Tx, id string) error {
	erased, err := tx.DeleteConsent(id, many)
	if err == nil && erased >= many {
		err = errors.New("there may be more to erase")
	}
	return err
}
