package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/server/guard/guardtest"
)

// TestTokensAtTheFronts: keys and tokens go side by side through both fronts, and a stream ends with its token.
func TestTokensAtTheFronts(t *testing.T) {
	issuer := guardtest.NewIssuer(t)
	h := start(t, func(o *server.Options) {
		o.Authenticator = guard.AnyOf{o.Authenticator, guard.NewOIDC(guard.OIDCOptions{
			Issuers: []config.OIDC{{
				Issuer: issuer.URL, Audience: "kontor", Tenant: "one",
				ScopesClaim: config.DefaultScopesClaim, ClientIDClaim: config.DefaultClientIDClaim,
			}},
			Tenants: []string{"one", "two"}, Logger: o.Telemetry.Logger,
		})}
	})
	now := time.Now()
	token := issuer.Sign(t, issuer.Good(now))
	for _, bearer := range []string{token, allKey} {
		if _, err := h.client.GetConsent(as(t.Context(), bearer),
			&consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
			t.Errorf("gRPC: %v", err)
		}
		if r := h.do(t, "GET", "/v1/consents/1", bearer, ""); r.status != http.StatusOK {
			t.Errorf("REST: %d %s", r.status, r.body)
		}
	}
	if seen := h.consents.calls[0]; seen.identity.Tenant != "one" ||
		!strings.HasPrefix(seen.identity.ClientID, "scoring@") {
		t.Errorf("the service saw %+v", seen.identity)
	}
	expired := issuer.Sign(t, issuer.Good(now, "exp", now.Add(-time.Minute).Unix()))
	if _, err := h.client.GetConsent(as(t.Context(), expired),
		&consentv1.GetConsentRequest{Name: "consents/1"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("gRPC: an expired token gives %v", err)
	}
	if r := h.do(t, "GET", "/v1/consents/1", expired, ""); r.status != http.StatusUnauthorized ||
		strings.Contains(r.body, "expire") {
		t.Errorf("REST: an expired token gives %d %s", r.status, r.body)
	}
	if _, err := h.client.CreateConsent(as(t.Context(), token),
		&consentv1.CreateConsentRequest{Consent: &consentv1.Consent{}}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a scope that the token lacks gives %v", err)
	}
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		<-s.Context().Done()
		return s.Context().Err()
	}
	short := issuer.Sign(t, issuer.Good(now, "exp", time.Now().Add(time.Second).Unix()))
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
