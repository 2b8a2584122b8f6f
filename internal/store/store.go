// Package store defines what Kontor keeps, and how: customers, consents with their history, shipments, callback tokens
// (hashed), idempotency records, intents and the audit trail. It never holds bank data, national ids or PDFs.
//
// One set of behaviour, several databases: the implementations live in folders below this one, and storetest holds the
// suite that each must pass. Several processes may have one database open at the same time; whatever one of them
// commits, all of them see.
//
// # Two ports
//
// Whoever serves callers gets a Store: each View and Update belongs to one tenant, and no method can reach another's
// rows. Kontor's own work knows no tenant beforehand: it looks for consents that are due, for writes whose process
// died, for the entries of a log, for what a callback token is for. That is System. It is a value of its own, which
// only the packages get that do this work.
//
// # What a copy of the database tells
//
// A store is opened with a store key (package keys), and has its working keys from then on. What of a row is personal,
// or a key to act as somebody, it seals at its edge, with the data key of the customer whose it is: resources, events,
// redirect URIs, what adapters remember, remembered answers. A shipment without a customer has a data key of its own.
// In clear text stand ids, statuses, times, the codes and names of providers, and the audit trail. What a row is found
// by comes hashed from the services (Lookup, Callback.Hash, Idempotency.Key). So services see clear rows, and know
// nothing of it.
//
// Erasing a customer's rows erases the data key, so that what other places still hold of them (free pages, a log, a
// backup) opens no more.
//
// # Who is at work
//
// Processes that share a database tell each other through rows who is at work on what. A Lease names an owner and an
// end. While it lasts, all others leave the row alone; once it ran out, whoever needs the row takes it over. The former
// owner, if it still lives, learns of it by ErrClaimLost when it wants to write, and has then changed nothing. Leases
// end by the clocks of the processes: those must agree within a few seconds, and a lease must be long against that.
//
//   - A consent that is due is claimed by System.ClaimDue; its owner renews the claim while it polls
//     (System.RenewClaims), and ends it with the UpdateConsent that plans the next poll.
//   - A creating request is an Idempotency record, and each of its writes to a provider an Intent. Both carry a lease,
//     which its owner renews while it works (System.RenewLeases).
//   - Tx.ClaimUser sees to it that only one process makes a customer's user at a provider, Tx.ClaimFlow that only one
//     opens a flow of a consent.
//
// # Logs
//
// Two logs are followed: that of consents and that of shipments. An entry becomes visible only together with all
// entries before it, in any process: who has read up to a Cursor and goes on behind it misses nothing, whichever
// transaction committed first.
package store

import (
	"context"
	"errors"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/keys"
)

// Errors that implementations return; anything else means that the store did not answer and nothing was done.
var (
	// ErrNotFound says that there is no such row for the tenant.
	ErrNotFound = errors.New("store: not found")
	// ErrExists says that a unique key is taken.
	ErrExists = errors.New("store: exists already")
	// ErrConflict says that the row changed since it was read. Update runs its function again before it returns this.
	ErrConflict = errors.New("store: changed since it was read")
	// ErrBusy says that too many wait to write, or so many that the context would end before it is this one's turn.
	// Nothing was done.
	ErrBusy = errors.New("store: too many wait to write")
	// ErrAway says that the database cannot be reached, or not be written, for the time being, such as while another
	// server takes over. Nothing of the transaction was done, and the same one may succeed soon. A transaction of which
	// nobody knows whether it became durable fails with another error.
	ErrAway = errors.New("store: away for the time being")
	// ErrClaimed says that somebody else is at work on the row and their lease has not run out.
	ErrClaimed = errors.New("store: claimed by another")
	// ErrClaimLost says that a claim or lease ran out and somebody else has taken the row over.
	ErrClaimLost = errors.New("store: the claim was lost to another")
	// ErrCursor says that a cursor does not belong to the log as this database has it.
	ErrCursor = errors.New("store: not a cursor of this log")
	// ErrCursorExpired says that entries behind a cursor are no longer in the log.
	ErrCursorExpired = errors.New("store: the cursor has expired")
	// ErrTenant says that no tenant was named, or that a row of another one was handed in. The transaction fails with
	// it.
	ErrTenant = errors.New("store: no tenant, or a row of another one")
)

