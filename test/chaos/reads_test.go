package chaos

import (
	"net/http"
	"sync"
	"testing"

	"kontor.dev/kontor/test/worldtest"
)

// gate holds back what is asked of a provider while it is closed.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // nil while it is open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed = nil
}

// before puts the gate before a provider.
func (g *gate) before(provider http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		closed := g.closed
		g.mu.Unlock()
		if closed != nil {
			<-closed
		}
		provider.ServeHTTP(w, r)
	})
}

// TestConcurrentReadsAreOneProviderCall holds the provider's answer back until all callers are there. One who was let
// in by then and has not come to wait for it makes a call of their own; internal/bankdata tests that no other does.
func TestConcurrentReadsAreOneProviderCall(t *testing.T) {
	const readers = 100
	gates, between := map[string]*gate{}, map[string]func(http.Handler) http.Handler{}
	for _, provider := range worldtest.Providers() {
		gates[provider] = &gate{}
		between[provider] = gates[provider].before
	}
	w := newWorld(t, options{between: between})
	for _, provider := range worldtest.Providers() {
		consent := w.authorized(t, provider, 1)[0]
		before := w.reads(provider)
		gates[provider].shut()
		result := &tally{}
		var callers sync.WaitGroup
		for i := range readers {
			callers.Go(func() { result.add(0, w.listAccounts(t.Context(), i, consent)) })
		}
		eventually(t, "all callers to be there", func() bool {
			return w.metric(t, "kontor_rpc_in_flight", `service="kontor.banking.v1.BankingService"`) == readers &&
				w.metric(t, "kontor_store_waiting") == 0
		})
		gates[provider].open()
		callers.Wait()
		if calls := w.reads(provider) - before; result.ok != readers || calls < 1 || calls > readers/5 {
			t.Errorf("%s: %s with %d provider calls, want one", provider, result, calls)
		}
	}
}
