package wake

import (
	"context"
	"testing"

	"kontor.dev/kontor/internal/store"
)

// TestUnsubscribed sees that subscriptions that ended leave nothing behind.
func TestUnsubscribed(t *testing.T) {
	t.Parallel()
	listening := make(chan bool, 4)
	h := Hub{
		Heads: func(context.Context) (map[store.Log]int64, error) { return map[store.Log]int64{}, nil },
		Listen: func(ctx context.Context) {
			listening <- true
			<-ctx.Done()
			listening <- false
		},
	}
	for range 2 {
		var cancels []func()
		for n := range 100 {
			_, cancel := h.Subscribe([]store.Log{store.ConsentLog, store.ShipmentLog}[n%2])
			cancels = append(cancels, cancel)
		}
		if got := len(h.subscribers); got != 2 || h.stop == nil || !<-listening {
			t.Errorf("there are %d logs, want 2, and somebody who looks for commits of others", got)
		}
		for _, cancel := range cancels {
			cancel()
		}
		if got := len(h.subscribers); got != 0 || h.stop != nil || <-listening {
			t.Errorf("%d logs are left, or somebody who looks", got)
		}
		h.looks.Wait()
	}
}