// Store is what serves callers: transactions that belong to one tenant. It is safe for concurrent use.
type Store interface {
	// View runs fn on one consistent state of a tenant's rows.
	View(ctx context.Context, tenant string, fn func(Reader) error) error
	// Consent gives one consent as a View would that begins now: never older than what an Update that has returned, or
	// what an earlier View has shown, made of it. It belongs to the caller.
	Consent(ctx context.Context, tenant, id string) (*Consent, error)
	// Update runs fn in one transaction: all of its changes become durable together, before Update returns nil, or none
	// does.
	//
	// fn may run more than once, also after a run that seemed to succeed, and must have no effect outside the
	// transaction. It must not wait for anything but the transaction: others may wait for it. When fn gives
	// ErrConflict, it runs again a few times on newer rows; Update returns ErrConflict when that does not help.
	//
	// Transactions that read and change the same row run one after the other, or the later one runs again. Read is
	// also, by its key, that a row is not there, and which consents a customer has.
	//
	// Several Updates may become durable by one commit. One that fails takes nothing of the others with it. When the
	// context ends, the transaction fails before its next statement; once fn has succeeded its outcome is waited for,
	// so that it is known.
	Update(ctx context.Context, tenant string, fn func(Tx) error) error
}

// Database is an open database.
type Database interface {
	Store
	// System is the port for Kontor's own work on the rows of all tenants.
	System() System
	// Quotas is where processes that share the database count together what clients spend; nil where one process has
	// the database to itself.
	Quotas() Quotas
	// Keys are the working keys of this database.
	Keys() *keys.Keys
	// Ping tells whether the database can be read and written; a FaultError says why it cannot.
	Ping(ctx context.Context) error
	// Stats tells how the database does. It never waits for it.
	Stats() Stats
	// Close waits for running transactions and releases the database.
	Close() error
}

// Reader reads the rows of one tenant. Every method answers ErrNotFound for a row of another tenant as for none. What
// it returns belongs to the caller.
type Reader interface {
	CustomerReader
	ConsentReader
	ShipmentReader
	LogReader
	RequestReader

	AuditReader

	// Callback finds a token by its hash.
	Callback(kind CallbackKind, hash [32]byte) (*Callback, error)
	Webhook(key string) (*Webhook, error)
}

// CustomerReader reads customers.
type CustomerReader interface {
	Customer(id string) (*Customer, error)
	CustomerByReference(reference Lookup) (*Customer, error)
	// CustomersByUser finds the customers that have one of the users at a provider, by user id.
	CustomersByUser(provider string, users []string) (map[string]string, error)
	Customers(page Page) ([]*Customer, error)
	// Receipt finds what was deleted with a customer by the customer's id.
	Receipt(id string) (*Receipt, error)
}

// ConsentReader reads consents and their histories.
type ConsentReader interface {
	// Consent does not find a consent that was deleted.
	Consent(id string) (*Consent, error)
	Consents(filter ConsentFilter, page Page) ([]*Consent, error)
	// ConsentsByProviderRef finds consents of a provider by their ids there.
	ConsentsByProviderRef(provider string, refs []string) ([]*Consent, error)
	// OthersRead tells whether a consent of a provider, other than one, was read well in the background after a time.
	OthersRead(provider, except string, after time.Time) (bool, error)
	// Events lists a consent's events behind a sequence, in order.
	Events(consentID string, after int64, limit int) ([]consent.Event, error)
	// UnsettledEvents lists the events that bear on how a consent stands, in order: all that were not settled.
	UnsettledEvents(consentID string) ([]consent.Event, error)
	// KnownEvents tells which of some keys events of a consent have, settled or not.
	KnownEvents(consentID string, keys []string) (map[string]bool, error)
	// FlowClaim tells who has, or had until the lease's end, the right to open a flow of a consent; ErrNotFound for
	// nobody.
	FlowClaim(consentID string) (Lease, error)
}

// ShipmentReader reads shipments.
type ShipmentReader interface {
	Shipment(id string) (*Shipment, error)
	Shipments(filter ShipmentFilter, page Page) ([]*Shipment, error)
}

// LogReader reads the logs. The methods answer ErrCursor for a cursor of another database or log, and for one that lies
// behind the log's end, and ErrCursorExpired for one behind which entries were trimmed. The empty cursor stands for
// where the log begins by now.
type LogReader interface {
	// ConsentEntries lists the tenant's entries behind a cursor, in order; with an id only those of one consent,
	// deleted or not.
	ConsentEntries(consentID string, after Cursor, limit int) ([]ConsentEntry, error)
	ShipmentEntries(shipmentID string, after Cursor, limit int) ([]ShipmentEntry, error)
	// Head is the cursor behind the newest entry of a log. It never goes back, also when the newest entries are
	// deleted.
	Head(log Log) (Cursor, error)
	// Newest tells which of some resources, by id, have entries behind a cursor, and the place behind the newest of
	// each. Those count, too, that are committed and not yet to be seen in the log: what the rows of this moment have
	// in them, they have from the entries up to there.
	Newest(log Log, ids []string, after Cursor) (map[string]Cursor, error)
}

