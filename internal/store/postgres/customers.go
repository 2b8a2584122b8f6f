package postgres

import (
	"time"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectCustomers = `
	SELECT tenant, id, reference, resource, coalesce((
		SELECT json_object_agg(provider, user_id)::text FROM customer_users u WHERE u.tenant = c.tenant AND
		u.customer_id = c.id
	), '{}'), (SELECT wrapped FROM data_keys k WHERE k.tenant = c.tenant AND k.owner = c.id) FROM customers c `

// lockCustomer keeps a customer from others before it is read: a query that waited for the row would have its users as
// they were before.
func (r *reader) lockCustomer(condition string, value any) error {
	if !r.lock {
		return nil
	}
	_, err := all(r, columns.Only[int], "SELECT 1 FROM customers c WHERE tenant = $1 AND "+condition+
		r.locking("c"), r.tenant, value)
	return err
}

func (r *reader) Customer(id string) (*store.Customer, error) {
	if err := r.lockCustomer("id = $2", id); err != nil {
		return nil, err
	}
	found, err := one(r, r.Opener.Customer, selectCustomers+"WHERE tenant = $1 AND id = $2", r.tenant, id)
	return sought(r, "customer "+id, found, err)
}

func (r *reader) CustomerByReference(reference store.Lookup) (*store.Customer, error) {
	const condition = "reference = $2"
	if err := r.lockCustomer(condition, columns.Lookup(reference)); err != nil {
		return nil, err
	}
	return one(r, r.Opener.Customer, selectCustomers+"WHERE tenant = $1 AND "+condition, r.tenant,
		columns.Lookup(reference))
}

func (r *reader) CustomersByUser(provider string, users []string) (map[string]string, error) {
	found, err := all(r, columns.Pair, `
		SELECT user_id, customer_id FROM customer_users WHERE tenant = $1 AND provider = $2 AND user_id = ANY($3)`,
		r.tenant, provider, users)
	if err != nil {
		return nil, err
	}
	customers := make(map[string]string, len(found))
	for _, p := range found {
		customers[p[0]] = p[1]
	}
	return customers, nil
}

func (r *reader) Customers(page store.Page) ([]*store.Customer, error) {
	return all(r, r.Opener.Customer, selectCustomers+"WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3", r.tenant,
		page.After, max(page.Size, 0))
}

func (r *reader) Receipt(id string) (*store.Receipt, error) {
	const query = "SELECT tenant, id, resource FROM deletion_receipts WHERE tenant = $1 AND id = $2"
	return one(r, columns.Receipt, query+r.locking("deletion_receipts"), r.tenant, id)
}

func (t *tx) PutReceipt(r *store.Receipt) error {
	if err := t.mine(r.Tenant); err != nil {
		return err
	}
	resource, err := proto.Marshal(r.Resource)
	if err != nil {
		return t.fail(err)
	}
	_, err = t.exec(`
		INSERT INTO deletion_receipts (tenant, id, resource) VALUES ($1, $2, $3)
		ON CONFLICT (tenant, id) DO UPDATE SET resource = excluded.resource`, r.Tenant, r.ID, resource)
	return err
}

func (t *tx) InsertCustomer(c *store.Customer) error {
	if err := t.mine(c.Tenant); err != nil {
		return err
	}
	box, key, err := t.newBox(c.ID)
	if err != nil {
		return err
	}
	resource, err := columns.SealCustomer(c, box)
	if err != nil {
		return t.fail(err)
	}
	const insert = "INSERT INTO customers (tenant, id, reference, resource) VALUES ($1, $2, $3, $4)"
	err = t.insertAbsent("customer "+c.ID, insert, c.Tenant, c.ID, columns.Lookup(c.Reference), resource)
	if err != nil {
		return err
	}
	if err := t.keepKey(c.ID, key); err != nil {
		return err
	}
	return t.putUsers(c)
}

func (t *tx) UpdateCustomer(c *store.Customer) error {
	if err := t.mine(c.Tenant); err != nil {
		return err
	}
	box, err := t.boxOf(c.ID)
	if err != nil {
		return err
	}
	resource, err := columns.SealCustomer(c, box)
	if err != nil {
		return t.fail(err)
	}
	const update = "UPDATE customers SET reference = $1, resource = $2 WHERE tenant = $3 AND id = $4"
	changed, err := t.guarded(update, columns.Lookup(c.Reference), resource, c.Tenant, c.ID)
	if err != nil {
		return err
	}
	if changed == 0 {
		return store.ErrNotFound
	}
	if _, err := t.exec("DELETE FROM customer_users WHERE tenant = $1 AND customer_id = $2", c.Tenant,
		c.ID); err != nil {
		return err
	}
	return t.putUsers(c)
}

func (t *tx) putUsers(c *store.Customer) error {
	const insert = "INSERT INTO customer_users (tenant, customer_id, provider, user_id) VALUES ($1, $2, $3, $4)"
	for provider, user := range c.Users {
		if _, err := t.exec(insert, c.Tenant, c.ID, provider, user); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) ClaimUser(customerID, provider string, now time.Time, lease store.Lease) error {
	claimed, err := t.exec(`
		INSERT INTO user_claims (tenant, customer_id, provider, owner, lease_until)
		SELECT tenant, id, $3, $4, $5 FROM customers WHERE tenant = $1 AND id = $2
		ON CONFLICT (tenant, customer_id, provider) DO UPDATE SET owner = excluded.owner, lease_until =
		excluded.lease_until
		WHERE user_claims.owner = excluded.owner OR user_claims.lease_until <= $6`,
		t.tenant, customerID, provider, lease.Owner, columns.Micros(lease.Until), columns.Micros(now))
	if err != nil || claimed > 0 {
		return err
	}
	return t.claimedOrMissing("SELECT 1 FROM customers WHERE tenant = $1 AND id = $2", t.tenant, customerID)
}

// claimedOrMissing tells why nothing was claimed: the query finds the row, or it is not there.
func (t *tx) claimedOrMissing(query string, args ...any) error {
	found, err := t.exists(query, args...)
	if err == nil {
		err = store.ErrNotFound
		if found {
			err = store.ErrClaimed
		}
	}
	return err
}

// ReleaseUser locks the customer before the claim, as who claims does who has looked whether there is a user: else the
// two would wait for each other, until the server ends one of them a second later.
func (t *tx) ReleaseUser(customerID, provider, owner string) error {
	if err := t.lockCustomer("id = $2", customerID); err != nil {
		return err
	}
	released, err := t.exec("DELETE FROM user_claims WHERE tenant = $1 AND customer_id = $2 AND provider = $3 AND "+
		"owner = $4", t.tenant, customerID, provider, owner)
	return lostUnless(released, err)
}
