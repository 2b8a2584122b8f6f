package sqlite

import (
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// selectDue finds consents of an account that are due and nobody has. While a consent is claimed its next_poll lies at
// the claim's end, unless there was news; so the index has few that are not to be had.
const selectDue = `
	SELECT tenant, id, claim_number FROM consents
	WHERE tenant = ?1 AND provider = ?2 AND next_poll <> 0 AND next_poll <= ?3 AND claim_until <= ?3 AND deleted = 0
	ORDER BY next_poll LIMIT ?4`

// due names a consent to claim, and how often it was claimed before.
type due struct {
	tenant, id string
	number     int64
}

func scanDue(row columns.Row) (d due, err error) {
	return d, row.Scan(&d.tenant, &d.id, &d.number)
}

// due lists the consents of an account that can be claimed, longest due first. Whether the account is paused is asked
// apart: within the query SQLite would look at each consent that is due to find none.
func (r *reader) due(now time.Time, share store.Share) ([]due, error) {
	paused, err := r.exists("SELECT 1 FROM provider_pauses WHERE tenant = ? AND provider = ? AND until > ?",
		share.Tenant, share.Provider, columns.Micros(now))
	if err != nil || paused {
		return nil, err
	}
	return all(r, scanDue, selectDue, share.Tenant, share.Provider, columns.Micros(now), max(share.Limit, 0))
}

// anyDue tells whether there is something to claim.
func (r *reader) anyDue(now time.Time, shares []store.Share) (bool, error) {
	for _, share := range shares {
		share.Limit = min(share.Limit, 1)
		if found, err := r.due(now, share); err != nil || len(found) > 0 {
			return len(found) > 0, err
		}
	}
	return false, nil
}

// claim claims a consent and gives it with its claim.
func (t *tx) claim(d due, lease store.Lease) (*store.Consent, error) {
	claim := store.Claim{Lease: lease, Number: d.number + 1}
	t.changed.add(d.tenant, d.id)
	_, err := t.exec("UPDATE consents SET claim_owner = ?, claim_until = ?, claim_number = ?, next_poll = ? WHERE "+
		"tenant = ? AND id = ?",
		lease.Owner, columns.Micros(lease.Until), claim.Number, columns.Micros(lease.Until), d.tenant, d.id)
	if err != nil {
		return nil, err
	}
	c, err := one(&t.reader, t.Opener.Consent, selectConsents+"WHERE tenant = ? AND id = ?", d.tenant, d.id)
	if err != nil {
		return nil, err
	}
	c.Claim = claim
	return c, nil
}

// renewClaim extends the claim that a consent carries, if it is still the newest and has not ended.
func (t *tx) renewClaim(c *store.Consent, until time.Time) error {
	t.changed.add(c.Tenant, c.ID)
	_, err := t.exec(`
		UPDATE consents SET next_poll = CASE next_poll WHEN claim_until THEN ?1 ELSE next_poll END, claim_until = ?1
		WHERE tenant = ?2 AND id = ?3 AND claim_owner = ?4 AND claim_number = ?5 AND claim_until < ?1 AND deleted = 0`,
		columns.Micros(until), c.Tenant, c.ID, c.Claim.Owner, c.Claim.Number)
	return err
}

func (t *tx) ClaimFlow(consentID string, now time.Time, lease store.Lease) error {
	claimed, err := t.exec(`
		INSERT INTO flow_claims (tenant, consent_id, owner, lease_until) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (tenant, consent_id) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
		WHERE owner = excluded.owner OR lease_until <= ?5`,
		t.tenant, consentID, lease.Owner, columns.Micros(lease.Until), columns.Micros(now))
	if err == nil && claimed == 0 {
		err = store.ErrClaimed
	}
	return err
}

func (r *reader) FlowClaim(consentID string) (store.Lease, error) {
	return one(r, columns.Lease, "SELECT owner, lease_until FROM flow_claims WHERE tenant = ? AND consent_id = ?",
		r.tenant,
		consentID)
}

func (t *tx) ReleaseFlow(consentID, owner string) error {
	released, err := t.exec("DELETE FROM flow_claims WHERE tenant = ? AND consent_id = ? AND owner = ?", t.tenant,
		consentID, owner)
	if err == nil && released == 0 {
		err = store.ErrClaimLost
	}
	return err
}