// RequestReader reads what is remembered of creating requests.
type RequestReader interface {
	Idempotency(method, key string) (*Idempotency, error)
	Intent(id string) (*Intent, error)
	// OpenIntents lists the intents in state open that wait with an idempotency record.
	OpenIntents(method, key string) ([]*Intent, error)
}

// AuditReader reads a tenant's audit trail. An entry becomes visible only together with all of the tenant's entries
// before it, as in the logs.
type AuditReader interface {
	// AuditTrail lists the entries behind a position, in order.
	AuditTrail(after int64, limit int) ([]Audit, error)
	// AuditBefore gives the last entry up to a position; ErrNotFound when there is none.
	AuditBefore(position int64) (*Audit, error)
	// AuditChain tells where the chain stands.
	AuditChain() (AuditChain, error)
	// AuditCheckpoints lists the checkpoints behind a position, in order.
	AuditCheckpoints(after int64, limit int) ([]AuditSeal, error)
	// AuditCheckpointBefore gives the newest checkpoint that was made before a time; ErrNotFound when there is none.
	AuditCheckpointBefore(before time.Time) (*AuditSeal, error)
	// AuditRoll gives the roll of all tenants, which is made with the database; nil when somebody took it out.
	AuditRoll() (*AuditRoll, error)
}

// Tx reads and writes the rows of one tenant within one transaction. Rows that are handed in must name that tenant.
type Tx interface {
	Reader
	CustomerWriter
	ConsentWriter
	ShipmentWriter
	RequestWriter

	AuditWriter

	InsertCallback(callback *Callback) error
	// UpdateCallback writes how a customer came back: Outcome, VisitTime and Settled.
	UpdateCallback(callback *Callback) error
	// PutWebhook writes a registration. One that is Registered replaces the provider's others: they go, with their
	// callback tokens.
	PutWebhook(webhook *Webhook) error
}

// CustomerWriter writes customers.
type CustomerWriter interface {
	// InsertCustomer answers ErrExists when the reference is taken.
	InsertCustomer(customer *Customer) error
	// UpdateCustomer answers ErrExists when the new reference is taken.
	UpdateCustomer(customer *Customer) error
	// DeleteCustomer removes part of what belongs to a customer: at most limit rows of what DeleteConsent left to
	// erase, of their deleted consents, their shipments with their tokens and entries, their intents and records. When
	// there is nothing left, also no consent that was not deleted before, it removes the customer and says Done. So a
	// long deletion is one Update after another, each with its own DeleteConsent calls, until Done; when the process
	// dies in between, the same calls finish it.
	//
	// In between, readers find the customer with what is not removed yet. Of the log only the stripped DELETED events
	// stay, so that watchers learn of them. It answers ErrNotFound when there is no such customer.
	DeleteCustomer(id string, limit int) (Removed, error)

	// PutReceipt writes what was deleted with a customer so far, over what was written before.
	PutReceipt(receipt *Receipt) error

	// ClaimUser claims the right to make a customer's user at a provider. While another owner's lease lasts it answers
	// ErrClaimed: wait, and look whether the user is there. An owner may claim again, for longer.
	ClaimUser(customerID, provider string, now time.Time, lease Lease) error
	// ReleaseUser gives the right back, in the transaction that stores the user, or when none was made. It answers
	// ErrClaimLost when the owner no longer has it.
	ReleaseUser(customerID, provider, owner string) error
}

