package postgres

import (
	"context"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
)

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// TestHeldIsOnePlace: events are held back while the log's head does not reach what was its top, and not because there
// is always something above it.
func TestHeldIsOnePlace(t *testing.T) {
	t.Parallel()
	began := time.Now()
	var h held
	for n, c := range []struct {
		log       store.Log
		head, top int64
		want      int // seconds
	}{
		{store.ConsentLog, 5, 5, 0},
		{store.ConsentLog, 5, 7, 0},
		{store.ConsentLog, 6, 9, 1},
		{store.ConsentLog, 7, 12, 0}, // 7 can be seen by now, and others came
		{store.ConsentLog, 9, 14, 1},
		{store.ShipmentLog, 3, 3, 2},
		{store.ConsentLog, 12, 15, 0},
		{store.ShipmentLog, 3, 4, 1},
		{store.ConsentLog, 15, 15, 1},
		{store.ShipmentLog, 4, 4, 0},
	} {
		now := began.Add(time.Duration(n) * time.Second)
		h.note(t.Context(), c.log, ends{head: c.head, top: c.top}, now)
		if got := h.longest(now); got != time.Duration(c.want)*time.Second {
			t.Errorf("look %d: events were held back for %s, want %d s", n, got, c.want)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	h.note(over, store.ConsentLog, ends{head: 1, top: 2}, began)
	if got := h.longest(began.Add(time.Hour)); got != 0 {
		t.Errorf("when nobody follows any more, events are held back for %s", got)
	}
}

// TestHeldByAnother has a transaction stay open in another database of the server, which has written something. What
// is appended is held back from who follows the log, and that shows until the transaction ends, or nobody follows.
func TestHeldByAnother(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	setUp(t, s, "a")
	_, elsewhere := newDatabase(t)
	dallies := sqlOn(t, elsewhere)
	held := func() bool { return s.Stats().EventsHeld > 0 }
	follow := func() (stop func()) {
		_, stop = s.System().Subscribe(store.ConsentLog)
		return stop
	}
	stop := follow()
	defer func() { stop() }()
	if _, err := dallies.Exec(t.Context(), "BEGIN; CREATE TABLE forgotten ()"); err != nil {
		t.Fatal(err)
	}
	if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
		t.Fatal(err)
	}
	until(t, "it shows that events are held back", held)
	stop()
	until(t, "nothing is held back from nobody", func() bool { return !held() })
	stop = follow()
	until(t, "it shows again", held)
	if _, err := dallies.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	until(t, "it is over", func() bool { return !held() })
}
