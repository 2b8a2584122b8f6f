package replicas

import (
	"testing"
	"time"

	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// TestOrder delays the commits of eight writers at random, so that they end in another order than they began, while
// watchers go from gateway to gateway with their tokens.
func TestOrder(t *testing.T) {
	t.Parallel()
	reconnects, writes, watchers := scaled(1000, 60), scaled(500, 40), scaled(10, 4)
	w := newWorld(t, replicatest.Options{})
	intn := random(2)
	began := time.Now()
	for _, r := range w.Replicas {
		r.Line.OnCommit(func() replicatest.Fate {
			if intn(2) == 0 {
				return replicatest.Fate{}
			}
			return replicatest.Fate{Delay: time.Duration(intn(60)) * time.Millisecond}
		})
	}
	watching := watch(t, w, watchers, func() time.Duration { return time.Duration(20+intn(800)) * time.Millisecond })
	load := w.Load(replicatest.LoadOptions{Keep: true})
	done := func() (n int) {
		for _, s := range watching {
			n += s.Connections() - 1
		}
		return n
	}
	worldtest.Within(t, "all writes and reconnects", 8*time.Minute, func() bool {
		return done() >= reconnects && len(w.Entries()) >= writes
	})
	load.Stop()
	n := done()
	result := w.Check(t, watching...)
	result.Report(t, "commits delayed at random, reconnects", n, time.Since(began))
	if result.Events == 0 {
		t.Error("nothing happened")
	}
}
