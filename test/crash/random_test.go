package crash

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/test/worldtest"
)

// workers is how many callers there are at a time.
const workers = 6

// kind is something that workers ask for.
type kind struct {
	send func(ctx context.Context, c *worldtest.Stubs, r *request) (proto.Message, error)
	// goesOn says that a repetition goes on, wherever the gateway was killed: its outcome is never unknown.
	goesOn bool
	// revocable says that it makes consents that are revoked later.
	revocable bool
}

var (
	aCustomer = &kind{goesOn: true, send: func(
		ctx context.Context, c *worldtest.Stubs, r *request,
	) (proto.Message, error) {
		return call(c.Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{
				Type:      customerv1.Customer_COMPANY,
				Reference: optional.Of(r.key),
			},
			RequestId: r.key,
		}))
	}}
	// aRevocation is of an acknowledged consent; it has no key, and its event must stay.
	aRevocation = &kind{send: func(ctx context.Context, c *worldtest.Stubs, r *request) (proto.Message, error) {
		return call(c.Consents.RevokeConsent(ctx, &consentv1.RevokeConsentRequest{Name: r.name}))
	}}
)

// creatingKinds are all that make something: a customer, and what providers make.
var creatingKinds = sync.OnceValue(func() []*kind {
	all := []*kind{aCustomer}
	for _, id := range worldtest.Providers() {
		all = append(all, providers.Of(id).kinds...)
	}
	return all
})

// consentKind asks for consents at a provider.
func consentKind(provider string, goesOn, revocable bool) *kind {
	return &kind{goesOn: goesOn, revocable: revocable, send: func(
		ctx context.Context, c *worldtest.Stubs, r *request,
	) (proto.Message, error) {
		return call(c.Consents.CreateConsent(ctx, consentRequest(r.key, provider, "", "")))
	}}
}

// request is one request of a worker, with what it was answered.
type request struct {
	kind *kind
	key  string
	name string // of what is revoked
	// answer is what was acknowledged; err, of the newest attempt, is nil then.
	answer proto.Message
	err    error
}

func (r *request) send(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
	return r.kind.send(ctx, c, r)
}

// ofKind are the requests of a kind.
func ofKind(all []*request, k *kind) (found []*request) {
	for _, r := range all {
		if r.kind == k {
			found = append(found, r)
		}
	}
	return found
}

// accounts holds what the callers were told against what the gateway has and what the providers did.
func (w *world) accounts(t *testing.T, all []*request) {
	t.Helper()
	for _, r := range all {
		if r.err == nil {
			w.stands(t, r.answer, r.kind == aRevocation)
		}
	}
	for _, id := range worldtest.Providers() {
		providers.Of(id).accounts(t, w, all)
	}
}

// TestKilledAtRandom kills the gateway again and again while callers are at work, then asks for all that it
// acknowledged and repeats all that it did not.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, id := range worldtest.Providers() {
		if calm := providers.Of(id).calm; calm != nil {
			calm(w)
		}
	}
	random := rand.New(rand.NewPCG(uint64(*seed), 3))
	var all []*request
	for range *kills {
		all = append(all, w.load(random, all, random.IntN(2*workers),
			time.Duration(random.Int64N(30))*time.Millisecond)...)
		w.restart()
	}
	acknowledged, unknown := 0, 0
	for _, r := range all {
		if r.answer != nil {
			acknowledged++
		}
	}
	for _, r := range all {
		w.settle(t, r)
		if r.err != nil {
			unknown++
		}
	}
	t.Logf("%d requests, %d of them acknowledged before a kill, %d unknown in the end", len(all), acknowledged, unknown)
	if acknowledged == 0 || acknowledged == len(all) {
		t.Error("the kills came at moments that show nothing")
	}
	w.accounts(t, all)
}

