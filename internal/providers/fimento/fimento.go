// Package fimento is the adapter to Fimento's Bank Data Insights API, for Swedish and Finnish banks. It speaks
// Fimento's HTTP API on one side and Kontor's messages on the other and keeps nothing but a token. What it does not
// hold: resilience, limits and token caching (package upstream), customers, and consents as records (Kontor's services;
// Fimento names the customer anew in each process).
//
// What Fimento calls a process is what Kontor calls a consent, and has the same life: asking again and adding a bank
// happen within it, and deleting it deletes the data. A partner bank goes with each call about a process, and it must
// be the one that the process was made for.
//
// Fimento has its quirks, and its documentation has more. Each is handled in one place and has a test named after it:
//
//   - The unit of a token's valid_until is not told; neither is refreshing, so each token comes from a login (auth.go).
//   - The consent link has no documented field name (wire.go: namedLink), nor a time of issue (consents.go: linkTTL).
//   - A history of statuses is {current, history[]}, an array, or one status; the list of banks comes under two names;
//     statuses repeat, come out of order, and carry codes that are not documented; times come in several forms
//     (wire.go: wireStatuses; mapping.go: reportOf).
//   - Failures at a bank stand on the process or on the bank; their messages are free text about a customer and go
//     nowhere: they become one of few kinds, OTHER in case of doubt (mapping.go: failures). desc words a code; it is
//     told for codes that are not documented alone.
//   - When a customer consented stands at each bank (consentGivenAt), and how long that holds nowhere.
//   - The decision is null, "null", "revoked" or "approved", in two places, and has no time there; a withdrawal may be
//     told there alone, or by a status without a time that can be read. Where the places differ the withdrawal stands
//     (wire.go: wireDecision; mapping.go: withdrawnAt; what then counts: consent.Derive).
//   - psuType is documented with the values of dataCollectionType, and brokerBanks come back as strings: what is sent
//     is the caller's, what comes back is not looked at (consents.go: processBody; wire.go: wireProcess). A logo is
//     logoUrl or logoUri (wire.go: wirePartnerBank).
//   - Whether a simulated decision goes into the path or the query is not told: the operation's path decides
//     (simulator.go).
//   - Accounts have no id: their number serves (mapping.go: accountsOf). They name their bank by its name alone.
//   - Transactions come in pages whose first number, size and end are not told: pages that only repeat what came before
//     are taken for the end, and the log doubts it, until the operator knows (transactions.go). Neither is what their
//     accountId means: a transaction is on the account whose number it is, and else on none (mapping.go: attribution).
//   - fetchedAtInterval is when the data was fetched, and not what it covers: that follows from the bookings.
//   - A list without entries may be null, wherever a list is documented (wire.go: required).
//   - No currency is given: it is the market's. Numbers are decimals, and no float64 on their way (wire.go: amount).
//   - totalBalance, categorisation and computationAutomation are open objects, and kept whole (mapping.go: insightsOf).
//   - What a webhook sends is not documented: a call is a hint to read the process again (webhooks.go).
package fimento

import (
	"context"
	"errors"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
	"kontor.dev/kontor/internal/secret"
)

// Kind is the adapter.
var Kind = providers.NewKind(kindName, displayName, Operations(), Open)

const (
	kindName    = "fimento"
	displayName = "Fimento"
)

// Config is one API user at Fimento. Demo and real data share one server and differ by the user.
type Config struct {
	// BaseURL is the server with the path above all operations. Fimento does not publish it, so there is no default.
	BaseURL providers.BaseURL `config:"base_url,required"`
	// Username and Password are the API user's credentials.
	Username string        `config:"username,required"`
	Password secret.String `config:"password,required"`
	// PartnerBank is the id of the bank on whose behalf consent is asked when the caller names none.
	PartnerBank providers.HeaderText `config:"partner_bank"`
	// AllowSimulation lets callers decide in the customer's place. Fimento does so for demo users alone; whether this
	// is one, its name does not tell.
	AllowSimulation bool `config:"allow_simulation"`
	// IdentitySource tells whose ids a process carries. Fimento does not document it.
	IdentitySource IdentitySource `config:"identity_source"`
	// TransactionsEnd tells what follows the last page of transactions. Fimento does not document it.
	TransactionsEnd TransactionsEnd `config:"transactions_end"`
	// Operations replaces methods and paths.
	Operations providers.Overrides `config:"operations"`
}

// IdentitySource is whose national id and company number a process carries.
type IdentitySource string

// The sources.
const (
	// AskedIDs, the default: those that the consent was asked with, so that equal ones prove nothing.
	AskedIDs IdentitySource = "asked"
	// AuthenticatedIDs: those of who authenticated at the bank.
	AuthenticatedIDs IdentitySource = "authenticated"
)