// ConsentWriter writes consents and their histories.
type ConsentWriter interface {
	InsertConsent(row *Consent) error
	// UpdateConsent writes a consent whose Version is that of the row, and counts it up; else ErrConflict. With a Claim
	// in it, it ends that claim; it answers ErrClaimLost when the consent has been claimed anew since.
	UpdateConsent(row *Consent) error
	// DeleteConsent erases a consent: its row but for whose it was, its callback tokens, the answers that hold it, and
	// its entries in the log. Of those the DELETED event stays, stripped to name, count and times, so that watchers
	// learn of it; it must have been appended before. The records of its requests stay, without their answers.
	//
	// The row goes at once, so that nobody finds the consent any more; of the rest one call erases at most limit rows.
	// It tells how many; call again, in another transaction, while it was limit. What nobody calls again for is left to
	// FinishErasures. It answers ErrNotFound once all is erased.
	DeleteConsent(id string, limit int) (erased int, err error)
	// AppendEvent adds the next event of a consent, whose sequence must be one above the newest, with the consent as it
	// stands after it.
	AppendEvent(consentID string, event consent.Event, after *consentv1.Consent) error
	// ClaimFlow claims the right to open a flow of a consent at its provider. While another owner's lease lasts it
	// answers ErrClaimed. An owner may claim again, for longer.
	ClaimFlow(consentID string, now time.Time, lease Lease) error
	// ReleaseFlow gives the right back. It answers ErrClaimLost when the owner no longer has it.
	ReleaseFlow(consentID, owner string) error
	// SettleEvents notes that events no longer bear on how their consent stands, by their sequences.
	SettleEvents(consentID string, sequences []int64) error
	// PauseProvider has ClaimDue leave out the consents of the tenant's account at a provider until a time. It never
	// shortens a pause.
	PauseProvider(provider string, until time.Time) error
}

// ShipmentWriter writes shipments.
type ShipmentWriter interface {
	InsertShipment(row *Shipment) error
	// UpdateShipment writes a shipment whose Version is that of the row, and counts it up; else ErrConflict.
	UpdateShipment(row *Shipment) error
	// DeleteShipment removes a shipment that was never sent.
	DeleteShipment(id string) error
	// AppendShipment adds an entry to the shipment log.
	AppendShipment(shipmentID string, after *documentsv1.Shipment) error
}

// RequestWriter writes what is remembered of creating requests.
type RequestWriter interface {
	// InsertIdempotency answers ErrExists when there is a record for the key.
	InsertIdempotency(record *Idempotency) error
	// CompleteIdempotency stores answer, customer and consent on the record of the same key; ErrClaimLost unless the
	// record is still open and its owner's, or when the customer is gone.
	CompleteIdempotency(record *Idempotency) error
	// TakeOverIdempotency gives an open record a new lease if it still has the one in expired, and writes that into
	// expired; else ErrClaimLost.
	TakeOverIdempotency(expired *Idempotency, lease Lease) error
	// DeleteIdempotency forgets an open record, so that the key can be used again; ErrClaimLost unless it is still the
	// owner's.
	DeleteIdempotency(method, key, owner string) error

	InsertIntent(intent *Intent) error
	UpdateIntent(id string, state IntentState, at time.Time) error
}

// AuditWriter writes a tenant's audit trail.
type AuditWriter interface {
	// AppendAudit adds entries, which are not sealed yet. Their positions are above all others, in their order.
	AppendAudit(entries ...*Audit) error
	// SealAudit gives entries their Sequence and Chain, and the chain its new head. It answers ErrConflict, and seals
	// nothing, when one of them is sealed already or not there.
	SealAudit(entries []Audit, head *AuditSeal) error
	// KeepAuditRoll puts a roll in the place of another one; ErrConflict when that is no longer there.
	KeepAuditRoll(before, now *AuditRoll) error
	// KeepCheckpoint keeps a seal as a checkpoint; ErrExists when there is one at its position.
	KeepCheckpoint(checkpoint *AuditSeal) error
	// CutAudit makes a seal the end of what retention removed, and removes at most limit of the entries and as many
	// checkpoints up to there, oldest first; it tells how many entries. Call again while it was limit. It answers
	// ErrConflict when more than that was cut already.
	CutAudit(cut *AuditSeal, limit int) (int, error)
}

// System is the port for Kontor's own work, which belongs to no tenant. Each call is a transaction of its own. Each
// package that does such work asks for the part that it needs.
type System interface {
	Claims
	Leases
	Tails
	Tokens
	Sweeps

	// AuditTrail lists the entries of all tenants behind a position, in order.
	AuditTrail(ctx context.Context, after int64, limit int) ([]Audit, error)
	// AuditTenants lists the tenants that have entries, or had, in order.
	AuditTenants(ctx context.Context) ([]string, error)
	// Backlog tells what waits to be done, for operators.
	Backlog(ctx context.Context, now time.Time) (Backlog, error)
}

