package telemetry

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

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

// Method measures the calls of one method. It is made once and kept: looking metrics up by their labels takes longer
// than counting.
type Method struct {
	rpc             *RPCMetrics
	service, method string
	stream          bool
	over            map[string]*transport
}

// transport is what one way in has of a method's metrics, from the first call on.
type transport struct {
	sync.Once

	underWay prometheus.Gauge
	duration prometheus.Observer // nil of a stream
	ok       prometheus.Counter
}

// Method gives what measures the calls of a method. Stream says that its answer is one.
func (m *RPCMetrics) Method(service, method string, stream bool) *Method {
	return &Method{
		rpc: m, service: service, method: method, stream: stream,
		over: map[string]*transport{"grpc": {}, "rest": {}},
	}
}

// Expect begins the method's counters at zero, as far as alerts look at them.
func (m *Method) Expect() {
	for over := range m.over {
		for _, reason := range alerting {
			m.rpc.requests.WithLabelValues(m.service, m.method, over, kerr.Code(reason).String(), reason.String())
		}
	}
}

// Call is a call under way.
type Call struct {
	of    *Method
	over  string
	begun time.Time
}

// Start notes that a call begins, over "grpc" or "rest".
func (m *Method) Start(over string) Call {
	m.of(over).underWay.Inc()
	return Call{of: m, over: over, begun: time.Now()}
}

// End notes how a call ended.
func (c Call) End(code, reason string) {
	metrics := c.of.of(c.over)
	metrics.underWay.Dec()
	if code == codes.OK.String() && reason == "" {
		metrics.ok.Inc()
	} else {
		c.of.rpc.requests.WithLabelValues(c.of.service, c.of.method, c.over, code, reason).Inc()
	}
	if metrics.duration != nil {
		metrics.duration.Observe(time.Since(c.begun).Seconds())
	}
}

// of gives the metrics of calls over one way in. Those that had no call yet are not shown.
func (m *Method) of(over string) *transport {
	t := m.over[over]
	t.Do(func() {
		t.ok = m.rpc.requests.WithLabelValues(m.service, m.method, over, codes.OK.String(), "")
		if m.stream {
			t.underWay = m.rpc.streams.WithLabelValues(m.service, m.method)
			return
		}
		t.underWay = m.rpc.inFlight.WithLabelValues(m.service)
		t.duration = m.rpc.duration.WithLabelValues(m.service, m.method, over)
	})
	return t
}
