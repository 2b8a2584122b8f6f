// Package finoos is the adapter to finoOS API v1, for German banks. It speaks finoOS's HTTP API on one side and
// Kontor's messages on the other and keeps nothing but tokens. What it does not hold: resilience, limits and token
// caching (package upstream), consents as records and insights (Kontor's services, since finoOS has neither).
//
// One user at finoOS is one customer of Kontor, and has one connection to finoOS's Banking service: that connection is
// what Kontor calls a consent. So the consent's id at finoOS is the user's id, and asking again, renewing the link and
// adding a bank all happen within it.
//
// finoOS has its quirks. Each is handled in one place and has a test named after it:
//
//   - The token goes into Authorization raw, without "Bearer" (client.go; Config.TokenPrefix changes it). It lives 300
//     seconds and is refreshed while the refresh token lives, 1800 seconds by our clock (auth.go).
//   - The end user's address is demanded by four operations and taken by a fifth (client.go).
//   - A user's scopes are an array when sent and a string when listed; deleted users stay in the listing; scopes exist
//     that finoOS's own enum lacks (wire.go, users.go).
//   - How long a session of the Banking UI can be used is not documented; sessionTTL is our assumption (consents.go).
//     The sessions' answers are "a URL" in several shapes (wireLink).
//   - Synchronizing answers 204 when it is done, and 200 with a link when the customer must authenticate again
//     (connections.go).
//   - Ids are opaque, and the accountID inside transactions, standing orders and securities may match no account: they
//     belong to the account they are nested in (mapping.go, transactions.go). Standing orders may have the id "":
//     Kontor then makes one (identities).
//   - All transactions of a user come in one body without pages. They are decoded one by one as they arrive; the ids
//     that they hang on may come after them in the body (transactions.go).
//   - IBANs need not have right check digits, logos may be empty, tags may lack a source (mapping.go: nothing of it is
//     checked).
//   - The payment partner analysis writes numbers of months as strings and calls the month of a monthly share "quarter"
//     (mapping.go).
//   - A fax has no number: finoOS finds it by itself (shipments.go). What became of a shipment cannot be asked, it is
//     told once.
package finoos

import (
	"context"
	"errors"
	"net/netip"
	"regexp"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
	"kontor.dev/kontor/internal/secret"
)

// Kind is the adapter.
var Kind = providers.NewKind(kindName, displayName, Operations(), Open)

const (
	kindName    = "finoos"
	displayName = "finoOS"
)

// defaultBaseURL is finoOS's production server. The test server is https://os.test.fino.cloud/api/v1.
const defaultBaseURL = "https://os.fino.cloud/api/v1"

// Config is one account at finoOS.
type Config struct {
	// BaseURL is the server with the path above all operations; empty for finoOS's production server.
	BaseURL providers.BaseURL `config:"base_url"`
	// Name and Secret are the account's credentials.
	Name   string        `config:"name,required"`
	Secret secret.String `config:"secret,required"`
	// TokenPrefix stands before the token in the Authorization header, with a blank between; empty for the raw token,
	// as documented.
	TokenPrefix tokenPrefix `config:"token_prefix"`
	// APIVersion is sent as API-Version, such as "2020-06-16"; empty for the version that the account is set to.
	APIVersion apiVersion `config:"api_version"`
	// UnattendedUserIP is the operator's own address, sent in place of the end user's when a consent is revoked and
	// none came with the call: revoking must not fail for want of one. Empty: then it is refused.
	UnattendedUserIP userAddress `config:"unattended_user_ip"`
	// Operations replaces methods and paths.
	Operations providers.Overrides `config:"operations"`
}

type userAddress string

// Check demands an address.
func (a userAddress) Check() error {
	if addr, err := netip.ParseAddr(string(a)); err != nil || addr.Zone() != "" {
		return errors.New("must be an IPv4 or IPv6 address")
	}
	return nil
}

type tokenPrefix string

var prefixPattern = regexp.MustCompile(`^[!-~]{1,40}$`)

// Check demands one word.
func (p tokenPrefix) Check() error {
	if !prefixPattern.MatchString(string(p)) {
		return errors.New("must be one word, such as Bearer")
	}
	return nil
}

type apiVersion string

