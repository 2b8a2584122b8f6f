// Package providers is the seam between Kontor's services and the adapters of the bank-data providers.
//
// A provider is a struct of ports. A nil port is a service that the provider does not have; finer differences are data,
// in Capabilities. What crosses the seam are neutral resources: the messages of Kontor's own API without their names
// (the services set those), never RPC envelopes, page tokens or gRPC statuses. Adapters return *Error for every
// failure. "The customer must authenticate again" is an ordinary outcome, not an error.
//
// The adapters live in folders below this one. They import this package and never each other.
package providers

import (
	"context"
	"iter"
	"slices"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/psu"
	"kontor.dev/kontor/internal/secret"
)

// Provider is one provider with one tenant's credentials. Its ports are safe for concurrent use.
type Provider struct {
	// ID is the last segment of its resource name, such as "fimento".
	ID string
	// DisplayName is its name for people.
	DisplayName string
	// Markets are the countries that it serves.
	Markets []Market
	// Capabilities tells for each RPC of Capabilities' keys how it is served. An RPC that is missing is unsupported.
	Capabilities map[Capability]Support
	// Operations is the table of HTTP operations in force, for `gateway operations`.
	Operations []Operation
	// ConsentOrigin tells whether the provider keeps consents itself.
	ConsentOrigin consentv1.ConsentOrigin_Value
	// OneConsentPerUser says that a customer can have only one live consent at the provider.
	OneConsentPerUser bool
	// RepeatsConsents says that the provider recognises a repetition of CreateConsent, by IdempotencyKey or by the
	// user, and makes nothing new then. Without it a consent that may have been made is never asked for again with the
	// same key of the caller's.
	RepeatsConsents bool
	// NeedsRedirects says that the provider needs an address for success, error and exit each.
	NeedsRedirects bool
	// ReadsOneAccount says that Transactions heeds Query.AccountID, so that it pays to find out the account's id
	// first.
	ReadsOneAccount bool
	// KeepsState says that the adapter remembers something of each consent: ConsentRef.State, and Deps.State.
	KeepsState bool
	// Manners is how the provider wants to be asked about consents that stand.
	Manners Manners
	// Callbacks read what comes back from the provider's pages and from the provider itself.
	Callbacks Callbacks

	// Session checks that the provider takes the credentials. Always set.
	Session Session
	// Users is set when the provider keeps users of its own; a consent then belongs to one.
	Users Users
	// Consents asks for consent and ends it. Always set.
	Consents Consents
	// Links issues new links for flows that are still open.
	Links Links
	// Banks adds further banks to a consent.
	Banks Banks
	// Simulator decides in the customer's place.
	Simulator Simulator
	// PartnerBanks keeps the banks on whose behalf consent is asked.
	PartnerBanks PartnerBanks
	// Webhooks registers addresses that the provider calls.
	Webhooks Webhooks
	// Connections looks after single banks under a consent.
	Connections Connections
	// Importer takes bank data that the caller brings along.
	Importer Importer
	// Accounts reads accounts and transactions. Always set.
	Accounts Accounts
	// Holdings reads standing orders and securities.
	Holdings Holdings
	// Insights evaluates transactions. When nil, Kontor derives them from Accounts.
	Insights Insights
	// Visualizations links to the provider's own view of the data.
	Visualizations Visualizations
	// PaymentPartners analyses a company's payment partners.
	PaymentPartners PaymentPartners
	// Logos finds company logos.
	Logos Logos
	// Shipments sends faxes and letters.
	Shipments Shipments
}

// OperationNames lists the names by which the provider's calls are counted.
func (p *Provider) OperationNames() []string {
	names := make([]string, len(p.Operations))
	for i, operation := range p.Operations {
		names[i] = operation.Name
	}
	return names
}

// Market is a country that a provider serves.
type Market struct {
	// Code is the ISO 3166-1 alpha-2 code.
	Code string
	// CurrencyCode is what amounts are in when the provider does not say.
	CurrencyCode string
	// Location is the zone in which the banks' dates are meant.
	Location *time.Location
}

