package server_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/server"
)

type claims = map[string]any

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// issuer is an OpenID provider that signs whatever a test wants.
type issuer struct {
	*httptest.Server
	mu         sync.Mutex
	kid        string
	key        *rsa.PrivateKey
	away       bool
	discovered atomic.Int64
	keysRead   atomic.Int64
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.rotate(t, "one")
	mux := http.NewServeMux()
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.discovered.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.away {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, canary)
			return
		}
		// That an issuer offers an algorithm does not mean that it is taken.
		_ = json.NewEncoder(w).Encode(claims{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.keysRead.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(claims{"keys": []claims{{
			"kty": "RSA", "kid": i.kid, "use": "sig", "n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()), "e": "AQAB",
		}}})
	})
	return i
}

// rotate gives the issuer another key.
func (i *issuer) rotate(t *testing.T, kid string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kid, i.key = kid, key
}

// sign makes a token. Header entries given replace the usual ones.
func (i *issuer) sign(t *testing.T, c claims, header ...claims) string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	head := claims{"alg": "RS256", "kid": i.kid, "typ": "JWT"}
	for _, more := range header {
		for name, value := range more {
			head[name] = value
		}
	}
	text := encode(head) + "." + encode(c)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// good are claims that are taken.
func (i *issuer) good(now time.Time, changes ...any) claims {
	c := claims{"iss": i.URL, "aud": []string{"other", "kontor"}, "sub": "scoring", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "scope": "openid consents.read banking.write", "org": "two"}
	for n := 0; n < len(changes); n += 2 {
		if c[changes[n].(string)] = changes[n+1]; changes[n+1] == nil {
			delete(c, changes[n].(string))
		}
	}
	return c
}

// tokens is an authenticator for one issuer with a clock that a test moves.
type tokens struct {
	*server.OIDC
	*issuer
	log *output
	mu  sync.Mutex
	at  time.Time
}

func newTokens(t *testing.T, change ...func(*config.OIDC)) *tokens {
	t.Helper()
	k := &tokens{issuer: newIssuer(t), log: &output{}, at: time.Now()}
	c := config.OIDC{Issuer: k.URL, Audience: "kontor", Tenant: "one", ScopesClaim: config.DefaultScopesClaim, ClientIDClaim: config.DefaultClientIDClaim}
	for _, f := range change {
		f(&c)
	}
	k.OIDC = server.NewOIDC(server.OIDCOptions{
		Issuers: []config.OIDC{c}, Tenants: []string{"one", "two"}, Logger: slog.New(slog.NewJSONHandler(k.log, nil)), Now: k.now,
	})
	return k
}

func (k *tokens) now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at
}

func (k *tokens) advance(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = k.at.Add(d)
}

func (k *tokens) try(t *testing.T, token string) (identity.Identity, error) {
	t.Helper()
	return k.Authenticate(t.Context(), []string{"Bearer " + token})
}

