package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// RPCMetrics measure Kontor's own calls, over gRPC and REST alike.
type RPCMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	streams  *prometheus.GaugeVec
}

func newRPCMetrics(registry prometheus.Registerer) *RPCMetrics {
	m := &RPCMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kontor_rpc_requests_total",
			Help: "Calls that ended, with status code and reason; the reason is empty for OK.",
		}, []string{"service", "method", "transport", "code", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kontor_rpc_duration_seconds", Help: "How long unary calls took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"service", "method", "transport"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kontor_rpc_in_flight", Help: "Unary calls under way.",
		}, []string{"service"}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kontor_rpc_streams", Help: "Streams that are open.",
		}, []string{"service", "method"}),
	}
	registry.MustRegister(m.requests, m.duration, m.inFlight, m.streams)
	return m
}

// alerting are the reasons of failures that alerts wait for. A counter that first appears with the failure that it
// counts shows no increase, so these are there from the beginning.
var alerting = []errorv1.Error_Reason{
	errorv1.Error_INTERNAL, errorv1.Error_STORE_UNAVAILABLE, errorv1.Error_OUTCOME_UNKNOWN,
	errorv1.Error_GATEWAY_RATE_LIMITED, errorv1.Error_UNAUTHENTICATED,
}

// Expect begins a method's counters at zero, as far as alerts look at them.
func (m *RPCMetrics) Expect(service, method string) {
	for _, transport := range []string{"grpc", "rest"} {
		for _, reason := range alerting {
			m.requests.WithLabelValues(service, method, transport, kerr.Code(reason).String(), reason.String())
		}
	}
}

// Start notes that a call begins; transport is "grpc" or "rest". The returned function notes how it ended.
func (m *RPCMetrics) Start(service, method, transport string, stream bool) (end func(code, reason string)) {
	gauge := m.inFlight.WithLabelValues(service)
	if stream {
		gauge = m.streams.WithLabelValues(service, method)
	}
	gauge.Inc()
	begun := time.Now()
	return func(code, reason string) {
		gauge.Dec()
		m.requests.WithLabelValues(service, method, transport, code, reason).Inc()
		if !stream {
			m.duration.WithLabelValues(service, method, transport).Observe(time.Since(begun).Seconds())
		}
	}
}
