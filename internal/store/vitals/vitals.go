// Package vitals is how a database does, as its driver sees it: how its writes end, and how long its commits take.
package vitals

import (
	"maps"
	"sync"
	"time"

	"kontor.dev/kontor/internal/store"
)

// latencyBounds are the upper bounds of the buckets, in seconds: from a disk with a battery to one that hangs.
var latencyBounds = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Latencies count how long commits took.
type Latencies struct {
	mu      sync.Mutex
	buckets [len(latencyBounds)]uint64
	count   uint64
	sum     float64
}

// Add counts one.
func (l *Latencies) Add(d time.Duration) {
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

// Snapshot gives the counts.
func (l *Latencies) Snapshot() store.Histogram {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := store.Histogram{Count: l.count, Sum: l.sum, Buckets: make(map[float64]uint64, len(latencyBounds))}
	for i, bound := range latencyBounds {
		h.Buckets[bound] = l.buckets[i]
	}
	return h
}

// Health is how the last write ended, and whether there may be another one.
type Health struct {
	// FaultOf gives what an error says about the database as a whole, nil for nothing.
	FaultOf func(error) *store.FaultError
	// Stops has nothing written any more once damage was met, until the database is opened anew: for files that this
	// process writes itself. A server decides for itself what it still takes, and is mended while it is asked.
	Stops bool

	mu sync.Mutex
	// at is when a write last ended, fault how: nil for well.
	at    time.Time
	fault *store.FaultError
	// stopped is a fault after which nothing is written any more: what is there is no longer what was acknowledged.
	stopped *store.FaultError
	// short says that a write found no room, and that none was seen since.
	short bool
	// failed counts the writes that failed, by kind.
	failed map[store.FaultKind]int64
}

// Note notes how a write ended. An error that says nothing about the database changes nothing.
func (h *Health) Note(err error) {
	fault := h.faultOf(err)
	if err != nil && fault == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.fault = time.Now(), fault
	if fault == nil {
		h.fault = h.stopped // What was under way when it was noticed changes nothing.
		return
	}
	if h.failed == nil {
		h.failed = map[store.FaultKind]int64{}
	}
	h.failed[fault.Kind]++
	h.short = h.short || fault.Kind == store.FaultFull
	if h.Stops && h.stopped == nil && (fault.Kind == store.FaultCorrupt || fault.Kind == store.FaultTruncated) {
		h.stopped = fault
	}
}

func (h *Health) faultOf(err error) *store.FaultError {
	if err == nil {
		return nil
	}
	return h.FaultOf(err)
}

// NoteRead notes a read that met damage.
func (h *Health) NoteRead(err error) {
	if h == nil {
		return
	}
	if fault := h.faultOf(err); fault != nil && fault.Kind == store.FaultCorrupt {
		h.Note(err)
	}
}

// Writable tells whether there may be another write.
func (h *Health) Writable() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped != nil {
		return h.stopped
	}
	return nil
}

// Short tells whether a write found no room, and HasRoom was not called since. A small write that went well meanwhile
// proves nothing: it may have fitted where others do not.
func (h *Health) Short() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.short
}

// HasRoom notes that there is room for whatever may be written.
func (h *Health) HasRoom() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.short = false
}

// WroteWithin tells whether the last write was well and ended within a time.
func (h *Health) WroteWithin(d time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := time.Since(h.at)
	return h.fault == nil && !h.at.IsZero() && since >= 0 && since < d
}

// Tell writes LastWrite, Failed and Fault into what operators see.
func (h *Health) Tell(stats *store.Stats) {
	h.mu.Lock()
	defer h.mu.Unlock()
	stats.LastWrite, stats.Failed = h.at, maps.Clone(h.failed)
	if h.fault != nil {
		stats.Fault = h.fault.Kind
	}
}
