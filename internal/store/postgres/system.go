package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// system is a store.System.
type system struct{ s *Store }

var _ store.System = system{}

// System implements store.Database.
func (s *Store) System() store.System { return system{s} }

// readAll gives what one read of the rows of all tenants finds.
func readAll[T any](ctx context.Context, s *Store, fn func(*reader) (T, error)) (found T, err error) {
	err = s.read(ctx, allTenants, func(r *reader) (err error) {
		found, err = fn(r)
		return err
	})
	return found, err
}

// ClaimDue writes only when there is something to claim: it is asked every second.
func (y system) ClaimDue(ctx context.Context, now time.Time, owner string, lease time.Duration,
	shares []store.Share) ([]*store.Consent, error) {
	found, err := readAll(ctx, y.s, func(r *reader) (bool, error) { return r.anyDue(now, shares) })
	if err != nil || !found {
		return nil, err
	}
	y.s.owners.add(owner)
	until := columns.Instant(columns.Micros(now.Add(lease)))
	var claimed []*store.Consent
	err = y.s.write(ctx, allTenants, func(t *tx) error {
		claimed = nil
		for _, share := range shares {
			got, err := t.claim(now, share, store.Lease{Owner: owner, Until: until})
			if err != nil {
				return err
			}
			claimed = append(claimed, got...)
		}
		return nil
	})
	if err != nil {
		return nil, err // fn may have succeeded all the same: COMMIT failed then, and nothing is claimed.
	}
	return claimed, nil
}

// RenewClaims implements store.Claims.
func (y system) RenewClaims(ctx context.Context, claimed []*store.Consent, until time.Time) error {
	if len(claimed) == 0 {
		return nil
	}
	n := len(claimed)
	tenants, ids, owners, numbers := make([]string, n), make([]string, n), make([]string, n), make([]int64, n)
	for i, c := range claimed {
		tenants[i], ids[i], owners[i], numbers[i] = c.Tenant, c.ID, c.Claim.Owner, c.Claim.Number
	}
	return y.s.write(ctx, allTenants, func(t *tx) error {
		_, err := t.exec(renewClaims, tenants, ids, owners, numbers, columns.Micros(until))
		return err
	})
}

// RenewLeases passes by what a transaction is changing, mostly to end it: that transaction takes rows in another order,
// and the two would wait for each other. What is still held is renewed the next time.
func (y system) RenewLeases(ctx context.Context, owners []string, until time.Time) error {
	if len(owners) == 0 {
		return nil
	}
	return y.s.write(ctx, allTenants, func(t *tx) error {
		for _, held := range []struct{ table, key, and string }{
			{"idempotency", "tenant, method, key", " AND NOT done"},
			{"intents", "tenant, id", " AND state = 'open'"},
			{"user_claims", "tenant, customer_id, provider", ""},
			{"flow_claims", "tenant, consent_id", ""},
		} {
			if _, err := t.exec(fmt.Sprintf(`
				WITH held AS MATERIALIZED (
					SELECT %[2]s FROM %[1]s WHERE owner = ANY($2)%[3]s FOR NO KEY UPDATE SKIP LOCKED
				)
				UPDATE %[1]s SET lease_until = greatest(lease_until, $1) WHERE (%[2]s) IN (SELECT %[2]s FROM held)`,
				held.table, held.key, held.and), columns.Micros(until), owners); err != nil {
				return err
			}
		}
		return nil
	})
}

func (y system) ExpiredIntents(ctx context.Context, now time.Time, limit int) ([]*store.Intent, error) {
	return readAll(ctx, y.s, func(r *reader) ([]*store.Intent, error) { return r.expiredIntents(now, limit) })
}

func (y system) TailConsents(ctx context.Context, after store.Cursor, limit int) ([]store.ConsentEntry, error) {
	return readAll(ctx, y.s, func(r *reader) ([]store.ConsentEntry, error) { return r.tailConsents(after, limit) })
}

func (y system) TailShipments(ctx context.Context, after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
	return readAll(ctx, y.s, func(r *reader) ([]store.ShipmentEntry, error) { return r.tailShipments(after, limit) })
}

func (y system) Head(ctx context.Context, log store.Log) (store.Cursor, error) {
	return readAll(ctx, y.s, func(r *reader) (store.Cursor, error) { return r.Head(log) })
}

func (y system) Subscribe(log store.Log) (<-chan store.Cursor, func()) { return y.s.hub.Subscribe(log) }

// heads reads where the logs end.
func (s *Store) heads(ctx context.Context) (map[store.Log]store.Cursor, error) {
	return readAll(ctx, s, func(r *reader) (map[store.Log]store.Cursor, error) {
		heads := map[store.Log]store.Cursor{}
		for log := range logTables {
			ends, err := r.ends(log)
			if err != nil {
				return nil, err
			}
			s.held.note(ctx, log, ends, time.Now())
			heads[log] = store.NewCursor(log, r.Epoch, ends.head)
		}
		return heads, nil
	})
}

