// Package finoos is the adapter to finoOS API v1, for German banks. It speaks finoOS's HTTP API on one side and Kontor's messages on the other
// and keeps nothing but tokens. What it does not hold: resilience, limits and token caching (package upstream), consents as records and
// insights (Kontor's services, since finoOS has neither).
//
// One user at finoOS is one customer of Kontor, and has one connection to finoOS's Banking service: that connection is what Kontor calls a
// consent. So the consent's id at finoOS is the user's id, and asking again, renewing the link and adding a bank all happen within it.
//
// finoOS has its quirks. Each is handled in one place and has a test named after it:
//
//   - The token goes into Authorization raw, without "Bearer" (client.go; Config.TokenPrefix changes it). It lives 300 seconds and is
//     refreshed while the refresh token lives, 1800 seconds by our clock (auth.go).
//   - The end user's address is demanded by four operations and taken by a fifth (client.go).
//   - A user's scopes are an array when sent and a string when listed; deleted users stay in the listing; scopes exist that finoOS's own
//     enum lacks (wire.go, users.go).
//   - How long a session of the Banking UI can be used is not documented; sessionTTL is our assumption (consents.go). The sessions'
//     answers are "a URL" in several shapes (wireLink).
//   - Synchronizing answers 204 when it is done, and 200 with a link when the customer must authenticate again (connections.go).
//   - Ids are opaque, and the accountID inside transactions, standing orders and securities may match no account: they belong to the account
//     they are nested in (mapping.go, transactions.go). Standing orders may have the id "": Kontor then makes one (identities).
//   - All transactions of a user come in one body without pages. They are decoded one by one as they arrive; the ids that they hang on may
//     come after them in the body (transactions.go).
//   - IBANs need not have right check digits, logos may be empty, tags may lack a source (mapping.go: nothing of it is checked).
//   - The payment partner analysis writes numbers of months as strings and calls the month of a monthly share "quarter" (mapping.go).
//   - A fax has no number: finoOS finds it by itself (shipments.go). What became of a shipment cannot be asked, it is told once.
package finoos

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
)

// ID is the provider's id, the last segment of its resource name.
const ID = "finoos"

// DefaultBaseURL is finoOS's production server. The test server is https://os.test.fino.cloud/api/v1.
const DefaultBaseURL = "https://os.fino.cloud/api/v1"

// Config is one account at finoOS.
type Config struct {
	// BaseURL is the server with the path above all operations; empty for DefaultBaseURL.
	BaseURL string
	// Name and Secret are the account's credentials.
	Name, Secret string
	// TokenPrefix stands before the token in the Authorization header, with a blank between; empty for the raw token, as documented.
	TokenPrefix string
	// APIVersion is sent as API-Version, such as "2020-06-16"; empty for the version that the account is set to.
	APIVersion string
	// Operations replaces methods and paths: "METHOD /path" by the operation's name.
	Operations map[string]string
}

// String leaves the secret out.
func (c Config) String() string {
	return fmt.Sprintf("finoOS account %q at %s", c.Name, c.BaseURL)
}

// GoString leaves the secret out.
func (c Config) GoString() string { return c.String() }

// LogValue leaves the secret out.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("base_url", c.BaseURL), slog.String("name", c.Name))
}

// Deps is what the adapter gets from outside. All of it may be zero.
type Deps struct {
	// Observer sees every attempt.
	Observer upstream.Observer
	// Logger gets one line for each failed attempt.
	Logger *slog.Logger
	// Clock tells the time for tokens.
	Clock func() time.Time
	// Transport replaces the HTTP transport, for tests.
	Transport http.RoundTripper
	// Policy is the resilience.
	Policy upstream.Policy
	// Limits bounds time and size.
	Limits upstream.Limits
}

// adapter implements all ports.
type adapter struct {
	client *upstream.Client
	table  providers.Table
	cfg    Config
	clock  func() time.Time
}

