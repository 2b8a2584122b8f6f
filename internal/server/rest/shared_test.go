package rest

import (
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server/rest/answer"
)

// TestSharedMessagesAreWrittenOnce: every stream of a form has the same bytes, those of another form its own; and they
// are what is written for one stream alone.
func TestSharedMessagesAreWrittenOnce(t *testing.T) {
	t.Parallel()
	message := &consentv1.WatchConsentsResponse{
		ResumeToken: optional.Of("token"), Consent: &consentv1.Consent{Name: "consents/1"},
	}
	many := broadcast.New(func() proto.Message { return message })
	plain, bare := newJSON(), &plainJSON{form: answer.Sparse}
	seen := map[string]bool{}
	for _, m := range []sharing{
		{plain, broadcast.Lines}, {&events{plain}, broadcast.Events}, {bare, broadcast.SparseLines},
		{&events{bare}, broadcast.SparseEvents},
	} {
		alone, err := m.Marshal(map[string]any{"result": message})
		if err != nil {
			t.Fatal(err)
		}
		var first *byte
		for range 3 {
			data, err := m.Marshal(map[string]any{"result": many})
			if err != nil || string(data) != string(alone) {
				t.Fatalf("for many %q, for one %q, %v", data, alone, err)
			}
			if first == nil {
				first = &data[0]
			}
			if first != &data[0] {
				t.Errorf("form %d is written for each stream", m.form)
			}
		}
		if seen[string(alone)] {
			t.Errorf("form %d is as another one", m.form)
		}
		seen[string(alone)] = true
		var of runtime.Marshaler = m
		d, ok := of.(runtime.Delimited)
		if !ok || (len(d.Delimiter()) == 0) != (m.StreamContentType(nil) == eventStream) {
			t.Errorf("form %d has the wrong delimiter", m.form)
		}
	}
}
