package postgres

import (
	"context"
	"errors"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectConsents = "SELECT " + columns.ConsentNames + `,
		(SELECT wrapped FROM data_keys k WHERE k.tenant = consents.tenant AND k.owner = consents.customer_id)
	FROM consents `

// Consent implements store.Store.
func (s *Store) Consent(ctx context.Context, tenant, id string) (found *store.Consent, err error) {
	err = s.View(ctx, tenant, func(r store.Reader) (err error) {
		found, err = r.Consent(id)
		return err
	})
	return found, err
}

func (r *reader) Consent(id string) (*store.Consent, error) {
	row, err := one(r, columns.ScanConsent, selectConsents+"WHERE tenant = $1 AND id = $2 AND deleted = 0"+
		r.locking("consents"), r.tenant, id)
	if err != nil {
		return nil, err
	}
	if r.lock {
		// The customer is there as long as the consent, which nobody else can delete now.
		r.owner, r.wrapped = row.Key()
	}
	c, err := r.OpenConsent(row)
	if err != nil {
		return nil, r.fail(err)
	}
	return c, nil
}

func (r *reader) ConsentsByProviderRef(provider string, refs []string) ([]*store.Consent, error) {
	return all(r, r.Opener.Consent, selectConsents+`
		WHERE tenant = $1 AND provider = $2 AND provider_ref <> '' AND provider_ref = ANY($3) AND deleted = 0
		ORDER BY id`, r.tenant, provider, refs)
}

func (r *reader) OthersRead(provider, except string, after time.Time) (bool, error) {
	return r.exists(`
		SELECT 1 FROM consents WHERE tenant = $1 AND provider = $2 AND last_read <> 0 AND last_read > $3 AND id <> $4
		LIMIT 1`, r.tenant, provider, columns.Micros(after), except)
}

func (t *tx) InsertConsent(c *store.Consent) error {
	if err := t.mine(c.Tenant); err != nil {
		return err
	}
	box, err := t.boxOf(c.CustomerID)
	if err != nil {
		return err
	}
	values, err := columns.SealConsent(c, box)
	if err != nil {
		return t.fail(err)
	}
	err = t.insert(`
		INSERT INTO consents (
			customer_id, provider, provider_ref, user_id, partner_bank, market, state, valid_until, withdrawals, asked,
			redirects, flow, reference, status, resource, next_poll, poll_step, last_poll, last_read, missing_since,
			missing_count, ended, tenant, id
		) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
			$23, $24)`, append(values, c.Tenant, c.ID)...)
	if err == nil {
		c.Version = 1
	}
	return err
}

func (t *tx) UpdateConsent(c *store.Consent) error {
	if err := t.mine(c.Tenant); err != nil {
		return err
	}
	box, err := t.boxOf(c.CustomerID)
	if err != nil {
		return err
	}
	values, err := columns.SealConsent(c, box)
	if err != nil {
		return t.fail(err)
	}
	changed, err := t.exec(`
		UPDATE consents SET
			customer_id = $1, provider = $2, provider_ref = $3, user_id = $4, partner_bank = $5, market = $6,
			state = $7, valid_until = $8, withdrawals = $9, asked = $10, redirects = $11, flow = $12, reference = $13,
			status = $14, resource = $15, next_poll = $16, poll_step = $17, last_poll = $18, last_read = $19,
			missing_since = $20, missing_count = $21, ended = $22, version = version + 1,
			claim_owner = CASE $26 WHEN 0 THEN claim_owner ELSE '' END,
			claim_until = CASE $26 WHEN 0 THEN claim_until ELSE 0 END
		WHERE tenant = $23 AND id = $24 AND deleted = 0 AND version = $25 AND
			($26::bigint = 0 OR claim_number = $26 AND claim_owner = $27)`,
		append(values, c.Tenant, c.ID, c.Version, c.Claim.Number, c.Claim.Owner)...)
	if err != nil {
		return err
	}
	if changed == 0 {
		return t.notUpdated(c)
	}
	c.Version++
	if c.Claim != (store.Claim{}) {
		c.Claim, c.ClaimedUntil = store.Claim{}, time.Time{}
	}
	return nil
}

// notUpdated tells why a consent was not changed.
func (t *tx) notUpdated(c *store.Consent) error {
	err := t.missingOrConflict("SELECT 1 FROM consents WHERE tenant = $1 AND id = $2 AND deleted = 0", c.Tenant, c.ID)
	if c.Claim == (store.Claim{}) || !errors.Is(err, store.ErrConflict) {
		return err
	}
	mine, failed := t.exists("SELECT 1 FROM consents WHERE tenant = $1 AND id = $2 AND claim_number = $3 AND "+
		"claim_owner = $4", c.Tenant, c.ID, c.Claim.Number, c.Claim.Owner)
	switch {
	case failed != nil:
		return failed
	case !mine:
		return store.ErrClaimLost
	}
	return err
}

// erasedConsent is what becomes of the row of a deleted consent, beside deleted.
const erasedConsent = `
			next_poll = 0, last_read = 0, state = NULL, asked = NULL, redirects = NULL, reference = NULL,
			resource = '', provider_ref = '', user_id = '', partner_bank = '', withdrawals = '{}', valid_until = 0,
			claim_owner = '', claim_until = 0, version = version + 1`

// DeleteConsent leaves of the row whose it was and that it is deleted.
func (t *tx) DeleteConsent(id string, limit int) (int, error) {
	changed, err := t.exec("UPDATE consents SET deleted = 2, "+erasedConsent+
		" WHERE tenant = $1 AND id = $2 AND deleted = 0", t.tenant, id)
	if err != nil {
		return 0, err
	}
	switch {
	case changed > 0:
		if err := t.stripDeletion(id); err != nil {
			return 0, err
		}
	default: // It may have been deleted before, and not be erased yet.
		found, err := t.exists("SELECT 1 FROM consents WHERE tenant = $1 AND id = $2 AND deleted = 2"+
			t.locking("consents"), t.tenant, id)
		if err != nil {
			return 0, err
		}
		if !found {
			return 0, store.ErrNotFound
		}
	}
	return t.erase(id, max(limit, 1))
}

func (t *tx) PauseProvider(provider string, until time.Time) error {
	_, err := t.exec(`
		INSERT INTO provider_pauses (tenant, provider, until) VALUES ($1, $2, $3)
		ON CONFLICT (tenant, provider) DO UPDATE SET until = greatest(provider_pauses.until, excluded.until)`, t.tenant,
		provider, columns.Micros(until))
	return err
}
