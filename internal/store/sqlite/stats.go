package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
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

// backupMark is the suffix of a file whose time tells when the store was last copied. It has the head of the keys that
// were written then, so that a restore sees whether it has the newest ones.
const backupMark = ".backup-time"

// markBackup notes that the file was copied just now, with what keys.
func markBackup(file string, head keysHead) error {
	mark, err := os.Create(file + backupMark)
	if err != nil {
		return err
	}
	return errors.Join(mark.Chmod(0o600), json.NewEncoder(mark).Encode(head), mark.Close(),
		os.Chtimes(file+backupMark, time.Time{}, time.Now()))
}

// newerKeys gives the head of newer keys that a backup of the file was written with, as far as that was noted.
func (h keysHead) newerKeys(file string) (noted keysHead, newer bool, err error) {
	text, err := os.ReadFile(file + backupMark)
	if errors.Is(err, fs.ErrNotExist) {
		return noted, false, nil
	}
	if err != nil || json.Unmarshal(text, &noted) != nil {
		return noted, false, err // Earlier marks are empty.
	}
	return noted, noted.Store == h.Store && noted.Changes > h.Changes, nil
}

// Stats implements store.Database. It asks the file system, not the database.
func (s *Store) Stats() store.Stats {
	stats := store.Stats{Commits: s.writer.latencies.snapshot(), Waiting: s.writer.waiting(), CreateTime: s.made}
	for name, size := range map[string]*int64{s.files.path: &stats.Size, s.files.path + "-wal": &stats.LogSize} {
		if info, err := os.Stat(name); err == nil {
			*size = info.Size()
		}
	}
	if info, err := os.Stat(s.files.path + backupMark); err == nil {
		stats.LastBackup = info.ModTime()
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	stats.LastWrite, stats.Failed = s.health.at, maps.Clone(s.health.failed)
	if s.health.fault != nil {
		stats.Fault = s.health.fault.Kind
	}
	return stats
}

// backlogMost is where counting ends.
const backlogMost = 10_000

// Backlog implements store.System.
func (y system) Backlog(ctx context.Context, now time.Time) (store.Backlog, error) {
	type counted struct {
		n     int
		first int64
	}
	scan := func(row row) (c counted, err error) { return c, row.Scan(&c.n, &c.first) }
	return readAll(ctx, y.s, func(r *reader) (b store.Backlog, err error) {
		due, err := one(r, scan, "SELECT count(*), coalesce(min(next_poll), 0) FROM (SELECT next_poll FROM consents "+
			"WHERE next_poll <> 0 AND next_poll <= ?1 AND claim_until <= ?1 ORDER BY next_poll LIMIT ?2)",
			micros(now), backlogMost)
		if err != nil {
			return b, err
		}
		open, err := one(r, scan, "SELECT count(*), coalesce(min(create_time), 0) FROM (SELECT create_time FROM "+
			"intents WHERE state = 'open' AND lease_until >= 0 ORDER BY lease_until LIMIT ?)", backlogMost)
		return store.Backlog{
			Due: due.n, DueSince: instant(due.first), OpenIntents: open.n, OldestIntent: instant(open.first),
		}, err
	})
}
