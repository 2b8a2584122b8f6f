package overload

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/test/worldtest"
)

// The clients: one that may do everything and one that may only read for one tenant, and another tenant's.
const (
	owner  = "owner"
	reader = "reader"
	rival  = "rival"
)

func keyOf(client string) string { return worldtest.KeyOf("overload", client) }

// world is a gateway in front of played providers.
type world struct {
	gateway *worldtest.Gateway
	dir     string
}

// newWorld starts a gateway whose first tenant has so many consents, without a quota: what is tested is what lies
// behind it.
func newWorld(t *testing.T, consents int) *world {
	t.Helper()
	return newWorldOf(t, consents, "limits: {requests_per_second: 1000000, burst: 1000000}\n")
}

// newWorldOf starts a gateway with limits.
func newWorldOf(t *testing.T, consents int, limits string) *world {
	t.Helper()
	running, err := worldtest.Play(context.Background(), sandbox.Options{Seed: 1, Step: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: t.TempDir()}
	t.Cleanup(func() {
		if w.gateway != nil {
			if err := w.gateway.Stop(); err != nil {
				t.Error(err)
			}
		}
		if err := running.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(worldtest.LastWords(w.dir))
		}
	})
	blocks := worldtest.Blocks(running)
	cfg := worldtest.Config{
		PublicURL: "http://127.0.0.1:1",
		Tenants: []worldtest.Tenant{
			{ID: "default", Redirects: "https://app.example.com/*", Providers: blocks},
			{ID: "other", Redirects: "https://app.example.com/*", Providers: blocks},
		},
		Clients: []worldtest.Client{
			{ID: owner, Tenant: "default", Key: keyOf(owner), Scopes: worldtest.Everything},
			{ID: reader, Tenant: "default", Key: keyOf(reader), Scopes: "consents.read"},
			{ID: rival, Tenant: "other", Key: keyOf(rival), Scopes: worldtest.Everything},
		},
		More: limits + "reflection: true\nwebhooks: false\n" +
			"polling: {min_interval: 1h, max_interval: 1h}\nlog: {level: error}\n",
	}
	env, err := cfg.Write(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.fill(t, consents)
	if w.gateway, err = worldtest.StartGateway(binary, w.dir, env...); err != nil {
		t.Fatal(err)
	}
	return w
}

// fill puts consents into the store, as they are when they were revoked.
func (w *world) fill(t *testing.T, consents int) {
	t.Helper()
	key, err := worldtest.StoreKey(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := worldtest.OpenStore(t.Context(), w.dir, key)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(t.Context(), "default", func(tx store.Tx) error {
		return tx.InsertCustomer(&store.Customer{
			Tenant: "default", ID: "c", Resource: &customerv1.Customer{Name: "customers/c"},
		})
	}); err != nil {
		t.Fatal(err)
	}
	provider := worldtest.Providers()[0] // whichever
	market := worldtest.Of(provider).Market
	const together = 500
	for from := 0; from < consents; from += together {
		if err := db.Update(t.Context(), "default", func(tx store.Tx) error {
			for i := from; i < min(from+together, consents); i++ {
				id := fmt.Sprintf("c%08d", i)
				if err := tx.InsertConsent(&store.Consent{
					Tenant: "default", ID: id, CustomerID: "c", Provider: provider, Market: market,
					Resource: &consentv1.Consent{
						Name: "consents/" + id, Provider: "providers/" + provider, Market: market,
						Status: consentv1.Consent_REVOKED, Reference: optional.Of(strings.Repeat("r", 100)),
					},
				}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// dial connects to the gateway, and takes as little of what it sends as the system allows.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// watchMemory gives the most memory, beyond what it had to begin with, that the gateway has until stop is called.
func (w *world) watchMemory() (stop func() (above int64)) {
	idle, most := w.gateway.Resident(), int64(0)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, w.gateway.Resident()-idle)
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() int64 {
		close(done)
		<-ended
		return most
	}
}

// counted gives how many calls have ended, and how many streams are open, as the gateway counts them.
func (w *world) counted(t *testing.T) (calls, streams int) {
	t.Helper()
	text, err := w.gateway.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var n float64
		value := line[strings.LastIndexByte(line, ' ')+1:]
		_, _ = fmt.Sscan(value, &n)
		switch {
		case strings.HasPrefix(line, "kontor_rpc_requests_total"):
			calls += int(n)
		case strings.HasPrefix(line, "kontor_rpc_streams"):
			streams += int(n)
		}
	}
	return calls, streams
}