// Check tells whether it is one of them.
func (s IdentitySource) Check() error {
	if s != "" && s != AskedIDs && s != AuthenticatedIDs {
		return errors.New("must be asked or authenticated")
	}
	return nil
}

// TransactionsEnd is what follows the last page of transactions.
type TransactionsEnd string

// The ends.
const (
	// EndUnknown, the default: a page without transactions, or two that repeat what came before, with a warning.
	EndUnknown TransactionsEnd = ""
	// EmptyPage is a page without transactions. Pages that repeat what came before fail the read.
	EmptyPage TransactionsEnd = "empty_page"
	// RepeatedPage is the last page again, or an empty one.
	RepeatedPage TransactionsEnd = "repeated_page"
)

// Check tells whether it is one of them.
func (e TransactionsEnd) Check() error {
	if e != EndUnknown && e != EmptyPage && e != RepeatedPage {
		return errors.New("must be empty_page or repeated_page")
	}
	return nil
}

// adapter implements all ports.
type adapter struct {
	client *upstream.Client
	id     string // the provider's, in errors
	cfg    Config
	table  providers.Table
	clock  func() time.Time
}

var (
	_ providers.Session        = (*adapter)(nil)
	_ providers.Consents       = (*adapter)(nil)
	_ providers.Links          = (*adapter)(nil)
	_ providers.Banks          = (*adapter)(nil)
	_ providers.Simulator      = (*adapter)(nil)
	_ providers.PartnerBanks   = (*adapter)(nil)
	_ providers.Webhooks       = (*adapter)(nil)
	_ providers.Accounts       = (*adapter)(nil)
	_ providers.Insights       = (*adapter)(nil)
	_ providers.Visualizations = (*adapter)(nil)
)

var markets = []providers.Market{providers.MarketSE, providers.MarketFI}

// Open makes the provider. It sends nothing.
func Open(_ context.Context, cfg Config, deps providers.Deps) (*providers.Provider, error) {
	if err := providers.Check(&cfg, Operations()); err != nil {
		return nil, err
	}
	table, err := providers.NewTable(Operations(), cfg.Operations)
	if err != nil {
		return nil, err
	}
	a := &adapter{id: deps.ID, cfg: cfg, table: table, clock: deps.Clock}
	if a.client, err = newClient(cfg, deps, table, a.login); err != nil {
		return nil, err
	}
	p := &providers.Provider{
		ID:              deps.ID,
		DisplayName:     displayName,
		Markets:         markets,
		Capabilities:    capabilities(),
		Operations:      table.List(),
		ConsentOrigin:   consentv1.ConsentOrigin_NATIVE,
		RepeatsConsents: true, // by its idempotency-key
		Callbacks:       providers.Callbacks{Webhook: webhook},
		Session:         a,
		Consents:        a,
		Links:           a,
		Banks:           a,
		PartnerBanks:    a,
		Webhooks:        a,
		Accounts:        a,
		Insights:        a,
		Visualizations:  a,
	}
	if cfg.AllowSimulation {
		p.Simulator = a
	} else {
		p.Capabilities["SimulateDecision"] = providers.Support{
			Reason: "the configuration does not allow to decide in a customer's place (allow_simulation)",
		}
	}
	return p, nil
}

func capabilities() map[providers.Capability]providers.Support {
	native := providers.Support{Level: providers.Native}
	emulated := func(reason string) providers.Support {
		return providers.Support{Level: providers.Emulated, Reason: reason}
	}
	customers := emulated("Fimento keeps no customers: Kontor does, and Fimento is told who the customer is in each " +
		"process")
	return map[providers.Capability]providers.Support{
		"CreateCustomer": customers,
		"UpdateCustomer": customers,
		"DeleteCustomer": customers,
		"CreateConsent":  native,
		"GetConsent":     native,
		"ListConsentEvents": emulated("Kontor keeps the history, of the statuses that Fimento reports and of " +
			"its own doings"),
		"WatchConsents":     emulated("Kontor follows the process by Fimento's webhook and by polling"),
		"RenewConsentLink":  native,
		"AddBank":           native,
		"RevokeConsent":     native,
		"DeleteConsent":     native,
		"SimulateDecision":  native,
		"CreatePartnerBank": native,
		"GetPartnerBank": emulated("Fimento has no operation for one partner bank: Kontor looks for it in " +
			"the list"),
		"ListPartnerBanks":        native,
		"UpdatePartnerBank":       native,
		"ListConnections":         native,
		"GetConnection":           native,
		"ListAccounts":            native,
		"GetAccount":              native,
		"ListTransactions":        native,
		"StreamTransactions":      native,
		"GetInsights":             native,
		"CreateVisualizationLink": native,
	}
}
