package watch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/idle"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

// begun is a stream whose caller waits for it, as the guard does.
type begun struct {
	rest   idle.Rest
	cancel context.CancelFunc
	ended  chan any // an error, or what the wait panicked with
}

// begin begins a stream of all, and gives it once it has nothing to send.
func (w *world) begin(t *testing.T, send func(*message) error, change func(*Watched[*message])) *begun {
	t.Helper()
	b := &begun{ended: make(chan any, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	b.cancel = cancel
	watched := Watched[*message]{
		Topic: Topic{Tenant: tenant}, Feed: w.feed, Send: send, Heartbeat: func(string) error { return nil },
		Snapshot: func() (p Present, err error) {
			p.At, err = w.db.System().Head(ctx, store.ShipmentLog)
			return p, err
		},
	}
	if change != nil {
		change(&watched)
	}
	if err := Run(idle.With(ctx, &b.rest), w.streams, watched, ""); err != nil || !b.rest.Left() {
		t.Fatalf("the stream leaves nothing to wait for, %v", err)
	}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				b.ended <- p
			}
		}()
		b.ended <- b.rest.Wait()
	}()
	return b
}

// TestStreamsWaitOutside: once a stream has caught up, its handler is over and what comes is sent all the same. How it
// ends the service is told, and says what its caller is told.
func TestStreamsWaitOutside(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		end  func(*world, *begun)
		want func(error) bool
	}{
		"the caller leaves": {
			func(_ *world, b *begun) { b.cancel() },
			func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"the gateway stops": {
			func(w *world, _ *begun) { close(w.stop) },
			func(err error) bool { return kerr.Reason(err) == errorv1.Error_GATEWAY_STOPPING },
		},
	} {
		w := newOne(t)
		w.insert(t, "a")
		sent, told := make(chan string, 10), errors.New("told")
		b := w.begin(t, func(m *message) error { sent <- m.subject; return nil }, func(watched *Watched[*message]) {
			watched.Ended = func(err error) error {
				if !c.want(err) {
					t.Errorf("%s: ended with %v", what, err)
				}
				return told
			}
		})
		for _, subject := range []string{"one", "two"} {
			w.append(t, "a", subject)
			if got := <-sent; got != subject {
				t.Errorf("%s: sent %q, want %q", what, got, subject)
			}
		}
		c.end(w, b)
		if err := <-b.ended; err != any(told) {
			t.Errorf("%s: the caller is told %v", what, err)
		}
		if w.feed.mu.Lock(); len(w.feed.streams) != 0 {
			t.Errorf("%s: the stream keeps its place", what)
		}
		w.feed.mu.Unlock()
	}
}

// TestNothingIsSentAfterTheEnd: a stream is not over while something is being sent. Its transport must not be used any
// more then.
func TestNothingIsSentAfterTheEnd(t *testing.T) {
	t.Parallel()
	for _, more := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { nothingAfterTheEnd(t, more) })
	}
}

// nothingAfterTheEnd ends a stream while a message is sent, perhaps with more to send.
func nothingAfterTheEnd(t *testing.T, more bool) {
	t.Helper()
	w := newOne(t)
	w.insert(t, "a")
	sending, sent := make(chan struct{}, 10), make(chan struct{})
	b := w.begin(t, func(*message) error { sending <- struct{}{}; <-sent; return nil }, nil)
	w.append(t, "a", "one")
	<-sending
	if more {
		w.append(t, "a", "two")
	}
	b.cancel()
	synctest.Wait()
	select {
	case err := <-b.ended:
		t.Errorf("it ended with %v while a message is sent", err)
		b.ended <- err
	default:
	}
	close(sent)
	if err, _ := (<-b.ended).(error); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if len(sending) != 0 {
		t.Error("something was sent after the caller had left")
	}
}

// TestNobodyLeavesWhoIsWaitedFor: who stops a stream waits for its worker, which may find nothing more to do just then.
func TestNobodyLeavesWhoIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := &run[*message]{working: true, over: true}
	if more, left := r.next(); more || left {
		t.Errorf("the worker goes on %t, or has left without a word %t", more, left)
	}
}

// TestPanicsReachWhoWaits: what sending panics with does not end the process.
func TestPanicsReachWhoWaits(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a")
	b := w.begin(t, func(*message) error { panic("while sending") }, nil)
	w.append(t, "a", "one")
	if got := <-b.ended; got != "while sending" {
		t.Errorf("it ended with %v", got)
	}
}

// TestLogBeforeTailer has the tailer hand over what is new before a stream has read what came before that.
func TestLogBeforeTailer(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a")
	for range 20 { // The two could come in order by chance.
		topic := Topic{Tenant: tenant}
		var sent []string
		before, err := w.db.System().Head(t.Context(), store.ShipmentLog)
		if err != nil {
			t.Fatal(err)
		}
		r, err := begin(t.Context(), w.streams, Watched[*message]{
			Topic: topic, Feed: w.feed, Heartbeat: func(string) error { return nil },
			Send: func(m *message) error { sent = append(sent, m.subject); return nil },
		}, w.feed.token(topic, before))
		if err != nil {
			t.Fatal(err)
		}
		w.append(t, "a", "one")
		w.append(t, "a", "two")
		page, err := w.feed.tail(t.Context(), before, tailBatch)
		if err != nil || len(page) != 2 {
			t.Fatalf("%d entries, %v", len(page), err)
		}
		w.feed.mu.Lock()
		w.feed.hand(r.place, page[1])
		w.feed.mu.Unlock()
		r.work()
		if len(sent) != 2 || sent[0] != "one" || sent[1] != "two" {
			t.Fatalf("sent %v", sent)
		}
		_ = r.stop(nil)
		r.silence.Stop()
		w.feed.unsubscribe(r.place)
	}
}
