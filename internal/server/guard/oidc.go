package guard

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/identity"
)

// Bounds of what issuers are asked, whatever callers send.
const (
	issuerTimeout  = 10 * time.Second // of one request to an issuer
	maxIssuerReply = 1 << 20
	keysInterval   = 10 * time.Second // between two readings of an issuer's keys, but for the first two
	keysBurst      = 2
	firstBackOff   = time.Second // after an issuer could not be found
	longestBackOff = time.Minute
)

// maxClientID is the length of the longest client id that is taken from a token.
const maxClientID = 200

// signatures are the algorithms by which a token may be signed. Each needs a key pair: a token that is signed with a
// shared secret, or not signed, is refused.
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512,
	oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// OIDC authenticates clients by JWTs of the configured issuers, sent as `Bearer <token>`. Issuer, audience, time,
// lifetime and signature must be right, the token must be one for access, and the claims must name a client and a
// tenant that there is. Whatever the claims say, a token grants no more than the configuration lets its issuer grant.
//
// An issuer is found (OpenID Connect Discovery) when its first token comes, so that the gateway starts without it;
// while it cannot be reached, it is asked again with growing pauses. Its keys are kept, and read again when a token
// names one that is not among them, but not more often than every keysInterval: tokens that somebody makes up cost
// the issuer nothing.
type OIDC struct {
	options OIDCOptions
	issuers atomic.Pointer[map[string]*issuer] // by their addresses
}

// OIDCOptions are what tokens are checked with.
type OIDCOptions struct {
	// Issuers are those of the configuration.
	Issuers []config.OIDC
	// Tenants are the tenants that there are.
	Tenants []string
	// Logger is told when an issuer cannot be found.
	Logger *slog.Logger
	// Now gives the time; nil for time.Now.
	Now func() time.Time
}

// NewOIDC makes an authenticator. Nothing is asked of an issuer yet.
func NewOIDC(o OIDCOptions) *OIDC {
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &OIDC{options: o}
	a.Replace(o.Issuers)
	return a
}

// Replace takes the issuers of another configuration in place of those before. One that is the same stays as it is,
// with its keys. The streams of tokens whose issuer is gone, or has other settings, end with UNAUTHENTICATED; calls
// under way go on.
func (a *OIDC) Replace(issuers []config.OIDC) {
	before := map[string]*issuer{}
	if all := a.issuers.Load(); all != nil {
		before = *all
	}
	now := map[string]*issuer{}
	for _, c := range issuers {
		if i, ok := before[c.Issuer]; ok && i.config.Equal(c) {
			now[c.Issuer] = i
			continue
		}
		ctx, end := context.WithCancel(context.Background())
		now[c.Issuer] = &issuer{
			config: c, tenants: a.options.Tenants, log: a.options.Logger, now: a.options.Now,
			keys: rate.NewLimiter(rate.Every(keysInterval), keysBurst), lease: &lease{ctx, end},
		}
	}
	a.issuers.Store(&now)
	for address, i := range before {
		if now[address] != i {
			i.lease.end()
		}
	}
}

// The errors of tokens say nothing of what is in them.
var (
	errNoToken    = errors.New("the bearer is no token of a configured issuer")
	errIssuerAway = errors.New("the token's issuer cannot be found")
	errBadToken   = errors.New("the token is not valid")
	errBadClaims  = errors.New("the token's claims name no client, or no tenant that there is")
	errNoAccess   = errors.New("the token is none for access, such as the one that tells a web page who logged in")
	errLongLived  = errors.New("the token is good for longer than the configuration allows, or comes from the future")
)

