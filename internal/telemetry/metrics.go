package telemetry

import (
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func newRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kontor_build_info", Help: "Always 1; the labels tell what runs.",
	}, []string{"version", "go_version"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// HTTP counts requests that are no calls of the API: callbacks, the API's description, unknown routes.
type HTTP struct {
	requests *prometheus.CounterVec
}

func newHTTP(registry prometheus.Registerer) *HTTP {
	m := &HTTP{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kontor_http_requests_total",
		Help: "HTTP requests that are no calls of the API, by route pattern and status.",
	}, []string{"route", "status"})}
	registry.MustRegister(m.requests)
	return m
}

// Done counts a request. Route is a pattern, never a path.
func (m *HTTP) Done(route string, status int) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
}
