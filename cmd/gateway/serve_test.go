package main

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/config"
)

// TestTheEndWaitsForNoStore: work that waits for a store that is away holds a gateway up no longer than the time that
// callers have to finish.
func TestTheEndWaitsForNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worked := make(chan struct{})
		g := &gateway{
			cfg:          &config.Config{Shutdown: config.Shutdown{Delay: 2 * time.Second, Timeout: 25 * time.Second}},
			stopServices: func() {}, servicesDone: worked,
			hurry: sync.OnceFunc(func() { close(worked) }),
		}
		began := time.Now()
		if err := g.stop(); err != nil || time.Since(began) != 27*time.Second {
			t.Errorf("%v after %s, want when delay and timeout are over", err, time.Since(began))
		}
	})
}
