package sqlite

import (
	"time"

	"kontor.dev/kontor/internal/store"
)

// selectDue finds consents that are due and nobody has. While a consent is claimed its next_poll lies at the claim's
// end, unless there was news; so the index has few that are not to be had.
const selectDue = `
	SELECT tenant, id, claim_number FROM consents
	WHERE next_poll <> 0 AND next_poll <= ?1 AND claim_until <= ?1 AND deleted = 0 AND NOT EXISTS (
		SELECT 1 FROM provider_pauses p WHERE p.tenant = consents.tenant AND p.provider = consents.provider AND
		p.until > ?1
	)
	ORDER BY next_poll LIMIT ?2`

// due names a consent to claim, and how often it was claimed before.
type due struct {
	tenant, id string
	number     int64
}

func scanDue(row row) (d due, err error) {
	return d, row.Scan(&d.tenant, &d.id, &d.number)
}

// due lists the consents of all tenants that can be claimed, longest due first.
func (r *reader) due(now time.Time, limit int) ([]due, error) {
	return all(r, scanDue, selectDue, micros(now), max(limit, 0))
}

// claim claims a consent and gives it with its claim.
func (t *tx) claim(d due, lease store.Lease) (*store.Consent, error) {
	claim := store.Claim{Lease: lease, Number: d.number + 1}
	_, err := t.exec("UPDATE consents SET claim_owner = ?, claim_until = ?, claim_number = ?, next_poll = ? WHERE "+
		"tenant = ? AND id = ?",
		lease.Owner, micros(lease.Until), claim.Number, micros(lease.Until), d.tenant, d.id)
	if err != nil {
		return nil, err
	}
	c, err := one(&t.reader, t.scanConsent, selectConsents+"WHERE tenant = ? AND id = ?", d.tenant, d.id)
	if err != nil {
		return nil, err
	}
	c.Claim = claim
	return c, nil
}

// endClaim ends the claim that a consent carries, if it is still the newest.
func (t *tx) endClaim(c *store.Consent) error {
	changed, err := t.exec(`
		UPDATE consents SET claim_owner = '', claim_until = 0
		WHERE tenant = ? AND id = ? AND deleted = 0 AND claim_owner = ? AND claim_number = ?`, c.Tenant, c.ID,
		c.Claim.Owner, c.Claim.Number)
	if err != nil || changed > 0 {
		return err
	}
	found, err := t.exists("SELECT 1 FROM consents WHERE tenant = ? AND id = ? AND deleted = 0", c.Tenant, c.ID)
	if err == nil {
		err = store.ErrNotFound
		if found {
			err = store.ErrClaimLost
		}
	}
	return err
}