// Check demands a date.
func (v apiVersion) Check() error {
	if _, err := time.Parse(time.DateOnly, string(v)); err != nil {
		return errors.New("must be a date such as 2020-06-16")
	}
	return nil
}

// adapter implements all ports.
type adapter struct {
	client *upstream.Client
	id     string // the provider's, in errors
	table  providers.Table
	cfg    Config
	clock  func() time.Time
}

var (
	_ providers.Session         = (*adapter)(nil)
	_ providers.Users           = (*adapter)(nil)
	_ providers.Consents        = (*adapter)(nil)
	_ providers.Links           = (*adapter)(nil)
	_ providers.Banks           = (*adapter)(nil)
	_ providers.Connections     = (*adapter)(nil)
	_ providers.Importer        = (*adapter)(nil)
	_ providers.Accounts        = (*adapter)(nil)
	_ providers.Holdings        = (*adapter)(nil)
	_ providers.PaymentPartners = (*adapter)(nil)
	_ providers.Logos           = (*adapter)(nil)
	_ providers.Shipments       = (*adapter)(nil)
)

// Open makes the provider. It sends nothing.
func Open(_ context.Context, cfg Config, deps providers.Deps) (*providers.Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	if err := providers.Check(&cfg, Operations()); err != nil {
		return nil, err
	}
	table, err := providers.NewTable(Operations(), cfg.Operations)
	if err != nil {
		return nil, err
	}
	a := &adapter{id: deps.ID, table: table, cfg: cfg, clock: deps.Clock}
	if a.client, err = newClient(cfg, deps, table, a.login); err != nil {
		return nil, err
	}
	return &providers.Provider{
		ID:                deps.ID,
		DisplayName:       displayName,
		Markets:           []providers.Market{market},
		Capabilities:      capabilities(),
		Operations:        table.List(),
		ConsentOrigin:     consentv1.ConsentOrigin_SYNTHESISED,
		OneConsentPerUser: true,
		RepeatsConsents:   true, // a second session for the same user replaces nothing
		NeedsRedirects:    true,
		Callbacks:         providers.Callbacks{Redirect: redirect, Report: report},
		Session:           a,
		Users:             a,
		Consents:          a,
		Links:             a,
		Banks:             a,
		Connections:       a,
		Importer:          a,
		Accounts:          a,
		Holdings:          a,
		PaymentPartners:   a,
		Logos:             a,
		Shipments:         a,
	}, nil
}

func capabilities() map[providers.Capability]providers.Support {
	native := providers.Support{Level: providers.Native}
	emulated := func(reason string) providers.Support {
		return providers.Support{Level: providers.Emulated, Reason: reason}
	}
	var (
		record = emulated("finoOS keeps no consents: Kontor makes one of the user's connection to the Banking " +
			"service")
		history  = emulated("finoOS keeps no history: Kontor writes it from redirects and from polling bank logins")
		shipment = emulated("finoOS cannot be asked: Kontor keeps shipments and takes finoOS's report of delivery")
	)
	return map[providers.Capability]providers.Support{
		"CreateCustomer":          native,
		"UpdateCustomer":          native,
		"DeleteCustomer":          native,
		"CreateConsent":           record,
		"GetConsent":              record,
		"ListConsentEvents":       history,
		"WatchConsents":           history,
		"RenewConsentLink":        native,
		"AddBank":                 native,
		"RevokeConsent":           native,
		"DeleteConsent":           native,
		"ListConnections":         native,
		"GetConnection":           native,
		"SyncConnection":          native,
		"DeleteConnection":        native,
		"CreateManagementSession": native,
		"ImportConnections":       native,
		"ListAccounts":            native,
		"GetAccount":              native,
		"ListTransactions":        native,
		"StreamTransactions":      native,
		"ListStandingOrders":      native,
		"ListSecurities":          native,
		"GetInsights": emulated("finoOS has no insights: Kontor derives them from accounts and " +
			"transactions"),
		"GetPaymentPartnerAnalysis": native,
		"SearchCompanyLogos":        native,
		"CreateShipment":            native,
		"GetShipment":               shipment,
		"ListShipments":             shipment,
		"WatchShipments":            shipment,
		"ListProviderUsers":         native,
		"DeleteProviderUser":        native,
	}
}
