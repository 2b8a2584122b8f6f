package sqlite

import (
	"time"

	"kontor.dev/kontor/internal/store"
)

func scanIdempotency(row row) (*store.Idempotency, error) {
	var i store.Idempotency
	var hash []byte
	var createTime int64
	err := row.Scan(&i.Tenant, &i.Method, &i.Key, &hash, &i.Operation, &i.Done, &i.Response, &i.Failure, &createTime)
	if err != nil {
		return nil, err
	}
	copy(i.RequestHash[:], hash)
	i.CreateTime = instant(createTime)
	return &i, nil
}

func (r *reader) Idempotency(tenant, method, key string) (*store.Idempotency, error) {
	return one(r, scanIdempotency, `
		SELECT tenant, method, key, request_hash, operation, done, response, failure, create_time FROM idempotency
		WHERE tenant = ? AND method = ? AND key = ?`, tenant, method, key)
}

func (t *tx) InsertIdempotency(i *store.Idempotency) error {
	_, err := t.exec(`
		INSERT INTO idempotency (tenant, method, key, request_hash, operation, done, response, failure, create_time)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.Tenant, i.Method, i.Key, i.RequestHash[:], i.Operation, i.Done, i.Response, i.Failure, micros(i.CreateTime))
	return err
}

// CompleteIdempotency does not replace an answer: whoever asked may have it already.
func (t *tx) CompleteIdempotency(i *store.Idempotency) error {
	changed, err := t.exec(`
		UPDATE idempotency SET done = 1, response = ?, failure = ?
		WHERE tenant = ? AND method = ? AND key = ? AND operation = ? AND done = 0`,
		i.Response, i.Failure, i.Tenant, i.Method, i.Key, i.Operation)
	if err == nil && changed == 0 {
		err = store.ErrConflict
	}
	return err
}

func (t *tx) DeleteIdempotency(tenant, method, key string) error {
	_, err := t.exec("DELETE FROM idempotency WHERE tenant = ? AND method = ? AND key = ?", tenant, method, key)
	return err
}

func (t *tx) DeleteIdempotencyBefore(created time.Time) (int, error) {
	return t.exec("DELETE FROM idempotency WHERE create_time < ?", micros(created))
}

func (t *tx) ReleaseIdempotency() error {
	_, err := t.exec("UPDATE idempotency SET operation = '' WHERE done = 0")
	return err
}