// Authenticate implements Authenticator.
func (a *OIDC) Authenticate(ctx context.Context, authorization []string) (identity.Identity, error) {
	token, err := bearer(authorization)
	if err != nil {
		return identity.Identity{}, err
	}
	i, ok := (*a.issuers.Load())[issuerOf(token)]
	if !ok {
		return identity.Identity{}, errNoToken
	}
	verifier, err := i.found(ctx)
	if err != nil {
		return identity.Identity{}, err
	}
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		return identity.Identity{}, errBadToken // the library's error quotes claims
	}
	claims := map[string]any{}
	if verified.Claims(&claims) != nil {
		return identity.Identity{}, errBadClaims
	}
	if !forAccess(token, claims) {
		return identity.Identity{}, errNoAccess
	}
	if !i.shortLived(verified.IssuedAt, verified.Expiry) {
		return identity.Identity{}, errLongLived
	}
	return i.client(claims, verified.Expiry)
}

// clockSkew is how far an issuer's clock may be ahead.
const clockSkew = 5 * time.Minute

// shortLived tells whether a token is good for no longer than its issuer's tokens may be. One that does not say when it
// was issued counts from now.
func (i *issuer) shortLived(issued, expires time.Time) bool {
	now := i.now()
	if issued.IsZero() {
		issued = now
	}
	longest := cmp.Or(i.config.MaxLifetime, config.DefaultMaxLifetime)
	return !issued.After(now.Add(clockSkew)) && expires.Sub(issued) <= longest
}

// forAccess tells whether a token is one that lets its bearer do something (RFC 9068), and not one that tells a web
// page who logged in. The head must say "at+jwt", or "JWT" or nothing as most issuers have it; then no claim may be one
// that only other tokens have.
func forAccess(token string, claims map[string]any) bool {
	var head struct {
		Type string `json:"typ"`
	}
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(text, &head) != nil {
		return false
	}
	switch strings.TrimPrefix(strings.ToLower(head.Type), "application/") {
	case "at+jwt":
		return true
	case "jwt", "":
	default:
		return false
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events"} {
		if _, ok := claims[name]; ok {
			return false
		}
	}
	// What some issuers say of their tokens in a claim.
	for _, name := range []string{"token_use", "typ"} {
		kind, _ := claims[name].(string)
		if slices.Contains([]string{"id", "refresh", "offline", "logout"}, strings.ToLower(kind)) {
			return false
		}
	}
	return true
}

// issuerOf reads who a token says it is from, to know whose keys to check that with. It is empty for what is no JWT.
func issuerOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

// issuer is one issuer of tokens.
type issuer struct {
	config  config.OIDC
	tenants []string
	log     *slog.Logger
	now     func() time.Time
	keys    *rate.Limiter
	lease   *lease // of the streams of its tokens

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	asking   chan struct{} // closed when the issuer answered or failed; nil when it is not being asked
	backOff  time.Duration
	next     time.Time
}

// found gives what checks the issuer's tokens, finding the issuer first if need be.
func (i *issuer) found(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	if i.verifier == nil && i.asking == nil && !i.now().Before(i.next) {
		i.asking = make(chan struct{})
		go i.find(context.WithoutCancel(ctx), i.asking) //nolint:gosec // for whoever asks meanwhile, too
	}
	verifier, asking := i.verifier, i.asking
	i.mu.Unlock()
	if verifier != nil {
		return verifier, nil
	}
	if asking == nil {
		return nil, errIssuerAway
	}
	select {
	case <-asking:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier == nil {
		return nil, errIssuerAway
	}
	return i.verifier, nil
}

// find asks the issuer where its keys are.
func (i *issuer) find(ctx context.Context, asking chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, issuerTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.http(nil)), i.config.Issuer)

	i.mu.Lock()
	defer i.mu.Unlock()
	defer close(asking)
	i.asking = nil
	if err != nil {
		i.backOff = min(max(2*i.backOff, firstBackOff), longestBackOff)
		i.next = i.now().Add(i.backOff)
		// The error may hold what the issuer answered.
		cause := "it gives no valid description of itself"
		if unreachable := new(url.Error); errors.As(err, &unreachable) {
			cause = "it does not answer"
		}
		i.log.WarnContext(ctx, "an issuer of tokens cannot be found", "issuer", i.config.Issuer, "cause", cause,
			"retry_in", i.backOff.String())
		return
	}
	i.verifier = provider.VerifierContext(oidc.ClientContext(context.Background(), i.http(i.keys)), &oidc.Config{
		ClientID: i.config.Audience, SupportedSigningAlgs: signatures, Now: i.now,
	})
}

