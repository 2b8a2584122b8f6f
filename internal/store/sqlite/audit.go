package sqlite

import (
	"time"

	"kontor.dev/kontor/internal/store"
)

func scanAudit(row row) (a store.Audit, err error) {
	var at int64
	err = row.Scan(&a.Position, &at, &a.Tenant, &a.Actor, &a.Method, &a.Resource, &a.Peer, &a.RequestID, &a.Outcome)
	a.Time = instant(at)
	return a, err
}

func (r *reader) AuditTrail(tenant string, after int64, limit int) ([]store.Audit, error) {
	const query = "SELECT position, time, tenant, actor, method, resource, peer, request_id, outcome FROM audit WHERE position > ? "
	if tenant == "" {
		return all(r, scanAudit, query+"ORDER BY position LIMIT ?", after, max(limit, 0))
	}
	return all(r, scanAudit, query+"AND tenant = ? ORDER BY position LIMIT ?", after, tenant, max(limit, 0))
}

func (t *tx) AppendAudit(a *store.Audit) error {
	_, err := t.exec("INSERT INTO audit (time, tenant, actor, method, resource, peer, request_id, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		micros(a.Time), a.Tenant, a.Actor, a.Method, a.Resource, a.Peer, a.RequestID, a.Outcome)
	return err
}

func (t *tx) DeleteAuditBefore(before time.Time) (int, error) {
	return t.exec("DELETE FROM audit WHERE time < ?", micros(before))
}
