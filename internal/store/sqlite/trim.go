package sqlite

import (
	"context"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// ends are where a log begins and ends for those who follow it.
type ends struct{ head, floor int64 }

func scanEnds(row columns.Row) (e ends, err error) { return e, row.Scan(&e.head, &e.floor) }

// ends reads both. The head is the highest position ever committed, so that it never goes back, also when the newest
// entry was deleted with its customer.
func (r *reader) ends(log store.Log) (ends, error) {
	return one(r, scanEnds, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0), "+
		"(SELECT floor FROM log_floors WHERE log = ?)", logTables[log], string(log))
}

// TrimLog implements store.Sweeps.
func (y system) TrimLog(
	ctx context.Context, log store.Log, now, before time.Time, limit int,
) (trimmed int, err error) {
	err = y.s.write(ctx, "", func(t *tx) (err error) {
		trimmed, err = t.trim(log, now, before, limit)
		return err
	})
	return trimmed, err
}

// trim notes where the log ends now, raises its floor to where it ended at a time, and takes some of what lies under
// the floor out of it.
func (t *tx) trim(log store.Log, now, before time.Time, limit int) (int, error) {
	ends, err := t.ends(log)
	if err != nil {
		return 0, err
	}
	if _, err := t.exec("INSERT INTO log_marks (log, time, position) SELECT ?1, ?2, ?3 WHERE NOT EXISTS ("+
		"SELECT 1 FROM log_marks WHERE log = ?1 AND position >= ?3) ON CONFLICT DO NOTHING",
		string(log), columns.Micros(now), ends.head); err != nil {
		return 0, err
	}
	floor, err := one(&t.reader, columns.Only[int64],
		"SELECT coalesce(max(position), 0) FROM log_marks WHERE log = ? AND time <= ?", string(log),
		columns.Micros(before))
	if err != nil {
		return 0, err
	}
	if floor = max(floor, ends.floor); floor > ends.floor {
		if _, err := t.exec("UPDATE log_floors SET floor = ? WHERE log = ?", floor, string(log)); err != nil {
			return 0, err
		}
		if _, err := t.exec("DELETE FROM log_marks WHERE log = ? AND position < ?", string(log), floor); err != nil {
			return 0, err
		}
	}
	from, err := one(&t.reader, columns.Only[int64], "SELECT trimmed FROM log_floors WHERE log = ?", string(log))
	if err != nil || from >= floor {
		return 0, err
	}
	positions, err := all(&t.reader, columns.Only[int64], "SELECT position FROM "+logTables[log]+
		" WHERE position > ? AND position <= ? ORDER BY position LIMIT ?", from, floor, max(limit, 0))
	if err != nil || limit <= 0 {
		return 0, err
	}
	to := floor
	if len(positions) == limit {
		to = positions[limit-1]
	}
	for _, statement := range trims[log] {
		if _, err := t.exec(statement, from, to); err != nil {
			return 0, err
		}
	}
	_, err = t.exec("UPDATE log_floors SET trimmed = ? WHERE log = ?", to, string(log))
	return len(positions), err
}

// trims take the entries between two positions out of a log.
var trims = map[store.Log][]string{
	store.ConsentLog: {
		"DELETE FROM consent_log WHERE position > ? AND position <= ? AND NOT EXISTS (SELECT 1 FROM consents c WHERE " +
			"c.tenant = consent_log.tenant AND c.id = consent_log.consent_id AND c.deleted = 0)",
		"UPDATE consent_log SET resource = x'' WHERE position > ? AND position <= ?",
	},
	store.ShipmentLog: {"DELETE FROM shipment_log WHERE position > ? AND position <= ?"},
}

const (
	// clockSlack is how far the clocks of processes may be apart, and how little a clock may go back without notice.
	clockSlack = 30 * time.Second
	// shiftBatch is how many consents are planned anew in one transaction.
	shiftBatch = 500
)

// Time implements store.Claims: there is no other clock.
func (system) Time(context.Context) (time.Time, error) { return time.Time{}, nil }

// Beat implements store.Claims. All processes that have the file open are on one machine, and share its clock.
func (y system) Beat(ctx context.Context, now time.Time) (back time.Duration, err error) {
	err = y.s.write(ctx, "", func(t *tx) error {
		back = 0
		told, err := one(&t.reader, columns.Only[int64], "SELECT time FROM pulse WHERE id = 1")
		if err != nil {
			return err
		}
		if ahead := columns.Instant(told).Sub(now); told != 0 && ahead > clockSlack {
			back = ahead
			for _, statement := range []string{
				"UPDATE idempotency SET lease_until = lease_until - ?1 WHERE done = 0 AND lease_until > ?2",
				"UPDATE intents SET lease_until = lease_until - ?1 WHERE state = 'open' AND lease_until > ?2",
				"UPDATE user_claims SET lease_until = lease_until - ?1 WHERE lease_until > ?2",
				"UPDATE flow_claims SET lease_until = lease_until - ?1 WHERE lease_until > ?2",
				"UPDATE provider_pauses SET until = until - ?1 WHERE until > ?2",
			} {
				if _, err := t.exec(statement, back.Microseconds(), columns.Micros(now)); err != nil {
					return err
				}
			}
		}
		_, err = t.exec("UPDATE pulse SET time = ? WHERE id = 1", columns.Micros(now))
		return err
	})
	if err != nil || back == 0 {
		return 0, err
	}
	return back, y.shift(ctx, now, back)
}

// shift brings forward when consents are due, some at a time. What is shifted comes to lie before those that are still
// to be shifted, so none is shifted twice.
func (y system) shift(ctx context.Context, now time.Time, back time.Duration) error {
	for from := columns.Micros(now); ; {
		var batch []int64
		err := y.s.write(ctx, "", func(t *tx) (err error) {
			batch, err = all(&t.reader, columns.Only[int64], "SELECT next_poll FROM consents WHERE next_poll <> 0 AND "+
				"next_poll > ? ORDER BY next_poll LIMIT ?", from, shiftBatch)
			if err != nil || len(batch) == 0 {
				return err
			}
			t.changed.all = true
			// All that are due at one moment are shifted at once, however many they are.
			_, err = t.exec("UPDATE consents SET claim_until = CASE claim_until WHEN 0 THEN 0 ELSE max(1, "+
				"claim_until - ?3) END, next_poll = max(1, next_poll - ?3) WHERE next_poll <> 0 AND next_poll > ?1 "+
				"AND next_poll <= ?2",
				from, batch[len(batch)-1], back.Microseconds())
			return err
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		from = batch[len(batch)-1]
	}
}
