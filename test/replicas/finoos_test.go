package replicas

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/sandbox"
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

// TestOneVisit: a browser's return reaches all gateways at once, with every outcome that there is. One counts, and the
// consent is not read for each.
func TestOneVisit(t *testing.T) {
	t.Parallel()
	const interval = 2 * time.Second
	w := newWorld(t, replicatest.Options{Polling: "{min_interval: 2s, max_interval: 1h}"})
	played, core := sandboxes.As[*finoos.Server](w.Running, finoos.ID), w.Played[finoos.ID].Core
	for _, made := range waiting(t, w, finoos.ID, scaled(20, 4)) {
		began := time.Now()
		location, err := played.CompleteLogin(made.GetProviderReference())
		if err != nil {
			t.Fatal(err)
		}
		var coming sync.WaitGroup
		for _, r := range append(w.Replicas, w.Replicas...) {
			for _, outcome := range []string{"/error", "/success", "/exit"} {
				address := r.HTTP() + strings.Replace(strings.TrimPrefix(location, w.PublicURL), "/success", outcome, 1)
				coming.Go(func() {
					response, err := worldtest.NoRedirects.Get(address)
					if err != nil {
						t.Error(err)
						return
					}
					response.Body.Close()
					if response.StatusCode/100 != 3 {
						t.Errorf("a browser is told %s", response.Status)
					}
				})
			}
		}
		coming.Wait()
		events := worldtest.Must(w.Any().Stubs().Consents.ListConsentEvents(t.Context(),
			&consentv1.ListConsentEventsRequest{Parent: made.GetName()}))(t)
		ended := 0
		for _, event := range events.GetEvents() {
			switch event.GetType() {
			case consentv1.ConsentEvent_LINK_EXITED, consentv1.ConsentEvent_AUTHORIZATION_FAILED:
				ended++
			}
		}
		if ended > 1 {
			t.Errorf("one visit ended %d times: %v", ended, events.GetEvents())
		}
		var reads []time.Duration
		for path, times := range polled(core, polls.Of(finoos.ID), began) {
			if strings.Contains(path, made.GetProviderReference()) {
				for _, at := range times {
					reads = append(reads, at.Sub(began))
				}
			}
		}
		// The customer who is back is not kept waiting for a poll. A gateway that was told of the visit before the news
		// of that read were stored may poll, and asks up to three times while what others store overtakes its answers.
		if most := 1 + 3 + int(time.Since(began)/interval); len(reads) > most {
			t.Errorf("one visit led to %d reads, want at most %d: after %s", len(reads), most, reads)
		}
	}
}

// TestDeletedMeanwhile deletes customers at one gateway while others ask for consents of theirs, and for their users
// with that: in the end nobody has a user.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{})
	core := w.Played[finoos.ID].Core
	core.Faults.Add(sandbox.Fault{Operation: creates.Of(finoos.ID), Delay: 300 * time.Millisecond})
	ctx, cancel := context.WithTimeout(worldtest.AsPSU(t.Context()), 5*time.Minute)
	defer cancel()
	for range scaled(50, 8) {
		customer := worldtest.Must(w.Any().Stubs().Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
		}))(t)
		var calls sync.WaitGroup
		before := core.Calls.Count(creates.Of(finoos.ID))
		for _, r := range w.Replicas[1:] {
			calls.Go(func() {
				request := replicatest.ConsentRequest(uuid.NewString(), finoos.ID)
				request.Consent.Customer = customer.GetName()
				// What it is told depends on who comes first.
				_, _ = r.Stubs().Consents.CreateConsent(ctx, request)
			})
		}
		worldtest.Within(t, "a user to be made", worldtest.Patience, func() bool {
			return core.Calls.Count(creates.Of(finoos.ID)) > before
		})
		_, err := w.Replicas[0].Stubs().Customers.DeleteCustomer(ctx,
			&customerv1.DeleteCustomerRequest{Name: customer.GetName()})
		if err != nil {
			t.Errorf("DeleteCustomer: %v", err)
		}
		calls.Wait()
		for _, user := range sandboxes.As[*finoos.Server](w.Running, finoos.ID).Users() {
			if !user.Deleted {
				t.Errorf("%s, of a customer who was deleted, is there", user.ID)
			}
		}
	}
}
