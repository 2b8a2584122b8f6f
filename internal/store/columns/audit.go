package columns

import (
	"encoding/json"

	"kontor.dev/kontor/internal/store"
)

// AuditNames are the columns that Audit scans.
const AuditNames = "position, time, tenant, actor, method, resource, peer, request_id, outcome, count, first_time, " +
	"sequence, chain"

// Audit scans AuditNames.
func Audit(row Row) (a store.Audit, err error) {
	var at, first int64
	err = row.Scan(&a.Position, &at, &a.Tenant, &a.Actor, &a.Method, &a.Resource, &a.Peer, &a.RequestID, &a.Outcome,
		&a.Count, &first, &a.Sequence, &a.Chain)
	a.Time, a.FirstTime = Instant(at), Instant(first)
	return a, err
}

// AuditValues are the values of a new entry: time, tenant, actor, method, resource, peer, request_id, outcome, count,
// first_time.
func AuditValues(a *store.Audit) []any {
	return []any{
		Micros(a.Time), a.Tenant, a.Actor, a.Method, a.Resource, a.Peer, a.RequestID, a.Outcome, a.Count,
		Micros(a.FirstTime),
	}
}

// SealNames are the columns that Seal scans.
const SealNames = "tenant, position, count, chain, time, mac"

// Seal scans SealNames.
func Seal(row Row) (s store.AuditSeal, err error) {
	var at int64
	err = row.Scan(&s.Tenant, &s.Position, &s.Count, &s.Chain, &at, &s.MAC)
	s.Time = Instant(at)
	return s, err
}

// SealValues are the values of SealNames.
func SealValues(s *store.AuditSeal) []any {
	return []any{s.Tenant, s.Position, s.Count, s.Chain, Micros(s.Time), s.MAC}
}

// The kinds of seals that a tenant has one of.
const (
	SealHead = "head"
	SealCut  = "cut"
)

// Roll scans tenants, as a list in JSON, and mac.
func Roll(row Row) (r store.AuditRoll, err error) {
	var tenants string
	if err := row.Scan(&tenants, &r.MAC); err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(tenants), &r.Tenants)
}
