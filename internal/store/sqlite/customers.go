package sqlite

import (
	"time"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const selectCustomers = `
	SELECT tenant, id, reference, resource, (
		SELECT json_group_object(provider, user_id) FROM customer_users u WHERE u.tenant = c.tenant AND
		u.customer_id = c.id
	), (SELECT wrapped FROM data_keys k WHERE k.tenant = c.tenant AND k.owner = c.id) FROM customers c `

func (r *reader) Customer(id string) (*store.Customer, error) {
	return one(r, r.Opener.Customer, selectCustomers+"WHERE tenant = ? AND id = ?", r.tenant, id)
}

func (r *reader) CustomerByReference(reference store.Lookup) (*store.Customer, error) {
	return one(r, r.Opener.Customer, selectCustomers+"WHERE tenant = ? AND reference = ?", r.tenant,
		columns.Lookup(reference))
}

func (r *reader) CustomersByUser(provider string, users []string) (map[string]string, error) {
	ids, err := columns.List(users)
	if err != nil {
		return nil, r.fail(err)
	}
	type pair struct{ user, customer string }
	found, err := all(r, func(row columns.Row) (p pair, err error) { return p, row.Scan(&p.user, &p.customer) }, `
		SELECT user_id, customer_id FROM customer_users
		WHERE tenant = ? AND provider = ? AND user_id IN (SELECT value FROM json_each(?))`, r.tenant, provider, ids)
	if err != nil {
		return nil, err
	}
	customers := make(map[string]string, len(found))
	for _, p := range found {
		customers[p.user] = p.customer
	}
	return customers, nil
}

func (r *reader) Customers(page store.Page) ([]*store.Customer, error) {
	return all(r, r.Opener.Customer, selectCustomers+"WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?", r.tenant,
		page.After, max(page.Size, 0))
}

func (r *reader) Receipt(id string) (*store.Receipt, error) {
	const query = "SELECT tenant, id, resource FROM deletion_receipts WHERE tenant = ? AND id = ?"
	return one(r, columns.Receipt, query, r.tenant, id)
}

func (t *tx) PutReceipt(r *store.Receipt) error {
	if err := t.own(r.Tenant); err != nil {
		return err
	}
	resource, err := proto.Marshal(r.Resource)
	if err != nil {
		return t.fail(err)
	}
	_, err = t.exec(`
		INSERT INTO deletion_receipts (tenant, id, resource) VALUES (?, ?, ?)
		ON CONFLICT (tenant, id) DO UPDATE SET resource = excluded.resource`, r.Tenant, r.ID, resource)
	return err
}

func (t *tx) InsertCustomer(c *store.Customer) error {
	if err := t.own(c.Tenant); err != nil {
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
	const insert = "INSERT INTO customers (tenant, id, reference, resource) VALUES (?, ?, ?, ?)"
	if _, err := t.exec(insert, c.Tenant, c.ID, columns.Lookup(c.Reference), resource); err != nil {
		return err
	}
	if err := t.keepKey(c.ID, key); err != nil {
		return err
	}
	return t.putUsers(c)
}

func (t *tx) UpdateCustomer(c *store.Customer) error {
	if err := t.own(c.Tenant); err != nil {
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
	const update = "UPDATE customers SET reference = ?, resource = ? WHERE tenant = ? AND id = ?"
	changed, err := t.exec(update, columns.Lookup(c.Reference), resource, c.Tenant, c.ID)
	if err != nil {
		return err
	}
	if changed == 0 {
		return store.ErrNotFound
	}
	if _, err := t.exec("DELETE FROM customer_users WHERE tenant = ? AND customer_id = ?", c.Tenant, c.ID); err != nil {
		return err
	}
	return t.putUsers(c)
}

func (t *tx) putUsers(c *store.Customer) error {
	const insert = "INSERT INTO customer_users (tenant, customer_id, provider, user_id) VALUES (?, ?, ?, ?)"
	for provider, user := range c.Users {
		if _, err := t.exec(insert, c.Tenant, c.ID, provider, user); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) ClaimUser(customerID, provider string, now time.Time, lease store.Lease) error {
	claimed, err := t.exec(`
		INSERT INTO user_claims (tenant, customer_id, provider, owner, lease_until) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (tenant, customer_id, provider) DO UPDATE SET owner = excluded.owner, lease_until =
		excluded.lease_until
		WHERE owner = excluded.owner OR lease_until <= ?6`,
		t.tenant, customerID, provider, lease.Owner, columns.Micros(lease.Until), columns.Micros(now))
	if err == nil && claimed == 0 {
		err = store.ErrClaimed
	}
	return err
}

func (t *tx) ReleaseUser(customerID, provider, owner string) error {
	released, err := t.exec("DELETE FROM user_claims WHERE tenant = ? AND customer_id = ? AND provider = ? AND "+
		"owner = ?",
		t.tenant, customerID, provider, owner)
	if err == nil && released == 0 {
		err = store.ErrClaimLost
	}
	return err
}