// client reads a checked token's claims.
func (i *issuer) client(claims map[string]any, expires time.Time) (identity.Identity, error) {
	id, _ := claims[i.config.ClientIDClaim].(string)
	tenant := i.config.Tenant
	if i.config.TenantClaim != "" {
		tenant, _ = claims[i.config.TenantClaim].(string)
	}
	if id == "" || len(id) > maxClientID || !printable(id) || !slices.Contains(i.tenants, tenant) {
		return identity.Identity{}, errBadClaims
	}
	var scopes []string
	switch claim := claims[i.config.ScopesClaim].(type) {
	case string:
		scopes = strings.Fields(claim)
	case []any:
		for _, entry := range claim {
			scope, _ := entry.(string)
			scopes = append(scopes, scope)
		}
	}
	return identity.Identity{
		ClientID: id + i.suffix(), Tenant: tenant, Scopes: i.grants(scopes), Expires: expires, OnEnd: i.onEnd,
	}, nil
}

// suffix is what the ids of an issuer's clients end with. No client of the configuration has an @ in its id, and no
// other issuer has this address.
func (i *issuer) suffix() string {
	_, address, _ := strings.Cut(i.config.Issuer, "://")
	return "@" + address
}

// onEnd calls do once the issuer's tokens are no longer taken as they were.
func (i *issuer) onEnd(do func()) (stop func() bool) { return context.AfterFunc(i.lease.ctx, do) }

// grants gives those of Kontor's scopes that a token claims, as far as its issuer may grant them. Words that are no
// scope of Kontor are passed over.
func (i *issuer) grants(claimed []string) (granted []string) {
	known, ceiling := config.Scopes(), identity.Identity{Scopes: i.config.Scopes}
	if len(ceiling.Scopes) == 0 {
		ceiling.Scopes = []string{"*"}
	}
	for _, scope := range claimed {
		service, access, _ := strings.Cut(scope, ".")
		switch {
		case !slices.Contains(known, scope):
		case ceiling.Allows(scope):
			granted = append(granted, scope)
		case scope == "*":
			granted = append(granted, ceiling.Scopes...)
		case access == "write" && ceiling.Allows(service+".read"):
			granted = append(granted, service+".read")
		}
	}
	return granted
}

// direct reaches issuers without the proxies of the environment: who can set a variable must not choose whose keys are
// believed.
var direct = func() http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // of net/http
	transport.Proxy = nil
	return transport
}()

// http makes a client that asks issuers for little and not often, over plain HTTP only on this machine, and nobody whom
// they send it on to.
func (i *issuer) http(limit *rate.Limiter) *http.Client {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ask := func(r *http.Request) (*http.Response, error) {
		if host := r.URL.Hostname(); r.URL.Scheme != "https" && host != "localhost" && !net.ParseIP(host).IsLoopback() {
			return nil, errors.New("an issuer must be asked over https")
		}
		if limit != nil && !limit.AllowN(i.now(), 1) {
			return nil, errors.New("the issuer's keys have just been read")
		}
		resp, err := direct.RoundTrip(r)
		if err == nil {
			resp.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(resp.Body, maxIssuerReply), resp.Body}
		}
		return resp, err
	}
	return &http.Client{Timeout: issuerTimeout, CheckRedirect: stay, Transport: roundTrip(ask)}
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// AnyOf asks one authenticator after the other, and takes the first that knows the caller.
type AnyOf []Authenticator

// Authenticate implements Authenticator.
func (a AnyOf) Authenticate(ctx context.Context, authorization []string) (id identity.Identity, err error) {
	err = errNoClient
	for _, authenticator := range a {
		var one error
		if id, one = authenticator.Authenticate(ctx, authorization); one == nil {
			return id, nil
		}
		if !errors.Is(one, errNoClient) && !errors.Is(one, errNoToken) {
			err = one // of who knows the bearer, and refuses it
		}
	}
	return identity.Identity{}, err
}