// Claims hands out the consents that are due.
type Claims interface {
	// ClaimDue claims consents whose NextPoll has come, and gives them with their Claim: of each share's account the
	// longest due first, and at most the share's limit. It leaves out those that are claimed by somebody whose lease
	// has not run out, and those of accounts that are paused: they come due when the pause is over. No two callers get
	// the same consent at a time.
	//
	// A claimed consent's NextPoll is moved to the end of the lease (ClaimedUntil). If it lies earlier when the poll
	// ends, somebody had news meanwhile.
	ClaimDue(ctx context.Context, now time.Time, owner string, lease time.Duration, shares []Share) ([]*Consent, error)
	// RenewClaims extends claims that ClaimDue gave and that are still their owners'. It never shortens one, and takes
	// back none that ended or was lost. A consent's NextPoll goes along with the lease unless somebody had news.
	RenewClaims(ctx context.Context, claimed []*Consent, until time.Time) error
	// Beat tells the time, again and again. When the clock went back since, by more than clocks may differ, what was
	// planned by it is brought forward by as much: polls, claims, leases and pauses. It gives by how much.
	Beat(ctx context.Context, now time.Time) (back time.Duration, err error)
	// Time tells the time by the database's own clock, which all processes share; zero where they are on one machine
	// and share that one's.
	Time(ctx context.Context) (time.Time, error)
}

// Leases keeps the leases of idempotency records, intents, user claims and flow claims alive, and finds what their
// owners left behind.
type Leases interface {
	// RenewLeases extends whatever the owners still hold. It never shortens a lease, and takes back none that was lost.
	RenewLeases(ctx context.Context, owners []string, until time.Time) error
	// ExpiredIntents lists the intents in state open whose lease has run out, oldest first.
	ExpiredIntents(ctx context.Context, now time.Time, limit int) ([]*Intent, error)
}

// Tails reads the logs of all tenants.
type Tails interface {
	// TailConsents lists entries of all tenants behind a cursor, in order; ErrCursor as LogReader's methods.
	TailConsents(ctx context.Context, after Cursor, limit int) ([]ConsentEntry, error)
	TailShipments(ctx context.Context, after Cursor, limit int) ([]ShipmentEntry, error)
	// Head is the cursor behind the newest entry of a log.
	Head(ctx context.Context, log Log) (Cursor, error)
	// Subscribe returns a channel that receives after entries of a log were committed, by whatever process: possibly
	// once for several, possibly once too often. What it receives is a place up to which there may be more, empty when
	// that is not known: who has read up to just there need not read. No wake-up is lost as long as the subscriber
	// reads the log after each other one. cancel ends the subscription.
	Subscribe(log Log) (wake <-chan Cursor, cancel func())
}

// Tokens finds what callback tokens are for: the tenant is not known before.
type Tokens interface {
	// Callback finds a token by its hash.
	Callback(ctx context.Context, kind CallbackKind, hash [32]byte) (*Callback, error)
}

// Sweeps forgets what need not be remembered any longer, at most limit rows at a time; it tells how many. Call again
// while it was limit.
type Sweeps interface {
	DeleteCallbacksBefore(ctx context.Context, expired time.Time, limit int) (int, error)
	DeleteIdempotencyBefore(ctx context.Context, created time.Time, limit int) (int, error)
	// DeleteIntentsBefore forgets the intents that are not open and have not changed since.
	DeleteIntentsBefore(ctx context.Context, updated time.Time, limit int) (int, error)
	// DeleteShipmentsBefore removes shipments that belong to no customer and were made before a time, with their data
	// keys, callback tokens and log entries. Those of customers go with their customers.
	DeleteShipmentsBefore(ctx context.Context, created time.Time, limit int) (int, error)
	// GiveRoomBack makes files smaller by at most limit pages of what was swept, as far as it is not kept for what
	// comes. A store that cannot tells of none.
	GiveRoomBack(ctx context.Context, limit int) (int, error)
	// DeleteQuotasBefore forgets the buckets of clients (see Quotas) that were full again before a time.
	DeleteQuotasBefore(ctx context.Context, full time.Time, limit int) (int, error)
	// FinishErasures erases what is left of consents for which nobody called DeleteConsent to the end.
	FinishErasures(ctx context.Context, limit int) (int, error)
	// TrimLog takes entries out of a log that were committed before a time; cursors before them expire first. How old
	// entries are is known by the calls before, each of which notes where the log ends now. A consent's own history
	// stays whole while the consent exists: see Events.
	TrimLog(ctx context.Context, log Log, now, before time.Time, limit int) (int, error)
}
