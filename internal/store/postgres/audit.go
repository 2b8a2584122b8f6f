package postgres

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectAudit = "SELECT " + columns.AuditNames + " FROM audit "

func (r *reader) AuditTrail(after int64, limit int) ([]store.Audit, error) {
	return all(r, columns.Audit, selectAudit+"WHERE position > $4 AND tenant = $5 AND "+settled+
		"ORDER BY position LIMIT $6", r.seen(after, r.tenant, max(limit, 0))...)
}

// everyAudit lists the entries of all tenants.
func (r *reader) everyAudit(after int64, limit int) ([]store.Audit, error) {
	return all(r, columns.Audit, selectAudit+"WHERE position > $4 AND "+settled+"ORDER BY position LIMIT $5",
		r.seen(after, max(limit, 0))...)
}

func (r *reader) AuditBefore(position int64) (*store.Audit, error) {
	a, err := one(r, columns.Audit, selectAudit+"WHERE tenant = $4 AND position <= $5 AND "+settled+
		"ORDER BY position DESC LIMIT 1", r.seen(r.tenant, position)...)
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
			"SELECT tenant FROM audit WHERE tenant > $1 ORDER BY tenant LIMIT 1",
			"SELECT tenant FROM audit_seals WHERE tenant > $1 ORDER BY tenant LIMIT 1",
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
	const ofKind = selectSeals + "WHERE tenant = $1 AND kind = $2"
	if c.Head, err = r.seal(ofKind+r.locking("audit_seals"), r.tenant, columns.SealHead); err != nil {
		return c, err
	}
	if c.Cut, err = r.seal(ofKind+r.locking("audit_seals"), r.tenant, columns.SealCut); err != nil {
		return c, err
	}
	c.Checkpoint, err = r.seal(selectCheckpoints+"WHERE tenant = $1 ORDER BY position DESC LIMIT 1", r.tenant)
	return c, err
}

func (r *reader) AuditCheckpoints(after int64, limit int) ([]store.AuditSeal, error) {
	return all(r, columns.Seal, selectCheckpoints+"WHERE tenant = $1 AND position > $2 ORDER BY position LIMIT $3",
		r.tenant, after, max(limit, 0))
}

func (r *reader) AuditCheckpointBefore(before time.Time) (*store.AuditSeal, error) {
	s, err := one(r, columns.Seal, selectCheckpoints+"WHERE tenant = $1 AND time < $2 ORDER BY time DESC LIMIT 1",
		r.tenant, columns.Micros(before))
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
	changed, err := t.exec("UPDATE audit_roll SET tenants = $1, mac = $2 WHERE id = 1 AND mac = $3", tenants, now.MAC,
		before.MAC)
	if err == nil && changed == 0 {
		return store.ErrConflict
	}
	return err
}

// AppendAudit sends all entries at once: reads that come at one time have theirs written together.
func (t *tx) AppendAudit(entries ...*store.Audit) error {
	batch := &pgx.Batch{}
	for _, a := range entries {
		if err := t.mine(a.Tenant); err != nil {
			return err
		}
		position, err := t.position()
		if err != nil {
			return err
		}
		batch.Queue("INSERT INTO audit (position, time, tenant, actor, method, resource, peer, request_id, outcome, "+
			"count, first_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
			kept(append([]any{position}, columns.AuditValues(a)...))...)
	}
	return t.send(batch)
}

// SealAudit keeps the entries from other sealers first: whoever gets ErrConflict may commit all the same, and must have
// changed nothing.
func (t *tx) SealAudit(entries []store.Audit, head *store.AuditSeal) error {
	if err := t.mine(head.Tenant); err != nil {
		return err
	}
	positions, sequences := make([]int64, len(entries)), make([]int64, len(entries))
	chains := make([][]byte, len(entries))
	for i, e := range entries {
		if err := t.mine(e.Tenant); err != nil {
			return err
		}
		positions[i], sequences[i], chains[i] = e.Position, e.Sequence, e.Chain
	}
	unsealed, err := all(&t.reader, columns.Only[int64], "SELECT position FROM audit WHERE position = ANY($2) AND "+
		"tenant = $1 AND chain IS NULL ORDER BY position FOR NO KEY UPDATE", t.tenant, positions)
	if err != nil {
		return err
	}
	if len(unsealed) != len(entries) {
		return store.ErrConflict
	}
	if _, err := t.exec(`
		UPDATE audit SET sequence = sealed.sequence, chain = sealed.chain
		FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS sealed (position, sequence, chain)
		WHERE audit.position = sealed.position`, positions, sequences, chains); err != nil {
		return err
	}
	return t.putSeal(columns.SealHead, head)
}

func (t *tx) putSeal(kind string, s *store.AuditSeal) error {
	_, err := t.exec("INSERT INTO audit_seals ("+columns.SealNames+`, kind) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (tenant, kind) DO UPDATE SET position = excluded.position, count = excluded.count,
			chain = excluded.chain, time = excluded.time, mac = excluded.mac`, append(columns.SealValues(s), kind)...)
	return err
}

func (t *tx) KeepCheckpoint(s *store.AuditSeal) error {
	if err := t.mine(s.Tenant); err != nil {
		return err
	}
	return t.insert("INSERT INTO audit_checkpoints ("+columns.SealNames+") VALUES ($1, $2, $3, $4, $5, $6)",
		columns.SealValues(s)...)
}

func (t *tx) CutAudit(cut *store.AuditSeal, limit int) (int, error) {
	if err := t.mine(cut.Tenant); err != nil {
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
		DELETE FROM audit_checkpoints WHERE tenant = $1 AND position IN (
			SELECT position FROM audit_checkpoints WHERE tenant = $1 AND position <= $2 ORDER BY position LIMIT $3
		)`, t.tenant, cut.Position, max(limit, 0)); err != nil {
		return 0, err
	}
	return t.exec(`
		DELETE FROM audit WHERE position IN (
			SELECT position FROM audit WHERE tenant = $1 AND position <= $2 ORDER BY position LIMIT $3
		)`, t.tenant, cut.Position, max(limit, 0))
}
