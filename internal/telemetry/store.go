package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"kontor.dev/kontor/internal/store"
)

// storeMetrics show how the store does, each time that they are asked for.
type storeMetrics struct {
	stats func() store.Stats

	commits, waiting, size, log, ok, failed *prometheus.Desc
}

// WatchStore shows how a store does. The function must not wait for it.
func (t *Telemetry) WatchStore(stats func() store.Stats) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("kontor_store_"+name, help, labels, nil)
	}
	t.Registry.MustRegister(&storeMetrics{
		stats:   stats,
		commits: desc("commit_duration_seconds", "How long it took to make transactions durable."),
		waiting: desc("waiting", "Transactions that wait to begin."),
		size:    desc("size_bytes", "Size of the database."),
		log:     desc("log_size_bytes", "Size of what the database has not yet moved to its place."),
		ok:      desc("last_write_ok", "1 when the last write was well, 0 when it failed."),
		failed:  desc("write_failures_total", "Writes that failed for a fault of the store, by kind.", "fault"),
	})
}

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.commits, m.waiting, m.size, m.log, m.ok, m.failed} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *storeMetrics) Collect(to chan<- prometheus.Metric) {
	stats := m.stats()
	to <- prometheus.MustNewConstHistogram(m.commits, stats.Commits.Count, stats.Commits.Sum, stats.Commits.Buckets)
	ok := 1.0
	if stats.Fault != "" {
		ok = 0
	}
	for _, gauge := range []struct {
		desc  *prometheus.Desc
		value float64
	}{
		{m.waiting, float64(stats.Waiting)}, {m.size, float64(stats.Size)}, {m.log, float64(stats.LogSize)},
		{m.ok, ok},
	} {
		to <- prometheus.MustNewConstMetric(gauge.desc, prometheus.GaugeValue, gauge.value)
	}
	for kind, n := range stats.Failed {
		to <- prometheus.MustNewConstMetric(m.failed, prometheus.CounterValue, float64(n), string(kind))
	}
}
