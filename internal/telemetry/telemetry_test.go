package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/telemetry"
)

func setUp(t *testing.T, o telemetry.Options) (*telemetry.Telemetry, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	if o.Log == nil {
		o.Log = &out
	}
	tel, err := telemetry.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return tel, &out
}

func TestLogger(t *testing.T) {
	tel, out := setUp(t, telemetry.Options{Level: slog.LevelWarn, Format: "json"})
	tel.Logger.Info("hidden")
	tel.Logger.Warn("shown", "n", 1)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["msg"] != "shown" || line["n"] != 1.0 {
		t.Errorf("got %s, %v", out, err)
	}
	tel, out = setUp(t, telemetry.Options{Format: "text"})
	tel.Logger.Debug("hidden")
	tel.Logger.Info("shown")
	if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "msg=shown") {
		t.Errorf("got %s", out)
	}
}

// sample finds a metric's value by its name and labels, as "name{a=b,c=d}".
func sample(t *testing.T, registry *prometheus.Registry, want string) (float64, bool) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, pair := range metric.GetLabel() {
				labels = append(labels, pair.GetName()+"="+pair.GetValue())
			}
			if family.GetName()+"{"+strings.Join(labels, ",")+"}" != want {
				continue
			}
			switch {
			case metric.Counter != nil:
				return metric.GetCounter().GetValue(), true
			case metric.Gauge != nil:
				return metric.GetGauge().GetValue(), true
			default:
				return float64(metric.GetHistogram().GetSampleCount()), true
			}
		}
	}
	return 0, false
}

func TestMetrics(t *testing.T) {
	tel, _ := setUp(t, telemetry.Options{Version: "v1"})
	call := tel.RPC.Method("s", "m", false).Start("rest")
	stream := tel.RPC.Method("s", "w", true).Start("grpc")
	check := func(name string, want float64) {
		t.Helper()
		if got, ok := sample(t, tel.Registry, name); !ok || got != want {
			t.Errorf("%s is %v (%t), want %v", name, got, ok, want)
		}
	}
	check("kontor_rpc_in_flight{service=s}", 1)
	check("kontor_rpc_streams{method=w,service=s}", 1)
	call.End("NotFound", "CONSENT_NOT_FOUND")
	stream.End("OK", "")
	tel.HTTP.Done("GET /docs", 200)
	check("kontor_rpc_in_flight{service=s}", 0)
	check("kontor_rpc_streams{method=w,service=s}", 0)
	check("kontor_rpc_requests_total{code=NotFound,method=m,reason=CONSENT_NOT_FOUND,service=s,transport=rest}", 1)
	check("kontor_rpc_requests_total{code=OK,method=w,reason=,service=s,transport=grpc}", 1)
	check("kontor_rpc_duration_seconds{method=m,service=s,transport=rest}", 1)
	check("kontor_http_requests_total{route=GET /docs,status=200}", 1)
	if _, ok := sample(t, tel.Registry, "kontor_rpc_duration_seconds{method=w,service=s,transport=grpc}"); ok {
		t.Error("a stream's duration is no latency")
	}
	if _, ok := sample(t, tel.Registry, "go_goroutines{}"); !ok {
		t.Error("the runtime's metrics are missing")
	}
}

func TestObserver(t *testing.T) {
	tel, _ := setUp(t, telemetry.Options{})
	observer := tel.Observer("default")
	call := providers.CallInfo{Provider: "fimento", Operation: "get_process", Method: "GET", Attempt: 2}
	_, end := observer.Start(t.Context(), call)
	check := func(name string, want float64) {
		t.Helper()
		if got, ok := sample(t, tel.Registry, name); !ok || got != want {
			t.Errorf("%s is %v (%t), want %v", name, got, ok, want)
		}
	}
	check("kontor_provider_calls_in_flight{operation=get_process,provider=fimento}", 1)
	check("kontor_provider_breaker_state{provider=fimento,tenant=default}", 0)
	end(providers.CallOutcome{Kind: providers.KindUnavailable, Status: 503, Duration: time.Second})
	_, end = observer.Start(t.Context(),
		providers.CallInfo{Provider: "fimento", Operation: "get_process", Method: "GET", Attempt: 1})
	end(providers.CallOutcome{OK: true, Status: 200})
	check("kontor_provider_calls_in_flight{operation=get_process,provider=fimento}", 0)
	check("kontor_provider_calls_total{operation=get_process,outcome=unavailable,provider=fimento}", 1)
	check("kontor_provider_calls_total{operation=get_process,outcome=ok,provider=fimento}", 1)
	check("kontor_provider_retries_total{operation=get_process,provider=fimento}", 1)
	check("kontor_provider_call_duration_seconds{operation=get_process,provider=fimento}", 2)
	observer.BreakerChanged("fimento", providers.BreakerClosed, providers.BreakerOpen)
	check("kontor_provider_breaker_state{provider=fimento,tenant=default}", 2)
}

// traces is a collector that keeps the names of spans.
type traces struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	names []string
}

func (c *traces) Export(_ context.Context,
	request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.names = append(c.names, span.GetName())
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestTraces(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, sink := grpc.NewServer(), &traces{}
	collector.RegisterTraceServiceServer(server, sink)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	endpoint := "http://" + listener.Addr().String()

	for name, o := range map[string]telemetry.Options{"configured": {OTLPEndpoint: endpoint}, "environment": {}} {
		t.Run(name, func(t *testing.T) {
			sink.mu.Lock()
			sink.names = nil
			sink.mu.Unlock()
			if name == "environment" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
			}
			tel, _ := setUp(t, o)
			_, span := tel.Tracer.Start(t.Context(), "a span")
			span.End()
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			sink.mu.Lock()
			defer sink.mu.Unlock()
			if len(sink.names) != 1 || sink.names[0] != "a span" {
				t.Errorf("the collector has %q", sink.names)
			}
		})
	}

	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	tel, _ := setUp(t, telemetry.Options{})
	_, span := tel.Tracer.Start(t.Context(), "nowhere")
	if span.IsRecording() {
		t.Error("a span is recorded although nobody wants it")
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
