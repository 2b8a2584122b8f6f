package replicas

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

var (
	_ = creates.Add(finoos.ID, "create_user")
	_ = polls.Add(finoos.ID, "get_logins")
)

// TestOneUser: a customer for whom all gateways are asked at the same time, with different keys, is one user, and has
// one consent.
func TestOneUser(t *testing.T) {
	t.Parallel()
	customers := scaled(50, 6)
	w := newWorld(t, replicatest.Options{})
	ctx, cancel := context.WithTimeout(worldtest.AsPSU(t.Context()), 5*time.Minute)
	defer cancel()
	for range customers {
		customer := worldtest.Must(w.Any().Stubs().Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
		}))(t)
		var asking sync.WaitGroup
		var mu sync.Mutex
		outcomes := map[string]int{}
		for _, r := range append(w.Replicas, w.Replicas...) {
			asking.Go(func() {
				request := replicatest.ConsentRequest(uuid.NewString(), finoos.ID)
				request.Consent.Customer = customer.GetName()
				_, err := r.Stubs().Consents.CreateConsent(ctx, request)
				mu.Lock()
				defer mu.Unlock()
				outcomes[replicatest.Outcome(err)]++
			})
		}
		asking.Wait()
		if outcomes["OK"] != 1 || outcomes["CONSENT_EXISTS"] != 5 {
			t.Errorf("six who ask for one customer are told %v", outcomes)
		}
	}
	if users := sandboxes.As[*finoos.Server](w.Running, finoos.ID).Users(); len(users) != customers {
		t.Errorf("%d customers are %d users", customers, len(users))
	}
}
