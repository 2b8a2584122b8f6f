package sqlite

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectConsents = "SELECT " + columns.ConsentNames + `,
		(SELECT wrapped FROM data_keys k WHERE k.tenant = consents.tenant AND k.owner = consents.customer_id)
	FROM consents `

const byID = "WHERE tenant = ? AND id = ? AND deleted = 0"

// updateTime is when callers saw a consent change last, as a copy's keys tell when it ended.
func updateTime(c *store.Consent) int64 {
	if at := c.Resource.GetUpdateTime(); at != nil {
		return columns.Micros(at.AsTime())
	}
	return 0
}

func (r *reader) Consent(id string) (*store.Consent, error) {
	return one(r, r.Opener.Consent, selectConsents+byID, r.tenant, id)
}

func (r *reader) ConsentsByProviderRef(provider string, refs []string) ([]*store.Consent, error) {
	values, err := columns.List(refs)
	if err != nil {
		return nil, r.fail(err)
	}
	found, err := all(r, r.Opener.Consent, selectConsents+`
		WHERE tenant = ? AND provider = ? AND provider_ref <> '' AND provider_ref IN (SELECT value FROM
		json_each(?)) AND deleted = 0`,
		r.tenant, provider, values)
	slices.SortFunc(found, func(a, b *store.Consent) int { return cmp.Compare(a.ID, b.ID) })
	return found, err
}

func (r *reader) OthersRead(provider, except string, after time.Time) (bool, error) {
	return r.exists(`
		SELECT 1 FROM consents WHERE tenant = ? AND provider = ? AND last_read <> 0 AND last_read > ? AND id <> ?
		LIMIT 1`, r.tenant, provider, columns.Micros(after), except)
}

func (t *tx) InsertConsent(c *store.Consent) error {
	if err := t.own(c.Tenant); err != nil {
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
	values = append(values, updateTime(c), c.Tenant, c.ID)
	_, err = t.exec(`
		INSERT INTO consents (
			customer_id, provider, provider_ref, user_id, partner_bank, market, state, valid_until, withdrawals, asked,
			redirects, flow, reference, status, resource, next_poll, poll_step, last_poll, last_read, missing_since,
			missing_count, ended, update_time, tenant, id
		) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, values...)
	if err == nil {
		c.Version = 1
	}
	return err
}

func (t *tx) UpdateConsent(c *store.Consent) error {
	if err := t.own(c.Tenant); err != nil {
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
	t.changed.add(c.Tenant, c.ID)
	changed, err := t.exec(`
		UPDATE consents SET
			customer_id = ?1, provider = ?2, provider_ref = ?3, user_id = ?4, partner_bank = ?5, market = ?6,
			state = ?7, valid_until = ?8, withdrawals = ?9, asked = ?10, redirects = ?11, flow = ?12, reference = ?13,
			status = ?14, resource = ?15, next_poll = ?16, poll_step = ?17, last_poll = ?18, last_read = ?19,
			missing_since = ?20, missing_count = ?21, ended = ?22, update_time = ?23, version = version + 1,
			claim_owner = CASE ?27 WHEN 0 THEN claim_owner ELSE '' END,
			claim_until = CASE ?27 WHEN 0 THEN claim_until ELSE 0 END
		WHERE tenant = ?24 AND id = ?25 AND deleted = 0 AND version = ?26 AND
			(?27 = 0 OR claim_number = ?27 AND claim_owner = ?28)`,
		append(values, updateTime(c), c.Tenant, c.ID, c.Version, c.Claim.Number, c.Claim.Owner)...)
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
	err := t.missingOrConflict("SELECT 1 FROM consents WHERE tenant = ? AND id = ? AND deleted = 0", c.Tenant, c.ID)
	if c.Claim == (store.Claim{}) || !errors.Is(err, store.ErrConflict) {
		return err
	}
	mine, failed := t.exists("SELECT 1 FROM consents WHERE tenant = ? AND id = ? AND claim_number = ? AND "+
		"claim_owner = ?", c.Tenant, c.ID, c.Claim.Number, c.Claim.Owner)
	switch {
	case failed != nil:
		return failed
	case !mine:
		return store.ErrClaimLost
	}
	return err
}

// missingOrConflict tells why a row was not changed: the query finds it, or it is not there.
func (t *tx) missingOrConflict(query string, args ...any) error {
	switch found, err := t.exists(query, args...); {
	case err != nil:
		return err
	case found:
		return store.ErrConflict
	default:
		return store.ErrNotFound
	}
}

// erasedConsent is what becomes of the row of a deleted consent, beside deleted.
const erasedConsent = `
			next_poll = 0, last_read = 0, state = NULL, asked = NULL, redirects = NULL, reference = NULL,
			resource = x'', provider_ref = '', user_id = '', partner_bank = '', withdrawals = '{}', valid_until = 0,
			claim_owner = '', claim_until = 0, version = version + 1`

// DeleteConsent leaves of the row whose it was and that it is deleted.
func (t *tx) DeleteConsent(id string, limit int) (int, error) {
	t.changed.add(t.tenant, id)
	changed, err := t.exec("UPDATE consents SET deleted = 2, "+erasedConsent+
		" WHERE tenant = ? AND id = ? AND deleted = 0", t.tenant, id)
	if err != nil {
		return 0, err
	}
	switch {
	case changed > 0:
		if err := t.stripDeletion(id); err != nil {
			return 0, err
		}
	default: // It may have been deleted before, and not be erased yet.
		found, err := t.exists("SELECT 1 FROM consents WHERE tenant = ? AND id = ? AND deleted = 2", t.tenant, id)
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
		INSERT INTO provider_pauses (tenant, provider, until) VALUES (?, ?, ?)
		ON CONFLICT (tenant, provider) DO UPDATE SET until = max(until, excluded.until)`, t.tenant, provider,
		columns.Micros(until))
	return err
}