// The markets that Kontor knows.
var (
	MarketSE = Market{Code: "SE", CurrencyCode: "SEK", Location: mustLoad("Europe/Stockholm")}
	MarketFI = Market{Code: "FI", CurrencyCode: "EUR", Location: mustLoad("Europe/Helsinki")}
	MarketDE = Market{Code: "DE", CurrencyCode: "EUR", Location: mustLoad("Europe/Berlin")}
)

// Market finds a market by its code; an unknown code gives the first market.
func (p *Provider) Market(code string) Market {
	for _, m := range p.Markets {
		if m.Code == code {
			return m
		}
	}
	return p.Markets[0]
}

// Serves tells whether the provider serves a market.
func (p *Provider) Serves(market string) bool {
	for _, m := range p.Markets {
		if m.Code == market {
			return true
		}
	}
	return false
}

// Call is what travels with every provider call without being part of a request.
type Call struct {
	// PSUIP is the end user's address, empty when it is not known.
	PSUIP string
	// RequestID identifies the caller's request; it is sent on where the provider takes one.
	RequestID string
	// Background says that nobody waits for the answer. When the provider says to wait (Retry-After), the call fails at
	// once instead of waiting: whoever sends such calls holds them all back.
	Background bool
}

type callKey struct{}

// WithCall attaches call to the context.
func WithCall(ctx context.Context, call Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}

// CallOf gives what WithCall attached.
func CallOf(ctx context.Context) Call {
	call, _ := ctx.Value(callKey{}).(Call)
	return call
}

// Session is the login at a provider.
type Session interface {
	// Check makes sure that there is a valid token, logging in when needed.
	Check(ctx context.Context) error
	// Health tells how the provider fares, as seen from here. It asks nothing.
	Health() Health
}

// Health tells how a provider fares.
type Health struct {
	// State is UNKNOWN until the first call.
	State providerv1.Provider_Health_State
	// Since is when the state began, zero while UNKNOWN.
	Since time.Time
	// LastError classifies the last failed call, nil when there was none; LastErrorTime is when that was.
	LastError     *ErrorKind
	LastErrorTime time.Time
	// Breaker is the state of the circuit breaker in front of the provider.
	Breaker providerv1.Breaker_Value
	// RemainingQuota is how many calls the provider said it still takes, nil when it does not tell.
	RemainingQuota *int64
}

// Users keeps the users of a provider that has such.
type Users interface {
	// CreateUser makes a user and returns its id.
	CreateUser(ctx context.Context, user NewUser) (string, error)
	// DeleteUser deletes a user with all their data. One that is gone already is no error.
	DeleteUser(ctx context.Context, id string) error
	// AddProduct books a product for a user.
	AddProduct(ctx context.Context, id string, product customerv1.Product_Value) error
	// RemoveProduct cancels a product of a user. One that is not booked is no error.
	RemoveProduct(ctx context.Context, id string, product customerv1.Product_Value) error
	// ListUsers lists size users from the page on; pages count from 0. Fewer than size users end the list.
	ListUsers(ctx context.Context, page, size int) ([]User, error)
	// MaxUserPage is the largest size that ListUsers takes.
	MaxUserPage() int
}

// NewUser describes a user to make.
type NewUser struct {
	Type     customerv1.Customer_Type
	Products []customerv1.Product_Value
}

// User is a user as the provider lists it.
type User struct {
	ID                     string
	Scopes                 []string
	Deleted                bool
	CreateTime, DeleteTime time.Time // zero when not told
}

// ConsentRef names a consent at the provider.
type ConsentRef struct {
	// ID is the provider's id: a process, or a user.
	ID string
	// PartnerBank is the bank on whose behalf the consent was asked, empty where the provider has none.
	PartnerBank string
	// Market is the market's code.
	Market string
	// Imported says that the data under it was handed over by the caller, so that its ids are the caller's.
	Imported bool
	// State is what the adapter wants to know again about this consent, as it gave it last: a token of the consent's
	// own, say. Kontor does not look into it; it is sealed where it is stored, and nothing prints it. Empty for
	// adapters that do not say KeepsState.
	State secret.String
	// Share is set while the user of the consent has another one beside it: one for data that the caller brought along,
	// and one for banks that the customer connected. Nil: all of the user's banks are the consent's.
	Share *Share
}

