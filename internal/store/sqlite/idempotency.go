package sqlite

import "kontor.dev/kontor/internal/store"

func scanIdempotency(row row) (*store.Idempotency, error) {
	var i store.Idempotency
	var leaseUntil, createTime int64
	err := row.Scan(&i.Tenant, &i.Method, &i.Key, (*[]byte)(&i.Request), &i.Lease.Owner, &leaseUntil, &i.Done,
		&i.CustomerID, &i.Response, &i.Failure,
		&createTime)
	if err != nil {
		return nil, err
	}
	i.Lease.Until, i.CreateTime = instant(leaseUntil), instant(createTime)
	return &i, nil
}

func (r *reader) Idempotency(method, key string) (*store.Idempotency, error) {
	return one(r, scanIdempotency, `
		SELECT tenant, method, key, request, owner, lease_until, done, customer_id, response, failure, create_time
		FROM idempotency
		WHERE tenant = ? AND method = ? AND key = ?`, r.tenant, method, key)
}

func (t *tx) InsertIdempotency(i *store.Idempotency) error {
	if err := t.own(i.Tenant); err != nil {
		return err
	}
	_, err := t.exec(`
		INSERT INTO idempotency (tenant, method, key, request, owner, lease_until, done, customer_id, response,
		failure, create_time)
		VALUES (?, ?, ?, coalesce(?, x''), ?, ?, ?, ?, ?, ?, ?)`,
		i.Tenant, i.Method, i.Key, lookup(i.Request), i.Lease.Owner, micros(i.Lease.Until), i.Done, i.CustomerID,
		i.Response, i.Failure,
		micros(i.CreateTime))
	return err
}

// CompleteIdempotency does not replace an answer: whoever asked may have it already.
func (t *tx) CompleteIdempotency(i *store.Idempotency) error {
	if err := t.own(i.Tenant); err != nil {
		return err
	}
	changed, err := t.exec(`
		UPDATE idempotency SET done = 1, customer_id = ?, response = ?, failure = ?
		WHERE tenant = ? AND method = ? AND key = ? AND owner = ? AND done = 0`,
		i.CustomerID, i.Response, i.Failure, i.Tenant, i.Method, i.Key, i.Lease.Owner)
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