// load has the workers send requests until the gateway is killed, a moment after so many answers, and gives the
// requests.
func (w *world) load(random *rand.Rand, earlier []*request, answers int, moment time.Duration) []*request {
	var mu sync.Mutex
	var sent []*request
	var answered atomic.Int64
	next := func() *request {
		mu.Lock()
		defer mu.Unlock()
		r := &request{
			kind: append(creatingKinds(), aRevocation)[random.IntN(len(creatingKinds())+1)], key: uuid.NewString(),
		}
		if r.kind == aRevocation {
			consent, ok := pick(random, earlier)
			if !ok { // there is none yet: make one
				r.kind = creatingKinds()[slices.IndexFunc(creatingKinds(), func(k *kind) bool { return k.revocable })]
			}
			r.name = consent.GetName()
		}
		sent = append(sent, r)
		return r
	}
	client := w.client
	ctx, cancel := context.WithCancel(w.context())
	defer cancel()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for ctx.Err() == nil {
				r := next()
				if r.answer, r.err = r.send(ctx, client); r.err != nil {
					return // it was killed
				}
				answered.Add(1)
			}
		})
	}
	w.eventually("callers are answered", func() bool { return answered.Load() >= int64(answers) })
	timer := time.NewTimer(moment)
	<-timer.C
	w.kill()
	cancel()
	group.Wait()
	return sent
}

// pick gives one of the acknowledged consents that can be revoked.
func pick(random *rand.Rand, earlier []*request) (*consentv1.Consent, bool) {
	for range 20 {
		if len(earlier) == 0 {
			break
		}
		r := earlier[random.IntN(len(earlier))]
		if consent, ok := r.answer.(*consentv1.Consent); ok && r.kind.revocable {
			return consent, true
		}
	}
	return nil, false
}

// repeats tells whether an answer is the one that was given before. A link's address is repeated only while it is live:
// not when the consent was revoked since.
func (w *world) repeats(was, now proto.Message) bool {
	if proto.Equal(was, now) {
		return true
	}
	asked, ok := was.(*consentv1.Consent)
	if !ok {
		return false
	}
	present, err := w.client.Consents.GetConsent(w.context(), &consentv1.GetConsentRequest{Name: asked.GetName()})
	if err != nil || present.GetLink().GetUri() == asked.GetLink().GetUri() {
		return false
	}
	asked = proto.CloneOf(asked)
	asked.Link.Uri = optional.Of("")
	return proto.Equal(asked, now)
}

// settle repeats a request. What was acknowledged is answered as before; anything else is done now, or its outcome is
// unknown.
func (w *world) settle(t *testing.T, r *request) {
	t.Helper()
	answer, err := r.send(w.context(), w.client)
	switch {
	case r.kind == aRevocation:
		if err != nil {
			t.Errorf("revoking again: %v", err)
		}
	case r.answer != nil && (err != nil || !w.repeats(r.answer, answer)):
		t.Errorf("acknowledged was %v, and repeated it is %v, %v", r.answer, answer, err)
	case err != nil && reason(err) != "OUTCOME_UNKNOWN":
		t.Errorf("a repetition ended with %v", err)
	case err != nil && r.kind.goesOn:
		t.Errorf("a repetition should go on, and ended with %v", err)
	case err == nil:
		again, err := r.send(w.context(), w.client)
		if err != nil || !proto.Equal(again, answer) {
			t.Errorf("the same key gave %v and then %v, %v", answer, again, err)
		}
	}
	if r.answer == nil {
		r.answer = answer
	}
	r.err = err
}

// stands asks for a resource that was acknowledged, and for its history.
func (w *world) stands(t *testing.T, answer proto.Message, revoked bool) {
	t.Helper()
	var err error
	switch resource := answer.(type) {
	case *customerv1.Customer:
		_, err = w.client.Customers.GetCustomer(w.context(), &customerv1.GetCustomerRequest{Name: resource.GetName()})
	case *documentsv1.Shipment:
		_, err = w.client.Documents.GetShipment(w.context(), &documentsv1.GetShipmentRequest{Name: resource.GetName()})
	case *consentv1.Consent:
		var now *consentv1.Consent
		if now, err = w.client.Consents.GetConsent(w.context(), &consentv1.GetConsentRequest{
			Name: resource.GetName(),
		}); err != nil {
			break
		}
		events := must(w.client.Consents.ListConsentEvents(w.context(), &consentv1.ListConsentEventsRequest{
			Parent: resource.GetName(),
		}))(t).GetEvents()
		if len(events) != int(now.GetEventCount()) || now.GetEventCount() < resource.GetEventCount() {
			t.Errorf(
				"%s was acknowledged with %d events, counts %d and has %d", resource.GetName(),
				resource.GetEventCount(), now.GetEventCount(), len(events),
			)
		}
		if revoked && now.GetStatus() != consentv1.Consent_REVOKED {
			t.Errorf("%s was revoked, and is %s", resource.GetName(), now.GetStatus())
		}
	}
	if status.Code(err) != codes.OK {
		t.Errorf("acknowledged, and now: %v", err)
	}
}
