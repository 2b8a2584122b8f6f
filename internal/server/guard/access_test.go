package guard_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server/guard/guardtest"
)

// TestTokensForAccess: only a token for access is taken, and only a short-lived one.
func TestTokensForAccess(t *testing.T) {
	t.Parallel()
	k := newTokens(t, func(c *config.OIDC) { c.MaxLifetime = 30 * time.Minute })
	good := func(changes ...any) claims {
		return k.Good(k.now(), append([]any{"exp", k.now().Add(30 * time.Minute).Unix()}, changes...)...)
	}
	typed := func(kind any) claims { return claims{"typ": kind} }
	for what, token := range map[string]string{
		"as most issuers have it":    k.Sign(t, good()),
		"of no type":                 k.Sign(t, good(), typed(nil)),
		"in small letters":           k.Sign(t, good(), typed("jwt")),
		"as RFC 9068 has it":         k.Sign(t, good(), typed("at+jwt")),
		"with the whole media type":  k.Sign(t, good(), typed("application/at+JWT")),
		"with a nonce, and for that": k.Sign(t, good("nonce", "n"), typed("at+jwt")),
		"of Keycloak's":              k.Sign(t, good("typ", "Bearer")),
		"of Cognito's":               k.Sign(t, good("token_use", "access")),
		"without a time of issue":    k.Sign(t, good("iat", nil)),
		"of a clock that is ahead":   k.Sign(t, good("iat", k.now().Add(time.Minute).Unix())),
	} {
		if _, err := k.try(t, token); err != nil {
			t.Errorf("a token %s: %v", what, err)
		}
	}
	for what, token := range map[string]string{
		"of an odd type":            k.Sign(t, good(), typed(7)),
		"that is a logout":          k.Sign(t, good(), typed("logout+jwt")),
		"that is an event":          k.Sign(t, good(), typed("secevent+jwt")),
		"that proves a key":         k.Sign(t, good(), typed("dpop+jwt")),
		"that logs in, of no type":  k.Sign(t, good("nonce", "n"), typed(nil)),
		"that logs in, by a nonce":  k.Sign(t, good("nonce", "n")),
		"that logs in, by a hash":   k.Sign(t, good("at_hash", "h")),
		"that logs in, by a code":   k.Sign(t, good("c_hash", "h")),
		"that logs in at Keycloak":  k.Sign(t, good("typ", "ID")),
		"that refreshes there":      k.Sign(t, good("typ", "Refresh")),
		"that logs in at Cognito":   k.Sign(t, good("token_use", "id")),
		"that logs out, by events":  k.Sign(t, good("events", claims{})),
		"that lives too long":       k.Sign(t, good("exp", k.now().Add(31*time.Minute).Unix())),
		"that lived long before":    k.Sign(t, good("iat", k.now().Add(-time.Hour).Unix())),
		"that does not say so":      k.Sign(t, good("iat", nil, "exp", k.now().Add(31*time.Minute).Unix())),
		"that comes from tomorrow":  k.Sign(t, good("iat", k.now().Add(time.Hour).Unix(), "exp", k.now().Add(80*time.Minute).Unix())),
		"that never ends, in words": k.Sign(t, good("exp", k.now().AddDate(100, 0, 0).Unix())),
	} {
		if id, err := k.try(t, token); err == nil || id.ClientID != "" {
			t.Errorf("a token %s is taken", what)
		}
	}
	// What the configuration does not say is an hour.
	usual := newTokens(t)
	if _, err := usual.try(t, usual.Sign(t, usual.Good(usual.now()))); err != nil {
		t.Error(err)
	}
	long := usual.Good(usual.now(), "exp", usual.now().Add(time.Hour+time.Second).Unix())
	if _, err := usual.try(t, usual.Sign(t, long)); err == nil {
		t.Error("a token of more than an hour is taken")
	}
}

// TestCeiling: a token grants what its claims say as far as the configuration lets it.
func TestCeiling(t *testing.T) {
	t.Parallel()
	k := newTokens(t, func(c *config.OIDC) { c.Scopes = []string{"consents.write", "banking.read"} })
	for claimed, want := range map[string][]string{
		"consents.read":                 {"consents.read"},
		"consents.write openid":         {"consents.write"},
		"banking.write":                 {"banking.read"},
		"banking.read insights.read":    {"banking.read"},
		"insights.write customers.read": nil,
		"*":                             {"consents.write", "banking.read"},
		"consents.* consents.delete Consents.read": nil,
	} {
		id, err := k.try(t, k.Sign(t, k.Good(k.now(), "scope", claimed)))
		if err != nil || !slices.Equal(id.Scopes, want) {
			t.Errorf("%s grants %v (%v), want %v", claimed, id.Scopes, err, want)
		}
	}
}

// TestIssuersAreAskedDirectly: no proxy of the environment, and nobody that the issuer sends on to, tells whose keys
// are believed.
func TestIssuersAreAskedDirectly(t *testing.T) {
	asked := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String()
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(elsewhere.Close)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, elsewhere.URL)
	}
	// Requests to this machine pass proxies by, so the issuer has a name that is none; its address is not reached.
	k := newTokens(t, func(c *config.OIDC) { c.Issuer = "https://issuer.invalid" })
	if _, err := k.try(t, k.Sign(t, k.Good(k.now(), "iss", "https://issuer.invalid"))); err == nil {
		t.Error("a token of nobody is taken")
	}
	// The issuer answers its own address with another's.
	other := guardtest.NewIssuer(t)
	for _, status := range []int{http.StatusFound, http.StatusPermanentRedirect} {
		sending := httptest.NewServer(http.RedirectHandler(other.URL+"/.well-known/openid-configuration", status))
		t.Cleanup(sending.Close)
		s := newTokens(t, func(c *config.OIDC) { c.Issuer = sending.URL })
		if _, err := s.try(t, other.Sign(t, other.Good(s.now(), "iss", sending.URL))); err == nil {
			t.Error("a token of whom the issuer sends on to is taken")
		}
	}
	if n := other.Discovered(); n != 0 {
		t.Errorf("whom the issuer sends on to was asked %d times", n)
	}
	select {
	case address := <-asked:
		t.Errorf("a proxy was asked for %s", address)
	default:
	}
	if log := k.log.String(); !strings.Contains(log, "it does not answer") {
		t.Errorf("the log says %s", log)
	}
}
