package rest

import (
	"context"
	"testing"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"google.golang.org/grpc"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// TestRefusalBeforeTheRequestIsRead refuses streams without reading their request, as a guard does, often enough that sending the request comes
// too late now and then. The reason must come through each time.
func TestRefusalBeforeTheRequestIsRead(t *testing.T) {
	service := consentv1.ConsentService_ServiceDesc
	service.Streams = []grpc.StreamDesc{{
		StreamName: "WatchConsents", ServerStreams: true,
		Handler: func(any, grpc.ServerStream) error { return kerr.New(errorv1.Error_SCOPE_MISSING, "no") },
	}}
	inner := &inprocgrpc.Channel{}
	inner.RegisterService(&service, consentv1.UnimplementedConsentServiceServer{})
	client := consentv1.NewConsentServiceClient(peekingChannel{inner})
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{})
		if err == nil {
			_, err = stream.Header()
		}
		cancel()
		if kerr.Reason(err) != errorv1.Error_SCOPE_MISSING {
			t.Fatalf("got %v", err)
		}
	}
}
