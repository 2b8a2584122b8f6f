// Package store defines what Kontor keeps, and how: customers, consents with their history, shipments, callback tokens (hashed), idempotency
// records, intents and the audit trail. It never holds bank data, national ids, PDFs or provider tokens.
//
// One set of behaviour, several databases: the implementations live in folders below this one, and storetest holds the suite that each must
// pass. Everything belongs to a tenant, and the tenant is part of every key.
package store

import (
	"context"
	"errors"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
)

// Errors that implementations return; anything else means that the store did not answer and nothing was done.
var (
	// ErrNotFound says that there is no such row for the tenant.
	ErrNotFound = errors.New("store: not found")
	// ErrExists says that a unique key is taken.
	ErrExists = errors.New("store: exists already")
	// ErrConflict says that the row changed since it was read.
	ErrConflict = errors.New("store: changed since it was read")
)

// Store is a transactional store. It is safe for concurrent use.
type Store interface {
	// View runs fn on one consistent state of the store.
	View(ctx context.Context, fn func(Reader) error) error
	// Update runs fn in one transaction: all of its changes become durable together, before Update returns nil, or none does. fn may run more
	// than once and must have no effect outside the transaction. Transactions that change the same consent, shipment or idempotency record
	// run one after the other.
	Update(ctx context.Context, fn func(Tx) error) error
	// Subscribe returns a channel that receives after changes of a topic were committed, possibly one for several, possibly one too many; a
	// lost wake-up is impossible as long as the subscriber reads the log after each. cancel ends the subscription.
	Subscribe(topic Topic) (wake <-chan struct{}, cancel func())
	// Ping tells whether the store answers.
	Ping(ctx context.Context) error
	// Close releases the store.
	Close() error
}

// Log names one of the two logs that can be watched.
type Log string

// The logs.
const (
	ConsentLog  Log = "consents"
	ShipmentLog Log = "shipments"
)

// Topic is what a watcher waits for: one resource's entries in a log, or with an empty ID all of the tenant's.
type Topic struct {
	Tenant string
	Log    Log
	ID     string
}

// Page asks for at most Size rows behind the row with the id After, in the order of ids. Ids are UUIDs of version 7: their order is that
// of creation.
type Page struct {
	After string
	Size  int
}

// Customer is a customer's row.
type Customer struct {
	Tenant, ID string
	// Resource is what callers see. Reference is its caller's id, unique in the tenant unless empty.
	Resource *customerv1.Customer
	// Users are the ids of the customer's users at providers, by provider id.
	Users map[string]string
}

// Consent is a consent's row.
type Consent struct {
	Tenant, ID string
	CustomerID string
	// Provider is the provider's id, ProviderRef the consent's id there; empty while it is being made.
	Provider, ProviderRef string
	PartnerBank, Market   string
	// State is what the adapter must remember to speak about this consent, such as a token of its own. It comes sealed,
	// and must not be logged.
	State []byte
	// ValidUntil is the end that the provider tells, zero for none.
	ValidUntil time.Time
	// Redirects are where the caller wants the customer's browser in the end.
	Redirects *consentv1.Consent_RedirectUris
	// Flow counts the links that were issued.
	Flow int
	// Resource is what callers see, derived from the history.
	Resource *consentv1.Consent
	// NextPoll is when the provider should be asked next, zero for not at all; PollStep counts polls without news.
	NextPoll time.Time
	PollStep int
	// Ended says that the consent no longer exists at the provider.
	Ended bool
	// Version counts changes; UpdateConsent checks it.
	Version int64
}

// ConsentFilter narrows a list of consents; zero fields do not.
type ConsentFilter struct {
	CustomerID, Provider, Reference string
	Statuses                        []consentv1.Consent_Status
}

// ConsentEntry is one entry of the consent log: an event, with the consent as it stood right after it.
type ConsentEntry struct {
	// Position orders all entries of the log, of all tenants; later commits have higher positions.
	Position  int64
	Tenant    string
	ConsentID string
	Event     consent.Event
	After     *consentv1.Consent
}

// Shipment is a shipment's row.
type Shipment struct {
	Tenant, ID string
	CustomerID string
	Provider   string
	// Resource is what callers see. Its PDF is never set.
	Resource *documentsv1.Shipment
	Version  int64
}

// ShipmentFilter narrows a list of shipments; zero fields do not.
type ShipmentFilter struct {
	CustomerID string
	Status     documentsv1.Shipment_Status
}

