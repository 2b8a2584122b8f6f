// Package config reads kontor.yaml. It is strict: an unknown key, a key that appears twice, a value that is missing or
// bad and a secret that cannot be read are all found in one pass, and each is named with its key and line and never
// with its value.
//
// What a provider's block may hold is its adapter's to say (providers.Kind). Nothing here knows an adapter.
package config

import (
	"crypto/sha256"
	"log/slog"
	"net/netip"
	"reflect"
	"time"

	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

// Config is everything that an operator can set.
type Config struct {
	// Warnings are what is risky and not wrong; see Options.WarnExposed.
	Warnings Problems
	// Listen has the addresses to listen on.
	Listen Listen
	// Insecure allows to listen in plain text beyond this machine, for a proxy in front that encrypts.
	Insecure bool
	// TrustedProxies are whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// PublicURL is where providers and browsers reach /callbacks, without a slash at the end.
	PublicURL string
	// Store tells where data is kept: "sqlite:<path>". Secret, since an address may carry a password.
	Store secret.String
	// StoreKey wraps the store's working keys, by which it seals and hashes, as `gateway keys store` prints it.
	StoreKey secret.String
	// Tenants are the owners of data, by id.
	Tenants map[string]Tenant
	// Clients are the internal services that may call.
	Clients []Client
	// OIDC are the issuers whose bearer tokens are taken beside keys.
	OIDC []OIDC
	// TLS is what the gRPC and HTTP listeners present; nil for plain text.
	TLS *TLS
	// CORS tells which web pages may call REST from a browser.
	CORS CORS
	// Log tells what is logged, and how.
	Log Log
	// Limits bound what callers can use up.
	Limits Limits
	// Telemetry tells where traces go.
	Telemetry Telemetry
	// Heartbeat is the longest silence of a stream.
	Heartbeat time.Duration
	// Reads tells how bank data is held for further pages.
	Reads Reads
	// Polling tells how often providers are asked for news.
	Polling Polling
	// Webhooks tells whether Kontor's address is registered at providers that call one.
	Webhooks bool
	// Reflection tells whether gRPC clients may ask for the API's description.
	Reflection bool
	// Sandbox says that the providers are played. No key of the file sets it: `gateway sandbox` does.
	Sandbox bool
	// Audit tells how long the audit trail is kept.
	Audit Audit
	// Watch tells for how long streams can be resumed.
	Watch Watch
	// Shipments tells how long shipments are kept.
	Shipments Shipments
	// Shutdown tells how the gateway stops.
	Shutdown Shutdown
}

// Listen has addresses as "host:port". Port 0 takes a free one.
type Listen struct {
	// GRPC serves the API with health and reflection.
	GRPC string
	// HTTP serves REST, the API's description, and callbacks.
	HTTP string
	// Admin serves metrics and probes. It has no authentication: keep it inside.
	Admin string
}

// Tenant owns data and has credentials at providers.
type Tenant struct {
	// RedirectURIs are the addresses to which a consent may send the customer back. A path may end in /*.
	RedirectURIs []string
	// Providers are the providers where the tenant has credentials, in the order of the file; at least one.
	Providers []Provider
}

// Provider is one provider of a tenant.
type Provider struct {
	// ID is the operator's name for it, the last segment of its resource name.
	ID string
	// Kind is the name of the adapter that speaks to it. A block that does not say has its id for it.
	Kind string
	// Settings is the rest of the block, which is the adapter's own.
	Settings providers.Settings
}

// Client is an internal service that calls Kontor.
type Client struct {
	// ID is its name in logs, metrics and the audit.
	ID string
	// Tenant owns all that it can see.
	Tenant string
	// Keys are the SHA-256 of its keys, several while one replaces another.
	Keys [][sha256.Size]byte
	// Scopes are what it may do, each of Scopes().
	Scopes []string
	// Expires is when its keys end: the midnight, UTC, after the date that the configuration gives. Zero: never.
	Expires time.Time
	// Addresses are the networks from which its keys are taken. Empty: from anywhere.
	Addresses []netip.Prefix
	// Certificates are the SHA-256 of the client certificates, of which its keys must come with one. Several while one
	// replaces another. Empty: they need none.
	Certificates [][sha256.Size]byte
}

// OIDC is an issuer of bearer tokens, which are signed JWTs. A token's claims tell who calls, for which tenant and with
// which scopes.
type OIDC struct {
	// Issuer is the issuer's address, exactly as the tokens have it in `iss`. Its keys are found by OpenID Connect
	// Discovery.
	Issuer string
	// Audience must be among a token's audiences: the name that the issuer knows Kontor by.
	Audience string
	// Tenant owns all that the issuer's tokens can see. Empty when TenantClaim tells.
	Tenant string
	// TenantClaim is the claim with the tenant's id. Empty when Tenant tells.
	TenantClaim string
	// ScopesClaim is the claim with the scopes, as a list or as one text with blanks between them. Words that are none
	// of Scopes() are passed over, since issuers have other services, too.
	ScopesClaim string
	// ClientIDClaim is the claim with the client's id.
	ClientIDClaim string
	// Scopes are all that the issuer's tokens can grant, whatever their claims say. Empty: as their claims say.
	Scopes []string
	// MaxLifetime is how long a token may be good for, from its issue to its end. A longer one is refused.
	// Zero: DefaultMaxLifetime.
	MaxLifetime time.Duration
}

// Equal tells whether both are one issuer with the same settings.
func (o OIDC) Equal(other OIDC) bool { return alike(reflect.ValueOf(o), reflect.ValueOf(other)) }

// TLS names files with PEM. They are read again when they change.
type TLS struct {
	// CertFile has the certificate and its chain.
	CertFile string
	// KeyFile has the private key.
	KeyFile string
	// ClientCAFile has the authorities whose certificates gRPC callers must present, beside what authenticates them.
	// HTTP callers may. Empty: none is asked for.
	ClientCAFile string
	// Admin says that the admin listener presents the certificate, too.
	Admin bool
}

// CORS tells which web pages may call REST from a browser.
type CORS struct {
	// AllowedOrigins are the pages' origins, such as https://app.example.com. Empty: none, and browsers keep pages out.
	AllowedOrigins []string
}

// Log tells what is logged, and how.
type Log struct {
	// Level is the least level that is logged.
	Level slog.Level
	// Format is "json" or "text".
	Format string
}

// Limits bound what callers can use up.
type Limits struct {
	// RequestsPerSecond is each client's quota over time, at all processes of one store together.
	RequestsPerSecond int
	// Burst is how many requests a client may send at once; until processes know of each other, to each of them.
	Burst int
	// MaxInFlight is how many calls are answered at one time, streams aside. Of it, of MaxStreams and of MaxBodyBytes a
	// tenant gets no more than three quarters of what others leave, and a client no more than three quarters of that.
	MaxInFlight int
	// MaxStreams is how many streams are open at one time.
	MaxStreams int
	// MaxRequestBytes is the size of the largest request, of those that may be large: documents, and accounts that are
	// imported.
	MaxRequestBytes int
	// MaxBodyBytes is how many bytes of requests are held at one time.
	MaxBodyBytes int
	// MaxConnections is how many connections there are at one time, to each of the gRPC and HTTP listeners.
	MaxConnections int
	// MaxConnectionsPerAddress is how many of them come from one address.
	MaxConnectionsPerAddress int
	// Timeout is the deadline of a call whose caller sets none, streams aside.
	Timeout time.Duration
	// ConnectionAge is how long a gRPC connection lasts, give or take a tenth, so that callers spread over replicas.
	// Zero: for ever.
	ConnectionAge time.Duration
	// ConnectionAgeGrace is how long calls on such a connection may still take.
	ConnectionAgeGrace time.Duration
}

// Telemetry tells where traces go.
type Telemetry struct {
	// OTLPEndpoint is an OTLP gRPC endpoint, such as http://collector:4317. Empty: what OTEL_EXPORTER_OTLP_ENDPOINT
	// says, or nowhere.
	OTLPEndpoint string
}

// Reads tells how a listing of bank data is held in memory, so that all its pages are one read at the provider.
type Reads struct {
	// Hold is how long after it was last used. Zero: every page is read anew.
	Hold time.Duration
	// HoldBytes is how much memory all listings take, those of all tenants.
	HoldBytes int
}

// Polling tells how often a consent is read from its provider.
type Polling struct {
	// MinInterval is the shortest time between two reads of a consent that nobody authenticated asked for.
	MinInterval time.Duration
	// MaxInterval is how far polling backs off without news.
	MaxInterval time.Duration
	// IdleInterval is the time between two reads of a consent that stands and of which no news is expected. Zero,
	// when it is not set: a day, or longer where the provider's adapter says so.
	IdleInterval time.Duration
}

// Audit tells how long the audit trail is kept.
type Audit struct {
	// Retention is how old its entries become. Zero: they are kept for ever.
	Retention time.Duration
}

// Watch tells for how long streams can be resumed.
type Watch struct {
	// Retention is how old the entries become that they follow. Zero: they are kept for ever.
	Retention time.Duration
}

// Shipments tells how long shipments are kept.
type Shipments struct {
	// Retention is how old those become that belong to no customer. Zero: they are kept for ever.
	Retention time.Duration
}

// Shutdown tells how the gateway stops.
type Shutdown struct {
	// Delay is the time between turning readiness off and refusing connections, for load balancers to notice.
	Delay time.Duration
	// Timeout bounds how long calls under way may still take.
	Timeout time.Duration
}

// CallersPerProvider is how many of the calls that are answered at one time may wait for one provider account: three
// tenths of Limits.MaxInFlight where there are several accounts, all where there is but one. A client alone has little
// more than half of the places: so one provider that hangs leaves it more of them than it takes.
func (c *Config) CallersPerProvider() int {
	accounts := 0
	for _, tenant := range c.Tenants {
		accounts += len(tenant.Providers)
	}
	if accounts < 2 {
		return c.Limits.MaxInFlight
	}
	return max(1, c.Limits.MaxInFlight*3/10)
}

// Defaults are the values of everything that need not be set.
func Defaults() Config {
	return Config{
		Listen: Listen{GRPC: "127.0.0.1:9090", HTTP: "127.0.0.1:8080", Admin: "127.0.0.1:8081"},
		Store:  secret.New("sqlite:./data/kontor.db"),
		Log:    Log{Level: slog.LevelInfo, Format: "json"},
		Limits: Limits{
			RequestsPerSecond: 500, Burst: 20_000, MaxInFlight: 4000, MaxStreams: 20_000, MaxRequestBytes: 16 << 20,
			MaxBodyBytes: 128 << 20, MaxConnections: 10_000, MaxConnectionsPerAddress: 2500,
			Timeout: time.Minute, ConnectionAge: time.Hour, ConnectionAgeGrace: 5 * time.Minute,
		},
		Heartbeat: 15 * time.Second,
		Reads:     Reads{Hold: 5 * time.Minute, HoldBytes: 128 << 20},
		Polling:   Polling{MinInterval: 5 * time.Second, MaxInterval: 5 * time.Minute},
		Webhooks:  true,
		Audit:     Audit{Retention: 8760 * time.Hour},
		Watch:     Watch{Retention: 720 * time.Hour},
		Shipments: Shipments{Retention: 2160 * time.Hour},
		Shutdown:  Shutdown{Timeout: 25 * time.Second},
	}
}

// What holds for an issuer's tokens when its block does not say: the claims that tell scopes and client, and the
// longest lifetime.
const (
	DefaultScopesClaim   = "scope"
	DefaultClientIDClaim = "sub"
	DefaultMaxLifetime   = time.Hour
)

// Scopes lists the scopes that a client can have.
func Scopes() []string { return api.Scopes() }
