package sqlite

import (
	"os"
	"sync"
	"time"

	"kontor.dev/kontor/internal/store"
)

// latencyBounds are the upper bounds of the buckets, in seconds: from a disk with a battery to one that hangs.
var latencyBounds = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// latencies count how long commits took.
type latencies struct {
	mu      sync.Mutex
	buckets [len(latencyBounds)]uint64
	count   uint64
	sum     float64
}

func (l *latencies) add(d time.Duration) {
	seconds := d.Seconds()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	l.sum += seconds
	for i, bound := range latencyBounds {
		if seconds <= bound {
			l.buckets[i]++
		}
	}
}

func (l *latencies) snapshot() store.Histogram {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := store.Histogram{Count: l.count, Sum: l.sum, Buckets: make(map[float64]uint64, len(latencyBounds))}
	for i, bound := range latencyBounds {
		h.Buckets[bound] = l.buckets[i]
	}
	return h
}

// waiting is how many wait for the writer.
func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.line)
}

// Stats implements store.Database. It asks the file system, not the database.
func (s *Store) Stats() store.Stats {
	stats := store.Stats{Commits: s.writer.latencies.snapshot(), Waiting: s.writer.waiting()}
	for name, size := range map[string]*int64{s.files.path: &stats.Size, s.files.path + "-wal": &stats.LogSize} {
		if info, err := os.Stat(name); err == nil {
			*size = info.Size()
		}
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	stats.LastWrite, stats.Failed = s.health.at, map[store.FaultKind]int64{}
	if s.health.fault != nil {
		stats.Fault = s.health.fault.Kind
	}
	for _, kind := range store.FaultKinds() {
		stats.Failed[kind] = s.health.failed[kind]
	}
	return stats
}
