package broadcast_test

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/broadcast"
)

// TestOnceForAll has many streams send a message in two forms at a time: it is made once, and written once in each.
func TestOnceForAll(t *testing.T) {
	t.Parallel()
	const streams = 100
	var made, written atomic.Int32
	m := broadcast.New(func() proto.Message {
		made.Add(1)
		return &consentv1.Consent{Name: "consents/1"}
	})
	var group sync.WaitGroup
	got := make([][]byte, streams)
	for n := range streams {
		group.Go(func() {
			data, err := m.Write(broadcast.Form(n%2), func(proto.Message) ([]byte, error) {
				written.Add(1)
				return append(make([]byte, 0, 64), "form "+string(rune('0'+n%2))...), nil
			})
			if err != nil {
				t.Error(err)
			}
			got[n] = append(data, byte(n)) // What a stream appends is its own.
		})
	}
	group.Wait()
	for n, data := range got {
		if want := append([]byte("form "+string(rune('0'+n%2))), byte(n)); !bytes.Equal(data, want) {
			t.Errorf("stream %d has %q, want %q", n, data, want)
		}
	}
	if made.Load() != 1 || written.Load() != 2 {
		t.Errorf("made %d times and written %d times, want 1 and 2", made.Load(), written.Load())
	}
	if m.Proto() != m.Proto() || made.Load() != 1 {
		t.Error("the message is made anew")
	}
}

// TestFailuresAreNotKept: what could not be written is tried again.
func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	m := broadcast.New(func() proto.Message { return &consentv1.Consent{} })
	failure := errors.New("cannot be written")
	if _, err := m.Write(broadcast.Lines, func(proto.Message) ([]byte, error) { return nil, failure }); err == nil {
		t.Error("a failure is passed over")
	}
	data, err := m.Write(broadcast.Lines, func(proto.Message) ([]byte, error) { return []byte("{}"), nil })
	if string(data) != "{}" || err != nil {
		t.Errorf("after a failure %q, %v", data, err)
	}
}
