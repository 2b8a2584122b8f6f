package server_test

import (
	"context"
	"sync/atomic"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
)

// counting counts how often anybody is authenticated.
type counting struct {
	guard.Authenticator
	asked *atomic.Int64
}

// Authenticate implements guard.Authenticator.
func (c counting) Authenticate(ctx context.Context, authorization []string) (identity.Identity, error) {
	c.asked.Add(1)
	return c.Authenticator.Authenticate(ctx, authorization)
}

// TestOneAuthentication: each request is authenticated once, whichever way it comes, and no service sees the key of
// one that came over REST.
func TestOneAuthentication(t *testing.T) {
	var asked atomic.Int64
	h := start(t, func(o *server.Options) { o.Authenticator = counting{o.Authenticator, &asked} })
	h.consents.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
		return nil
	}
	for what, call := range map[string]func(){
		"GET":    func() { h.do(t, "GET", "/v1/consents/1", allKey, "") },
		"POST":   func() { h.do(t, "POST", "/v1/consents", allKey, `{"consent": {"market": "SE"}}`) },
		"stream": func() { h.do(t, "GET", "/v1/consents:watch", allKey, "") },
		"wrong":  func() { h.do(t, "GET", "/v1/consents/1", nobodyKey, "") },
		"none":   func() { h.do(t, "GET", "/v1/consents/1", "", "") },
		"scope":  func() { h.do(t, "POST", "/v1/consents", readerKey, `{"consent": {"market": "SE"}}`) },
		"gRPC": func() {
			_, _ = h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{Name: "consents/1"})
		},
	} {
		asked.Store(0)
		if call(); asked.Load() != 1 {
			t.Errorf("%s: %d authentications", what, asked.Load())
		}
	}
	h.do(t, "GET", "/v1/consents/1", allKey, "")
	if s := h.consents.last(t); len(s.metadata.Get("authorization")) != 0 || s.identity.ClientID != "all" {
		t.Errorf("the service sees %v of %+v", s.metadata, s.identity)
	}
}
