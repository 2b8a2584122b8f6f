package replicas

import (
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// TestFrozen stops a gateway where it stands, in the middle of what it asks providers for, for longer than others leave
// to it what it was at: 60 s, in a test run a little longer than the lease of a key. What it writes afterwards comes
// too late, and it serves on.
func TestFrozen(t *testing.T) {
	t.Parallel()
	times, asleep := scaled(3, 1), time.Duration(scaled(60, 18))*time.Second
	w := newWorld(t, replicatest.Options{})
	intn := random(6)
	began := time.Now()
	watching := watch(t, w, 4, nowAndThen(intn))
	for i := range times {
		r := w.Replicas[i%len(w.Replicas)]
		others := append(append([]*replicatest.Replica(nil), w.Replicas[:r.Number-1]...), w.Replicas[r.Number:]...)
		load := w.Load(replicatest.LoadOptions{Callers: 4, Pause: 50 * time.Millisecond})
		// The providers do it while the gateway is frozen, and their answers wait for it.
		entries, late := held(t, w, r, sandbox.Fault{Delay: 300 * time.Millisecond, Times: 1})
		if err := r.Freeze(); err != nil {
			t.Fatal(err)
		}
		thaw := time.NewTimer(asleep)
		for _, e := range entries {
			agreed(t, e, ask(e, others...))
		}
		<-thaw.C
		if err := r.Thaw(); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			was := e.Answer
			if agreed(t, e, late[e]); was != nil && e.Err == nil && !replicatest.Same(was, e.Answer) {
				t.Errorf("%s: another gateway answered %v, and the one that was frozen %v", e.Provider, was, e.Answer)
			}
			if was != nil {
				e.Answer = was
			}
		}
		worldtest.Within(t, "it to serve on", time.Minute, func() bool {
			e := w.Enter(replicatest.NewConsent(entries[0].Provider))
			agreed(t, e, ask(e, r))
			return e.Err == nil
		})
		load.Stop()
	}
	w.Check(t, watching...).Report(t, "gateway frozen for "+asleep.String(), times, time.Since(began))
}
