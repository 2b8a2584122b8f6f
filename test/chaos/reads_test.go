package chaos

import (
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

func TestConcurrentReadsAreOneProviderCall(t *testing.T) {
	w := newWorld(t, options{})
	for _, provider := range worldtest.Providers() {
		consent := w.authorized(t, provider, 1)[0]
		w.core(provider).Faults.Add(sandbox.Fault{
			Operation: worldtest.Of(provider).Read, Delay: 500 * time.Millisecond,
		})
		before := w.reads(provider)
		result := &tally{}
		var callers sync.WaitGroup
		for i := range 100 {
			callers.Go(func() {
				began := time.Now()
				err := w.listAccounts(t.Context(), i, consent)
				result.add(time.Since(began), err)
			})
		}
		callers.Wait()
		if calls := w.reads(provider) - before; result.ok != 100 || calls != 1 {
			t.Errorf("%s: %s with %d provider calls, want 1", provider, result, calls)
		}
	}
}
