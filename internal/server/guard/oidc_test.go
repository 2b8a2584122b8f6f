package guard_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/server/guard/guardtest"
)

// canary stands where a secret or a person's data would stand.
const canary = "CANARY199503096316"

type claims = guardtest.Claims

// tokens is an authenticator for one issuer with a clock that a test moves.
type tokens struct {
	*guard.OIDC
	*guardtest.Issuer
	log *bytes.Buffer // written to by one call at a time
	mu  sync.Mutex
	at  time.Time
}

func newTokens(t *testing.T, change ...func(*config.OIDC)) *tokens {
	t.Helper()
	k := &tokens{Issuer: guardtest.NewIssuer(t), log: &bytes.Buffer{}, at: time.Now()}
	c := config.OIDC{
		Issuer: k.URL, Audience: "kontor", Tenant: "one",
		ScopesClaim: config.DefaultScopesClaim, ClientIDClaim: config.DefaultClientIDClaim,
	}
	for _, f := range change {
		f(&c)
	}
	k.OIDC = guard.NewOIDC(guard.OIDCOptions{
		Issuers: []config.OIDC{c}, Tenants: []string{"one", "two"}, Logger: slog.New(slog.NewJSONHandler(k.log, nil)),
		Now: k.now,
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
	id, err := k.try(t, k.Sign(t, k.Good(k.now())))
	if err != nil {
		t.Fatal(err)
	}
	if want := "scoring@" + strings.TrimPrefix(k.URL, "http://"); id.ClientID != want || id.Tenant != "one" ||
		!slices.Equal(id.Scopes, []string{"consents.read", "banking.write"}) ||
		id.Expires.Unix() != k.now().Add(time.Hour).Unix() {
		t.Errorf("got %+v, want client %s", id, want)
	}
	other := guardtest.NewIssuer(t)
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := elliptical.PublicKey.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	own := claims{"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(public.Bytes()[1:33])}
	unsigned := func(alg string) string {
		return guardtest.Encode(t, claims{"alg": alg, "kid": "one"}) + "." + guardtest.Encode(t, k.Good(k.now())) + "."
	}
	// A shared secret made of the public key: the classic confusion.
	confused := strings.TrimSuffix(unsigned("HS256"), ".")
	mac := hmac.New(sha256.New, k.Modulus())
	mac.Write([]byte(confused))
	right := k.Sign(t, k.Good(k.now()))
	parts := strings.Split(right, ".")
	for what, token := range map[string]string{
		"expired":             k.Sign(t, k.Good(k.now(), "exp", k.now().Add(-time.Second).Unix())),
		"without an end":      k.Sign(t, k.Good(k.now(), "exp", nil)),
		"not yet valid":       k.Sign(t, k.Good(k.now(), "nbf", k.now().Add(time.Hour).Unix())),
		"of another audience": k.Sign(t, k.Good(k.now(), "aud", "other")),
		"of no audience":      k.Sign(t, k.Good(k.now(), "aud", nil)),
		"of another issuer":   other.Sign(t, other.Good(k.now())),
		"in another's name":   other.Sign(t, k.Good(k.now())),
		"of no issuer":        k.Sign(t, k.Good(k.now(), "iss", nil)),
		"of a similar issuer": k.Sign(t, k.Good(k.now(), "iss", k.URL+"/")),
		"unsigned":            unsigned("none"),
		"unsigned, in jest":   unsigned("nOnE"),
		"signed by a secret":  confused + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"with its own key":    k.Sign(t, k.Good(k.now()), claims{"jwk": own, "kid": "own"}),
		"with a critical":     k.Sign(t, k.Good(k.now()), claims{"crit": []string{"x"}, "x": 1}),
		"without a client":    k.Sign(t, k.Good(k.now(), "sub", nil)),
		"of an odd client":    k.Sign(t, k.Good(k.now(), "sub", "a b\n")),
		"of a long client":    k.Sign(t, k.Good(k.now(), "sub", strings.Repeat("x", 300))),
		"changed":             parts[0] + "." + guardtest.Encode(t, k.Good(k.now(), "scope", "*")) + "." + parts[2],
		"cut":                 parts[0] + "." + parts[1],
		"twice":               right + "." + parts[2],
		"nothing":             "..",
		"no token":            "key-all",
	} {
		if id, err := k.try(t, token); err == nil || id.ClientID != "" || strings.Contains(err.Error(), "scoring") {
			t.Errorf("a token %s gives %+v, %v", what, id, err)
		}
	}
	// An expired one was good before.
	short := k.Sign(t, k.Good(k.now(), "exp", k.now().Add(time.Minute).Unix()))
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
	id, err := k.try(t, k.Sign(t, k.Good(k.now(), "azp", "back-office", "roles",
		[]any{"customers.read", "admin", 7, "*"})))
	if err != nil || id.Tenant != "two" || !strings.HasPrefix(id.ClientID, "back-office@") ||
		!slices.Equal(id.Scopes, []string{"customers.read", "*"}) {
		t.Errorf("got %+v, %v", id, err)
	}
	if id, err := k.try(t, k.Sign(t, k.Good(k.now(), "azp", "back-office"))); err != nil || len(id.Scopes) != 0 {
		t.Errorf("without scopes: %+v, %v", id, err)
	}
	for _, tenant := range []any{nil, "", "three", 1, []any{"two"}} {
		if _, err := k.try(t, k.Sign(t, k.Good(k.now(), "azp", "back-office", "org", tenant))); err == nil {
			t.Errorf("tenant %v is taken", tenant)
		}
	}
}

// TestKeyRotation: a key that is new is found; a flood of keys that do not exist is not passed on to the issuer.
func TestKeyRotation(t *testing.T) {
	k := newTokens(t)
	if _, err := k.try(t, k.Sign(t, k.Good(k.now()))); err != nil {
		t.Fatal(err)
	}
	k.Rotate(t, "two")
	if _, err := k.try(t, k.Sign(t, k.Good(k.now()))); err != nil {
		t.Errorf("with a new key: %v", err)
	}
	read := k.KeysRead()
	var flood sync.WaitGroup
	stranger := guardtest.NewIssuer(t)
	for n := range 200 {
		flood.Go(func() {
			if _, err := k.try(t, stranger.Sign(t, k.Good(k.now()), claims{"kid": fmt.Sprint(n)})); err == nil {
				t.Error("a made up key is taken")
			}
		})
	}
	flood.Wait()
	if n := k.KeysRead() - read; n != 0 {
		t.Errorf("200 made up keys made %d requests to the issuer", n)
	}
	if _, err := k.try(t, k.Sign(t, k.Good(k.now()))); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	k.Rotate(t, "three")
	k.advance(11 * time.Second)
	if _, err := k.try(t, k.Sign(t, k.Good(k.now()))); err != nil {
		t.Errorf("with another new key: %v", err)
	}
	if n := k.Discovered(); n != 1 {
		t.Errorf("the issuer was looked for %d times", n)
	}
}

// TestIssuersAreReplaced: who stays the same is not looked for again, and the streams of all others' tokens end.
func TestIssuersAreReplaced(t *testing.T) {
	k := newTokens(t)
	came, same := guardtest.NewIssuer(t), config.OIDC{
		Issuer: k.URL, Audience: "kontor", Tenant: "one",
		ScopesClaim: config.DefaultScopesClaim, ClientIDClaim: config.DefaultClientIDClaim,
	}
	other := same
	other.Issuer = came.URL
	id, err := k.try(t, k.Sign(t, k.Good(k.now())))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	stop := id.OnEnd(func() { close(ended) })
	defer stop()
	k.Replace([]config.OIDC{other, same})
	if _, err := k.try(t, k.Sign(t, k.Good(k.now()))); err != nil {
		t.Errorf("who stayed: %v", err)
	}
	if _, err := k.try(t, came.Sign(t, came.Good(k.now()))); err != nil {
		t.Errorf("who came: %v", err)
	}
	if n := k.Discovered(); n != 1 {
		t.Errorf("who stayed was looked for %d times", n)
	}
	select {
	case <-ended:
		t.Error("a stream ended whose issuer stayed")
	default:
	}
	same.Scopes = []string{"consents.read"}
	k.Replace([]config.OIDC{same})
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("a stream goes on whose issuer may grant less")
	}
	if id, err := k.try(t, k.Sign(t, k.Good(k.now()))); err != nil || len(id.Scopes) > 1 {
		t.Errorf("with a ceiling: %v, %v", id.Scopes, err)
	}
	if _, err := k.try(t, came.Sign(t, came.Good(k.now()))); err == nil {
		t.Error("who went is known")
	}
	k.Replace(nil)
	if _, err := k.try(t, k.Sign(t, k.Good(k.now()))); err == nil {
		t.Error("nobody is left, and a token is taken")
	}
}

// TestIssuerAway: without its issuer a token is not valid, the issuer is not asked by every call, and it is found
// once it is back.
func TestIssuerAway(t *testing.T) {
	k := newTokens(t)
	k.Away(canary)
	token := k.Sign(t, k.Good(k.now()))
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if _, err := k.try(t, token); err == nil {
				t.Error("a token of an issuer that is away is taken")
			}
		})
	}
	calls.Wait()
	if n := k.Discovered(); n != 1 {
		t.Errorf("50 calls made %d requests", n)
	}
	k.Away("")
	if _, err := k.try(t, token); err == nil {
		t.Error("there is no pause")
	}
	k.advance(2 * time.Second)
	if _, err := k.try(t, token); err != nil {
		t.Errorf("the issuer is back: %v", err)
	}
	if log := k.log.String(); strings.Contains(log, canary) ||
		strings.Count(log, "an issuer of tokens cannot be found") != 1 {
		t.Errorf("the log says %s", log)
	}
	// A caller who leaves does not wait.
	late := newTokens(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := late.Authenticate(ctx, []string{"Bearer " + late.Sign(t, late.Good(late.now()))}); err == nil {
		t.Error("a caller who left was let in")
	}
}
