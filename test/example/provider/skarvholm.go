// Package example is the adapter to Skarvholm, a group of Norwegian banks that does not exist. It lives in the tests
// and is never part of the gateway: it shows what an adapter is made of, in docs/adding-a-provider.md and to whoever
// writes the next one. Its API is of the kind that PSD2 brought about (Berlin Group's XS2A).
//
// A consent at Skarvholm is one customer at one bank of the group. It ends by itself, at a time that Skarvholm tells.
// Once approved it has a token of its own, by which its data is read; the adapter remembers that token in the consent's
// state (state.go).
//
// Skarvholm has its quirks. Each is handled in one place and has a test named after it:
//
//   - The customer's return brings a code, which is exchanged for the consent's token (callbacks.go). Without it an
//     approved consent cannot be read, and is none for Kontor (mapping.go: stateOf).
//   - The pages return the customer to one address, and say in its query how the visit ended (callbacks.go: outcome).
//   - Bodies to /oauth are forms, all others JSON (auth.go, state.go).
//   - Each request carries a digest of its exact body and a signature of both (client.go: sign).
//   - A 401 can be about a consent, or about our login; a 429 about one consent, or about all (errors.go: classify).
//   - Data is collected for a while after the approval (mapping.go: stateOf).
//   - Nobody may read a consent's data more than four times a day while its customer is away (Open: Manners).
//   - Some labels are Norwegian words, and "rente" is no pension (mapping.go: labels).
//   - A renewal makes a new consent. The one before can be read until the customer approves (consents.go).
package example

import (
	"context"
	"errors"
	"regexp"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
	"kontor.dev/kontor/internal/secret"
)

// Kind is the adapter.
var Kind = providers.NewKind(kindName, displayName, Operations(), Open)

const (
	kindName    = "skarvholm"
	displayName = "Skarvholm"
	// defaultBaseURL is Skarvholm's production server.
	defaultBaseURL = "https://api.skarvholm.example/xs2a"
	// defaultConsentDays is how long a consent is asked for, at most what Skarvholm gives.
	defaultConsentDays = 90
	// readsPerDay is how often Skarvholm lets a consent's data be read in a day while its customer is away.
	readsPerDay = 4
)

// Config is one account at Skarvholm.
type Config struct {
	// BaseURL is the server with the path above all operations; empty for Skarvholm's production server.
	BaseURL providers.BaseURL `config:"base_url"`
	// ClientID and ClientSecret are the account's credentials, SigningKey signs its requests.
	ClientID     clientID      `config:"client_id,required"`
	ClientSecret secret.String `config:"client_secret,required"`
	SigningKey   secret.String `config:"signing_key,required"`
	// ConsentDays is how long a consent is asked for; 90 when zero.
	ConsentDays int `config:"consent_days"`
	// Operations replaces methods and paths.
	Operations providers.Overrides `config:"operations"`
}

// Check finds what no type of a field says by itself.
func (c *Config) Check() error {
	if c.ConsentDays < 0 || c.ConsentDays > defaultConsentDays {
		return providers.Faults{{Key: "consent_days", Message: "must be between 1 and 90"}}
	}
	return nil
}

type clientID string

var clientIDPattern = regexp.MustCompile(`^SKH-[0-9]{6}$`)

// Check demands the form that Skarvholm gives its clients' ids.
func (id clientID) Check() error {
	if !clientIDPattern.MatchString(string(id)) {
		return errors.New("must be of the form SKH-123456")
	}
	return nil
}

// norway is Skarvholm's one market.
var norway = providers.Market{Code: "NO", CurrencyCode: "NOK", Location: mustLoad("Europe/Oslo")}

func mustLoad(zone string) *time.Location {
	location, err := time.LoadLocation(zone)
	if err != nil {
		panic(err) // the gateway carries the zone database
	}
	return location
}

// adapter implements all ports.
type adapter struct {
	client *upstream.Client
	id     string // the provider's, in errors
	cfg    Config
	table  providers.Table
	clock  func() time.Time
	keep   providers.StateKeeper // may be nil
	// refreshes are those of consents' tokens that are under way, by the token that is replaced.
	refreshes coalesce.Group[consentToken]
}

var (
	_ providers.Session  = (*adapter)(nil)
	_ providers.Consents = (*adapter)(nil)
	_ providers.Links    = (*adapter)(nil)
	_ providers.Accounts = (*adapter)(nil)
)

// Open makes the provider. It sends nothing.
func Open(_ context.Context, cfg Config, deps providers.Deps) (*providers.Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	if cfg.ConsentDays == 0 {
		cfg.ConsentDays = defaultConsentDays
	}
	if err := providers.Check(&cfg, Operations()); err != nil {
		return nil, err
	}
	table, err := providers.NewTable(Operations(), cfg.Operations)
	if err != nil {
		return nil, err
	}
	a := &adapter{id: deps.ID, cfg: cfg, table: table, clock: deps.Clock, keep: deps.State}
	if a.client, err = newClient(cfg, deps, table, a.login); err != nil {
		return nil, err
	}
	return &providers.Provider{
		ID:              deps.ID,
		DisplayName:     displayName,
		Markets:         []providers.Market{norway},
		Capabilities:    capabilities(),
		Operations:      table.List(),
		ConsentOrigin:   consentv1.ConsentOrigin_NATIVE,
		NeedsRedirects:  true,
		ReadsOneAccount: true,
		KeepsState:      true,
		Manners:         providers.Manners{ReadsPerDay: readsPerDay},
		Callbacks:       providers.Callbacks{Redirect: a.redirect, Outcome: outcome},
		Session:         a,
		Consents:        a,
		Links:           a,
		Accounts:        a,
	}, nil
}

// capabilities names every RPC that Skarvholm serves, or Kontor in its place. The others are unsupported, and so their
// ports are nil: there is no AddBank, since a consent is for one bank.
func capabilities() map[providers.Capability]providers.Support {
	native := providers.Support{Level: providers.Native}
	emulated := func(reason string) providers.Support {
		return providers.Support{Level: providers.Emulated, Reason: reason}
	}
	var (
		customers = emulated("Skarvholm keeps no customers: Kontor does")
		history   = emulated("Skarvholm tells the present status alone: Kontor writes the history")
		insights  = emulated("Skarvholm has no insights: Kontor derives them from accounts and transactions")
		addBank   = providers.Support{Level: providers.Unsupported, Reason: "a consent at Skarvholm is for one bank"}
	)
	return map[providers.Capability]providers.Support{
		"CreateCustomer": customers, "UpdateCustomer": customers, "DeleteCustomer": customers,
		"CreateConsent": native, "GetConsent": native, "RevokeConsent": native, "DeleteConsent": native,
		"ListConsentEvents": history, "WatchConsents": history, "RenewConsentLink": native, "AddBank": addBank,
		"ListConnections": native, "GetConnection": native, "ListAccounts": native, "GetAccount": native,
		"ListTransactions": native, "StreamTransactions": native, "GetInsights": insights,
	}
}
