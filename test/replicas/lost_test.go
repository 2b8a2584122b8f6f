package replicas

import (
	"slices"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// TestConnectionsCut cuts connections to the database before COMMIT, and between COMMIT and its answer.
func TestConnectionsCut(t *testing.T) {
	cuts := int64(scaled(200, 12))
	w := newWorld(t, replicatest.Options{})
	intn := random(1)
	began := time.Now()
	watching := watch(t, w, 4, nowAndThen(intn))
	for _, r := range w.Replicas {
		r.Line.OnCommit(func() replicatest.Fate {
			n := intn(30)
			return replicatest.Fate{CutBefore: n == 0, CutAfter: n == 1}
		})
	}
	load := w.Load(replicatest.LoadOptions{})
	times := func() (before, after int64) {
		for _, r := range w.Replicas {
			before, after = before+r.Line.Before.Load(), after+r.Line.After.Load()
		}
		return before, after
	}
	worldtest.Within(t, "enough cuts", 5*time.Minute, func() bool {
		before, after := times()
		return before >= cuts/2 && after >= cuts/2
	})
	load.Stop()
	for _, r := range w.Replicas {
		r.Line.OnCommit(nil)
	}
	before, after := times()
	w.Check(t, watching...).Report(t, "connection cut around COMMIT", int(before+after), time.Since(began))
}

// TestBackendsKilled has the server end connections of the gateways while they are at work.
func TestBackendsKilled(t *testing.T) {
	t.Parallel()
	kills := scaled(100, 10)
	w := newWorld(t, replicatest.Options{})
	intn := random(3)
	began := time.Now()
	watching := watch(t, w, 4, nowAndThen(intn))
	load := w.Load(replicatest.LoadOptions{})
	for killed := 0; killed < kills; {
		<-time.After(time.Duration(20+intn(100)) * time.Millisecond)
		gone, err := w.KillBackend(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if gone {
			killed++
		}
	}
	load.Stop()
	w.Check(t, watching...).Report(t, "backend killed", kills, time.Since(began))
}

// TestServerRestarted restarts the server under load, in turn as after a crash and well.
func TestServerRestarted(t *testing.T) {
	t.Parallel()
	times := scaled(20, 2)
	server := replicatest.NewServer(t)
	w := newWorld(t, replicatest.Options{Database: server.Database})
	intn := random(4)
	began := time.Now()
	watching := watch(t, w, 4, nowAndThen(intn))
	load := w.Load(replicatest.LoadOptions{})
	for i := range times {
		before := len(w.Entries())
		worldtest.Within(t, "calls to go on", time.Minute, func() bool { return len(w.Entries()) >= before+20 })
		if err := server.Restart(i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	before := len(w.Entries())
	worldtest.Within(t, "calls to go on", time.Minute, func() bool { return len(w.Entries()) >= before+20 })
	load.Stop()
	w.Check(t, watching...).Report(t, "PostgreSQL restarted", times, time.Since(began))
}

// TestStoredWhenTheServerIsBack restarts the server, as after a crash, while each provider does what it was asked to,
// and lets nobody in for as long as a failover takes: the gateway waits, and what was done is stored and answered.
func TestStoredWhenTheServerIsBack(t *testing.T) {
	t.Parallel()
	const answers, away = 2 * time.Second, 5 * time.Second // after so long the provider does, and the server is away
	server := replicatest.NewServer(t)
	w := newWorld(t, replicatest.Options{Database: server.Database})
	entries, asked := held(t, w, w.Replicas[0], sandbox.Fault{Delay: answers, Times: 1})
	for _, r := range w.Replicas {
		r.Line.Refuse(true)
		r.Line.Cut()
	}
	if err := server.Restart(true); err != nil {
		t.Fatal(err)
	}
	worldtest.Within(t, "the providers to do it", worldtest.Patience, func() bool {
		return !slices.ContainsFunc(worldtest.Providers(), func(id string) bool {
			calls := w.Played[id].Core.Calls.Of(creates.Of(id))
			return len(calls) == 0 || calls[len(calls)-1].Status == 0
		})
	})
	<-time.After(away)
	for _, r := range w.Replicas {
		r.Line.Refuse(false)
	}
	for _, e := range entries {
		if took := agreed(t, e, asked[e]); e.Err != nil {
			t.Errorf("%s: %v after %s", e.Provider, e.Err, took)
		}
	}
	if result := w.Check(t); result.Unknown > 0 {
		t.Errorf("of %d consents nobody knows what became", result.Unknown)
	}
}
