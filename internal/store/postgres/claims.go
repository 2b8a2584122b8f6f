package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// isDue is the condition for consents of an account that are due and nobody has. While a consent is claimed its
// next_poll lies at the claim's end, unless there was news; so the index has few that are not to be had. It asks for
// more than 0, not for other than 0: else the planner counts what is not planned among what is due, and reads the
// table.
const isDue = `
	tenant = $1 AND provider = $2 AND next_poll > 0 AND next_poll <= $3 AND claim_until <= $3 AND deleted = 0
	AND NOT EXISTS (SELECT 1 FROM provider_pauses p WHERE p.tenant = $1 AND p.provider = $2 AND p.until > $3) `

// anyDue tells whether there is something to claim.
func (r *reader) anyDue(now time.Time, shares []store.Share) (bool, error) {
	for _, share := range shares {
		found, err := r.exists("SELECT 1 FROM consents WHERE "+isDue+"LIMIT $4", share.Tenant, share.Provider,
			columns.Micros(now), min(max(share.Limit, 0), 1))
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// claimed is a consent that was claimed: when it was due, and the number of the claim.
type claimed struct {
	id          string
	due, number int64
}

func scanClaimed(row columns.Row) (c claimed, err error) {
	return c, row.Scan(&c.id, &c.due, &c.number)
}

// claim claims what is due of an account, the longest due first. What others are just claiming or changing it passes
// by.
func (t *tx) claim(now time.Time, share store.Share, lease store.Lease) ([]*store.Consent, error) {
	got, err := all(&t.reader, scanClaimed, `
		WITH due AS MATERIALIZED (
			SELECT id, next_poll FROM consents WHERE `+isDue+`
			ORDER BY next_poll LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE consents c SET claim_owner = $5, claim_until = $6, claim_number = claim_number + 1, next_poll = $6
		FROM due WHERE c.tenant = $1 AND c.id = due.id RETURNING c.id, due.next_poll, c.claim_number`,
		share.Tenant, share.Provider, columns.Micros(now), max(share.Limit, 0), lease.Owner,
		columns.Micros(lease.Until))
	if err != nil || len(got) == 0 {
		return nil, err
	}
	t.wrote = true
	ids, byID := make([]string, len(got)), make(map[string]claimed, len(got))
	for i, c := range got {
		ids[i], byID[c.id] = c.id, c
	}
	rows, err := all(&t.reader, t.Opener.Consent, selectConsents+"WHERE tenant = $1 AND id = ANY($2)", share.Tenant,
		ids)
	if err != nil {
		return nil, err
	}
	for _, c := range rows {
		c.Claim = store.Claim{Lease: lease, Number: byID[c.ID].number}
	}
	slices.SortFunc(rows, func(a, b *store.Consent) int {
		return cmp.Or(cmp.Compare(byID[a.ID].due, byID[b.ID].due), cmp.Compare(a.ID, b.ID))
	})
	return rows, nil
}

// renewClaims passes by what others are changing, which is renewed the next time: whoever is at it may wait for another
// row that is renewed here.
const renewClaims = `
	WITH held AS MATERIALIZED (
		SELECT c.tenant, c.id
		FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS h (tenant, id, owner, number)
		JOIN consents c ON c.tenant = h.tenant AND c.id = h.id
		WHERE c.claim_owner = h.owner AND c.claim_number = h.number AND c.claim_until < $5 AND c.deleted = 0
		FOR NO KEY UPDATE OF c SKIP LOCKED
	)
	UPDATE consents c SET next_poll = CASE c.next_poll WHEN c.claim_until THEN $5 ELSE c.next_poll END, claim_until = $5
	FROM held WHERE c.tenant = held.tenant AND c.id = held.id`

func (t *tx) ClaimFlow(consentID string, now time.Time, lease store.Lease) error {
	got, err := t.exec(`
		INSERT INTO flow_claims (tenant, consent_id, owner, lease_until)
		SELECT tenant, id, $3, $4 FROM consents WHERE tenant = $1 AND id = $2
		ON CONFLICT (tenant, consent_id) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
		WHERE flow_claims.owner = excluded.owner OR flow_claims.lease_until <= $5`,
		t.tenant, consentID, lease.Owner, columns.Micros(lease.Until), columns.Micros(now))
	if err != nil || got > 0 {
		return err
	}
	return t.claimedOrMissing("SELECT 1 FROM consents WHERE tenant = $1 AND id = $2", t.tenant, consentID)
}

func (r *reader) FlowClaim(consentID string) (store.Lease, error) {
	const query = "SELECT owner, lease_until FROM flow_claims WHERE tenant = $1 AND consent_id = $2"
	return one(r, columns.Lease, query+r.locking("flow_claims"), r.tenant, consentID)
}

func (t *tx) ReleaseFlow(consentID, owner string) error {
	released, err := t.exec("DELETE FROM flow_claims WHERE tenant = $1 AND consent_id = $2 AND owner = $3", t.tenant,
		consentID, owner)
	return lostUnless(released, err)
}

// owners are those for whom a store claimed consents.
type owners struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (o *owners) add(owner string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[string]bool{}
	}
	o.seen[owner] = true
}

// endClaimsLimit bounds how long the end of claims is waited for when a store is closed.
const endClaimsLimit = 2 * time.Second

// endClaims makes consents due again that were claimed by this store and that nobody polls any more: the gateway stops.
// When that fails, their leases run out.
func (s *Store) endClaims() error {
	s.owners.mu.Lock()
	seen := slices.Collect(maps.Keys(s.owners.seen))
	s.owners.mu.Unlock()
	if len(seen) == 0 || s.closed.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endClaimsLimit)
	defer cancel()
	err := s.write(ctx, allTenants, func(t *tx) error {
		_, err := t.exec("UPDATE consents SET next_poll = 1, claim_owner = '', claim_until = 0 WHERE claim_owner = "+
			"ANY($1) AND claim_owner <> '' AND next_poll <> 0 AND deleted = 0", seen)
		return err
	})
	if err != nil {
		return fmt.Errorf("postgres: the claims of this process run out by themselves: %w", err)
	}
	return nil
}
