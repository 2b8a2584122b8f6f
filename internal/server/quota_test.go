package server_test

import (
	"testing"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
)

// TestQuotasOfTenants: a client cannot use up the quota of another tenant's client of the same name.
func TestQuotasOfTenants(t *testing.T) {
	h := start(t, func(o *server.Options) {
		o.Limits.RequestsPerSecond, o.Limits.Burst = 1, 1
		o.Authenticator = guard.NewKeys([]config.Client{
			{ID: "same", Tenant: "one", Keys: [][32]byte{sum(allKey)}, Scopes: []string{"*"}},
			{ID: "same", Tenant: "two", Keys: [][32]byte{sum(readerKey)}, Scopes: []string{"*"}},
		})
	})
	if r := h.do(t, "GET", "/v1/consents/1", allKey, ""); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := h.do(t, "GET", "/v1/consents/1", allKey, ""); r.status != 429 {
		t.Errorf("the first tenant's second call: %d", r.status)
	}
	if r := h.do(t, "GET", "/v1/consents/1", readerKey, ""); r.status != 200 {
		t.Errorf("the other tenant's first call: %d %s", r.status, r.body)
	}
}
