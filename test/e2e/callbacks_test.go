package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/worldtest"
)

// guess is a token as an attacker may try it: of the right form, or not.
func guess(i int) string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	token := base64.RawURLEncoding.EncodeToString(raw)
	return []string{token, token[:20], token + token, url.PathEscape("../" + token), "%00" + token, "0"}[i%6]
}

// get opens an address and gives the status.
func get(t *testing.T, address string) int {
	t.Helper()
	resp, err := httpClient.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestForgedCallbacks: whoever does not know a token changes nothing, and makes nobody be asked anything.
func TestForgedCallbacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	var tries []func(token string) map[string]int
	var checks []func()
	var pending []*consentv1.Consent
	for _, provider := range worldtest.Providers() {
		consent := w.createConsent(t, c, provider)
		pending = append(pending, consent)
		if forge := providers.Of(provider).forge; forge != nil {
			try, unchanged := forge(t, w, c, consent)
			tries, checks = append(tries, try), append(checks, unchanged)
		}
	}
	before := w.calls()
	for i := range 600 {
		token := guess(i)
		for _, try := range tries {
			for what, status := range try(token) {
				if status != http.StatusNotFound && status != http.StatusBadRequest {
					t.Fatalf("a forged %s was answered with %d", what, status)
				}
			}
		}
	}
	if made := w.callsSince(before); len(made) > 0 {
		t.Errorf("forged callbacks made the gateway call %v", made)
	}
	for _, consent := range pending {
		wantSame(
			t, "a consent",
			must(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t),
			consent,
		)
	}
	for _, unchanged := range checks {
		unchanged()
	}
}