func (y system) Callback(ctx context.Context, kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	if err := enter(ctx, y.s.lookups); err != nil {
		return nil, err
	}
	defer func() { <-y.s.lookups }()
	return readAll(ctx, y.s, func(r *reader) (*store.Callback, error) { return r.callback(kind, hash) })
}

func (y system) AuditTrail(ctx context.Context, after int64, limit int) ([]store.Audit, error) {
	return readAll(ctx, y.s, func(r *reader) ([]store.Audit, error) { return r.everyAudit(after, limit) })
}

func (y system) AuditTenants(ctx context.Context) ([]string, error) {
	return readAll(ctx, y.s, (*reader).auditTenants)
}

func (y system) DeleteCallbacksBefore(ctx context.Context, expired time.Time, limit int) (int, error) {
	return y.sweep(ctx, `
		DELETE FROM callbacks WHERE hash IN (
			SELECT hash FROM callbacks WHERE expire_time <> 0 AND expire_time < $1 ORDER BY expire_time LIMIT $2
		)`, expired, limit)
}

func (y system) DeleteIdempotencyBefore(ctx context.Context, created time.Time, limit int) (int, error) {
	return y.sweep(ctx, `
		DELETE FROM idempotency WHERE (tenant, method, key) IN (
			SELECT tenant, method, key FROM idempotency WHERE create_time < $1 ORDER BY create_time LIMIT $2
		)`, created, limit)
}

func (y system) DeleteIntentsBefore(ctx context.Context, updated time.Time, limit int) (int, error) {
	return y.sweep(ctx, `
		DELETE FROM intents WHERE (tenant, id) IN (
			SELECT tenant, id FROM intents WHERE state <> 'open' AND update_time < $1 ORDER BY update_time LIMIT $2
		)`, updated, limit)
}

// FinishErasures implements store.Sweeps.
func (y system) FinishErasures(ctx context.Context, limit int) (erased int, err error) {
	err = y.s.write(ctx, allTenants, func(t *tx) error {
		erased = 0
		of, err := one(&t.reader, columns.Pair, "SELECT tenant, id FROM consents WHERE deleted = 2 "+
			"ORDER BY tenant, id LIMIT 1 FOR NO KEY UPDATE")
		if err != nil {
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return err
		}
		t.tenant = of[0]
		if erased, err = t.erase(of[1], max(limit, 1)); erased < limit {
			erased = limit // There may be another one.
		}
		t.tenant = allTenants
		return err
	})
	return erased, err
}

func (y system) DeleteShipmentsBefore(ctx context.Context, created time.Time, limit int) (deleted int, err error) {
	err = y.s.write(ctx, allTenants, func(t *tx) error {
		old, err := all(&t.reader, columns.Pair, `
			SELECT tenant, id FROM shipments WHERE customer_id IS NULL AND id < $1 ORDER BY id LIMIT $2 FOR UPDATE`,
			firstID(created), max(limit, 0))
		if err != nil {
			return err
		}
		defer func() { t.tenant = allTenants }()
		hanging := hangingMost
		for deleted = range old {
			t.tenant = old[deleted][0]
			if hanging, err = t.eraseShipment(old[deleted][1], hanging); err != nil {
				return err
			}
			if hanging == 0 {
				deleted = limit // There may be more.
				return nil
			}
		}
		deleted = len(old)
		return nil
	})
	return deleted, err
}

// GiveRoomBack implements store.Sweeps. VACUUM is the server's own.
func (y system) GiveRoomBack(context.Context, int) (int, error) { return 0, nil }

// firstID is the lowest id that something made at a time can have: ids begin with their milliseconds since 1970.
func firstID(at time.Time) string {
	digits := fmt.Sprintf("%012x", max(at.UnixMilli(), 0))
	return digits[:8] + "-" + digits[8:]
}

// sweep runs a statement that deletes at most limit of what is older than a time.
func (y system) sweep(ctx context.Context, statement string, before time.Time, limit int) (deleted int, err error) {
	err = y.s.write(ctx, allTenants, func(t *tx) (err error) {
		deleted, err = t.exec(statement, columns.Micros(before), max(limit, 0))
		return err
	})
	return deleted, err
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
			"WHERE next_poll > 0 AND next_poll <= $1 AND claim_until <= $1 ORDER BY next_poll LIMIT $2) due",
			columns.Micros(now), backlogMost)
		if err != nil {
			return b, err
		}
		open, err := one(r, scan, "SELECT count(*), coalesce(min(create_time), 0) FROM (SELECT create_time FROM "+
			"intents WHERE state = 'open' ORDER BY lease_until LIMIT $1) open", backlogMost)
		return store.Backlog{
			Due: due.n, DueSince: columns.Instant(due.first), OpenIntents: open.n,
			OldestIntent: columns.Instant(open.first),
		}, err
	})
}
