package telemetry

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func newRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kontor_build_info", Help: "Always 1; the labels tell what runs.",
	}, []string{"version", "go_version"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// RPC counts calls of the API, over gRPC and REST.
type RPC struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	streams   *prometheus.GaugeVec
	messages  *prometheus.CounterVec
}

// Call names a call in metrics.
type Call struct {
	// Service and Method are the RPC's names, such as "kontor.consent.v1.ConsentService" and "GetConsent".
	Service, Method string
	// Transport is "grpc" or "rest".
	Transport string
	// Stream tells that the answer is a stream.
	Stream bool
}

func newRPC(registry prometheus.Registerer) *RPC {
	call := []string{"service", "method", "transport"}
	m := &RPC{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kontor_rpc_requests_total", Help: "Calls that ended, by status code and reason; reason is empty for OK.",
		}, []string{"service", "method", "code", "reason", "transport"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kontor_rpc_duration_seconds", Help: "How long calls took, streams aside.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, call),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kontor_rpc_in_flight", Help: "Calls under way, streams aside.",
		}, call),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kontor_rpc_streams", Help: "Open streams.",
		}, call),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kontor_rpc_stream_messages_total", Help: "Messages sent on streams.",
		}, call),
	}
	registry.MustRegister(m.requests, m.durations, m.inFlight, m.streams, m.messages)
	return m
}

// Start notes that a call began to be handled, and returns what notes its end.
func (m *RPC) Start(c Call) (end func()) {
	gauge := m.inFlight
	if c.Stream {
		gauge = m.streams
	}
	under := gauge.WithLabelValues(c.Service, c.Method, c.Transport)
	under.Inc()
	return under.Dec
}

// Done counts a call that ended, with the names of its status code and reason.
func (m *RPC) Done(c Call, code, reason string, took time.Duration) {
	m.requests.WithLabelValues(c.Service, c.Method, code, reason, c.Transport).Inc()
	if !c.Stream {
		m.durations.WithLabelValues(c.Service, c.Method, c.Transport).Observe(took.Seconds())
	}
}

// Message counts a message that was sent on a stream.
func (m *RPC) Message(c Call) {
	m.messages.WithLabelValues(c.Service, c.Method, c.Transport).Inc()
}

// HTTP counts requests that are no calls of the API: callbacks, the API's description, unknown routes.
type HTTP struct {
	requests *prometheus.CounterVec
}

func newHTTP(registry prometheus.Registerer) *HTTP {
	m := &HTTP{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kontor_http_requests_total", Help: "HTTP requests that are no calls of the API, by route pattern and status.",
	}, []string{"route", "status"})}
	registry.MustRegister(m.requests)
	return m
}

// Done counts a request. Route is a pattern, never a path.
func (m *HTTP) Done(route string, status int) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
}
