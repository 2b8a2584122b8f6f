package sqlite

import (
	"errors"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectAudit = "SELECT " + columns.AuditNames + " FROM audit "

func (r *reader) AuditTrail(after int64, limit int) ([]store.Audit, error) {
	return all(r, columns.Audit, selectAudit+"WHERE position > ? AND tenant = ? ORDER BY position LIMIT ?", after,
		r.tenant,
		max(limit, 0))
}

// everyAudit lists the entries of all tenants.
func (r *reader) everyAudit(after int64, limit int) ([]store.Audit, error) {
	return all(r, columns.Audit, selectAudit+"WHERE position > ? ORDER BY position LIMIT ?", after, max(limit, 0))
}

func (r *reader) AuditBefore(position int64) (*store.Audit, error) {
	a, err := one(r, columns.Audit, selectAudit+"WHERE tenant = ? AND position <= ? ORDER BY position DESC LIMIT 1",
		r.tenant, position)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// auditTenants lists the tenants that have entries or seals. Each is found by the one before it, so that no entry is
// read.
func (r *reader) auditTenants() (tenants []string, err error) {
	for last := ""; ; {
		next := ""
		for _, query := range []string{
			"SELECT tenant FROM audit WHERE tenant > ? ORDER BY tenant LIMIT 1",
			"SELECT tenant FROM audit_seals WHERE tenant > ? ORDER BY tenant LIMIT 1",
		} {
			tenant, err := one(r, columns.Only[string], query, last)
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return nil, err
			case next == "" || tenant < next:
				next = tenant
			}
		}
		if next == "" {
			return tenants, nil
		}
		tenants, last = append(tenants, next), next
	}
}

const (
	selectSeals       = "SELECT " + columns.SealNames + " FROM audit_seals "
	selectCheckpoints = "SELECT " + columns.SealNames + " FROM audit_checkpoints "
)

// seal gives the only seal that a query finds, nil for none.
func (r *reader) seal(query string, args ...any) (*store.AuditSeal, error) {
	s, err := one(r, columns.Seal, query, args...)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // there need not be one
	}
	return &s, err
}

func (r *reader) AuditChain() (c store.AuditChain, err error) {
	const ofKind = selectSeals + "WHERE tenant = ? AND kind = ?"
	if c.Head, err = r.seal(ofKind, r.tenant, columns.SealHead); err != nil {
		return c, err
	}
	if c.Cut, err = r.seal(ofKind, r.tenant, columns.SealCut); err != nil {
		return c, err
	}
	c.Checkpoint, err = r.seal(selectCheckpoints+"WHERE tenant = ? ORDER BY position DESC LIMIT 1", r.tenant)
	return c, err
}

func (r *reader) AuditCheckpoints(after int64, limit int) ([]store.AuditSeal, error) {
	return all(r, columns.Seal, selectCheckpoints+"WHERE tenant = ? AND position > ? ORDER BY position LIMIT ?",
		r.tenant,
		after, max(limit, 0))
}

func (r *reader) AuditCheckpointBefore(before time.Time) (*store.AuditSeal, error) {
	s, err := one(r, columns.Seal, selectCheckpoints+"WHERE tenant = ? AND time < ? ORDER BY time DESC LIMIT 1",
		r.tenant,
		columns.Micros(before))
	if err != nil {
		return nil, err
	}
	return &s, nil
}

func (r *reader) AuditRoll() (*store.AuditRoll, error) {
	roll, err := one(r, columns.Roll, "SELECT tenants, mac FROM audit_roll WHERE id = 1")
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // somebody may have taken it out
	}
	return &roll, err
}

func (t *tx) KeepAuditRoll(before, now *store.AuditRoll) error {
	tenants, err := columns.List(now.Tenants)
	if err != nil {
		return t.fail(err)
	}
	changed, err := t.exec("UPDATE audit_roll SET tenants = ?, mac = ? WHERE id = 1 AND mac = ?", tenants, now.MAC,
		before.MAC)
	if err == nil && changed == 0 {
		return store.ErrConflict
	}
	return err
}

func (t *tx) AppendAudit(entries ...*store.Audit) error {
	for _, a := range entries {
		if err := t.own(a.Tenant); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO audit (time, tenant, actor, method, resource, peer, request_id, outcome, "+
			"count, first_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", columns.AuditValues(a)...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) SealAudit(entries []store.Audit, head *store.AuditSeal) error {
	if err := t.own(head.Tenant); err != nil {
		return err
	}
	unsealed := make([]int64, len(entries))
	for i, e := range entries {
		if err := t.own(e.Tenant); err != nil {
			return err
		}
		unsealed[i] = e.Position
	}
	// Looked at first: whoever gets ErrConflict may commit all the same.
	positions, err := columns.List(unsealed)
	if err != nil {
		return t.fail(err)
	}
	found, err := one(&t.reader, columns.Only[int], `
		SELECT count(*) FROM json_each(?2) CROSS JOIN audit ON position = value
		WHERE tenant = ?1 AND chain IS NULL`, t.tenant, positions)
	if err != nil {
		return err
	}
	if found != len(entries) {
		return store.ErrConflict
	}
	for _, e := range entries {
		if _, err := t.exec("UPDATE audit SET sequence = ?, chain = ? WHERE position = ?", e.Sequence, e.Chain,
			e.Position); err != nil {
			return err
		}
	}
	return t.putSeal(columns.SealHead, head)
}

func (t *tx) putSeal(kind string, s *store.AuditSeal) error {
	_, err := t.exec(`
		INSERT INTO audit_seals (tenant, kind, position, count, chain, time, mac) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET position = excluded.position, count = excluded.count, chain = excluded.chain,
			time = excluded.time, mac = excluded.mac`,
		s.Tenant, kind, s.Position, s.Count, s.Chain, columns.Micros(s.Time), s.MAC)
	return err
}

func (t *tx) KeepCheckpoint(s *store.AuditSeal) error {
	if err := t.own(s.Tenant); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO audit_checkpoints (tenant, position, count, chain, time, mac) VALUES "+
		"(?, ?, ?, ?, ?, ?)", columns.SealValues(s)...)
	return err
}

func (t *tx) CutAudit(cut *store.AuditSeal, limit int) (int, error) {
	if err := t.own(cut.Tenant); err != nil {
		return 0, err
	}
	chain, err := t.AuditChain()
	switch {
	case err != nil:
		return 0, err
	case chain.Cut != nil && chain.Cut.Position > cut.Position:
		return 0, store.ErrConflict
	case chain.Cut == nil || chain.Cut.Position < cut.Position:
		if err := t.putSeal(columns.SealCut, cut); err != nil {
			return 0, err
		}
	}
	if _, err := t.exec(`
		DELETE FROM audit_checkpoints WHERE tenant = ?1 AND position IN (
			SELECT position FROM audit_checkpoints WHERE tenant = ?1 AND position <= ?2 ORDER BY position LIMIT ?3
		)`, t.tenant, cut.Position, max(limit, 0)); err != nil {
		return 0, err
	}
	return t.exec(`
		DELETE FROM audit WHERE position IN (
			SELECT position FROM audit WHERE tenant = ? AND position <= ? ORDER BY position LIMIT ?
		)`, t.tenant, cut.Position, max(limit, 0))
}