// ShipmentEntry is one entry of the shipment log: the shipment as it stood after a change.
type ShipmentEntry struct {
	Position   int64
	Tenant     string
	ShipmentID string
	After      *documentsv1.Shipment
}

// CallbackKind tells what a callback token is for.
type CallbackKind string

// The kinds.
const (
	// CallbackRedirect: a customer's browser comes back. Resource is the consent's id.
	CallbackRedirect CallbackKind = "redirect"
	// CallbackShipment: the provider reports on a shipment. Resource is the shipment's id.
	CallbackShipment CallbackKind = "shipment"
	// CallbackWebhook: the provider says that something changed. Resource is the registration's key.
	CallbackWebhook CallbackKind = "webhook"
)

// Callback binds an unguessable token to what it is for. Only the token's hash is kept.
type Callback struct {
	// Hash is the SHA-256 of the token.
	Hash     [32]byte
	Kind     CallbackKind
	Tenant   string
	Provider string
	Resource string
	// Flow is the visit that a redirect belongs to.
	Flow       int
	CreateTime time.Time
	// ExpireTime is when it stops being taken, zero for never.
	ExpireTime time.Time
}

// Idempotency remembers a creating request and its answer.
type Idempotency struct {
	Tenant, Method, Key string
	// RequestHash is the SHA-256 of the request.
	RequestHash [32]byte
	// Operation identifies the attempt that is at work, so that only it can complete the record. Empty once the record was released.
	Operation string
	// Done says that Response or Failure holds the answer; until then the request is at work.
	Done bool
	// Response is the answer's message in binary form.
	Response []byte
	// Failure is the answer's google.rpc.Status in binary form, for an answer that must be repeated although it is an error.
	Failure    []byte
	CreateTime time.Time
}

// IntentState tells how far a write to a provider is.
type IntentState string

// The states.
const (
	// IntentOpen: the write may be under way.
	IntentOpen IntentState = "open"
	// IntentDone: it happened and its result is stored.
	IntentDone IntentState = "done"
	// IntentFailed: it surely did not happen.
	IntentFailed IntentState = "failed"
	// IntentUnknown: it may or may not have happened.
	IntentUnknown IntentState = "unknown"
)

// Intent is the note that a write to a provider is about to be made. It is stored before the write; the outcome comes after.
type Intent struct {
	Tenant, ID string
	Provider   string
	// Operation is what is written, such as "create_consent".
	Operation string
	// Resource is the resource name that it is for.
	Resource string
	// IdempotencyMethod and IdempotencyKey name the record that waits for it; empty when the caller sent no key.
	IdempotencyMethod, IdempotencyKey string
	State                             IntentState
	CreateTime, UpdateTime            time.Time
}

// Webhook is a registration of Kontor's address at a provider: once for each credential and address.
type Webhook struct {
	// Key identifies tenant, provider, credential and address by a hash.
	Key              string
	Tenant, Provider string
	Registered       bool
	UpdateTime       time.Time
}

// Audit is one entry of the audit trail: who did what to which resource, when, from where, with which outcome. It holds no personal data.
type Audit struct {
	Position int64 `json:"position"`
	// Time is when it happened.
	Time   time.Time `json:"time"`
	Tenant string    `json:"tenant"`
	// Actor is the client's id, or "provider:<id>", "customer" or "kontor".
	Actor string `json:"actor"`
	// Method is the RPC, or the name of an internal step.
	Method string `json:"method"`
	// Resource is the resource name.
	Resource string `json:"resource,omitempty"`
	// Peer is the caller's network address.
	Peer string `json:"peer,omitempty"`
	// RequestID is the request's id.
	RequestID string `json:"requestId,omitempty"`
	// Outcome is "OK" or a reason.
	Outcome string `json:"outcome"`
}

