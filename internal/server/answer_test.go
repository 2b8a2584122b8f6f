package server_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
)

// An answer that a client of gRPC would not take is refused with a reason, and with what to do. REST takes it.
func TestAnswersThatAreTooLarge(t *testing.T) {
	h := start(t)
	const limit = 4 << 20
	fill := 0
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		return &consentv1.Consent{Name: strings.Repeat("x", fill)}, nil
	}
	h.consents.list = func(context.Context, *consentv1.ListConsentsRequest) (*consentv1.ListConsentsResponse, error) {
		return &consentv1.ListConsentsResponse{NextPageToken: optional.Of(strings.Repeat("x", limit))}, nil
	}
	for fill = limit; proto.Size(&consentv1.Consent{Name: strings.Repeat("x", fill)}) > limit; {
		fill--
	}
	ctx := as(t.Context(), allKey)
	if _, err := h.client.GetConsent(ctx, &consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
		t.Errorf("the largest answer that fits: %v", err)
	}
	fill++
	refused := func(err error, remedy string) {
		t.Helper()
		message := status.Convert(err).Message()
		if status.Code(err) != codes.ResourceExhausted || kerr.Reason(err) != errorv1.Error_TOO_LARGE ||
			kerr.Retry(err) != 0 || !strings.Contains(message, "4194304") || !strings.Contains(message, remedy) {
			t.Errorf("got %v", err)
		}
	}
	_, err := h.client.GetConsent(ctx, &consentv1.GetConsentRequest{Name: "consents/1"}, grpc.MaxCallRecvMsgSize(8<<20))
	refused(err, "ask over REST")
	_, err = h.client.ListConsents(ctx, &consentv1.ListConsentsRequest{})
	refused(err, "smaller pages")
	if r := h.do(t, "GET", "/v1/consents/1", allKey, ""); r.status != 200 || len(r.body) < limit {
		t.Errorf("REST answers %d with %d bytes", r.status, len(r.body))
	}
}
