package telemetry

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"kontor.dev/kontor/internal/providers"
)

// providerMetrics measure what goes to the providers, on the wire.
type providerMetrics struct {
	calls    *prometheus.CounterVec
	retries  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	breaker  *prometheus.GaugeVec
}

func newProviderMetrics(registry prometheus.Registerer) *providerMetrics {
	m := &providerMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kontor_provider_calls_total",
			Help: `Attempts that ended, on the wire; outcome is "ok" or a kind of failure.`,
		}, []string{"provider", "operation", "outcome"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kontor_provider_retries_total",
			Help: "Attempts that repeat one before, replays after a fresh login included.",
		}, []string{"provider", "operation"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kontor_provider_call_duration_seconds", Help: "How long attempts took, body included.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"provider", "operation"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kontor_provider_calls_in_flight", Help: "Attempts under way.",
		}, []string{"provider", "operation"}),
		breaker: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kontor_provider_breaker_state", Help: "State of the circuit breaker: 0 closed, 1 half open, 2 open.",
		}, []string{"tenant", "provider"}),
	}
	registry.MustRegister(m.calls, m.retries, m.duration, m.inFlight, m.breaker)
	return m
}

// Observer gives the observer of one tenant's calls to providers.
func (t *Telemetry) Observer(tenant string) providers.Observer {
	return &observer{t: t, tenant: tenant}
}

// failures are the kinds of outcomes that alerts wait for.
var failures = []providers.ErrorKind{
	providers.KindUnavailable, providers.KindDeadline, providers.KindCredentials, providers.KindInvalidResponse,
	providers.KindRateLimited,
}

// ExpectProvider begins the counters of a tenant's provider at zero, as far as alerts look at them.
func (t *Telemetry) ExpectProvider(tenant, provider string, operations []string) {
	t.provider.breaker.WithLabelValues(tenant, provider)
	for _, operation := range operations {
		t.provider.calls.WithLabelValues(provider, operation, "ok")
		for _, kind := range failures {
			t.provider.calls.WithLabelValues(provider, operation, kind.String())
		}
	}
}

type observer struct {
	t      *Telemetry
	tenant string
}

// Start implements providers.Observer.
func (o *observer) Start(ctx context.Context, call providers.CallInfo) (context.Context, func(providers.CallOutcome)) {
	m := o.t.provider
	gauge := m.inFlight.WithLabelValues(call.Provider, call.Operation)
	gauge.Inc()
	m.breaker.WithLabelValues(o.tenant, call.Provider) // 0, closed, from the first call on
	if call.Attempt > 1 {
		m.retries.WithLabelValues(call.Provider, call.Operation).Inc()
	}
	var span trace.Span
	if o.t.Traces() {
		ctx, span = o.t.Tracer.Start(ctx,
			call.Provider+"/"+call.Operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
				attribute.String("kontor.provider", call.Provider),
				attribute.String("kontor.operation", call.Operation),
				attribute.String("http.request.method", call.Method),
				attribute.Int("http.request.resend_count", call.Attempt-1),
			))
	}
	return ctx, func(outcome providers.CallOutcome) {
		gauge.Dec()
		result := "ok"
		if !outcome.OK {
			result = outcome.Kind.String()
		}
		m.calls.WithLabelValues(call.Provider, call.Operation, result).Inc()
		m.duration.WithLabelValues(call.Provider, call.Operation).Observe(outcome.Duration.Seconds())
		if span == nil {
			return
		}
		if !outcome.OK {
			span.SetStatus(codes.Error, result)
		}
		span.SetAttributes(attribute.Int("http.response.status_code", outcome.Status),
			attribute.Int64("http.response.body.size", outcome.Bytes),
			attribute.String("kontor.provider_request_id", outcome.RequestID))
		span.End()
	}
}

// BreakerChanged implements providers.Observer.
func (o *observer) BreakerChanged(provider string, _, to providers.BreakerState) {
	state := map[providers.BreakerState]float64{
		providers.BreakerClosed: 0, providers.BreakerHalfOpen: 1, providers.BreakerOpen: 2,
	}[to]
	o.t.provider.breaker.WithLabelValues(o.tenant, provider).Set(state)
}
