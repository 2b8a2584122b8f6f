package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

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
	stats := store.Stats{Commits: s.writer.latencies.Snapshot(), Waiting: s.writer.waiting(), CreateTime: s.made}
	for name, size := range map[string]*int64{s.files.path: &stats.Size, s.files.path + "-wal": &stats.LogSize} {
		if info, err := os.Stat(name); err == nil {
			*size = info.Size()
		}
	}
	if info, err := os.Stat(s.files.path + backupMark); err == nil {
		stats.LastBackup = info.ModTime()
	}
	s.health.Tell(&stats)
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
	scan := func(row columns.Row) (c counted, err error) { return c, row.Scan(&c.n, &c.first) }
	return readAll(ctx, y.s, func(r *reader) (b store.Backlog, err error) {
		due, err := one(r, scan, "SELECT count(*), coalesce(min(next_poll), 0) FROM (SELECT next_poll FROM consents "+
			"WHERE next_poll <> 0 AND next_poll <= ?1 AND claim_until <= ?1 ORDER BY next_poll LIMIT ?2)",
			columns.Micros(now), backlogMost)
		if err != nil {
			return b, err
		}
		open, err := one(r, scan, "SELECT count(*), coalesce(min(create_time), 0) FROM (SELECT create_time FROM "+
			"intents WHERE state = 'open' AND lease_until >= 0 ORDER BY lease_until LIMIT ?)", backlogMost)
		return store.Backlog{
			Due: due.n, DueSince: columns.Instant(due.first), OpenIntents: open.n,
			OldestIntent: columns.Instant(open.first),
		}, err
	})
}
