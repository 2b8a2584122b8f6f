package sqlite

import (
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
	return one(r, r.Opener.Idempotency, "SELECT "+columns.IdempotencyNames+`,
			(SELECT wrapped FROM data_keys k WHERE k.tenant = idempotency.tenant AND k.owner = idempotency.customer_id)
		FROM idempotency
		WHERE tenant = ? AND method = ? AND key = ?`, r.tenant, method, key)
}

func (t *tx) InsertIdempotency(i *store.Idempotency) error {
	if err := t.own(i.Tenant); err != nil {
		return err
	}
	answer, err := t.sealAnswer(i)
	if err != nil {
		return err
	}
	_, err = t.exec(`
		INSERT INTO idempotency (tenant, method, key, request, owner, lease_until, done, customer_id, consent_id,
			response, failure, create_time)
		VALUES (?, ?, ?, coalesce(?, x''), ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.Tenant, i.Method, i.Key, columns.Lookup(i.Request), i.Lease.Owner, columns.Micros(i.Lease.Until), i.Done,
		i.CustomerID,
		i.ConsentID, answer, i.Failure, columns.Micros(i.CreateTime))
	return err
}

// CompleteIdempotency does not replace an answer: whoever asked may have it already.
func (t *tx) CompleteIdempotency(i *store.Idempotency) error {
	if err := t.own(i.Tenant); err != nil {
		return err
	}
	answer, err := t.sealAnswer(i)
	if err != nil {
		return lostWithCustomer(err)
	}
	changed, err := t.exec(`
		UPDATE idempotency SET done = 1, customer_id = ?, consent_id = ?, response = ?, failure = ?
		WHERE tenant = ? AND method = ? AND key = ? AND owner = ? AND done = 0`,
		i.CustomerID, i.ConsentID, answer, i.Failure, i.Tenant, i.Method, i.Key, i.Lease.Owner)
	return lostUnless(changed, err)
}

func (t *tx) TakeOverIdempotency(expired *store.Idempotency, lease store.Lease) error {
	if err := t.own(expired.Tenant); err != nil {
		return err
	}
	changed, err := t.exec(`
		UPDATE idempotency SET owner = ?, lease_until = ?
		WHERE tenant = ? AND method = ? AND key = ? AND owner = ? AND lease_until = ? AND done = 0`,
		lease.Owner, columns.Micros(lease.Until), expired.Tenant, expired.Method, expired.Key, expired.Lease.Owner,
		columns.Micros(expired.Lease.Until))
	if err := lostUnless(changed, err); err != nil {
		return err
	}
	expired.Lease = lease
	return nil
}

func (t *tx) DeleteIdempotency(method, key, owner string) error {
	changed, err := t.exec("DELETE FROM idempotency WHERE tenant = ? AND method = ? AND key = ? AND owner = ? AND "+
		"done = 0",
		t.tenant, method, key, owner)
	return lostUnless(changed, err)
}

// lostUnless is the error of a statement that changes a row only while its owner has it.
func lostUnless(changed int, err error) error {
	if err == nil && changed == 0 {
		err = store.ErrClaimLost
	}
	return err
}
