package postgres

import (
	"errors"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// sealAnswer seals the answer of a record; ErrNotFound when the customer is gone.
func (t *tx) sealAnswer(i *store.Idempotency) (sealed []byte, err error) {
	if i.Response == nil {
		return nil, nil
	}
	var box *keys.Box
	if i.CustomerID != "" {
		if box, err = t.boxOf(i.CustomerID); err != nil {
			return nil, err
		}
	}
	if sealed, err = t.SealAnswer(i, box); err != nil {
		return nil, t.fail(err)
	}
	return sealed, nil
}

func (r *reader) Idempotency(method, key string) (*store.Idempotency, error) {
	const where = " FROM idempotency WHERE tenant = $1 AND method = $2 AND key = $3"
	var found *store.Idempotency
	var err error
	if r.lock {
		// Whoever had the row may have made the customer and their key together with the answer. A statement that
		// waited for the row sees it as it is now, but not the key: that takes one that begins afterwards.
		_, err = one(r, columns.Only[int], "SELECT 1"+where+r.locking("idempotency"), r.tenant, method, key)
	}
	if err == nil {
		found, err = one(r, r.Opener.Idempotency, "SELECT "+columns.IdempotencyNames+`,
			(SELECT wrapped FROM data_keys k WHERE k.tenant = idempotency.tenant AND k.owner = idempotency.customer_id)
			`+where, r.tenant, method, key)
	}
	return sought(r, "idempotency "+method+" "+key, found, err)
}

func (t *tx) InsertIdempotency(i *store.Idempotency) error {
	if err := t.mine(i.Tenant); err != nil {
		return err
	}
	answer, err := t.sealAnswer(i)
	if err != nil {
		return err
	}
	return t.insertAbsent("idempotency "+i.Method+" "+i.Key, `
		INSERT INTO idempotency (tenant, method, key, request, owner, lease_until, done, customer_id, consent_id,
			response, failure, create_time)
		VALUES ($1, $2, $3, coalesce($4, ''::bytea), $5, $6, $7, $8, $9, $10, $11, $12)`,
		i.Tenant, i.Method, i.Key, columns.Lookup(i.Request), i.Lease.Owner, columns.Micros(i.Lease.Until), i.Done,
		i.CustomerID, i.ConsentID, answer, i.Failure, columns.Micros(i.CreateTime))
}

// CompleteIdempotency does not replace an answer: whoever asked may have it already.
func (t *tx) CompleteIdempotency(i *store.Idempotency) error {
	if err := t.mine(i.Tenant); err != nil {
		return err
	}
	answer, err := t.sealAnswer(i)
	if errors.Is(err, store.ErrNotFound) {
		return store.ErrClaimLost // The record went with the customer.
	}
	if err != nil {
		return err
	}
	changed, err := t.exec(`
		UPDATE idempotency SET done = true, customer_id = $1, consent_id = $2, response = $3, failure = $4
		WHERE tenant = $5 AND method = $6 AND key = $7 AND owner = $8 AND NOT done`,
		i.CustomerID, i.ConsentID, answer, i.Failure, i.Tenant, i.Method, i.Key, i.Lease.Owner)
	return lostUnless(changed, err)
}

func (t *tx) TakeOverIdempotency(expired *store.Idempotency, lease store.Lease) error {
	if err := t.mine(expired.Tenant); err != nil {
		return err
	}
	changed, err := t.exec(`
		UPDATE idempotency SET owner = $1, lease_until = $2
		WHERE tenant = $3 AND method = $4 AND key = $5 AND owner = $6 AND lease_until = $7 AND NOT done`,
		lease.Owner, columns.Micros(lease.Until), expired.Tenant, expired.Method, expired.Key, expired.Lease.Owner,
		columns.Micros(expired.Lease.Until))
	if err := lostUnless(changed, err); err != nil {
		return err
	}
	expired.Lease = lease
	return nil
}

func (t *tx) DeleteIdempotency(method, key, owner string) error {
	changed, err := t.exec("DELETE FROM idempotency WHERE tenant = $1 AND method = $2 AND key = $3 AND owner = $4 AND "+
		"NOT done", t.tenant, method, key, owner)
	return lostUnless(changed, err)
}

// lostUnless is the error of a statement that changes a row only while its owner has it.
func lostUnless(changed int, err error) error {
	if err == nil && changed == 0 {
		err = store.ErrClaimLost
	}
	return err
}
