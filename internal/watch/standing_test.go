package watch

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/store"
)

// TestHeartbeats: a stream speaks once whenever nothing was sent for the longest silence, and not because of one that
// is over.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newOne(t)
		w.insert(t, "a")
		w.streams.Heartbeat = 10 * time.Second
		var mu sync.Mutex
		var beats []time.Time
		sent := make(chan string, 1)
		b := w.begin(t, func(m *message) error { sent <- m.subject; return nil }, func(watched *Watched[*message]) {
			watched.Heartbeat = func(string) error {
				mu.Lock()
				defer mu.Unlock()
				beats = append(beats, time.Now())
				return nil
			}
		})
		begun := time.Now()
		time.Sleep(14 * time.Second)
		w.append(t, "a", "one")
		<-sent
		time.Sleep(21 * time.Second)
		b.cancel()
		<-b.ended
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		var after []time.Duration
		for _, beat := range beats[1:] { // but for the one that stands for the state
			after = append(after, beat.Sub(begun).Round(time.Second))
		}
		if want := []time.Duration{10 * time.Second, 24 * time.Second, 34 * time.Second}; !slices.Equal(after, want) {
			t.Errorf("it spoke after %v, want %v", after, want)
		}
	})
}

// TestOverWhenTheGatewayStops: a stream whose last entry is being sent ends well although the gateway stops meanwhile.
func TestOverWhenTheGatewayStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newOne(t)
		w.insert(t, "a")
		sending, sent := make(chan struct{}), make(chan struct{})
		b := w.begin(t, func(*message) error { close(sending); <-sent; return nil }, func(watched *Watched[*message]) {
			watched.Topic.ID = "a"
		})
		w.update(t, func(tx store.Tx) error {
			return tx.AppendShipment("a", &documentsv1.Shipment{Status: documentsv1.Shipment_FAILED})
		})
		<-sending
		close(w.stop)
		synctest.Wait()
		close(sent)
		if err := <-b.ended; err != nil {
			t.Errorf("all was sent, and the caller is told %v", err)
		}
	})
}

func culprit() error { panic("boom") }

// TestPanicsAreFound: the log says where sending panicked.
func TestPanicsAreFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newOne(t)
		var logged strings.Builder
		w.feed.logger = slog.New(slog.NewTextHandler(&logged, nil))
		w.insert(t, "a")
		b := w.begin(t, func(*message) error { return culprit() }, nil)
		w.append(t, "a", "one")
		if err := <-b.ended; err != any("boom") || !strings.Contains(logged.String(), "culprit") {
			t.Errorf("the stream ended with %v; the log says %s", err, logged.String())
		}
	})
}
