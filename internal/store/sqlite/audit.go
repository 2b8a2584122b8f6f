package sqlite

import "kontor.dev/kontor/internal/store"

func scanAudit(row row) (a store.Audit, err error) {
	var at int64
	err = row.Scan(&a.Position, &at, &a.Tenant, &a.Actor, &a.Method, &a.Resource, &a.Peer, &a.RequestID, &a.Outcome)
	a.Time = instant(at)
	return a, err
}

const selectAudit = "SELECT position, time, tenant, actor, method, resource, peer, request_id, outcome FROM audit "

func (r *reader) AuditTrail(after int64, limit int) ([]store.Audit, error) {
	return all(r, scanAudit, selectAudit+"WHERE position > ? AND tenant = ? ORDER BY position LIMIT ?", after, r.tenant,
		max(limit, 0))
}

// everyAudit lists the entries of all tenants.
func (r *reader) everyAudit(after int64, limit int) ([]store.Audit, error) {
	return all(r, scanAudit, selectAudit+"WHERE position > ? ORDER BY position LIMIT ?", after, max(limit, 0))
}

func (t *tx) AppendAudit(a *store.Audit) error {
	if err := t.own(a.Tenant); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO audit (time, tenant, actor, method, resource, peer, request_id, outcome) VALUES "+
		"(?, ?, ?, ?, ?, ?, ?, ?)",
		micros(a.Time), a.Tenant, a.Actor, a.Method, a.Resource, a.Peer, a.RequestID, a.Outcome)
	return err
}
