package sqlite

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

const selectConsents = `
	SELECT tenant, id, customer_id, provider, provider_ref, user_id, partner_bank, market, state, valid_until,
		withdrawals, asked, redirects, flow, reference, resource, next_poll, poll_step, last_poll, last_read,
		missing_since, missing_count, ended, version,
		(SELECT wrapped FROM data_keys k WHERE k.tenant = consents.tenant AND k.owner = consents.customer_id)
	FROM consents `

func (r *reader) scanConsent(row row) (*store.Consent, error) {
	var c store.Consent
	var redirects, resource, state, withdrawals, asked, key []byte
	var validUntil, nextPoll, lastPoll, lastRead, missingSince int64
	err := row.Scan(&c.Tenant, &c.ID, &c.CustomerID, &c.Provider, &c.ProviderRef, &c.UserID, &c.PartnerBank, &c.Market,
		&state, &validUntil, &withdrawals, &asked, &redirects, &c.Flow, (*[]byte)(&c.Reference), &resource, &nextPoll,
		&c.PollStep, &lastPoll, &lastRead, &missingSince, &c.Missing.Count, &c.Ended, &c.Version, &key)
	if err != nil {
		return nil, err
	}
	c.ValidUntil, c.NextPoll, c.LastPoll = instant(validUntil), instant(nextPoll), instant(lastPoll)
	c.LastRead, c.Missing.Since = instant(lastRead), instant(missingSince)
	if err := json.Unmarshal(withdrawals, &c.Withdrawals); err != nil {
		return nil, err
	}
	box, err := r.box(c.Tenant, c.CustomerID, key)
	if err != nil {
		return nil, err
	}
	if state != nil {
		if c.State, err = box.Open(state, "consents.state", c.ID); err != nil {
			return nil, err
		}
	}
	if asked != nil {
		if c.Asked, err = box.Open(asked, "consents.asked", c.ID); err != nil {
			return nil, err
		}
	}
	if redirects != nil {
		c.Redirects, err = openMessage[consentv1.Consent_RedirectUris](box, redirects, "consents.redirects", c.ID)
		if err != nil {
			return nil, err
		}
	}
	c.Resource, err = openMessage[consentv1.Consent](box, resource, "consents.resource", c.ID)
	return &c, err
}

// consentColumns are the values of a consent's changeable columns, in the order in which InsertConsent and
// UpdateConsent name them.
func consentColumns(c *store.Consent, box *keys.Box) ([]any, error) {
	resource, err := sealMessage(box, c.Resource, "consents.resource", c.ID)
	if err != nil {
		return nil, err
	}
	withdrawals, err := json.Marshal(c.Withdrawals)
	if err != nil {
		return nil, err
	}
	var updated int64
	if at := c.Resource.GetUpdateTime(); at != nil {
		updated = micros(at.AsTime())
	}
	var redirects, state, asked []byte
	if len(c.Asked) > 0 {
		if asked, err = box.Seal(c.Asked, "consents.asked", c.ID); err != nil {
			return nil, err
		}
	}
	if c.Redirects != nil {
		if redirects, err = sealMessage(box, c.Redirects, "consents.redirects", c.ID); err != nil {
			return nil, err
		}
	}
	if len(c.State) > 0 {
		if state, err = box.Seal(c.State, "consents.state", c.ID); err != nil {
			return nil, err
		}
	}
	return []any{
		c.CustomerID, c.Provider, c.ProviderRef, c.UserID, c.PartnerBank, c.Market, state, micros(c.ValidUntil),
		string(withdrawals), asked, redirects, c.Flow,
		lookup(c.Reference), int32(c.Resource.GetStatus()), resource, micros(c.NextPoll), c.PollStep,
		micros(c.LastPoll), micros(c.LastRead), micros(c.Missing.Since), c.Missing.Count, c.Ended, updated,
	}, nil
}

func (r *reader) Consent(id string) (*store.Consent, error) {
	return one(r, r.scanConsent, selectConsents+"WHERE tenant = ? AND id = ? AND deleted = 0", r.tenant, id)
}

// Consents reads a page by an index of what is asked for, so that it costs as much as the page, however many others
// there are. Those of one customer, or with one reference, are few: of them a page is picked.
func (r *reader) Consents(filter store.ConsentFilter, page store.Page) ([]*store.Consent, error) {
	statuses := slices.Compact(slices.Sorted(slices.Values(filter.Statuses)))
	if filter.CustomerID == "" && len(filter.Reference) == 0 && len(statuses) > 1 {
		return r.consentsByStatus(filter.Provider, statuses, page)
	}
	from := selectConsents
	where, args := "WHERE tenant = ? AND deleted = 0 AND id > ?", []any{r.tenant, page.After}
	also := func(condition string, arg any) {
		where += " AND " + condition
		args = append(args, arg)
	}
	// A plus keeps SQLite from using a column's index, where there is a better one.
	switch {
	case filter.CustomerID != "" || len(filter.Reference) > 0:
		if filter.CustomerID != "" {
			also("customer_id = ?", filter.CustomerID)
		}
		if len(filter.Reference) > 0 {
			also("reference = ?", lookup(filter.Reference))
		}
		if filter.Provider != "" {
			also("+provider = ?", filter.Provider)
		}
		if len(statuses) > 0 {
			values, err := list(statuses)
			if err != nil {
				return nil, r.fail(err)
			}
			also("+status IN (SELECT value FROM json_each(?))", values)
		}
	case filter.Provider == "" && len(statuses) == 0:
		from += "INDEXED BY consents_present "
	default:
		if filter.Provider != "" {
			also("provider = ?", filter.Provider)
		}
		if len(statuses) > 0 {
			also("status = ?", int32(statuses[0]))
		}
	}
	return all(r, r.scanConsent, from+where+" ORDER BY id LIMIT ?", append(args, max(page.Size, 0))...)
}

