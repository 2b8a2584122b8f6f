package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

// consentCodes is how a provider tells that an answer is about a consent; `login` sends one, too.
func consentCodes(_ string, status int, code string) (providers.ErrorKind, bool) {
	switch code {
	case "CONSENT_EXPIRED":
		return providers.KindConsentEnded, true
	case "ACCESS_EXCEEDED":
		return providers.KindAccessExceeded, true
	}
	return 0, status == http.StatusTeapot
}

func tppCode(_ int, body []byte) string {
	var e struct{ Code string }
	_ = json.Unmarshal(body, &e)
	return e.Code
}

// What the adapter knows to be about one consent costs neither the token nor the provider's health, breaker or
// retries; what it does not know is as ever.
func TestClassified(t *testing.T) {
	for _, test := range []struct {
		status   int
		code     string
		kind     providers.ErrorKind
		sent     int // requests, logins aside
		logins   int32
		state    providerv1.Provider_Health_State
		lastSaid bool
	}{
		{401, "CONSENT_EXPIRED", providers.KindConsentEnded, 1, 1, providerv1.Provider_Health_HEALTHY, false},
		{403, "CONSENT_EXPIRED", providers.KindConsentEnded, 1, 1, providerv1.Provider_Health_HEALTHY, false},
		{404, "CONSENT_EXPIRED", providers.KindConsentEnded, 1, 1, providerv1.Provider_Health_HEALTHY, false},
		{410, "CONSENT_EXPIRED", providers.KindConsentEnded, 1, 1, providerv1.Provider_Health_HEALTHY, false},
		{429, "ACCESS_EXCEEDED", providers.KindAccessExceeded, 1, 1, providerv1.Provider_Health_HEALTHY, false},
		{500, "CONSENT_EXPIRED", providers.KindConsentEnded, 1, 1, providerv1.Provider_Health_HEALTHY, false},
		{401, "TOKEN_INVALID", providers.KindCredentials, 2, 2, providerv1.Provider_Health_UNAVAILABLE, true},
		{403, "NO_SUCH_CODE", providers.KindNotEnabled, 1, 1, providerv1.Provider_Health_HEALTHY, true},
		{429, "", providers.KindRateLimited, 3, 1, providerv1.Provider_Health_HEALTHY, true},
		{500, "", providers.KindUnavailable, 3, 1, providerv1.Provider_Health_HEALTHY, true}, // one blip is none
	} {
		t.Run(fmt.Sprintf("%d %s", test.status, test.code), func(t *testing.T) {
			t.Parallel()
			sent, tokens := 0, map[string]bool{}
			b := &bank{life: time.Hour, handle: func(r *http.Request) (*http.Response, error) {
				sent++
				tokens[r.Header.Get("Authorization")] = true
				return reply(
					test.status,
					fmt.Sprintf(`{"code": %q, "message": %q}`, test.code, canary),
					"Retry-After",
					"0",
				), nil
			}}
			c := b.client(t, nil, func(cfg *Config) {
				cfg.Classify, cfg.ErrorCode = consentCodes, tppCode
				cfg.Policy.LoginBackoff, cfg.Policy.MinBackoff = time.Nanosecond, time.Nanosecond
			})
			_, err := c.Do(t.Context(), get("1"), nil)
			if e := wantKind(t, err, test.kind); e.Status != test.status || e.Code != test.code {
				t.Errorf("error = %+v", e)
			}
			if sent != test.sent || b.logins.Load() != test.logins {
				t.Errorf("%d requests and %d logins, want %d and %d", sent, b.logins.Load(), test.sent, test.logins)
			}
			if h := c.Health(); h.State != test.state || (h.LastError != nil) != test.lastSaid {
				t.Errorf("health is %s, last error %v; want %s", h.State, h.LastError, test.state)
			}
			// The token of before serves the next call.
			b.handle = nil
			if _, err := c.Do(t.Context(), get("2"), nil); err != nil || b.logins.Load() != test.logins {
				t.Errorf("then %v, after %d logins", err, b.logins.Load())
			}
		})
	}
}

// However many consents end, the circuit breaker stays closed for the others.
func TestEndedConsentsKeepTheBreakerClosed(t *testing.T) {
	c := newTestClient(t, "http://localhost", func(cfg *Config) {
		cfg.Classify, cfg.ErrorCode = consentCodes, tppCode
		cfg.Policy.BreakerCalls = 5
		cfg.Transport = transport(func(*http.Request) (*http.Response, error) {
			return reply(503, `{"code": "CONSENT_EXPIRED"}`), nil
		})
	})
	for range 20 {
		_, err := c.Do(t.Context(), get("1"), nil)
		wantKind(t, err, providers.KindConsentEnded)
	}
	if state := c.breaker.state(); state != providers.BreakerClosed {
		t.Errorf("the breaker is %s", state)
	}
	if h := c.Health(); h.State != providerv1.Provider_Health_HEALTHY || h.LastError != nil {
		t.Errorf("health is %s, last error %v", h.State, h.LastError)
	}
}

