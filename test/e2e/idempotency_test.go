package e2e

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/worldtest"
)

// creation is a creating request that is made many times with one key.
type creation struct {
	what     string
	rpc      string
	setup    string
	provider string
	request  object
	change   func(object) // makes another request of it
	upstream upstreamCalls
	callers  int

	key    string
	answer proto.Message
}

// TestIdempotency: callers who make one request with one key at the same time, over both transports, all get the same
// answer, and the provider is asked once. Another request with the key is refused. A restart changes nothing.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	creations := []*creation{
		{
			what: "customer", rpc: "kontor.customer.v1.CustomerService/CreateCustomer", setup: "none", callers: 100,
			request: object{"customer": object{"type": "PERSON", "reference": uuid.NewString()}},
			change:  func(r object) { r["customer"] = object{"type": "COMPANY"} },
		},
	}
	for _, provider := range worldtest.Providers() {
		for _, c := range providers.Of(provider).creations(w) {
			c.provider = provider
			creations = append(creations, c)
		}
	}
	for _, c := range creations {
		t.Run(c.what, func(t *testing.T) { c.many(t, w) })
	}
	t.Run("every RPC that takes a key", func(t *testing.T) {
		for name, method := range methods() {
			shown := slices.ContainsFunc(creations, func(c *creation) bool { return c.rpc == name })
			if method.desc.Input().Fields().ByName("request_id") != nil && !shown && shownElsewhere[name] == "" {
				t.Errorf("no creation shows %s", name)
			}
		}
	})
	t.Run("a deletion", func(t *testing.T) { deletedOnce(t, w) })
	t.Run("another tenant", func(t *testing.T) {
		got, err := w.client(t, acme).call(
			t.Context(), overGRPC, methods()[creations[0].rpc], creations[0].keyed(), nil, 0,
		)
		if err != nil || got.failure != nil {
			t.Fatal(err, got.failure)
		}
		if proto.Equal(got.messages[0], creations[0].answer) {
			t.Error("two tenants with the same key got the same customer")
		}
	})
	w.restart(t, nil)
	before := w.calls()
	for _, c := range creations {
		if c.answer == nil {
			continue // has failed before
		}
		for i := range 2 {
			r := c.once(t, w, i)
			if r.failure != nil {
				t.Errorf("%s after a restart: %v", c.what, r.failure)
				continue
			}
			wantSame(t, c.what+" after a restart", r.messages[0], c.answer)
		}
	}
	if made := w.callsSince(before); len(made) > 0 {
		t.Errorf("after the restart the providers were asked again: %v", made)
	}
}

// shownElsewhere are RPCs that take a key and are no creations, with the tests that show their keys.
var shownElsewhere = map[string]string{
	"kontor.consent.v1.ConsentService/DeleteConsent":        "deletedOnce",
	"kontor.customer.v1.CustomerService/UpdateCustomer":     "test/cases/customers.yaml",
	"kontor.customer.v1.CustomerService/DeleteCustomer":     "test/cases/customers.yaml",
	"kontor.provider.v1.ProviderService/DeleteProviderUser": "test/cases/providers.yaml",
}

// deletedOnce: of a deletion's key the request alone is remembered. Its repetition does not find what it deleted, and
// another request with the key is refused.
func deletedOnce(t *testing.T, w *world) {
	c := w.client(t, lending)
	for _, provider := range worldtest.Providers() {
		first, other := w.createConsent(t, c, provider), w.createConsent(t, c, provider)
		request := &consentv1.DeleteConsentRequest{Name: first.GetName(), RequestId: uuid.NewString()}
		must(c.Consents.DeleteConsent(asPSU(t), request))(t)
		before := w.calls()
		_, err := c.Consents.DeleteConsent(asPSU(t), request)
		wantReason(t, err, "CONSENT_NOT_FOUND")
		request.Name = other.GetName()
		_, err = c.Consents.DeleteConsent(asPSU(t), request)
		wantReason(t, err, "IDEMPOTENCY_KEY_REUSED")
		if made := w.callsSince(before); len(made) > 0 {
			t.Errorf("%s was asked again: %v", provider, made)
		}
	}
}

// keyed is the request with its key.
func (c *creation) keyed() object {
	request := maps.Clone(c.request)
	request["requestId"] = c.key
	return request
}

// once makes the request: over gRPC with the key in it, or over REST with the key in the header.
func (c *creation) once(t *testing.T, w *world, i int) reply {
	t.Helper()
	client, method := w.client(t, lending), methods()[c.rpc]
	var got reply
	var err error
	if i%2 == 0 {
		got, err = client.callGRPC(t.Context(), method, c.keyed(), psuIP, 0)
	} else {
		got, err = client.callREST(t.Context(), method, c.request, psuIP.with("idempotency-key", c.key), 0)
	}
	if err != nil {
		t.Error(err)
	}
	return got
}

func (c *creation) many(t *testing.T, w *world) {
	c.request, _ = setupOf(c.provider, c.setup)(
		t, w, w.client(t, lending), c.provider,
	).substitute(t, c.request).(object)
	c.key = uuid.NewString()
	before := w.calls()
	answers := make([]reply, c.callers)
	var callers sync.WaitGroup
	for i := range answers {
		callers.Go(func() { answers[i] = c.once(t, w, i) })
	}
	callers.Wait()
	for i, answer := range answers {
		if answer.failure != nil || len(answer.messages) != 1 {
			t.Fatalf("caller %d: %v", i, answer.failure)
		}
		if !proto.Equal(answer.messages[0], answers[0].messages[0]) {
			t.Fatalf("caller %d got %v, caller 0 %v", i, answer.messages[0], answers[0].messages[0])
		}
	}
	if made := w.callsSince(before); !maps.Equal(made, c.upstream) {
		t.Errorf("%d callers made the gateway call %v, want %v", c.callers, made, c.upstream)
	}
	c.answer = answers[0].messages[0]
	if c.change == nil {
		return
	}
	other, err := deepCopy(c.request)
	if err != nil {
		t.Fatal(err)
	}
	c.change(other)
	before = w.calls()
	for _, transport := range transports {
		h := psuIP.with("idempotency-key", c.key)
		got, err := w.client(t, lending).call(t.Context(), transport, methods()[c.rpc], other, h, 0)
		if err != nil {
			t.Fatal(err)
		}
		if f := got.failure; f == nil || f.code != codes.AlreadyExists || f.reason != "IDEMPOTENCY_KEY_REUSED" {
			t.Errorf("another request with the key over %s: got %v, want IDEMPOTENCY_KEY_REUSED", transport, f)
		}
	}
	if made := w.callsSince(before); len(made) > 0 {
		t.Errorf("another request with the key made the gateway call %v", made)
	}
}
