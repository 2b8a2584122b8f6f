package replicas

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/optional"
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

// TestOneKeyForMany asks all gateways at the same time, with one key, for different things: one of them is done, and
// the others are told that the key is taken, then and later. Under another method the key is another one.
func TestOneKeyForMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{})
	ctx, cancel := context.WithTimeout(worldtest.AsPSU(t.Context()), 5*time.Minute)
	defer cancel()
	asking := append(w.Replicas, w.Replicas...)
	for range scaled(50, 4) {
		for _, id := range worldtest.Providers() {
			core, key := w.Played[id].Core, uuid.NewString()
			before := core.Calls.Count(creates.Of(id))
			names, reused := map[string]bool{}, 0
			var mu sync.Mutex
			for round := range 2 {
				var calls sync.WaitGroup
				for i, r := range asking {
					calls.Go(func() {
						request := replicatest.ConsentRequest(key, id)
						request.Consent.Reference = optional.Of(fmt.Sprint(key, "-", i))
						made, err := r.Stubs().Consents.CreateConsent(ctx, request)
						mu.Lock()
						defer mu.Unlock()
						switch replicatest.Outcome(err) {
						case "OK":
							names[made.GetName()] = true
						case "IDEMPOTENCY_KEY_REUSED":
							reused++
						default:
							t.Errorf("%s, round %d: %v", id, round, err)
						}
					})
				}
				calls.Wait()
			}
			asked := core.Calls.Count(creates.Of(id)) - before
			if len(names) != 1 || reused != 2*(len(asking)-1) || asked != 1 {
				t.Errorf("%s: one key has %d consents, %d were refused, and the provider was asked %d times", id,
					len(names), reused, asked)
			}
			if _, err := w.Any().Stubs().Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
				Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON}, RequestId: key,
			}); err != nil {
				t.Errorf("the same key under another method: %v", err)
			}
		}
	}
}
