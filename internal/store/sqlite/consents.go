package sqlite

import (
	"cmp"
	"slices"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

const selectConsents = `
	SELECT tenant, id, customer_id, provider, provider_ref, partner_bank, market, state, valid_until, redirects, flow, resource,
		next_poll, poll_step, ended, version
	FROM consents `

func scanConsent(row row) (*store.Consent, error) {
	var c store.Consent
	var redirects, resource []byte
	var nextPoll, validUntil int64
	err := row.Scan(&c.Tenant, &c.ID, &c.CustomerID, &c.Provider, &c.ProviderRef, &c.PartnerBank, &c.Market, &c.State, &validUntil, &redirects,
		&c.Flow, &resource, &nextPoll, &c.PollStep, &c.Ended, &c.Version)
	if err != nil {
		return nil, err
	}
	c.NextPoll, c.ValidUntil = instant(nextPoll), instant(validUntil)
	if redirects != nil {
		if c.Redirects, err = decode[consentv1.Consent_RedirectUris](redirects); err != nil {
			return nil, err
		}
	}
	c.Resource, err = decode[consentv1.Consent](resource)
	return &c, err
}

// consentColumns are the values of a consent's changeable columns, in the order in which InsertConsent and UpdateConsent name them.
func consentColumns(c *store.Consent) ([]any, error) {
	resource, err := encode(c.Resource)
	if err != nil {
		return nil, err
	}
	var redirects []byte
	if c.Redirects != nil {
		if redirects, err = encode(c.Redirects); err != nil {
			return nil, err
		}
	}
	return []any{
		c.CustomerID, c.Provider, c.ProviderRef, c.PartnerBank, c.Market, c.State, micros(c.ValidUntil), redirects, c.Flow, c.Resource.GetReference(), int32(c.Resource.GetStatus()),
		resource, micros(c.NextPoll), c.PollStep, c.Ended,
	}, nil
}

func (r *reader) Consent(tenant, id string) (*store.Consent, error) {
	return one(r, scanConsent, selectConsents+"WHERE tenant = ? AND id = ? AND deleted = 0", tenant, id)
}

func (r *reader) Consents(tenant string, filter store.ConsentFilter, page store.Page) ([]*store.Consent, error) {
	where := "WHERE tenant = ? AND deleted = 0 AND id > ?"
	args := []any{tenant, page.After}
	if filter.CustomerID != "" {
		where += " AND customer_id = ?"
		args = append(args, filter.CustomerID)
	}
	if filter.Reference != "" {
		where += " AND reference = ? AND reference <> ''"
		args = append(args, filter.Reference)
	}
	// A plus keeps SQLite from using a column's index, where it would have to sort or there is a better one.
	if filter.Provider != "" {
		where += " AND +provider = ?"
		args = append(args, filter.Provider)
	}
	switch statuses := filter.Statuses; {
	case len(statuses) == 1 && filter.CustomerID == "" && filter.Reference == "":
		where += " AND status = ?"
		args = append(args, int32(statuses[0]))
	case len(statuses) > 0:
		values, err := list(statuses)
		if err != nil {
			return nil, r.fail(err)
		}
		where += " AND +status IN (SELECT value FROM json_each(?))"
		args = append(args, values)
	}
	return all(r, scanConsent, selectConsents+where+" ORDER BY id LIMIT ?", append(args, max(page.Size, 0))...)
}

func (r *reader) ConsentsByProviderRef(tenant, provider string, refs []string) ([]*store.Consent, error) {
	values, err := list(refs)
	if err != nil {
		return nil, r.fail(err)
	}
	found, err := all(r, scanConsent, selectConsents+`
		WHERE tenant = ? AND provider = ? AND provider_ref <> '' AND provider_ref IN (SELECT value FROM json_each(?)) AND deleted = 0`,
		tenant, provider, values)
	slices.SortFunc(found, func(a, b *store.Consent) int { return cmp.Compare(a.ID, b.ID) })
	return found, err
}

func (r *reader) DueConsents(now time.Time, limit int) ([]*store.Consent, error) {
	return all(r, scanConsent, selectConsents+"WHERE next_poll <> 0 AND next_poll <= ? AND deleted = 0 ORDER BY next_poll LIMIT ?",
		micros(now), max(limit, 0))
}

func (t *tx) InsertConsent(c *store.Consent) error {
	columns, err := consentColumns(c)
	if err != nil {
		return t.fail(err)
	}
	_, err = t.exec(`
		INSERT INTO consents (
			customer_id, provider, provider_ref, partner_bank, market, state, valid_until, redirects, flow, reference, status,
			resource, next_poll, poll_step, ended, tenant, id
		) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append(columns, c.Tenant, c.ID)...)
	if err == nil {
		c.Version = 1
	}
	return err
}

func (t *tx) UpdateConsent(c *store.Consent) error {
	columns, err := consentColumns(c)
	if err != nil {
		return t.fail(err)
	}
	changed, err := t.exec(`
		UPDATE consents SET
			customer_id = ?, provider = ?, provider_ref = ?, partner_bank = ?, market = ?, state = ?, valid_until = ?, redirects = ?,
			flow = ?, reference = ?, status = ?,
			resource = ?, next_poll = ?, poll_step = ?, ended = ?, version = version + 1
		WHERE tenant = ? AND id = ? AND deleted = 0 AND version = ?`, append(columns, c.Tenant, c.ID, c.Version)...)
	if err != nil {
		return err
	}
	if changed == 0 {
		return t.missingOrConflict("SELECT 1 FROM consents WHERE tenant = ? AND id = ? AND deleted = 0", c.Tenant, c.ID)
	}
	c.Version++
	return nil
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

func (t *tx) DeleteConsent(tenant, id string) error {
	changed, err := t.exec(`
		UPDATE consents SET deleted = 1, next_poll = 0, state = NULL, version = version + 1 WHERE tenant = ? AND id = ? AND deleted = 0`, tenant, id)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return err
}