var (
	_ providers.Session         = (*adapter)(nil)
	_ providers.Users           = (*adapter)(nil)
	_ providers.Consents        = (*adapter)(nil)
	_ providers.Connections     = (*adapter)(nil)
	_ providers.Importer        = (*adapter)(nil)
	_ providers.Accounts        = (*adapter)(nil)
	_ providers.Holdings        = (*adapter)(nil)
	_ providers.PaymentPartners = (*adapter)(nil)
	_ providers.Logos           = (*adapter)(nil)
	_ providers.Shipments       = (*adapter)(nil)
)

// New makes the provider. It sends nothing. An error names the configuration's key and never quotes its value.
func New(cfg Config, deps Deps) (*providers.Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	table, err := providers.NewTable(Operations(), cfg.Operations)
	if err != nil {
		return nil, err
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	a := &adapter{table: table, cfg: cfg, clock: deps.Clock}
	if a.client, err = newClient(cfg, deps, table, a.login); err != nil {
		return nil, err
	}
	return &providers.Provider{
		ID:                ID,
		DisplayName:       "finoOS",
		Markets:           []providers.Market{market},
		Capabilities:      capabilities(),
		Operations:        table.List(),
		ConsentOrigin:     consentv1.Consent_SYNTHESISED,
		OneConsentPerUser: true,
		NeedsRedirects:    true,
		Session:           a,
		Users:             a,
		Consents:          a,
		Connections:       a,
		Importer:          a,
		Accounts:          a,
		Holdings:          a,
		PaymentPartners:   a,
		Logos:             a,
		Shipments:         a,
	}, nil
}

var (
	prefixPattern  = regexp.MustCompile(`^[!-~]*$`)
	versionPattern = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})?$`)
)

func (c Config) validate() error {
	var problems []error
	if strings.TrimSpace(c.Name) == "" {
		problems = append(problems, errors.New("name: is missing"))
	}
	if c.Secret == "" {
		problems = append(problems, errors.New("secret: is missing"))
	}
	if !prefixPattern.MatchString(c.TokenPrefix) {
		problems = append(problems, errors.New("token_prefix: must be one word"))
	}
	if !versionPattern.MatchString(c.APIVersion) {
		problems = append(problems, errors.New("api_version: must be a date such as 2020-06-16"))
	}
	return errors.Join(problems...)
}

func capabilities() map[providers.Capability]providers.Support {
	native := providers.Support{Level: providers.Native}
	emulated := func(reason string) providers.Support {
		return providers.Support{Level: providers.Emulated, Reason: reason}
	}
	var (
		record   = emulated("finoOS keeps no consents: Kontor makes one of the user's connection to the Banking service")
		history  = emulated("finoOS keeps no history: Kontor writes it from redirects and from polling bank logins")
		shipment = emulated("finoOS cannot be asked: Kontor keeps shipments and takes finoOS's report of delivery")
	)
	return map[providers.Capability]providers.Support{
		"CreateCustomer":            native,
		"UpdateCustomer":            native,
		"DeleteCustomer":            native,
		"CreateConsent":             record,
		"GetConsent":                record,
		"ListConsentEvents":         history,
		"WatchConsents":             history,
		"RenewConsentLink":          native,
		"AddBank":                   native,
		"RevokeConsent":             native,
		"DeleteConsent":             native,
		"ListConnections":           native,
		"GetConnection":             native,
		"SyncConnection":            native,
		"DeleteConnection":          native,
		"CreateManagementSession":   native,
		"ImportConnections":         native,
		"ListAccounts":              native,
		"GetAccount":                native,
		"ListTransactions":          native,
		"StreamTransactions":        native,
		"ListStandingOrders":        native,
		"ListSecurities":            native,
		"GetInsights":               emulated("finoOS has no insights: Kontor derives them from accounts and transactions"),
		"GetPaymentPartnerAnalysis": native,
		"SearchCompanyLogos":        native,
		"CreateShipment":            native,
		"GetShipment":               shipment,
		"ListShipments":             shipment,
		"WatchShipments":            shipment,
		"ListProviderUsers":         native,
	}
}
