package service

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// CreateCustomer implements customerv1.CustomerServiceServer.
func (s *customerServer) CreateCustomer(ctx context.Context, req *customerv1.CreateCustomerRequest) (*customerv1.Customer, error) {
	if req.GetCustomer().GetType() == customerv1.Customer_TYPE_UNSPECIFIED {
		return nil, kerr.InvalidField("customer.type", "must be PERSON or COMPANY")
	}
	return create(ctx, s.Service, "CreateCustomer", req, func(ctx context.Context, c *creation) (*customerv1.Customer, error) {
		row := s.newCustomer(c.tenant, c.newID(), req.GetCustomer())
		err := s.update(ctx, func(tx store.Tx) error {
			if err := s.insertCustomer(ctx, tx, row); err != nil {
				return err
			}
			return c.done(tx, row.Resource)
		})
		if err != nil {
			return nil, err
		}
		return row.Resource, nil
	})
}

// newCustomer makes the row of a customer.
func (s *Service) newCustomer(tenant, id string, wanted *customerv1.Customer) *store.Customer {
	now := timestamppb.New(s.now())
	products := wanted.GetProducts()
	if len(products) == 0 {
		products = []customerv1.Customer_Product{customerv1.Customer_BANKING}
	}
	return &store.Customer{
		Tenant: tenant, ID: id, Users: map[string]string{},
		Resource: &customerv1.Customer{
			Name: customerName(id), Type: wanted.GetType(), Reference: wanted.GetReference(), Products: slices.Clone(products),
			CreateTime: now, UpdateTime: now,
		},
	}
}

func (s *Service) insertCustomer(ctx context.Context, tx store.Tx, row *store.Customer) error {
	if err := tx.InsertCustomer(row); err != nil {
		return referenceTaken(err)
	}
	return s.audit(ctx, tx, "CreateCustomer", row.Resource.GetName())
}

// referenceTaken turns ErrExists of a customer into the reason.
func referenceTaken(err error) error {
	if errors.Is(err, store.ErrExists) {
		return kerr.New(errorv1.Error_CUSTOMER_REFERENCE_TAKEN, "another customer has this reference")
	}
	return err
}

// GetCustomer implements customerv1.CustomerServiceServer.
func (s *customerServer) GetCustomer(ctx context.Context, req *customerv1.GetCustomerRequest) (*customerv1.Customer, error) {
	row, err := s.loadCustomer(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return row.Resource, nil
}

// loadCustomer loads a customer of the caller's tenant by name.
func (s *Service) loadCustomer(ctx context.Context, name string) (*store.Customer, error) {
	var row *store.Customer
	err := s.view(ctx, func(r store.Reader) (err error) {
		row, err = r.Customer(tenantOf(ctx), lastSegment(name))
		return found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
	})
	return row, err
}

// ListCustomers implements customerv1.CustomerServiceServer.
func (s *customerServer) ListCustomers(ctx context.Context, req *customerv1.ListCustomersRequest) (*customerv1.ListCustomersResponse, error) {
	tenant, size := tenantOf(ctx), pageSize(req.GetPageSize())
	scope := []string{tenant, "customers", req.GetReference()}
	after, err := decodeToken(req.GetPageToken(), "pageToken", scope...)
	if err != nil {
		return nil, err
	}
	resp := &customerv1.ListCustomersResponse{}
	err = s.view(ctx, func(r store.Reader) error {
		if req.GetReference() != "" {
			row, err := r.CustomerByReference(tenant, req.GetReference())
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			resp.Customers = append(resp.Customers, row.Resource)
			return nil
		}
		rows, err := r.Customers(tenant, store.Page{After: after, Size: size + 1})
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			resp.NextPageToken = encodeToken(rows[size-1].ID, scope...)
		}
		for _, row := range rows {
			resp.Customers = append(resp.Customers, row.Resource)
		}
		return nil
	})
	return resp, err
}

