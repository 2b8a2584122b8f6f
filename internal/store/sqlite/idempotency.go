package sqlite

import (
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

func (r *reader) scanIdempotency(row row) (*store.Idempotency, error) {
	var i store.Idempotency
	var leaseUntil, createTime int64
	var response, key []byte
	err := row.Scan(&i.Tenant, &i.Method, &i.Key, (*[]byte)(&i.Request), &i.Lease.Owner, &leaseUntil, &i.Done,
		&i.CustomerID, &i.ConsentID, &i.Erased, &response, &i.Failure, &createTime, &key)
	if err != nil {
		return nil, err
	}
	i.Lease.Until, i.CreateTime = instant(leaseUntil), instant(createTime)
	if response != nil {
		i.Response, err = r.openAnswer(&i, response, key)
	}
	return &i, err
}

// placeOfAnswer is what a sealed answer is bound to.
func placeOfAnswer(i *store.Idempotency) []string {
	return []string{"idempotency.response", i.Method, i.Key}
}

// openAnswer opens an answer with its customer's data key, or with a working key where it is about nobody.
func (r *reader) openAnswer(i *store.Idempotency, sealed, key []byte) ([]byte, error) {
	if i.CustomerID == "" && r.keys != nil {
		return r.keys.Open(keys.Requests, i.Tenant, sealed, placeOfAnswer(i)...)
	}
	box, err := r.box(i.Tenant, i.CustomerID, key)
	if err != nil {
		return nil, err
	}
	return box.Open(sealed, placeOfAnswer(i)...)
}

// sealAnswer is the inverse of openAnswer; ErrNotFound when the customer is gone. A failure is not sealed: it says
// nothing about anybody.
func (t *tx) sealAnswer(i *store.Idempotency) (sealed []byte, err error) {
	if i.Response == nil {
		return nil, nil
	}
	if i.CustomerID == "" {
		sealed, err = t.keys.Seal(keys.Requests, i.Tenant, i.Response, placeOfAnswer(i)...)
	} else {
		box, none := t.boxOf(i.CustomerID)
		if none != nil {
			return nil, none
		}
		sealed, err = box.Seal(i.Response, placeOfAnswer(i)...)
	}
	if err != nil {
		return nil, t.fail(err)
	}
	return sealed, nil
}

func (r *reader) Idempotency(method, key string) (*store.Idempotency, error) {
	return one(r, r.scanIdempotency, `
		SELECT tenant, method, key, request, owner, lease_until, done, customer_id, consent_id, erased, response,
			failure, create_time,
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
		i.Tenant, i.Method, i.Key, lookup(i.Request), i.Lease.Owner, micros(i.Lease.Until), i.Done, i.CustomerID,
		i.ConsentID, answer, i.Failure, micros(i.CreateTime))
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
		lease.Owner, micros(lease.Until), expired.Tenant, expired.Method, expired.Key, expired.Lease.Owner,
		micros(expired.Lease.Until))
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
