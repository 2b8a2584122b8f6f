package crash

import (
	"context"
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
//
// On SQLite the key is asked for at once: who starts has the file to itself, and settles what was left. On PostgreSQL
// what was left belongs to the gateway that is gone until its lease runs out: so that this is waited for only once, all
// keys are asked for after the last kill.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(uint64(*seed), 1))
	for _, provider := range worldtest.Providers() {
		for _, o := range providers.Of(provider).operations {
			delays := rand.New(rand.NewPCG(random.Uint64(), 2))
			t.Run(o.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, options{})
				var all, left []*killed
				start, each := o.count(w)
				for _, s := range o.steps {
					for _, at := range moments {
						k := &killed{creating: o, step: s, at: at}
						all = append(all, k)
						if !t.Run(title(s.operation)+"/"+string(at), func(t *testing.T) {
							w.t = t
							k.kill(w, w.gates[provider], time.Duration(delays.Int64N(int64(2*time.Millisecond))))
							if worldtest.Stores() == worldtest.SQLite {
								k.again(t, w)
							} else {
								left = append(left, k)
							}
							// Another key is not held up.
							must(o.prepare(t, w, uuid.NewString())(w.context(), w.client))(t)
							w.whole(t)
						}) {
							return // the world is in no known state
						}
					}
				}
				w.t = t
				if len(left) > 0 {
					w.restart()
				}
				for _, k := range left {
					t.Run(title(k.step.operation)+"/"+string(k.at)+"/again", func(t *testing.T) {
						w.t = t
						k.again(t, w)
						w.whole(t)
					})
				}
				want := start + each*len(all) // of the other keys
				for _, k := range all {
					want += k.did
				}
				if effects, _ := o.count(w); effects != want {
					t.Errorf("the provider did it %d times, of which nobody asked for %d", effects-start, effects-want)
				}
			})
		}
	}
}

// killed is a call during which the gateway was killed.
type killed struct {
	creating

	step  step
	at    moment
	begun time.Time
	once  func(context.Context, *worldtest.Stubs) (proto.Message, error)
	// acknowledged is what the caller was answered before, nil for nothing.
	acknowledged proto.Message
	// did is how often the provider has done it.
	did int
}

// kill makes the call, kills the gateway at its moment, and starts it again.
func (k *killed) kill(w *world, gate *gate, delay time.Duration) {
	t := w.t
	w.restart() // without tokens
	k.once = k.prepare(t, w, uuid.NewString())
	before, _ := k.count(w)
	k.begun = time.Now()
	fired := make(chan struct{})
	gate.set(k.step.operation, k.at, func() {
		defer close(fired)
		if k.at == replied { // the reply may arrive, and be stored, and be passed on
			time.Sleep(delay)
		}
		w.kill()
	})
	var err error
	k.acknowledged, err = k.once(w.context(), w.client)
	if gate.disarm() {
		t.Fatalf("%s was not called; the call ended with %v", k.step.operation, err)
	}
	<-fired
	if err != nil && k.at != replied && reason(err) != "" {
		t.Fatalf("a gateway that was killed answered %v", err)
	}
	w.eventually("what was asked of the provider is done", gate.quiet)
	after, _ := k.count(w)
	k.did = after - before
	w.restart()
}

// again asks for the call's key.
func (k *killed) again(t *testing.T, w *world) {
	before, each := k.count(w)
	first, firstErr := k.once(w.context(), w.client)
	second, secondErr := k.once(w.context(), w.client)
	if !same(first, firstErr, second, secondErr) {
		t.Errorf("the same key gave %v, %v and then %v, %v", first, firstErr, second, secondErr)
	}
	after, _ := k.count(w)
	k.did += after - before
	if firstErr != nil && k.at == done &&
		!slices.ContainsFunc(w.audit(), func(e entry) bool {
			return e.Outcome == "OUTCOME_UNKNOWN" && e.Time.After(k.begun)
		}) {
		t.Error("that the outcome is unknown is not in the audit")
	}
	switch {
	case k.acknowledged != nil && !proto.Equal(k.acknowledged, first):
		t.Errorf("acknowledged was %v, and after the restart it is %v, %v", k.acknowledged, first, firstErr)
	case firstErr == nil && k.did != each:
		t.Errorf("the provider did it %d times", k.did)
	case firstErr != nil && reason(firstErr) != "OUTCOME_UNKNOWN":
		t.Errorf("the repetition ended with %v", firstErr)
	case firstErr != nil && k.step.repeatable:
		t.Errorf("the repetition should go on, and ended with %v", firstErr)
	case firstErr != nil && k.did > 1:
		t.Errorf("the provider did it %d times, and the outcome is said to be unknown", k.did)
	}
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
