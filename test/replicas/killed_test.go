package replicas

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// keyLease is how long a key, and what was begun with it, is left to a gateway that does not speak of it any more; and
// so is a consent that it reads.
const keyLease = 15 * time.Second

// TestKilled kills one gateway after the other by SIGKILL, and starts it again a while later.
func TestKilled(t *testing.T) {
	t.Parallel()
	times := scaled(20, 3)
	w := newWorld(t, replicatest.Options{})
	intn := random(5)
	began := time.Now()
	watching := watch(t, w, 4, nowAndThen(intn))
	load := w.Load(replicatest.LoadOptions{})
	for i := range times {
		before := len(w.Entries())
		worldtest.Within(t, "calls to go on", time.Minute, func() bool { return len(w.Entries()) >= before+10+intn(20) })
		r := w.Replicas[i%len(w.Replicas)]
		r.Kill()
		before = len(w.Entries())
		worldtest.Within(t, "calls to go on at the others", time.Minute, func() bool {
			return len(w.Entries()) >= before+10
		})
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
	load.Stop()
	w.Check(t, watching...).Report(t, "gateway killed (SIGKILL)", times, time.Since(began))
}

// answer is what one of several was told.
type answer struct {
	message proto.Message
	err     error
	took    time.Duration
}

// ask asks gateways for a write, all at the same time.
func ask(e *replicatest.Entry, of ...*replicatest.Replica) (answers []<-chan answer) {
	for _, r := range of {
		answered := make(chan answer, 1)
		answers = append(answers, answered)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			began := time.Now()
			message, err := e.Ask(ctx, r.Stubs())
			answered <- answer{message, err, time.Since(began)}
		}()
	}
	return answers
}

// agreed waits for the answers to one write and notes them. Those who need not ask again must be told the same. It
// gives how long the last answer took.
func agreed(t *testing.T, e *replicatest.Entry, answers []<-chan answer) (took time.Duration) {
	t.Helper()
	var first *answer
	for _, answered := range answers {
		next := <-answered
		took = max(took, next.took)
		switch {
		case status.Code(next.err) == codes.Unavailable:
			if first == nil {
				e.Told(nil, next.err)
			}
		case first == nil:
			first = &next
			e.Told(next.message, next.err)
		case replicatest.Outcome(first.err) != replicatest.Outcome(next.err) ||
			!proto.Equal(first.message, next.message):
			t.Errorf("one %s is answered with %v, %v and %v, %v",
				e.Kind.Name, first.message, first.err, next.message, next.err)
		}
	}
	return took
}

// creates are the operations by which consents come about, by provider.
var creates = worldtest.Table[string]{}

// held has a gateway ask each provider for a consent, which comes to the fault.
func held(t *testing.T, w *replicatest.World, r *replicatest.Replica, fault sandbox.Fault) (
	entries []*replicatest.Entry, answers map[*replicatest.Entry][]<-chan answer,
) {
	t.Helper()
	answers = map[*replicatest.Entry][]<-chan answer{}
	for _, id := range worldtest.Providers() {
		fault.Operation = creates.Of(id)
		core := w.Played[id].Core
		core.Faults.Add(fault)
		before := core.Calls.Count(fault.Operation)
		e := w.Enter(replicatest.NewConsent(id))
		entries = append(entries, e)
		answers[e] = ask(e, r)
		worldtest.Within(t, id+" to be asked", worldtest.Patience, func() bool {
			return core.Calls.Count(fault.Operation) > before
		})
	}
	return entries, answers
}

// TestTakenOver kills gateways that wait for providers, one before these did what they are asked for and one after:
// whoever asks for the key elsewhere has an answer once the lease is over, and the provider has done it once.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{})
	entries, _ := held(t, w, w.Replicas[0], sandbox.Fault{Delay: time.Hour, Times: 1})
	after, _ := held(t, w, w.Replicas[1], sandbox.Fault{BytesPerSecond: 1, Times: 1})
	entries = append(entries, after...)
	for _, r := range w.Replicas[:2] {
		r.Kill()
	}
	if err := w.Replicas[0].Start(); err != nil {
		t.Fatal(err)
	}
	answers := map[*replicatest.Entry][]<-chan answer{}
	for _, e := range entries {
		answers[e] = ask(e, w.Replicas[0], w.Replicas[2])
	}
	for i, e := range entries {
		took := agreed(t, e, answers[e])
		// A lease, and the while until somebody looks.
		if took > 2*keyLease {
			t.Errorf("%s: the key was taken over after %s", e.Provider, took)
		}
		t.Logf("killed after %s did it: %t; %s after %s", e.Provider, i >= len(entries)-len(after),
			replicatest.Outcome(e.Err), took.Round(time.Millisecond))
	}
	if err := w.Replicas[1].Start(); err != nil {
		t.Fatal(err)
	}
	w.Check(t)
}

// TestPollsTakenOver kills a gateway that reads consents at their providers: another one reads them as soon as its
// claims are over.
func TestPollsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{})
	for _, r := range w.Replicas[1:] {
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	before := map[string]int{}
	for _, id := range worldtest.Providers() {
		core := w.Played[id].Core
		before[id] = core.Calls.Count(polls.Of(id))
		core.Faults.Add(sandbox.Fault{Operation: polls.Of(id), Delay: time.Hour, Times: 1})
		e := w.Enter(replicatest.NewConsent(id))
		agreed(t, e, ask(e, w.Replicas[0]))
	}
	read := func(id string, times int) func() bool {
		return func() bool { return w.Played[id].Core.Calls.Count(polls.Of(id)) >= before[id]+times }
	}
	for _, id := range worldtest.Providers() {
		worldtest.Within(t, id+" to be asked", worldtest.Patience, read(id, 1))
	}
	w.Replicas[0].Kill()
	killed := time.Now()
	for _, id := range worldtest.Providers() {
		before[id] = w.Played[id].Core.Calls.Count(polls.Of(id))
	}
	if err := w.Replicas[1].Start(); err != nil {
		t.Fatal(err)
	}
	for _, id := range worldtest.Providers() {
		// A claim, and the while until somebody looks.
		worldtest.Within(t, id+"'s consent to be read by another", 2*keyLease, read(id, 1))
		t.Logf("%s: read by another after %s", id, time.Since(killed).Round(time.Millisecond))
	}
	for _, i := range []int{0, 2} {
		if err := w.Replicas[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	w.Check(t)
}