// Reader reads. Every method answers ErrNotFound for a row of another tenant as for none. What it returns belongs to the caller.
type Reader interface {
	Customer(tenant, id string) (*Customer, error)
	CustomerByReference(tenant, reference string) (*Customer, error)
	// CustomersByUser finds the customers that have one of the users at a provider, by user id.
	CustomersByUser(tenant, provider string, users []string) (map[string]string, error)
	Customers(tenant string, page Page) ([]*Customer, error)

	// Consent does not find a consent that was deleted.
	Consent(tenant, id string) (*Consent, error)
	Consents(tenant string, filter ConsentFilter, page Page) ([]*Consent, error)
	// ConsentsByProviderRef finds consents of a provider by their ids there.
	ConsentsByProviderRef(tenant, provider string, refs []string) ([]*Consent, error)
	// DueConsents lists consents of all tenants whose NextPoll has come, longest due first.
	DueConsents(now time.Time, limit int) ([]*Consent, error)
	// Events lists a consent's events behind a sequence, in order.
	Events(tenant, consentID string, after int64, limit int) ([]consent.Event, error)

	// ConsentEntries lists entries of the tenant's log behind a position, in order; with an id only those of one consent, deleted or not.
	ConsentEntries(tenant, consentID string, after int64, limit int) ([]ConsentEntry, error)
	ShipmentEntries(tenant, shipmentID string, after int64, limit int) ([]ShipmentEntry, error)
	// LastPosition is the position of a log's newest entry, 0 for an empty log.
	LastPosition(log Log) (int64, error)

	Shipment(tenant, id string) (*Shipment, error)
	Shipments(tenant string, filter ShipmentFilter, page Page) ([]*Shipment, error)

	// Callback finds a token by its hash.
	Callback(kind CallbackKind, hash [32]byte) (*Callback, error)
	Idempotency(tenant, method, key string) (*Idempotency, error)
	// OpenIntents lists the intents of all tenants in state open, oldest first.
	OpenIntents(limit int) ([]*Intent, error)
	Intent(tenant, id string) (*Intent, error)
	Webhook(key string) (*Webhook, error)
	// AuditTrail lists entries behind a position, in order; an empty tenant stands for all.
	AuditTrail(tenant string, after int64, limit int) ([]Audit, error)
}

// Tx reads and writes within one transaction.
type Tx interface {
	Reader

	// InsertCustomer answers ErrExists when the reference is taken.
	InsertCustomer(*Customer) error
	// UpdateCustomer answers ErrExists when the new reference is taken.
	UpdateCustomer(*Customer) error
	// DeleteCustomer removes the customer with everything of theirs: consents with their histories, shipments, callback tokens, idempotency
	// records of those, intents. Of the log only the DELETED events stay, stripped to the name, so that watchers learn of them.
	DeleteCustomer(tenant, id string) error

	InsertConsent(*Consent) error
	// UpdateConsent writes a consent whose Version is that of the row, and counts it up; else ErrConflict.
	UpdateConsent(*Consent) error
	// DeleteConsent hides a consent from all readers but the log's.
	DeleteConsent(tenant, id string) error
	// AppendEvent adds the next event of a consent, whose sequence must be one above the newest, with the consent as it stands after it.
	AppendEvent(tenant, consentID string, event consent.Event, after *consentv1.Consent) error

	InsertShipment(*Shipment) error
	// UpdateShipment writes a shipment whose Version is that of the row, and counts it up; else ErrConflict.
	UpdateShipment(*Shipment) error
	// DeleteShipment removes a shipment that was never sent.
	DeleteShipment(tenant, id string) error
	// AppendShipment adds an entry to the shipment log.
	AppendShipment(tenant, shipmentID string, after *documentsv1.Shipment) error

	InsertCallback(*Callback) error
	DeleteCallbacksBefore(expired time.Time) (int, error)

	// InsertIdempotency answers ErrExists when there is a record for the key.
	InsertIdempotency(*Idempotency) error
	// CompleteIdempotency stores the answer on a record that the same operation inserted; else ErrConflict.
	CompleteIdempotency(*Idempotency) error
	// DeleteIdempotency forgets a record, so that the key can be used again.
	DeleteIdempotency(tenant, method, key string) error
	DeleteIdempotencyBefore(created time.Time) (int, error)
	// ReleaseIdempotency takes the operation off all records without an answer, so that another attempt can take them up. Only for the start
	// of a process that has the store to itself.
	ReleaseIdempotency() error

	InsertIntent(*Intent) error
	UpdateIntent(tenant, id string, state IntentState, at time.Time) error
	// DeleteIntentsBefore forgets the intents that are not open and have not changed since.
	DeleteIntentsBefore(updated time.Time) (int, error)

	PutWebhook(*Webhook) error

	AppendAudit(*Audit) error
	DeleteAuditBefore(before time.Time) (int, error)
}
