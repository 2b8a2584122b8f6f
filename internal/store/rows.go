package store

import (
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
)

// Lookup is what a row is found by in place of a value that must not be guessed from the database: a keyed hash of it,
// which the services compute. Equal values have equal lookups. An empty one finds nothing and is found by nothing.
type Lookup []byte

// Page asks for at most Size rows behind the row with the id After, in the order of ids. Ids are UUIDs of version 7:
// their order is that of creation.
type Page struct {
	After string
	Size  int
}

// Lease says who is at work on a row, and until when others leave it alone.
type Lease struct {
	// Owner is one piece of work of one process. No two have the same, in no process.
	Owner string
	Until time.Time
}

// Over tells whether the row may be taken over.
func (l Lease) Over(now time.Time) bool { return !now.Before(l.Until) }

// Claim is the right to poll a consent and to plan the next poll.
type Claim struct {
	Lease
	// Number counts the claims of the consent. It tells an owner's claim from a later one, also from one of the same
	// owner.
	Number int64
}

// Share is how many consents of one provider account may be claimed.
type Share struct {
	Tenant, Provider string
	Limit            int
}

// Missing is since when, and how often, a provider has answered that it does not know a consent. The zero value: its
// last answer was another.
type Missing struct {
	Since time.Time
	Count int
}

// Customer is a customer's row.
type Customer struct {
	Tenant, ID string
	// Reference finds the customer by its caller's own id. It is unique in the tenant.
	Reference Lookup
	// Resource is what callers see.
	Resource *customerv1.Customer
	// Users are the ids of the customer's users at providers, by provider id.
	Users map[string]string
}

// Receipt tells what was deleted with a customer. It holds nothing personal and outlives the customer.
type Receipt struct {
	Tenant string
	// ID is the customer's.
	ID string
	// Resource is what callers see. Without a time of completion the deletion is still going on.
	Resource *customerv1.DeletionReceipt
}

// Removed is what one step of a customer's deletion removed.
type Removed struct {
	// Consents counts those that had been deleted before, Shipments all.
	Consents, Shipments int
	// Done says that the customer is gone, with everything of theirs.
	Done bool
}

// Consent is a consent's row.
type Consent struct {
	Tenant, ID string
	CustomerID string
	// Provider is the provider's id, ProviderRef the consent's id there; empty while it is being made.
	Provider, ProviderRef string
	// UserID is the id of the customer's user at the provider under whom the consent was made; empty where there are no
	// users.
	UserID              string
	PartnerBank, Market string
	// State is what the adapter must remember to speak about this consent, such as a token of its own. It must not be
	// logged.
	State []byte
	// ValidUntil is the end that the provider tells, zero for none.
	ValidUntil time.Time
	// Withdrawals is where the provider stated a withdrawal when it was last read, see consent.Follow.
	Withdrawals consent.Withdrawals
	// Asked is whom the consent was asked of, as psu.Asked writes it: keyed hashes, kept until they are compared with
	// who approved, or the link is over.
	Asked []byte
	// Redirects are where the caller wants the customer's browser in the end.
	Redirects *consentv1.Consent_RedirectUris
	// Flow counts the links that were issued.
	Flow int
	// Reference finds the consents that have one reference of their caller's.
	Reference Lookup
	// Resource is what callers see, derived from the history.
	Resource *consentv1.Consent
	// NextPoll is when the provider should be asked next, zero for not at all; PollStep counts polls without news.
	NextPoll time.Time
	PollStep int
	// LastPoll is when the provider was last asked by nobody's wish, or for a caller with news, zero for never.
	LastPoll time.Time
	// LastRead is when a read by nobody's wish last went well, zero for never.
	LastRead time.Time
	// Missing says whether the provider still knows the consent.
	Missing Missing
	// Claim is set by System.ClaimDue alone; readers leave it empty. UpdateConsent with it ends the claim.
	Claim Claim
	// ClaimedUntil is until when somebody has the consent claimed who polls it, zero for nobody; it may be over.
	// Readers tell it, writers pass it by.
	ClaimedUntil time.Time
	// Ended says that the consent no longer exists at the provider.
	Ended bool
	// Version counts changes; UpdateConsent checks it. A claim is no change.
	Version int64
}

