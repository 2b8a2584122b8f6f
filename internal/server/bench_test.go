package server_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/telemetry"
)

// tokenCheck authenticates at the price of one signature, as a token of an issuer does.
type tokenCheck struct {
	key       ed25519.PublicKey
	signature []byte
}

func newTokenCheck(b *testing.B) tokenCheck {
	b.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return tokenCheck{public, ed25519.Sign(private, []byte("Bearer "+allKey))}
}

// Authenticate implements the server's Authenticator.
func (c tokenCheck) Authenticate(_ context.Context, authorization []string) (identity.Identity, error) {
	if len(authorization) != 1 || !ed25519.Verify(c.key, []byte(authorization[0]), c.signature) {
		return identity.Identity{}, errors.New("not the token")
	}
	return identity.Identity{ClientID: "all", Tenant: "one", Scopes: []string{"*"}}, nil
}

// BenchmarkREST sends requests to the HTTP handler, without a socket. What is measured is the way from a request to
// the service and back.
func BenchmarkREST(b *testing.B) {
	const messages = 1000
	pdf := strings.Repeat("JVBERi0x", 1<<17) // 1 MiB of base64
	consents := make([]*consentv1.Consent, 100)
	for i := range consents {
		consents[i] = &consentv1.Consent{
			Name:     "consents/" + strconv.Itoa(i),
			Customer: "customers/1",
			Market:   "SE",
			Status:   consentv1.Consent_AUTHORIZED,
			Link:     &typev1.Link{Uri: optional.Of("https://bank.example.com/consent/1")},
		}
	}
	for _, c := range []struct {
		name, verb, path, body string
		token                  bool
	}{
		{"get", http.MethodGet, "/v1/consents/1", "", false},
		{"get-with-token", http.MethodGet, "/v1/consents/1", "", true},
		{"list-100", http.MethodGet, "/v1/consents", "", false},
		{"create", http.MethodPost, "/v1/consents",
			`{"consent": {"market": "SE", "customer": "customers/1"},` +
				`"requestId": "5f0c1a52-6a3f-4d0a-9a53-0c2f6f1f8f11"}`, false},
		{"create-bare", http.MethodPost, "/v1/consents", `{"market": "SE", "customer": "customers/1"}`, false},
		{"create-1MiB", http.MethodPost, "/v1/shipments",
			`{"shipment": {"channel": "FAX", "recipient": "+49", "subject": "s",` +
				`"address": {"city": "Berlin", "countryCode": "DE"}, "pdf": "` + pdf + `"}}`, false},
		{"update", http.MethodPatch, "/v1/partnerBanks/1", `{"displayName": "B", "broker": true}`, false},
		{"stream-1000", http.MethodGet, "/v1/consents:watch", "", false},
	} {
		b.Run(c.name, func(b *testing.B) {
			h, options := prepare(b)
			var err error
			if options.Telemetry, err = telemetry.New(b.Context(), telemetry.Options{Log: io.Discard}); err != nil {
				b.Fatal(err)
			}
			options.Limits.RequestsPerSecond, options.Limits.Burst = 1_000_000_000, 1_000_000_000
			if c.token {
				options.Authenticator = newTokenCheck(b)
			}
			h.consents.quiet = true
			h.consents.list = func(
				context.Context, *consentv1.ListConsentsRequest,
			) (*consentv1.ListConsentsResponse, error) {
				return &consentv1.ListConsentsResponse{Consents: consents}, nil
			}
			h.consents.update = func(
				_ context.Context, r *consentv1.UpdatePartnerBankRequest,
			) (*consentv1.PartnerBank, error) {
				return r.GetPartnerBank(), nil
			}
			h.consents.watch = func(
				_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer,
			) error {
				message := &consentv1.WatchConsentsResponse{ResumeToken: optional.Of("token"), Consent: consents[0]}
				for range messages {
					if err := s.Send(message); err != nil {
						return err
					}
				}
				return nil
			}
			s, err := server.New(options)
			if err != nil {
				b.Fatal(err)
			}
			handler := s.Handler()
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), c.verb, c.path, strings.NewReader(c.body))
				r.Header.Set("Authorization", "Bearer "+allKey)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}