// UpdateCustomer implements customerv1.CustomerServiceServer.
func (s *customerServer) UpdateCustomer(ctx context.Context, req *customerv1.UpdateCustomerRequest) (*customerv1.Customer, error) {
	wanted := req.GetCustomer()
	if !strings.HasPrefix(wanted.GetName(), "customers/") {
		return nil, kerr.InvalidField("customer.name", "must be of the form customers/{customer}")
	}
	row, err := s.loadCustomer(ctx, wanted.GetName())
	if err != nil {
		return nil, err
	}
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		paths = []string{"reference", "products"}
	}
	changed := proto.CloneOf(row.Resource)
	for _, path := range paths {
		switch path {
		case "reference":
			changed.Reference = wanted.GetReference()
		case "products":
			changed.Products = wanted.GetProducts()
			if len(changed.GetProducts()) == 0 {
				changed.Products = []customerv1.Customer_Product{customerv1.Customer_BANKING}
			}
		case "type":
			if wanted.GetType() != row.Resource.GetType() {
				return nil, kerr.InvalidField("customer.type", "cannot change")
			}
		case "name":
		case "*":
			return nil, kerr.InvalidField("updateMask", "must name the fields")
		default:
			return nil, kerr.InvalidField("updateMask", "may hold reference and products")
		}
	}
	return detached(ctx, s.Service, func(ctx context.Context) (*customerv1.Customer, error) {
		// Products are changed one by one at the provider, and each change that happened is recorded, also when a later one fails.
		products, failure := s.changeProducts(ctx, row, changed.GetProducts())
		if failure == nil {
			products = changed.GetProducts()
		}
		err := s.update(ctx, func(tx store.Tx) error {
			fresh, err := tx.Customer(row.Tenant, row.ID)
			if err != nil {
				return found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
			}
			if failure == nil {
				fresh.Resource.Reference = changed.GetReference()
			}
			fresh.Resource.Products, fresh.Resource.UpdateTime = products, timestamppb.New(s.now())
			if err := tx.UpdateCustomer(fresh); err != nil {
				return referenceTaken(err)
			}
			row = fresh
			outcome := outcomeOK
			if failure != nil {
				outcome = kerr.Reason(failure).String() // of the products, some changed
			}
			return s.auditOutcome(ctx, tx, "UpdateCustomer", fresh.Resource.GetName(), outcome)
		})
		if err := errors.Join(failure, err); err != nil {
			return nil, firstError(failure, err)
		}
		return row.Resource, nil
	})
}

// changeProducts books and cancels products at each provider that has the customer as a user. It gives the products that are booked
// afterwards.
func (s *Service) changeProducts(ctx context.Context, row *store.Customer, wanted []customerv1.Customer_Product) ([]customerv1.Customer_Product, error) {
	have := slices.Clone(row.Resource.GetProducts())
	for _, id := range slices.Sorted(maps.Keys(row.Users)) {
		p, err := s.provider(row.Tenant, id)
		if err != nil || p.Users == nil {
			continue // no longer configured: nothing to change there
		}
		for _, product := range wanted {
			if slices.Contains(row.Resource.GetProducts(), product) {
				continue
			}
			if err := p.Users.AddProduct(ctx, row.Users[id], product); err != nil {
				return have, callError(err)
			}
			if !slices.Contains(have, product) {
				have = append(have, product)
			}
		}
		for _, product := range row.Resource.GetProducts() {
			if slices.Contains(wanted, product) {
				continue
			}
			if err := p.Users.RemoveProduct(ctx, row.Users[id], product); err != nil {
				return have, callError(err)
			}
			have = slices.DeleteFunc(have, func(p customerv1.Customer_Product) bool { return p == product })
		}
	}
	return have, nil
}