// ConsentFilter narrows a list of consents; zero fields do not.
type ConsentFilter struct {
	CustomerID, Provider string
	Reference            Lookup
	Statuses             []consentv1.Consent_Status
}

// ConsentEntry is one entry of the consent log: an event, with the consent as it stood right after it.
type ConsentEntry struct {
	// Cursor is the place right behind the entry.
	Cursor    Cursor
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
	// Cursor is the place right behind the entry.
	Cursor     Cursor
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
	// Hash is the keyed hash of the token.
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
	// Outcome is how the customer first came back from a visit, empty while they have not. VisitTime is when they last
	// came with that outcome, until Settled says that what they came with was taken in.
	Outcome   string
	VisitTime time.Time
	Settled   bool
}

// Idempotency remembers a creating request and its answer.
type Idempotency struct {
	Tenant, Method string
	// Key stands for the caller's key: a keyed hash of it, since callers may put into it what they like.
	Key string
	// Request tells whether another request with the key is the same.
	Request Lookup
	// Lease says who is at work on the request. Only its owner can complete the record.
	Lease Lease
	// Done says that Response or Failure holds the answer; until then the request is at work, or its owner is gone.
	Done bool
	// CustomerID is whose data the answer holds: the record is removed with the customer. Empty while that is not
	// known, and for nobody's.
	CustomerID string
	// ConsentID is which consent the answer holds: the answer is erased with the consent. Empty for none.
	ConsentID string
	// Erased says that the answer was erased with its consent; the record stays, so that the request is not taken for
	// a new one.
	Erased bool
	// Response is the answer's message in binary form.
	Response []byte
	// Failure is the answer's google.rpc.Status in binary form, for an answer that must be repeated although it is an
	// error.
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

// Intent is the note that a write to a provider is about to be made. It is stored before the write; the outcome comes
// after.
type Intent struct {
	Tenant, ID string
	Provider   string
	// Operation is what is written, such as "create_consent".
	Operation string
	// Resource is the resource name that it is for.
	Resource string
	// CustomerID is whom it concerns: the intent is removed with the customer. Empty for nobody.
	CustomerID string
	// IdempotencyMethod and IdempotencyKey name the record that waits for it; empty when the caller sent no key.
	IdempotencyMethod, IdempotencyKey string
	State                             IntentState
	// Lease says who is making the write. An open intent whose lease ran out is of unknown outcome.
	Lease                  Lease
	CreateTime, UpdateTime time.Time
}

// Webhook is a registration of Kontor's address at a provider: once for each account and address.
type Webhook struct {
	// Key identifies provider, account and address by a keyed hash.
	Key              string
	Tenant, Provider string
	Registered       bool
	UpdateTime       time.Time
}

// Audit is one entry of the audit trail: who did what to which resource, when, from where, with which outcome. It holds
// no personal data.
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
	// Count is how many equal refusals the entry stands for, from FirstTime to Time. It is 0 for one call, which then
	// has its request id.
	Count     int64     `json:"count,omitempty"`
	FirstTime time.Time `json:"firstTime,omitzero"`
	// Sequence counts the tenant's sealed entries from 1, and Chain binds this one to all before it: see package
	// audit. Both are empty until the entry is sealed, which is done by SealAudit alone.
	Sequence int64  `json:"sequence,omitempty"`
	Chain    []byte `json:"chain,omitempty"`
}

// AuditSeal says up to where a tenant's audit trail is sealed, or was when it was made.
type AuditSeal struct {
	Tenant string
	// Position and Count are the position and sequence of the last entry that is sealed, Chain is its chain value.
	Position, Count int64
	Chain           []byte
	// Time is when it was made.
	Time time.Time
	// MAC is a keyed hash of all this: only who has the key can make a seal.
	MAC []byte
}

// AuditChain is where a tenant's chain stands; what there is not is nil.
type AuditChain struct {
	// Head is the end of what is sealed.
	Head *AuditSeal
	// Cut is the end of what retention removed.
	Cut *AuditSeal
	// Checkpoint is the newest one that was kept.
	Checkpoint *AuditSeal
}
