package server_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server/guard"
)

// TestSharedMessages: what many streams send reaches callers as what one alone sends, by every transport.
func TestSharedMessages(t *testing.T) {
	h := start(t)
	message := &consentv1.WatchConsentsResponse{
		Kind: consentv1.WatchConsentsResponse_EVENT, ResumeToken: optional.Of("token"),
		Consent: &consentv1.Consent{Name: "consents/1", Reference: optional.Of("line\nbreak")},
	}
	many := broadcast.New(func() proto.Message { return message })
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		for range 2 {
			if err := s.Send(message); err != nil {
				return err
			}
			if err := s.SendMsg(many); err != nil {
				return err
			}
		}
		return nil
	}
	for range 2 { // The second one is sent what was written for the first.
		stream, err := h.client.WatchConsents(as(t.Context(), allKey), &consentv1.WatchConsentsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			if got, err := stream.Recv(); err != nil || !proto.Equal(got, message) {
				t.Errorf("message %d over gRPC is %v, %v", n, got, err)
			}
		}
		for accept, lines := range map[string]int{"": 1, "text/event-stream": 3} {
			_, r := h.open(t, "/v1/consents:watch", "Accept", accept)
			var sent [4]string
			for n := range sent {
				for range lines {
					sent[n] += line(t, r) + "\n"
				}
			}
			if sent[0] != sent[1] || sent[2] != sent[3] || sent[0] != sent[2] {
				t.Errorf("%q: one alone sends %q, many %q", accept, sent[0], sent[1])
			}
		}
	}
	if !proto.Equal(many.Proto(), message) {
		t.Error("what is shared was changed")
	}
}

// TestSharedMessagesAreWrittenOnce: gRPC's codec gives every stream the same bytes.
func TestSharedMessagesAreWrittenOnce(t *testing.T) {
	t.Parallel()
	many := broadcast.New(func() proto.Message { return &consentv1.Consent{Name: "consents/1"} })
	var first *byte
	for range 3 {
		packed, err := guard.Codec().Marshal(many)
		if err != nil {
			t.Fatal(err)
		}
		data := packed[0].ReadOnlyData()
		if first == nil {
			first = &data[0]
		}
		if first != &data[0] {
			t.Error("the message is written for each stream")
		}
		packed.Free()
	}
}