func TestTokens(t *testing.T) {
	k := newTokens(t)
	id, err := k.try(t, k.sign(t, k.good(k.now())))
	if err != nil {
		t.Fatal(err)
	}
	if want := "scoring@" + strings.TrimPrefix(k.URL, "http://"); id.ClientID != want || id.Tenant != "one" ||
		!slices.Equal(id.Scopes, []string{"consents.read", "banking.write"}) || id.Expires.Unix() != k.now().Add(time.Hour).Unix() {
		t.Errorf("got %+v, want client %s", id, want)
	}
	other := newIssuer(t)
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := elliptical.PublicKey.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	unsigned := func(alg string) string {
		return encode(claims{"alg": alg, "kid": "one"}) + "." + encode(k.good(k.now())) + "."
	}
	// A shared secret made of the public key: the classic confusion.
	confused := strings.TrimSuffix(unsigned("HS256"), ".")
	mac := hmac.New(sha256.New, k.key.N.Bytes())
	mac.Write([]byte(confused))
	right := k.sign(t, k.good(k.now()))
	parts := strings.Split(right, ".")
	for what, token := range map[string]string{
		"expired":             k.sign(t, k.good(k.now(), "exp", k.now().Add(-time.Second).Unix())),
		"without an end":      k.sign(t, k.good(k.now(), "exp", nil)),
		"not yet valid":       k.sign(t, k.good(k.now(), "nbf", k.now().Add(time.Hour).Unix())),
		"of another audience": k.sign(t, k.good(k.now(), "aud", "other")),
		"of no audience":      k.sign(t, k.good(k.now(), "aud", nil)),
		"of another issuer":   other.sign(t, other.good(k.now())),
		"in another's name":   other.sign(t, k.good(k.now())),
		"of no issuer":        k.sign(t, k.good(k.now(), "iss", nil)),
		"of a similar issuer": k.sign(t, k.good(k.now(), "iss", k.URL+"/")),
		"unsigned":            unsigned("none"),
		"unsigned, in jest":   unsigned("nOnE"),
		"signed by a secret":  confused + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"with its own key":    k.sign(t, k.good(k.now()), claims{"jwk": claims{"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(public.Bytes()[1:33])}, "kid": "own"}),
		"with a critical":     k.sign(t, k.good(k.now()), claims{"crit": []string{"x"}, "x": 1}),
		"without a client":    k.sign(t, k.good(k.now(), "sub", nil)),
		"of an odd client":    k.sign(t, k.good(k.now(), "sub", "a b\n")),
		"of a long client":    k.sign(t, k.good(k.now(), "sub", strings.Repeat("x", 300))),
		"changed":             parts[0] + "." + encode(k.good(k.now(), "scope", "*")) + "." + parts[2],
		"cut":                 parts[0] + "." + parts[1],
		"twice":               right + "." + parts[2],
		"nothing":             "..",
		"no token":            allKey,
	} {
		if id, err := k.try(t, token); err == nil || id.ClientID != "" || strings.Contains(err.Error(), "scoring") {
			t.Errorf("a token %s gives %+v, %v", what, id, err)
		}
	}
	// An expired one was good before.
	short := k.sign(t, k.good(k.now(), "exp", k.now().Add(time.Minute).Unix()))
	if _, err := k.try(t, short); err != nil {
		t.Error(err)
	}
	k.advance(2 * time.Minute)
	if _, err := k.try(t, short); err == nil {
		t.Error("a token is taken after its end")
	}
	for _, authorization := range [][]string{nil, {"Bearer " + right, "Bearer " + right}, {"Basic " + right}, {right}} {
		if _, err := k.Authenticate(t.Context(), authorization); err == nil {
			t.Errorf("%.20q is taken", authorization)
		}
	}
}

func TestTokenClaims(t *testing.T) {
	k := newTokens(t, func(c *config.OIDC) {
		c.Tenant, c.TenantClaim, c.ScopesClaim, c.ClientIDClaim = "", "org", "roles", "azp"
	})
	id, err := k.try(t, k.sign(t, k.good(k.now(), "azp", "back-office", "roles", []any{"customers.read", "admin", 7, "*"})))
	if err != nil || id.Tenant != "two" || !strings.HasPrefix(id.ClientID, "back-office@") || !slices.Equal(id.Scopes, []string{"customers.read", "*"}) {
		t.Errorf("got %+v, %v", id, err)
	}
	if id, err := k.try(t, k.sign(t, k.good(k.now(), "azp", "back-office"))); err != nil || len(id.Scopes) != 0 {
		t.Errorf("without scopes: %+v, %v", id, err)
	}
	for _, tenant := range []any{nil, "", "three", 1, []any{"two"}} {
		if _, err := k.try(t, k.sign(t, k.good(k.now(), "azp", "back-office", "org", tenant))); err == nil {
			t.Errorf("tenant %v is taken", tenant)
		}
	}
}

// TestKeyRotation: a key that is new is found; a flood of keys that do not exist is not passed on to the issuer.
func TestKeyRotation(t *testing.T) {
	k := newTokens(t)
	if _, err := k.try(t, k.sign(t, k.good(k.now()))); err != nil {
		t.Fatal(err)
	}
	k.rotate(t, "two")
	if _, err := k.try(t, k.sign(t, k.good(k.now()))); err != nil {
		t.Errorf("with a new key: %v", err)
	}
	read := k.keysRead.Load()
	var flood sync.WaitGroup
	stranger := newIssuer(t)
	for n := range 200 {
		flood.Go(func() {
			if _, err := k.try(t, stranger.sign(t, k.good(k.now()), claims{"kid": fmt.Sprint(n)})); err == nil {
				t.Error("a made up key is taken")
			}
		})
	}
	flood.Wait()
	if n := k.keysRead.Load() - read; n != 0 {
		t.Errorf("200 made up keys made %d requests to the issuer", n)
	}
	if _, err := k.try(t, k.sign(t, k.good(k.now()))); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	k.rotate(t, "three")
	k.advance(11 * time.Second)
	if _, err := k.try(t, k.sign(t, k.good(k.now()))); err != nil {
		t.Errorf("with another new key: %v", err)
	}
	if n := k.discovered.Load(); n != 1 {
		t.Errorf("the issuer was looked for %d times", n)
	}
}

// TestIssuerAway: without its issuer a token is not valid, the issuer is not asked by every call, and it is found once it is back.
func TestIssuerAway(t *testing.T) {
	k := newTokens(t)
	k.away = true
	token := k.sign(t, k.good(k.now()))
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if _, err := k.try(t, token); err == nil {
				t.Error("a token of an issuer that is away is taken")
			}
		})
	}
	calls.Wait()
	if n := k.discovered.Load(); n != 1 {
		t.Errorf("50 calls made %d requests", n)
	}
	k.issuer.mu.Lock()
	k.away = false
	k.issuer.mu.Unlock()
	if _, err := k.try(t, token); err == nil {
		t.Error("there is no pause")
	}
	k.advance(2 * time.Second)
	if _, err := k.try(t, token); err != nil {
		t.Errorf("the issuer is back: %v", err)
	}
	if log := k.log.String(); strings.Contains(log, canary) || len(k.log.lines(t, "an issuer of tokens cannot be found")) != 1 {
		t.Errorf("the log says %s", log)
	}
	// A caller who leaves does not wait.
	late := newTokens(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := late.Authenticate(ctx, []string{"Bearer " + late.sign(t, late.good(late.now()))}); err == nil {
		t.Error("a caller who left was let in")
	}
}

// TestTokensAtTheFronts: keys and tokens go side by side through both fronts, and a stream ends with its token.
func TestTokensAtTheFronts(t *testing.T) {
	k := newTokens(t)
	h := start(t, func(o *server.Options) { o.Authenticator = server.AnyOf{o.Authenticator, k.OIDC} })
	now := time.Now()
	token := k.sign(t, k.good(now))
	for _, bearer := range []string{token, allKey} {
		if _, err := h.client.GetConsent(as(t.Context(), bearer), &consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
			t.Errorf("gRPC: %v", err)
		}
		if r := h.do(t, "GET", "/v1/consents/1", bearer, ""); r.status != http.StatusOK {
			t.Errorf("REST: %d %s", r.status, r.body)
		}
	}
	if seen := h.consents.calls[0]; seen.identity.Tenant != "one" || !strings.HasPrefix(seen.identity.ClientID, "scoring@") {
		t.Errorf("the service saw %+v", seen.identity)
	}
	expired := k.sign(t, k.good(now, "exp", now.Add(-time.Minute).Unix()))
	if _, err := h.client.GetConsent(as(t.Context(), expired), &consentv1.GetConsentRequest{Name: "consents/1"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("gRPC: an expired token gives %v", err)
	}
	if r := h.do(t, "GET", "/v1/consents/1", expired, ""); r.status != http.StatusUnauthorized || strings.Contains(r.body, "expire") {
		t.Errorf("REST: an expired token gives %d %s", r.status, r.body)
	}
	if _, err := h.client.CreateConsent(as(t.Context(), token), &consentv1.CreateConsentRequest{Consent: &consentv1.Consent{}}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a scope that the token lacks gives %v", err)
	}
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		<-s.Context().Done()
		return s.Context().Err()
	}
	short := k.sign(t, k.good(now, "exp", time.Now().Add(time.Second).Unix()))
	stream, err := h.client.WatchConsents(as(t.Context(), short), &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stream ended with %v", err)
	}
	if log := h.log.String(); strings.Contains(log, token) || strings.Contains(log, short) {
		t.Error("a token stands in the log")
	}
}