// DeleteCustomer implements customerv1.CustomerServiceServer. Everything is deleted at the providers first; a failure there leaves the
// customer, so that the call can be made again: deleting what is gone already is no error.
func (s *customerServer) DeleteCustomer(ctx context.Context, req *customerv1.DeleteCustomerRequest) (*customerv1.DeletionReceipt, error) {
	row, err := s.loadCustomer(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return detached(ctx, s.Service, func(ctx context.Context) (*customerv1.DeletionReceipt, error) {
		return s.deleteCustomer(ctx, row)
	})
}

func (s *Service) deleteCustomer(ctx context.Context, row *store.Customer) (*customerv1.DeletionReceipt, error) {
	receipt := &customerv1.DeletionReceipt{Customer: row.Resource.GetName()}
	note := func(place, kind string, count int) {
		if count == 0 {
			return
		}
		i := slices.IndexFunc(receipt.GetEntries(), func(e *customerv1.DeletionReceipt_Entry) bool {
			return e.GetPlace() == place && e.GetKind() == kind
		})
		if i < 0 {
			receipt.Entries = append(receipt.Entries, &customerv1.DeletionReceipt_Entry{Place: place, Kind: kind})
			i = len(receipt.GetEntries()) - 1
		}
		receipt.Entries[i].Count += int32(count)
		receipt.Entries[i].DeleteTime = timestamppb.New(s.now())
	}
	gone := make(map[string]bool) // at the providers: consents by name, users by provider and id
	for {
		consents, shipments, deleted, err := s.deleteHere(ctx, row.Tenant, row.ID, gone)
		if err != nil {
			return nil, err
		}
		if deleted {
			note("kontor", "consent", consents)
			note("kontor", "shipment", shipments)
			note("kontor", "customer", 1)
			receipt.CompleteTime = timestamppb.New(s.now())
			return receipt, nil
		}
		if err := s.deleteThere(ctx, row, gone, note); err != nil {
			return nil, err
		}
	}
}

// deleteThere deletes at the providers what a customer has there and is not gone yet.
func (s *Service) deleteThere(ctx context.Context, row *store.Customer, gone map[string]bool, note func(place, kind string, count int)) error {
	row, err := s.loadCustomer(ctx, row.Resource.GetName())
	if err != nil {
		return err
	}
	consents, err := s.allConsents(ctx, row.Tenant, store.ConsentFilter{CustomerID: row.ID})
	if err != nil {
		return err
	}
	for _, c := range consents {
		name := c.Resource.GetName()
		if gone[name] || c.Ended {
			gone[name] = true
			continue
		}
		p, err := s.provider(c.Tenant, c.Provider)
		if err != nil {
			return err
		}
		if p.Users == nil { // deleting the user, below, takes the consent with it
			if err := p.Consents.RevokeConsent(ctx, refOf(c)); err != nil {
				return callError(err)
			}
			note(providerName(p.ID), "consent", 1)
		}
		gone[name] = true
	}
	for _, id := range slices.Sorted(maps.Keys(row.Users)) {
		user := id + "/" + row.Users[id]
		if gone[user] {
			continue
		}
		p, err := s.provider(row.Tenant, id)
		if err != nil {
			return err
		}
		if err := p.Users.DeleteUser(ctx, row.Users[id]); err != nil {
			return callError(err)
		}
		note(providerName(id), "user", 1)
		gone[user] = true
	}
	return nil
}

// deleteHere deletes a customer from the store, unless something of theirs is not gone at the providers: that may have been made a moment ago.
// It counts what it deleted.
func (s *Service) deleteHere(ctx context.Context, tenant, id string, gone map[string]bool) (consents, shipments int, deleted bool, err error) {
	err = s.update(ctx, func(tx store.Tx) error {
		consents, shipments, deleted = 0, 0, false
		row, err := tx.Customer(tenant, id)
		if err != nil {
			return found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
		}
		for provider, user := range row.Users {
			if !gone[provider+"/"+user] {
				return nil
			}
		}
		theirs, err := allRows(func(page store.Page) ([]*store.Consent, error) {
			return tx.Consents(tenant, store.ConsentFilter{CustomerID: id}, page)
		}, func(c *store.Consent) string { return c.ID })
		if err != nil {
			return err
		}
		for _, c := range theirs {
			if !gone[c.Resource.GetName()] {
				return nil
			}
		}
		sent, err := allRows(func(page store.Page) ([]*store.Shipment, error) {
			return tx.Shipments(tenant, store.ShipmentFilter{CustomerID: id}, page)
		}, func(row *store.Shipment) string { return row.ID })
		if err != nil {
			return err
		}
		consents, shipments, deleted = len(theirs), len(sent), true
		for _, c := range theirs {
			if _, err := s.extend(tx, c, consent.Deleted(c.Flow, s.now())); err != nil {
				return err
			}
		}
		if err := tx.DeleteCustomer(tenant, id); err != nil {
			return err
		}
		return s.audit(ctx, tx, "DeleteCustomer", row.Resource.GetName())
	})
	return consents, shipments, deleted, err
}

// allRows reads a list to its end.
func allRows[Row any](list func(store.Page) ([]Row, error), id func(Row) string) ([]Row, error) {
	var all []Row
	for after := ""; ; {
		rows, err := list(store.Page{After: after, Size: maxPageSize})
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if len(rows) < maxPageSize {
			return all, nil
		}
		after = id(rows[len(rows)-1])
	}
}

// allConsents loads all consents that a filter takes.
func (s *Service) allConsents(ctx context.Context, tenant string, filter store.ConsentFilter) ([]*store.Consent, error) {
	var all []*store.Consent
	err := s.view(ctx, func(r store.Reader) (err error) {
		all, err = allRows(func(page store.Page) ([]*store.Consent, error) { return r.Consents(tenant, filter, page) },
			func(c *store.Consent) string { return c.ID })
		return err
	})
	return all, err
}

// ensureUser gives the customer's user at a provider, and makes one when there is none yet. The row is updated in the store at once: a user
// is billed, and must not be forgotten.
func (s *Service) ensureUser(ctx context.Context, c *creation, p *providers.Provider, row *store.Customer, saved bool) (string, error) {
	release, err := s.inFlight.exclusive(ctx, "user\x00"+row.Tenant+"\x00"+row.ID)
	if err != nil {
		return "", err
	}
	defer release()
	if saved { // another request may have made the user meanwhile
		if row, err = s.loadCustomer(ctx, row.Resource.GetName()); err != nil {
			return "", err
		}
	}
	if user := row.Users[p.ID]; user != "" {
		return user, nil
	}
	if err := c.intend(ctx, p, "create_user", row.Resource.GetName(), nil); err != nil {
		return "", err
	}
	user, err := p.Users.CreateUser(ctx, providers.NewUser{Type: row.Resource.GetType(), Products: row.Resource.GetProducts()})
	if err != nil {
		return "", c.abandon(ctx, err, nil)
	}
	row.Users[p.ID] = user
	err = s.update(ctx, func(tx store.Tx) error {
		if err := c.settle(tx, store.IntentDone); err != nil {
			return err
		}
		if !saved {
			return s.insertCustomer(ctx, tx, row)
		}
		fresh, err := tx.Customer(row.Tenant, row.ID)
		if err != nil {
			return found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
		}
		if fresh.Users[p.ID] == "" {
			fresh.Users[p.ID] = user
			return tx.UpdateCustomer(fresh)
		}
		user = fresh.Users[p.ID] // another request made one meanwhile: the user made here is an orphan, and listed as such
		return nil
	})
	if err != nil {
		return "", c.unrecorded(ctx, p, "create_user", err)
	}
	c.intent = ""
	return user, nil
}

// firstError gives the first error that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
