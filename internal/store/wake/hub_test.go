package wake

import (
	"context"
	"testing"

	"kontor.dev/kontor/internal/store"
)

// TestOneWakeUpForAll sees that what a subscriber has not taken yet stands for all that came since: the furthest place,
// or none where that is not known.
func TestOneWakeUpForAll(t *testing.T) {
	t.Parallel()
	h := Hub{Heads: func(context.Context) (map[store.Log]store.Cursor, error) { return nil, nil }}
	defer h.Close()
	wake, cancel := h.Subscribe(store.ConsentLog)
	defer cancel()
	at := func(n int64) store.Cursor { return store.NewCursor(store.ConsentLog, "epoch", n) }
	other := store.NewCursor(store.ConsentLog, "other", 5)
	for n, c := range []struct {
		told []store.Cursor
		want store.Cursor
	}{
		{[]store.Cursor{at(1)}, at(1)},
		{[]store.Cursor{at(1), at(3), at(2)}, at(3)},
		{[]store.Cursor{at(2), at(2)}, at(2)},
		{[]store.Cursor{at(1), "", at(2)}, ""},
		{[]store.Cursor{"", ""}, ""},
		{[]store.Cursor{at(7), other}, ""},
	} {
		for _, place := range c.told {
			h.Wake(map[store.Log]store.Cursor{store.ConsentLog: place, store.ShipmentLog: at(9)})
		}
		if len(wake) != 1 {
			t.Fatalf("case %d: there are %d wake-ups, want one", n, len(wake))
		}
		if got := <-wake; got != c.want {
			t.Errorf("case %d: woken for %q, want %q", n, got, c.want)
		}
	}
}

// TestLooksWakeForChanges sees that a look wakes those whose log ends elsewhere than at the look before, also when it
// ends earlier: an older copy of the database took its place.
func TestLooksWakeForChanges(t *testing.T) {
	t.Parallel()
	at := func(n int64) map[store.Log]store.Cursor {
		return map[store.Log]store.Cursor{
			store.ConsentLog: store.NewCursor(store.ConsentLog, "epoch", n), store.ShipmentLog: "",
		}
	}
	if got := changed(nil, at(0)); len(got) != 2 {
		t.Errorf("the first look wakes for %v, want both logs", got)
	}
	for _, c := range []struct {
		last, now int64
		want      int
	}{{4, 4, 0}, {4, 5, 1}, {5, 4, 1}} {
		got := changed(at(c.last), at(c.now))
		if len(got) != c.want || c.want == 1 && got[store.ConsentLog] != at(c.now)[store.ConsentLog] {
			t.Errorf("from %d to %d a look wakes for %v", c.last, c.now, got)
		}
	}
}

// TestUnsubscribed sees that subscriptions that ended leave nothing behind.
func TestUnsubscribed(t *testing.T) {
	t.Parallel()
	listening := make(chan bool, 4)
	h := Hub{
		Heads: func(context.Context) (map[store.Log]store.Cursor, error) { return nil, nil },
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