// Share tells which of a user's banks belong to one of two consents. An adapter reads, and ends, no others under it.
type Share struct {
	// Imported are the provider's ids of those whose data the caller brought along.
	Imported []string
	// OfImported says that these are the consent's; else all others are.
	OfImported bool
}

// Covers tells whether a bank belongs to the consent.
func (s *Share) Covers(connectionID string) bool {
	return s == nil || slices.Contains(s.Imported, connectionID) == s.OfImported
}

// StateKeeper keeps what an adapter must remember of a consent when it changes during a call whose result has no
// place for it, such as a token that was refreshed to read accounts.
type StateKeeper interface {
	// KeepState keeps state in place of the one before. It is durable when KeepState returns; it outlives the call
	// that it belongs to.
	KeepState(ctx context.Context, ref ConsentRef, state secret.String) error
}

// NewConsent describes a consent to ask for.
type NewConsent struct {
	// UserID is the user it is for, where the provider has Users.
	UserID string
	// Market is the market's code.
	Market string
	// PartnerBank is the caller's choice; empty for the configured one.
	PartnerBank    string
	Access         consentv1.Access_Value
	DataCollection consentv1.DataCollection_Value
	Psu            *consentv1.Psu
	BrokerBanks    []*consentv1.Consent_BrokerBank
	Redirects      Redirects
	// IdempotencyKey lets a provider that supports it recognise a repeated request.
	IdempotencyKey string
}

// Redirects are the addresses, on Kontor itself, to which the provider's pages return the customer.
type Redirects struct {
	Success, Error, Exit string
}

// Link is a hosted page for the customer.
type Link struct {
	URI string
	// TTL is how long it works, counted from receipt.
	TTL time.Duration
}

// CreatedConsent is a consent that was just asked for.
type CreatedConsent struct {
	// Ref names it from now on.
	Ref   ConsentRef
	Link  Link
	State ConsentState
}

// Issued is a link that was issued for a consent that there was already.
type Issued struct {
	Link Link
	// Ref is set when issuing gave the consent a new id or a new state.
	Ref *ConsentRef
}

// ConsentState is what a provider knows about a consent at one moment.
type ConsentState struct {
	// Observations are the statuses that the provider has in its history, in no particular order, repeats included.
	// Providers without a history leave it nil.
	Observations []Observation
	// Decision is what the provider states as the customer's decision beside its history, without a time: UNDECIDED
	// while there is none, unspecified where it states no such thing. DecisionCode is the provider's own word for it.
	Decision     consentv1.Decision_Value
	DecisionCode string
	// Withdrawn names the places at which the provider states a withdrawal at present, and without a time: a field, or
	// an entry of its history. The same place has the same name in each report, so that one that states it anew can be
	// told from what is left over.
	Withdrawn []string
	// Connections are the banks under the consent at this moment, for a provider that reports states instead of a
	// history.
	Connections []ConnectionState
	// Stateful says that Connections is complete: a known connection that is missing has been removed.
	Stateful bool
	// ValidUntil is when the permission ends by itself, as the provider tells; zero when it does not.
	ValidUntil time.Time
	// Stage says how far the data under the consent has come, for a provider that reports connections and tells.
	// Unspecified: the data is there as soon as a bank is connected.
	Stage consentv1.DataStage_Value
	// Identity is who approved, as far as the provider tells; nil before somebody did, and when it tells nothing. It is
	// compared with whom the consent was asked of, and not kept.
	Identity *psu.Identity
	// Ref is set when reading gave the consent a new state or id.
	Ref *ConsentRef
}

// KeyCreated is the key of the status that says that the consent was made. Kontor notes that, too, and it is one event.
const KeyCreated = "created"

