package server_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server"
)

// TestUnreadAnswersCount: answers that a client does not read are its bytes, and more than its share it does not get;
// with its connection they are gone.
func TestUnreadAnswersCount(t *testing.T) {
	const size = 10_000
	h := start(t, func(o *server.Options) { o.Limits.MaxBodyBytes = 10 * size })
	var asked atomic.Int64
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		asked.Add(1)
		return &consentv1.Consent{Name: "consents/1", Reference: optional.Of(strings.Repeat("r", size))}, nil
	}
	request, err := proto.Marshal(&consentv1.GetConsentRequest{Name: "consents/1"})
	if err != nil {
		t.Fatal(err)
	}
	raw := h.dialRaw(t)
	raw.must(raw.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	const unread = 3
	for range unread {
		stream := raw.open(consentv1.ConsentService_GetConsent_FullMethodName, "authorization", "Bearer "+allKey)
		raw.send(stream, 0, len(request), request, true)
	}
	eventually(t, "the answers to count", func() bool {
		held := h.Usage()
		return held.Calls == 0 && held.Bodies > unread*size && held.Bodies < unread*size+1000
	})
	// Others of the client find less room, until there is none.
	var refused error
	for range 2 * unread {
		stream := raw.open(consentv1.ConsentService_GetConsent_FullMethodName, "authorization", "Bearer "+allKey)
		raw.send(stream, 0, len(request), request, true)
	}
	// All of them are answered, or refused, before another one asks: it would take the last place from them.
	eventually(t, "the client to have its share", func() bool { return asked.Load() == 3*unread && h.Usage().Calls == 0 })
	eventually(t, "a refusal", func() bool {
		_, refused = h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{Name: "consents/1"})
		return refused != nil
	})
	if status.Code(refused) != codes.ResourceExhausted || h.Usage().Bodies > 8*size {
		t.Errorf("one too many: %v with %+v", refused, h.Usage())
	}
	raw.conn.Close()
	eventually(t, "the answers to be gone", func() bool { return h.Usage().Bodies == 0 })
}

// TestResetAnswersDoNotCount: who takes a call back while its answer waits, or before there is one, holds nothing more.
func TestResetAnswersDoNotCount(t *testing.T) {
	const size, calls = 10_000, 50
	h := start(t, func(o *server.Options) { o.Limits.MaxBodyBytes = 10 * calls * size })
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		return &consentv1.Consent{Name: "consents/1", Reference: optional.Of(strings.Repeat("r", size))}, nil
	}
	request, err := proto.Marshal(&consentv1.GetConsentRequest{Name: "consents/1"})
	if err != nil {
		t.Fatal(err)
	}
	raw := h.dialRaw(t)
	raw.must(raw.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	for range calls {
		stream := raw.open(consentv1.ConsentService_GetConsent_FullMethodName, "authorization", "Bearer "+allKey)
		raw.send(stream, 0, len(request), request, true)
		raw.must(raw.framer.WriteRSTStream(stream, http2.ErrCodeCancel))
	}
	stream := raw.open(consentv1.ConsentService_GetConsent_FullMethodName, "authorization", "Bearer "+allKey)
	raw.send(stream, 0, len(request), request, true)
	eventually(t, "the last answer to wait", func() bool { return h.Usage().Bodies >= size })
	raw.must(raw.framer.WriteRSTStream(stream, http2.ErrCodeCancel))
	eventually(t, "the answers to be gone", func() bool {
		held := h.Usage()
		return held.Calls == 0 && held.Bodies == 0
	})
}

// TestReadAnswersDoNotCount: what was read is nobody's any more.
func TestReadAnswersDoNotCount(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Limits.MaxBodyBytes = 100_000 })
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		return &consentv1.Consent{Name: "consents/1", Reference: optional.Of(strings.Repeat("r", 30_000))}, nil
	}
	for range 20 {
		if _, err := h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{
			Name: "consents/1",
		}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the answer to be written", func() bool { return h.Usage().Bodies == 0 })
	}
}