func TestTooManyReadsOfAConsentSayWhenToComeBack(t *testing.T) {
	c := newTestClient(t, "http://localhost", func(cfg *Config) {
		cfg.Classify, cfg.ErrorCode = consentCodes, tppCode
		cfg.Transport = transport(func(*http.Request) (*http.Response, error) {
			return reply(429, `{"code": "ACCESS_EXCEEDED"}`, "Retry-After", "600"), nil
		})
	})
	_, err := c.Do(t.Context(), get("1"), nil)
	if e := wantKind(t, err, providers.KindAccessExceeded); e.RetryAfter != 10*time.Minute {
		t.Errorf("retry after %s", e.RetryAfter)
	}
}

// A login's 401 is about our credentials, whatever its body says.
func TestLoginsAreNotClassified(t *testing.T) {
	b := &bank{login: func(int32) (*http.Response, error) { return reply(401, `{"code": "CONSENT_EXPIRED"}`), nil }}
	c := b.client(t, nil, func(cfg *Config) { cfg.Classify, cfg.ErrorCode = consentCodes, tppCode })
	_, err := c.Do(t.Context(), get("1"), nil)
	wantKind(t, err, providers.KindCredentials)
}

// A request may bring a token of its own. It needs no login, and what becomes of it says nothing about the client's
// token.
func TestTokensOfRequests(t *testing.T) {
	own := func(token string) Request {
		r := get("1")
		r.Token = secret.New(token)
		return r
	}
	var seen []string
	b := &bank{
		life:  time.Hour,
		valid: map[string]bool{"of-consent": true},
		handle: func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Header.Get("Authorization"))
			return reply(200, `{}`), nil
		},
	}
	c := b.client(t, nil, nil)
	if _, err := c.Do(t.Context(), own("of-consent"), nil); err != nil || b.logins.Load() != 0 {
		t.Fatalf("%v, after %d logins", err, b.logins.Load())
	}
	if _, err := c.Do(t.Context(), get("1"), nil); err != nil || b.logins.Load() != 1 {
		t.Fatalf("%v, after %d logins", err, b.logins.Load())
	}
	_, err := c.Do(t.Context(), own("ended"), nil)
	if e := wantKind(t, err, providers.KindConsentEnded); e.Status != 401 {
		t.Errorf("error = %+v", e)
	}
	if b.refused.Load() != 1 {
		t.Errorf("the token was sent %d times", b.refused.Load())
	}
	if _, err := c.Do(t.Context(), get("1"), nil); err != nil || b.logins.Load() != 1 {
		t.Errorf("then %v, after %d logins", err, b.logins.Load())
	}
	if h := c.Health(); h.State != providerv1.Provider_Health_HEALTHY || h.LastError != nil {
		t.Errorf("health is %s, last error %v", h.State, h.LastError)
	}
	if got := strings.Join(seen, " "); got != "of-consent token-1 token-1" {
		t.Errorf("the tokens are %s", got)
	}
	// A token that no header can carry is not sent, and one that nothing puts on a request neither.
	_, err = c.Do(t.Context(), own("a\nb"), nil)
	wantKind(t, err, providers.KindInternal)
	plain := newTestClient(t, "http://localhost", func(cfg *Config) { cfg.Transport = transport(hang) })
	_, err = plain.Do(t.Context(), own("x"), nil)
	wantKind(t, err, providers.KindInternal)
}

// A provider that says that a consent is over has taken the token: when it refuses the token later, a login is worth
// its while.
func TestEndedConsentsShowThatTheTokenWasTaken(t *testing.T) {
	b := &bank{life: time.Hour}
	c := b.client(t, nil, func(cfg *Config) { cfg.Classify, cfg.ErrorCode = consentCodes, tppCode })
	call := func() error {
		_, err := c.Do(t.Context(), get("1"), nil)
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	b.expire()
	b.handle = func(*http.Request) (*http.Response, error) { return reply(401, `{"code": "CONSENT_EXPIRED"}`), nil }
	wantKind(t, call(), providers.KindConsentEnded) // with a token that came after a refusal
	b.expire()
	b.handle = nil
	if err := call(); err != nil || b.logins.Load() != 3 {
		t.Errorf("%v, after %d logins", err, b.logins.Load())
	}
}
