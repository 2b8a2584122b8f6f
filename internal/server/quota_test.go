package server_test

import (
	"context"
	"strconv"
	"testing"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/postgres"
	"kontor.dev/kontor/internal/store/postgres/postgrestest"
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

// toldQuotas tells a test when a process has exchanged with the others, and gives a slow machine time for it.
type toldQuotas struct {
	store.Quotas

	told chan struct{}
}

func (q *toldQuotas) SpendQuotas(
	ctx context.Context, rate store.QuotaRate, spent []store.QuotaSpent,
) ([]store.QuotaLeft, error) {
	left, err := q.Quotas.SpendQuotas(context.WithoutCancel(ctx), rate, spent)
	q.told <- struct{}{}
	return left, err
}

// TestQuotasOfSeveralServers has three servers share a database: a client that used up its quota at two of them is
// refused by the third once that knows; and another client is not.
func TestQuotasOfSeveralServers(t *testing.T) {
	const burst = 30
	address := postgrestest.NewSchema(t)
	clients := guard.NewKeys([]config.Client{
		{ID: "one", Tenant: "one", Keys: [][32]byte{sum(allKey)}, Scopes: []string{"*"}},
		{ID: "another", Tenant: "one", Keys: [][32]byte{sum(readerKey)}, Scopes: []string{"*"}},
	})
	var servers []*harness
	var told []chan struct{}
	for range 3 {
		db, err := postgres.Open(t.Context(), address, keystest.StoreKey())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		quotas := &toldQuotas{db.Quotas(), make(chan struct{}, 100)}
		told = append(told, quotas.told)
		servers = append(servers, start(t, func(o *server.Options) {
			o.Limits.RequestsPerSecond, o.Limits.Burst = 1, burst
			o.Authenticator, o.Quotas = clients, quotas
		}))
	}
	ask := func(server int, key string) reply { return servers[server].do(t, "GET", "/v1/consents/1", key, "") }
	for server := range 2 {
		eventually(t, "a refusal", func() bool { return ask(server, allKey).status == 429 })
		<-told[server]
	}
	var granted int
	var refused reply
	if ask(2, allKey).status != 200 {
		t.Error("the third server refuses before it knows of anything")
	}
	<-told[2]
	eventually(t, "a refusal by the third", func() bool {
		if refused = ask(2, allKey); refused.status == 200 {
			granted++
		}
		return refused.status == 429
	})
	after, err := strconv.Atoi(refused.header.Get("Retry-After"))
	if granted > burst/2 || err != nil || after < 1 || after > 12 {
		t.Errorf("the third server granted %d calls, and then said Retry-After: %d, %v", granted, after, err)
	}
	for server := range servers {
		if r := ask(server, readerKey); r.status != 200 {
			t.Errorf("server %d refuses another client: %d %s", server, r.status, r.body)
		}
	}
}
