package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kontor.dev/kontor/internal/store"
)

// storeMetrics show how the store does, each time that they are asked for.
type storeMetrics struct {
	stats   func() store.Stats
	backlog func(context.Context, time.Time) (store.Backlog, error)

	commits, waiting, size, log, ok, failed, held, backup, missing *prometheus.Desc
	due, lag, intents, oldest                                      *prometheus.Desc
}

// backlogTimeout bounds how long metrics wait for the store.
const backlogTimeout = 2 * time.Second

// WatchStore shows how a store does, and what waits in it. Stats must not wait for it.
func (t *Telemetry) WatchStore(
	stats func() store.Stats, backlog func(context.Context, time.Time) (store.Backlog, error),
) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("kontor_"+name, help, labels, nil)
	}
	t.Registry.MustRegister(&storeMetrics{
		stats: stats, backlog: backlog,
		commits: desc("store_commit_duration_seconds", "How long it took to make transactions durable."),
		waiting: desc("store_waiting", "Transactions that wait to begin."),
		size:    desc("store_size_bytes", "Size of the database."),
		log:     desc("store_log_size_bytes", "Size of what the database has not yet moved to its place."),
		ok:      desc("store_last_write_ok", "1 when the last write was well, 0 when it failed."),
		failed:  desc("store_write_failures_total", "Writes that failed for a fault of the store, by kind.", "fault"),
		held: desc("store_events_held_seconds", "For how long committed events have been held back from streams by a "+
			"transaction that stays open in the database's server; 0 while no stream is open."),
		backup: desc("backup_timestamp_seconds", "When the last copy was made; missing while there is none, and where "+
			"copies are not the gateway's."),
		missing: desc("backup_missing_seconds", "For how long the database is there without any copy; 0 with one; "+
			"missing where copies are not the gateway's."),
		due:     desc("consents_due", "Consents whose time to be read has come, 10000 at most."),
		lag:     desc("poll_lag_seconds", "For how long the first of them has been due."),
		intents: desc("intents_open", "Writes to providers whose outcome is not stored, 10000 at most."),
		oldest:  desc("intents_oldest_seconds", "For how long the oldest of them has been open."),
	})
}

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.commits, m.waiting, m.size, m.log, m.ok, m.failed, m.held, m.backup, m.missing, m.due, m.lag, m.intents,
		m.oldest,
	} {
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
	gauge := func(desc *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	gauge(m.waiting, float64(stats.Waiting))
	gauge(m.size, float64(stats.Size))
	gauge(m.log, float64(stats.LogSize))
	gauge(m.ok, ok)
	gauge(m.held, stats.EventsHeld.Seconds())
	switch {
	case stats.BackedUpElsewhere: // Neither metric is there, so that no alert asks for a backup that nobody can make.
	case stats.LastBackup.IsZero():
		gauge(m.missing, max(0, time.Since(stats.CreateTime).Seconds()))
	default:
		gauge(m.backup, float64(stats.LastBackup.Unix()))
		gauge(m.missing, 0)
	}
	for _, kind := range store.FaultKinds() { // all of them: see alerting
		n := float64(stats.Failed[kind])
		to <- prometheus.MustNewConstMetric(m.failed, prometheus.CounterValue, n, string(kind))
	}
	now := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	backlog, err := m.backlog(ctx, now)
	if err != nil {
		return // A store that does not answer shows above.
	}
	since := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return max(0, now.Sub(t).Seconds())
	}
	gauge(m.due, float64(backlog.Due))
	gauge(m.lag, since(backlog.DueSince))
	gauge(m.intents, float64(backlog.OpenIntents))
	gauge(m.oldest, since(backlog.OldestIntent))
}

const (
	// heldLong is for how long events may be held back before the log says so: no transaction of a gateway takes as
	// long.
	heldLong = 30 * time.Second
	// heldEvery is how often that is looked at.
	heldEvery = 5 * time.Second
)

// WarnOfHeldEvents says once in the log that events are held back from streams for long, and once that it is over,
// until the context ends. Stats must not wait for the store.
func (t *Telemetry) WarnOfHeldEvents(ctx context.Context, stats func() store.Stats) {
	ticker := time.NewTicker(heldEvery)
	defer ticker.Stop()
	for warned := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch held := stats().EventsHeld; {
		case !warned && held > heldLong:
			warned = true
			t.Logger.WarnContext(ctx, "events are held back from streams: a transaction stays open in the database's "+
				"server", "seconds", held.Seconds())
		case warned && held == 0:
			warned = false
			t.Logger.InfoContext(ctx, "events are held back from streams no longer")
		}
	}
}
