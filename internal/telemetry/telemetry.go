// Package telemetry sets up what operators see: logs (slog), metrics (Prometheus) and traces (OpenTelemetry).
//
// What is recorded is decided where it happens. The rule for all of it: names, codes and durations; never the fields of
// a message, a provider's text, a path with a token in it, or an address of a person.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Options tell what is recorded, and where it goes.
type Options struct {
	// Log is where log lines are written. Of a Lines, what it drops is counted and said.
	Log io.Writer
	// Level is the least level that is logged.
	Level slog.Level
	// Format is "text"; anything else is JSON.
	Format string
	// OTLPEndpoint is where traces go, such as http://collector:4317. When empty, OTEL_EXPORTER_OTLP_ENDPOINT counts;
	// when that is empty, too, there are none.
	OTLPEndpoint string
	// Version is the gateway's own.
	Version string
}

// Telemetry is what the gateway records with.
type Telemetry struct {
	// Logger writes log lines.
	Logger *slog.Logger
	// Registry holds all metrics, those of the Go runtime and the process included.
	Registry *prometheus.Registry
	// RPC measures calls of the API.
	RPC *RPCMetrics
	// HTTP counts requests that are no calls of the API.
	HTTP *HTTP
	// Tracer makes spans.
	Tracer trace.Tracer

	provider    *providerMetrics
	auditGaps   prometheus.Counter
	auditBroken prometheus.Counter
	stopTracing func(context.Context) error
}

// New sets everything up. It does not wait for a trace collector to answer.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	logger := NewLogger(o.Log, o.Level, o.Format)
	registry := newRegistry(o.Version)
	lines, ok := o.Log.(*Lines)
	if ok {
		lines.announce(o.Level, o.Format)
	}
	registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "kontor_log_lines_dropped_total", Help: "Log lines that found no reader.",
	}, func() float64 {
		if lines == nil {
			return 0
		}
		return float64(lines.Dropped())
	}))
	gaps := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kontor_audit_gaps_total", Help: "Failed calls that are missing in the audit.",
	})
	broken := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kontor_audit_broken_total",
		Help: "How often the sealer found a tenant's audit trail changed, at most once in 10 minutes for each.",
	})
	registry.MustRegister(gaps, broken)
	tracer, stop, err := newTracer(ctx, o.OTLPEndpoint, o.Version, logger)
	if err != nil {
		return nil, err
	}
	return &Telemetry{
		Logger: logger, Registry: registry, RPC: newRPCMetrics(registry), HTTP: newHTTP(registry), Tracer: tracer,
		provider: newProviderMetrics(registry), auditGaps: gaps, auditBroken: broken, stopTracing: stop,
	}, nil
}

// AuditGap counts an entry that is missing in the audit.
func (t *Telemetry) AuditGap() { t.auditGaps.Inc() }

// AuditBroken counts that an audit trail was found changed.
func (t *Telemetry) AuditBroken() { t.auditBroken.Inc() }

// WatchCertificate shows until when a certificate is valid.
func (t *Telemetry) WatchCertificate(until func() time.Time) {
	t.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kontor_tls_certificate_expiry_timestamp_seconds",
		Help: "Until when the certificate is valid that callers are shown; missing without TLS.",
	}, func() float64 { return float64(until().Unix()) }))
}

// WatchKeys shows until when the keys of clients are taken: by client, those that end. It is asked each time.
func (t *Telemetry) WatchKeys(ends func() map[string]time.Time) {
	t.Registry.MustRegister(&keyMetrics{ends: ends, expiry: prometheus.NewDesc(
		"kontor_client_key_expiry_timestamp_seconds",
		"Until when a client's key is taken; missing for one without an end.", []string{"client"}, nil,
	)})
}

// keyMetrics show when clients' keys end.
type keyMetrics struct {
	ends   func() map[string]time.Time
	expiry *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (m *keyMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.expiry }

// Collect implements prometheus.Collector.
func (m *keyMetrics) Collect(to chan<- prometheus.Metric) {
	for client, end := range m.ends() {
		to <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, float64(end.Unix()), client)
	}
}

// Shutdown sends the traces that are still waiting.
func (t *Telemetry) Shutdown(ctx context.Context) error { return t.stopTracing(ctx) }

// NewLogger makes a logger: one JSON object, or one line of text, for each message.
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