// consentsByStatus merges what there is of several statuses, each in order.
func (r *reader) consentsByStatus(
	provider string, statuses []consentv1.Consent_Status, page store.Page,
) ([]*store.Consent, error) {
	one, from := "SELECT id FROM consents WHERE tenant = ?1 AND deleted = 0 AND id > ?2 AND status = ?", 5
	if provider != "" {
		one = "SELECT id FROM consents WHERE tenant = ?1 AND deleted = 0 AND id > ?2 AND provider = ?4 AND status = ?"
	}
	args := []any{r.tenant, page.After, max(page.Size, 0), provider}
	parts := make([]string, len(statuses))
	for i, status := range statuses {
		parts[i] = one + strconv.Itoa(from+i)
		args = append(args, int32(status))
	}
	return all(r, r.scanConsent, selectConsents+"WHERE tenant = ?1 AND id IN (SELECT id FROM ("+
		strings.Join(parts, " UNION ALL ")+" ORDER BY id LIMIT ?3)) ORDER BY id", args...)
}

func (r *reader) ConsentsByProviderRef(provider string, refs []string) ([]*store.Consent, error) {
	values, err := list(refs)
	if err != nil {
		return nil, r.fail(err)
	}
	found, err := all(r, r.scanConsent, selectConsents+`
		WHERE tenant = ? AND provider = ? AND provider_ref <> '' AND provider_ref IN (SELECT value FROM
		json_each(?)) AND deleted = 0`,
		r.tenant, provider, values)
	slices.SortFunc(found, func(a, b *store.Consent) int { return cmp.Compare(a.ID, b.ID) })
	return found, err
}

func (r *reader) OthersRead(provider, except string, after time.Time) (bool, error) {
	return r.exists(`
		SELECT 1 FROM consents WHERE tenant = ? AND provider = ? AND last_read <> 0 AND last_read > ? AND id <> ?
		LIMIT 1`, r.tenant, provider, micros(after), except)
}

func (t *tx) InsertConsent(c *store.Consent) error {
	if err := t.own(c.Tenant); err != nil {
		return err
	}
	box, err := t.boxOf(c.CustomerID)
	if err != nil {
		return err
	}
	columns, err := consentColumns(c, box)
	if err != nil {
		return t.fail(err)
	}
	columns = append(columns, c.Tenant, c.ID)
	_, err = t.exec(`
		INSERT INTO consents (
			customer_id, provider, provider_ref, user_id, partner_bank, market, state, valid_until, withdrawals, asked,
			redirects, flow, reference, status, resource, next_poll, poll_step, last_poll, last_read, missing_since,
			missing_count, ended, update_time, tenant, id
		) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, columns...)
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
	columns, err := consentColumns(c, box)
	if err != nil {
		return t.fail(err)
	}
	if c.Claim != (store.Claim{}) {
		if err := t.endClaim(c); err != nil {
			return err
		}
	}
	changed, err := t.exec(`
		UPDATE consents SET
			customer_id = ?, provider = ?, provider_ref = ?, user_id = ?, partner_bank = ?, market = ?, state = ?,
			valid_until = ?, withdrawals = ?, asked = ?, redirects = ?,
			flow = ?, reference = ?, status = ?, resource = ?, next_poll = ?, poll_step = ?, last_poll = ?,
			last_read = ?, missing_since = ?, missing_count = ?, ended = ?, update_time = ?, version = version + 1
		WHERE tenant = ? AND id = ? AND deleted = 0 AND version = ?`, append(columns, c.Tenant, c.ID, c.Version)...)
	if err != nil {
		return err
	}
	if changed == 0 {
		return t.missingOrConflict("SELECT 1 FROM consents WHERE tenant = ? AND id = ? AND deleted = 0", c.Tenant, c.ID)
	}
	c.Version++
	c.Claim = store.Claim{}
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

// erasedConsent is what becomes of the row of a deleted consent, beside deleted.
const erasedConsent = `
			next_poll = 0, last_read = 0, state = NULL, asked = NULL, redirects = NULL, reference = NULL,
			resource = x'', provider_ref = '', user_id = '', partner_bank = '', withdrawals = '{}', valid_until = 0,
			claim_owner = '', claim_until = 0, version = version + 1`

// DeleteConsent leaves of the row whose it was and that it is deleted.
func (t *tx) DeleteConsent(id string, limit int) (int, error) {
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
		micros(until))
	return err
}
