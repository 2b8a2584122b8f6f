package sqlite

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
	err = s.read(ctx, "", func(r *reader) (err error) {
		found, err = fn(r)
		return err
	})
	return found, err
}

// ClaimDue takes the writer only when there is something to claim: it is asked every second.
func (y system) ClaimDue(ctx context.Context, now time.Time, owner string, lease time.Duration,
	shares []store.Share) ([]*store.Consent, error) {
	found, err := readAll(ctx, y.s, func(r *reader) (bool, error) { return r.anyDue(now, shares) })
	if err != nil || !found {
		return nil, err
	}
	var claimed []*store.Consent
	err = y.s.write(ctx, "", func(t *tx) error {
		claimed = nil
		for _, share := range shares {
			found, err := t.due(now, share)
			if err != nil {
				return err
			}
			for _, d := range found {
				c, err := t.claim(d, store.Lease{Owner: owner, Until: columns.Instant(columns.Micros(now.Add(lease)))})
				if err != nil {
					return err
				}
				claimed = append(claimed, c)
			}
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
	return y.s.write(ctx, "", func(t *tx) error {
		for _, c := range claimed {
			if err := t.renewClaim(c, until); err != nil {
				return err
			}
		}
		return nil
	})
}

func (y system) RenewLeases(ctx context.Context, owners []string, until time.Time) error {
	if len(owners) == 0 {
		return nil
	}
	return y.s.write(ctx, "", func(t *tx) error {
		values, err := columns.List(owners)
		if err != nil {
			return t.fail(err)
		}
		for _, statement := range []string{
			"UPDATE idempotency SET lease_until = max(lease_until, ?1) WHERE done = 0 AND owner IN (SELECT value " +
				"FROM json_each(?2))",
			"UPDATE intents SET lease_until = max(lease_until, ?1) WHERE state = 'open' AND owner IN (SELECT value " +
				"FROM json_each(?2))",
			"UPDATE user_claims SET lease_until = max(lease_until, ?1) WHERE owner IN (SELECT value FROM " +
				"json_each(?2))",
			"UPDATE flow_claims SET lease_until = max(lease_until, ?1) WHERE owner IN (SELECT value FROM " +
				"json_each(?2))",
		} {
			if _, err := t.exec(statement, columns.Micros(until), values); err != nil {
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
			head, err := r.head(log)
			if err != nil {
				return nil, err
			}
			heads[log] = store.NewCursor(log, r.Epoch, head)
		}
		return heads, nil
	})
}

func (y system) Callback(ctx context.Context, kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
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
			SELECT hash FROM callbacks WHERE expire_time <> 0 AND expire_time < ? ORDER BY expire_time LIMIT ?
		)`, expired, limit)
}

func (y system) DeleteIdempotencyBefore(ctx context.Context, created time.Time, limit int) (int, error) {
	return y.sweep(ctx, `
		DELETE FROM idempotency WHERE rowid IN (
			SELECT rowid FROM idempotency WHERE create_time < ? ORDER BY create_time LIMIT ?
		)`, created, limit)
}

func (y system) DeleteIntentsBefore(ctx context.Context, updated time.Time, limit int) (int, error) {
	return y.sweep(ctx, `
		DELETE FROM intents WHERE rowid IN (
			SELECT rowid FROM intents WHERE state <> 'open' AND update_time < ? ORDER BY update_time LIMIT ?
		)`, updated, limit)
}

// FinishErasures implements store.Sweeps.
func (y system) FinishErasures(ctx context.Context, limit int) (erased int, err error) {
	err = y.s.write(ctx, "", func(t *tx) error {
		erased = 0
		of, err := one(&t.reader, columns.Pair, "SELECT tenant, id FROM consents WHERE deleted = 2 AND "+
			"tenant > '' ORDER BY tenant LIMIT 1")
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
		t.tenant = ""
		return err
	})
	return erased, err
}

func (y system) DeleteShipmentsBefore(ctx context.Context, created time.Time, limit int) (deleted int, err error) {
	err = y.s.write(ctx, "", func(t *tx) error {
		old, err := all(&t.reader, columns.Pair, `
			SELECT tenant, id FROM shipments WHERE customer_id IS NULL AND id < ? ORDER BY id LIMIT ?`,
			firstID(created), max(limit, 0))
		if err != nil {
			return err
		}
		defer func() { t.tenant = "" }()
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

// firstID is the lowest id that something made at a time can have: ids begin with their milliseconds since 1970.
func firstID(at time.Time) string {
	digits := fmt.Sprintf("%012x", max(at.UnixMilli(), 0))
	return digits[:8] + "-" + digits[8:]
}

// sweep runs a statement that deletes at most limit of what is older than a time.
func (y system) sweep(ctx context.Context, statement string, before time.Time, limit int) (deleted int, err error) {
	err = y.s.write(ctx, "", func(t *tx) (err error) {
		deleted, err = t.exec(statement, columns.Micros(before), max(limit, 0))
		return err
	})
	return deleted, err
}
