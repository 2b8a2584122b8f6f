package telemetry_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/telemetry"
)

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text []byte
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text...)
	return len(text), nil
}

// take gives what was written since it was last asked.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.text = nil }()
	return string(l.text)
}

// TestHeldEventsAreTold: that streams get no events is said once, after half a minute, and so is that it is over.
func TestHeldEventsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &lines{}
		tel, _ := setUp(t, telemetry.Options{Level: slog.LevelInfo, Format: "json", Log: out})
		var since atomic.Pointer[time.Time]
		stats := func() (s store.Stats) {
			if at := since.Load(); at != nil {
				s.EventsHeld = time.Since(*at)
			}
			return s
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			tel.WarnOfHeldEvents(ctx, stats)
		}()
		told := func(after time.Duration) string {
			time.Sleep(after)
			synctest.Wait()
			return out.take()
		}
		for range 2 {
			if got := told(time.Hour); got != "" {
				t.Errorf("while all is well it says %s", got)
			}
			now := time.Now()
			since.Store(&now)
			if got := told(29 * time.Second); got != "" {
				t.Errorf("after 29 s it says %s", got)
			}
			if got := told(10 * time.Second); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"WARN"`) ||
				!strings.Contains(got, "are held back") {
				t.Errorf("after 39 s it says %q", got)
			}
			if got := told(time.Hour); got != "" {
				t.Errorf("an hour later it says %s", got)
			}
			since.Store(nil)
			if got := told(10 * time.Second); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"INFO"`) ||
				!strings.Contains(got, "no longer") {
				t.Errorf("when it is over it says %q", got)
			}
		}
		cancel()
		<-ended
	})
}
