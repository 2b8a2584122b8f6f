package guard

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/metadata"

	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/telemetry"
)

// TestUnsampledCallsStaySo: what is done for a call of REST is in its caller's trace, and recorded only if that is.
func TestUnsampledCallsStaySo(t *testing.T) {
	t.Parallel()
	tracer := sdktrace.NewTracerProvider().Tracer("test")
	c := &call{
		guard: &Guard{telemetry: &telemetry.Telemetry{Tracer: tracer}}, ctx: t.Context(),
		client: identity.Identity{ClientID: "c"},
		md:     metadata.Pairs("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
	}
	c.trace()
	c.adopt(context.Background())
	_, span := tracer.Start(c.ctx, "provider/operation")
	defer span.End()
	if got, want := span.SpanContext(), c.span.SpanContext(); got.IsSampled() || got.TraceID() != want.TraceID() {
		t.Errorf("a provider's span is of trace %s, sampled %t; its call's is %s", got.TraceID(), got.IsSampled(),
			want.TraceID())
	}
}
