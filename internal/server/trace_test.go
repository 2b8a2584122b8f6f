package server_test

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/server"
)

// TestTraces makes sure that a call is one span of the caller's trace over both transports, and that nothing of the
// request is in it.
func TestTraces(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	h := start(t, func(o *server.Options) {
		o.Telemetry.Tracer = trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("test")
	})
	const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	_, err := h.client.GetConsent(as(t.Context(), allKey, "traceparent", parent, "psu-ip-address", "192.0.2.77"),
		&consentv1.GetConsentRequest{Name: "consents/" + canary})
	if err != nil {
		t.Fatal(err)
	}
	if r := h.do(t, "GET", "/v1/consents/"+canary+"?refresh=true", allKey, "", "Traceparent", parent,
		"Psu-Ip-Address", "192.0.2.77", "Baggage", "id="+canary); r.status != 200 {
		t.Fatal(r.body)
	}
	h.do(t, "POST", "/callbacks/fimento/webhook/"+canary, "", canary)
	eventually(t, "both calls have a span", func() bool { return len(recorder.Ended()) == 2 })
	for _, span := range recorder.Ended() {
		if span.Name() != "kontor.consent.v1.ConsentService/GetConsent" ||
			span.SpanContext().TraceID().String() != parent[3:35] ||
			span.Parent().SpanID().String() != parent[36:52] {
			t.Errorf("got %s of %s", span.Name(), span.SpanContext().TraceID())
		}
		text := fmt.Sprint(span.Attributes(), span.Events(), span.Name(), span.Status())
		if strings.Contains(text, canary) || strings.Contains(text, "192.0.2") || strings.Contains(text, allKey) {
			t.Errorf("a span says too much: %s", text)
		}
		if !strings.Contains(text, "{rpc.response.status_code {4 OK") && !strings.Contains(text, "OK") {
			t.Errorf("a span lacks the status: %s", text)
		}
	}
}