// Observation is one status from a provider's history.
type Observation struct {
	// Key identifies the status within the consent, so that it becomes one event however often it is reported. That of
	// the status with which a consent begins is KeyCreated.
	Key string
	// Type is PROVIDER_STATUS for a code that the adapter does not know.
	Type consentv1.ConsentEvent_Type
	// ConnectionID is the provider's id of the bank that it concerns; empty for the consent as a whole.
	ConnectionID string
	// Bank is that bank.
	Bank *consentv1.Connection_Bank
	// ProviderCode is the provider's code, as it is.
	ProviderCode string
	// Description is how the provider words a code that the adapter does not know, for PROVIDER_STATUS. It is shown to
	// callers, cut to a bounded length, and logged by nobody.
	Description string
	// Time is when it happened by the provider's clock, zero when not told.
	Time time.Time
	// AuthorizeTime is when the customer authenticated at the bank, as the provider tells; zero when it does not.
	AuthorizeTime time.Time
	// Error is set for AUTHORIZATION_FAILED.
	Error *errorv1.Error
}

// ConnectionState is one bank under a consent as it is now.
type ConnectionState struct {
	// ID is the provider's id.
	ID   string
	Bank *consentv1.Connection_Bank
	// Active is false when the customer must authenticate again before newer data can be had.
	Active bool
	// AuthorizeTime is when the customer authenticated at the bank, as the provider tells; zero when it does not.
	AuthorizeTime time.Time
	// SyncTime is when data was last fetched, zero when not told.
	SyncTime time.Time
	// Stage says how far this bank's data has come; unspecified when not told.
	Stage consentv1.DataStage_Value
}

// Manners is how a provider wants to be asked about consents that stand. Zero values: no opinion.
type Manners struct {
	// IdleInterval is the shortest time between two reads of a consent that is approved and of which no news is
	// expected.
	IdleInterval time.Duration
	// ReadsPerDay is how many reads of one consent in a day the provider allows while its customer is away, once its
	// data is there.
	ReadsPerDay int
}

// Consents asks for consent and ends it.
type Consents interface {
	// CreateConsent starts asking.
	CreateConsent(ctx context.Context, consent NewConsent) (*CreatedConsent, error)
	// GetConsent reads the present state.
	GetConsent(ctx context.Context, ref ConsentRef) (*ConsentState, error)
	// RevokeConsent ends the consent; the provider deletes the data. One that is gone already is no error.
	RevokeConsent(ctx context.Context, ref ConsentRef) error
}

// Links issues links anew.
type Links interface {
	// RenewLink issues a new link for a flow that is still open.
	RenewLink(ctx context.Context, ref ConsentRef, flow Flow) (*Issued, error)
}

// Banks adds banks.
type Banks interface {
	// AddBank opens another flow within the consent.
	AddBank(ctx context.Context, ref ConsentRef, flow Flow) (*Issued, error)
}

// Flow describes one visit of the customer to the provider's pages.
type Flow struct {
	Access    consentv1.Access_Value
	Redirects Redirects
}

// Simulator decides in the customer's place, in test environments.
type Simulator interface {
	// SimulateDecision approves or revokes.
	SimulateDecision(ctx context.Context, ref ConsentRef, approve bool) error
}

// PartnerBank is a bank on whose behalf consent is asked.
type PartnerBank struct {
	ID, DisplayName, LogoURI string
	Broker                   bool
}

// PartnerBanks keeps partner banks.
type PartnerBanks interface {
	// CreatePartnerBank makes one. The ID of bank is not looked at.
	CreatePartnerBank(ctx context.Context, bank PartnerBank) (*PartnerBank, error)
	// UpdatePartnerBank sets all fields of one.
	UpdatePartnerBank(ctx context.Context, bank PartnerBank) (*PartnerBank, error)
	// ListPartnerBanks lists size of them from the page on; pages count from 1. Fewer than size end the list.
	ListPartnerBanks(ctx context.Context, page, size int) ([]PartnerBank, error)
}

// Webhooks registers addresses that the provider calls when something changed.
type Webhooks interface {
	// RegisterWebhook adds an address.
	RegisterWebhook(ctx context.Context, url string) error
}

// Connections looks after single banks under a consent.
type Connections interface {
	// SyncConnection fetches newer data. A link means that the customer must authenticate first; nil means that it is
	// done.
	SyncConnection(ctx context.Context, ref ConsentRef, connectionID string, flow Flow) (*Link, error)
	// DeleteConnection removes a bank. One that is gone already is no error.
	DeleteConnection(ctx context.Context, ref ConsentRef, connectionID string) error
	// ManagementSession links to the page on which the customer manages their banks.
	ManagementSession(ctx context.Context, ref ConsentRef, flow Flow) (*Link, error)
}

