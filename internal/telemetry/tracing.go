package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Propagator carries traces over process boundaries: W3C traceparent and tracestate. Baggage is left out, since callers
// fill it at will.
var Propagator propagation.TextMapPropagator = propagation.TraceContext{}

const tracerName = "kontor.dev/kontor"

// newTracer makes a tracer that exports to an OTLP endpoint, or one that does nothing when there is no endpoint.
func newTracer(ctx context.Context, endpoint, version string,
	log *slog.Logger) (trace.Tracer, func(context.Context) error, error) {
	var options []otlptracegrpc.Option
	switch {
	case endpoint != "":
		options = append(options, otlptracegrpc.WithEndpointURL(endpoint))
	case os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "":
		return noop.NewTracerProvider().Tracer(tracerName), func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("set up traces: %w", err)
	}
	about, err := resource.Merge(resource.NewSchemaless(
		attribute.String("service.name", "kontor"), attribute.String("service.version", version),
	), resource.Environment())
	if err != nil {
		return nil, nil, fmt.Errorf("set up traces: %w", err)
	}
	// The library reports a collector that does not answer to one global place.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("traces are not exported", "error",
			err.Error())
	}))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return provider.Tracer(tracerName, trace.WithInstrumentationVersion(version)), provider.Shutdown, nil
}

// Traces tells whether anybody sees the spans. Where nobody does, what is said of them need not be put together.
func (t *Telemetry) Traces() bool {
	_, nowhere := t.Tracer.(noop.Tracer)
	return !nowhere
}
