package replicas

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// retries is what a client is told that takes all gateways in turn and repeats what is UNAVAILABLE.
const retries = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}}]
}`

// balanced gives such a client, and what tells it where the gateways are.
func balanced(t *testing.T, w *replicatest.World) (c *worldtest.Stubs, moved func()) {
	t.Helper()
	names := manual.NewBuilderWithScheme("gateways")
	var last []resolver.Address
	where := func() resolver.State {
		addresses := make([]resolver.Address, len(w.Replicas))
		for i, r := range w.Replicas {
			if g := r.Gateway(); g != nil {
				addresses[i].Addr = g.GRPC
			} else {
				addresses[i] = last[i] // Nobody tells a client at once that a gateway is gone.
			}
		}
		last = addresses
		return resolver.State{Addresses: addresses}
	}
	names.InitialState(where())
	c, err := worldtest.Dial("gateways:///all", replicatest.Key, grpc.WithResolvers(names),
		grpc.WithDefaultServiceConfig(retries))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, func() { names.UpdateState(where()) }
}

// TestRollingRestarts restarts one gateway after the other, as a new version is brought out, while many streams are
// open and clients call that repeat what is UNAVAILABLE: streams go on elsewhere, and all calls succeed.
func TestRollingRestarts(t *testing.T) {
	t.Parallel()
	rounds, streams, consents := scaled(3, 1), scaled(2000, 150), scaled(100, 15)
	w := newWorld(t, replicatest.Options{})
	c, moved := balanced(t, w)
	var names []string
	for i := range consents {
		ids := worldtest.Providers()
		e := replicatest.NewConsent(ids[i%len(ids)])
		if !w.Do(t.Context(), e) {
			t.Fatal(e.Err)
		}
		names = append(names, e.Answer.(*consentv1.Consent).GetName())
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	watching := watch(t, w, 2, nil)
	for i := range streams - len(watching) {
		s, _ := w.Watch(ctx, replicatest.WatchOptions{Consent: names[i%consents], SSE: i/consents%2 == 1})
		watching = append(watching, s)
	}
	for _, s := range watching {
		worldtest.Within(t, "a stream to open", time.Minute, s.Open)
	}
	began := time.Now()
	calling, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	intn := random(8)
	for range 4 {
		callers.Go(func() {
			for calling.Err() == nil {
				call, done := context.WithTimeout(context.Background(), time.Minute)
				e := w.Enter(replicatest.NewLink(names[intn(consents)]))
				e.Told(e.Ask(call, c))
				w.Count(e.Kind.Name, e.Err)
				_, err := c.Consents.GetConsent(call, &consentv1.GetConsentRequest{Name: e.About})
				w.Count("GetConsent", err)
				for _, err := range []error{err, e.Err} {
					if err != nil {
						t.Errorf("a call that is repeated ends with %v", err)
					}
				}
				done()
			}
		})
	}
	restarts := 0
	for range rounds {
		for _, r := range w.Replicas {
			if err := r.Stop(); err != nil {
				t.Errorf("gateway %d: %v", r.Number, err)
			}
			if err := r.Start(); err != nil {
				t.Fatal(err)
			}
			restarts++
			moved()
			entries := len(w.Entries())
			worldtest.Within(t, "calls to go on", time.Minute, func() bool { return len(w.Entries()) >= entries+8 })
		}
	}
	cancel()
	callers.Wait()
	w.Check(t, watching...).Report(t, "rolling restart", restarts, time.Since(began))
	ends := map[string]int{}
	for _, s := range watching {
		for how, n := range s.Ends() {
			ends[how] += n
			if strings.HasPrefix(how, "RESUME") || strings.HasPrefix(how, "INVALID") {
				t.Errorf("a stream that was resumed ended with %s", how)
			}
		}
	}
	t.Logf("streams ended with %v", ends)
}