// Importer takes bank data that the caller brings along.
type Importer interface {
	// ImportConnections replaces all bank logins of the user, or merges into them.
	ImportConnections(ctx context.Context, ref ConsentRef, replace bool,
		connections []*bankingv1.ImportedConnection) error
}

// Account is an account without its name and connection.
type Account struct {
	// ID is the provider's id, unique under the consent. It never changes.
	ID string
	// ConnectionID is the provider's id of its connection, empty when not told.
	ConnectionID string
	*bankingv1.Account
}

// Transaction is a transaction without its name and account.
type Transaction struct {
	// ID is the provider's id, unique in the account.
	ID string
	// AccountID is the provider's id of its account, as in Account.ID; empty where it cannot be told to be on one of
	// the accounts that are listed.
	AccountID string
	*bankingv1.Transaction
}

// StandingOrder is a standing order without its name and account.
type StandingOrder struct {
	ID, AccountID string
	*bankingv1.StandingOrder
}

// Security is a holding without its name and account.
type Security struct {
	ID, AccountID string
	*bankingv1.Security
}

// Accounts reads accounts and transactions.
type Accounts interface {
	// ListAccounts reads all accounts under a consent.
	ListAccounts(ctx context.Context, ref ConsentRef) ([]Account, error)
	// Transactions reads the transactions under a consent, each once, in the provider's order, as far as the caller
	// iterates. An error ends the sequence. It may give more than query asks for.
	Transactions(ctx context.Context, ref ConsentRef, query Query) iter.Seq2[Transaction, error]
}

// Query narrows a read of transactions. An adapter passes on what its provider can do and ignores the rest: the
// caller filters all the same. Zero values: no bound.
type Query struct {
	// AccountID is the provider's id of the one account, as in Account.ID.
	AccountID string
	// From and To bound the booking date, as ISO dates, both inclusive.
	From, To string
}

// Holdings reads what else is on accounts.
type Holdings interface {
	// ListStandingOrders reads all standing orders under a consent.
	ListStandingOrders(ctx context.Context, ref ConsentRef) ([]StandingOrder, error)
	// ListSecurities reads all securities under a consent.
	ListSecurities(ctx context.Context, ref ConsentRef) ([]Security, error)
}

// Insights evaluates transactions.
type Insights interface {
	// GetInsights reads the evaluation; the accounts in it come beside it, without names.
	GetInsights(ctx context.Context, ref ConsentRef, referenceID string) (*insightsv1.Insights, []Account, error)
}

// Visualizations links to the provider's own view of the data.
type Visualizations interface {
	// VisualizationLink issues a short-lived address.
	VisualizationLink(ctx context.Context, ref ConsentRef, referenceID string) (string, error)
}

// PaymentPartners analyses a company's payment partners.
type PaymentPartners interface {
	// PaymentPartnerAnalysis reads the analysis. AccountAnalysis.account holds the provider's id of the account, as in
	// Account.ID.
	PaymentPartnerAnalysis(ctx context.Context, ref ConsentRef) (*insightsv1.PaymentPartnerAnalysis, error)
}

// Logos finds company logos.
type Logos interface {
	// SearchLogos answers each query that has a result; the queries' ids are set and unique.
	SearchLogos(ctx context.Context, request *insightsv1.SearchCompanyLogosRequest) ([]*insightsv1.CompanyLogo, error)
}

// Shipment is a fax or letter to send.
type Shipment struct {
	// ID is Kontor's id, which the provider's report carries.
	ID string
	// CallbackURL is where the provider reports delivery.
	CallbackURL string
	*documentsv1.Shipment
}

// Shipments sends faxes and letters.
type Shipments interface {
	// SendShipment hands over a shipment. It must never be repeated when the error says MayHaveHappened.
	SendShipment(ctx context.Context, shipment Shipment) error
}

func mustLoad(name string) *time.Location {
	location, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // the zone database is linked in
	}
	return location
}
