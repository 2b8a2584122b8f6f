package crash

import (
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/test/worldtest"
)

// TestKilledAtEachStep kills the gateway at every moment of every request to a provider that a creating operation
// makes. After the restart the same key gives one answer, again and again: the resource, or that the outcome is
// unknown. The provider did it at most once, and exactly once when the answer is the resource.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(uint64(*seed), 1))
	for _, provider := range worldtest.Providers() {
		for _, o := range providers.Of(provider).operations {
			delays := rand.New(rand.NewPCG(random.Uint64(), 2))
			t.Run(o.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, options{})
				for _, s := range o.steps {
					for _, at := range moments {
						if !t.Run(title(s.operation)+"/"+string(at), func(t *testing.T) {
							w.t = t
							delay := time.Duration(delays.Int64N(int64(2 * time.Millisecond)))
							killAt(t, w, w.gates[provider], o, s, at, delay)
						}) {
							return // the world is in no known state
						}
					}
				}
			})
		}
	}
}

func killAt(t *testing.T, w *world, gate *gate, o creating, s step, at moment, delay time.Duration) {
	w.restart() // without tokens
	once := o.prepare(t, w, uuid.NewString())
	before, each := o.count(w)
	begun := time.Now()
	fired := make(chan struct{})
	gate.set(s.operation, at, func() {
		defer close(fired)
		if at == replied { // the reply may arrive, and be stored, and be passed on
			time.Sleep(delay)
		}
		w.kill()
	})
	acknowledged, err := once(w.context(), w.client)
	if gate.disarm() {
		t.Fatalf("%s was not called; the call ended with %v", s.operation, err)
	}
	<-fired
	if err != nil && at != replied && reason(err) != "" {
		t.Fatalf("a gateway that was killed answered %v", err)
	}
	w.restart()
	first, firstErr := once(w.context(), w.client)
	second, secondErr := once(w.context(), w.client)
	if !same(first, firstErr, second, secondErr) {
		t.Errorf("the same key gave %v, %v and then %v, %v", first, firstErr, second, secondErr)
	}
	after, _ := o.count(w)
	effects := after - before
	if firstErr != nil && at == done &&
		!slices.ContainsFunc(w.audit(), func(e entry) bool {
			return e.Outcome == "OUTCOME_UNKNOWN" && e.Time.After(begun)
		}) {
		t.Error("that the outcome is unknown is not in the audit")
	}
	switch {
	case acknowledged != nil && !proto.Equal(acknowledged, first):
		t.Errorf("acknowledged was %v, and after the restart it is %v, %v", acknowledged, first, firstErr)
	case firstErr == nil && effects != each:
		t.Errorf("the provider did it %d times", effects)
	case firstErr != nil && reason(firstErr) != "OUTCOME_UNKNOWN":
		t.Errorf("the repetition ended with %v", firstErr)
	case firstErr != nil && s.repeatable:
		t.Errorf("the repetition should go on, and ended with %v", firstErr)
	case firstErr != nil && effects > 1:
		t.Errorf("the provider did it %d times, and the outcome is said to be unknown", effects)
	}
	// Another key is not held up.
	must(o.prepare(t, w, uuid.NewString())(w.context(), w.client))(t)
	w.whole(t)
}

// same tells whether two answers are the same one, but for the request's id.
func same(a proto.Message, aErr error, b proto.Message, bErr error) bool {
	if aErr != nil || bErr != nil {
		return aErr != nil && bErr != nil && reason(aErr) == reason(bErr) &&
			status.Convert(aErr).Message() == status.Convert(bErr).Message() &&
			worldtest.Info(aErr).GetMetadata()["shipment"] == worldtest.Info(bErr).GetMetadata()["shipment"]
	}
	return proto.Equal(a, b)
}

// comeBack brings a customer's browser back from a provider's pages to the running gateway: the public address leads
// nowhere.
func (w *world) comeBack(location string) {
	w.t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := worldtest.NoRedirects.Get(w.gateway.HTTP + u.RequestURI())
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 3 {
		w.t.Fatalf("coming back ended with %s", resp.Status)
	}
}
