package replicas

import (
	"testing"

	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// TestOnceForAll asks all gateways for the same at the same time: it is done once, and all give one answer.
func TestOnceForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{})
	asked := map[*replicatest.Entry][]<-chan answer{}
	for range scaled(50, 5) {
		for _, id := range worldtest.Providers() {
			for _, e := range append(replicatest.Special(id), replicatest.NewConsent(id)) {
				asked[e] = ask(w.Enter(e), append(w.Replicas, w.Replicas...)...)
			}
		}
		for e, answers := range asked {
			if agreed(t, e, answers); e.Err != nil {
				t.Errorf("%s: %v", e.Kind.Name, e.Err)
			}
		}
		clear(asked)
	}
	w.Check(t)
}
