package server

import (
	"io"

	"google.golang.org/grpc/grpclog"
)

// grpc-go and grpc-gateway log what they do not understand, headers and bodies of callers among it, and quote it.
// Whatever matters of that reaches the access log as a code and a reason.
var _ = quiet()

func quiet() grpclog.LoggerV2 {
	silence := grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)
	grpclog.SetLoggerV2(silence)
	return silence
}
