// Package customers serves customers, and makes and deletes customers and their users at providers for the
// other services.
package customers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Server implements customerv1.CustomerServiceServer.
type Server struct {
	customerv1.UnimplementedCustomerServiceServer

	Store     *service.Store
	Tenants   service.Tenants
	Clock     service.Clock
	Tokens    service.Tokens
	Load      *service.Loader
	Audit     *audit.Trail
	Once      *once.Runner
	Customers *Registry
}

// CreateCustomer implements customerv1.CustomerServiceServer.
func (s *Server) CreateCustomer(
	ctx context.Context, req *customerv1.CreateCustomerRequest,
) (*customerv1.Customer, error) {
	if req.GetCustomer().GetType() == customerv1.Customer_TYPE_UNSPECIFIED {
		return nil, kerr.InvalidField("customer.type", "must be PERSON or COMPANY")
	}
	return once.Do(ctx, s.Once, "CreateCustomer", req,
		func(ctx context.Context, attempt *once.Attempt) (*customerv1.Customer, error) {
			row := s.Customers.New(attempt.Tenant, attempt.NewID(), req.GetCustomer())
			attempt.CustomerID = row.ID
			err := attempt.Update(ctx, func(tx store.Tx) error {
				if err := s.Customers.Insert(ctx, tx, row); err != nil {
					return err
				}
				return attempt.Done(tx, row.Resource)
			})
			if err != nil {
				return nil, err
			}
			return row.Resource, nil
		})
}

// GetCustomer implements customerv1.CustomerServiceServer.
func (s *Server) GetCustomer(ctx context.Context, req *customerv1.GetCustomerRequest) (*customerv1.Customer, error) {
	row, err := s.Load.Customer(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return row.Resource, nil
}

// ListCustomers implements customerv1.CustomerServiceServer.
func (s *Server) ListCustomers(
	ctx context.Context, req *customerv1.ListCustomersRequest,
) (*customerv1.ListCustomersResponse, error) {
	tenant, size := service.TenantOf(ctx), service.PageSize(req.GetPageSize())
	scope := service.PageScope(ctx, "customers", req.GetReference())
	after, err := s.Tokens.Cursor(req, scope)
	if err != nil {
		return nil, err
	}
	resp := &customerv1.ListCustomersResponse{}
	err = s.Store.View(ctx, tenant, func(r store.Reader) error {
		if req.GetReference() != "" {
			row, err := r.CustomerByReference(s.Customers.reference(tenant, req.GetReference()))
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			resp.Customers = append(resp.Customers, row.Resource)
			return nil
		}
		rows, err := r.Customers(store.Page{After: after, Size: size + 1})
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			resp.NextPageToken = optional.Of(s.Tokens.Encode(rows[size-1].ID, scope...))
		}
		for _, row := range rows {
			resp.Customers = append(resp.Customers, row.Resource)
		}
		return nil
	})
	return resp, err
}

// UpdateCustomer implements customerv1.CustomerServiceServer.
func (s *Server) UpdateCustomer(
	ctx context.Context, req *customerv1.UpdateCustomerRequest,
) (*customerv1.Customer, error) {
	wanted := req.GetCustomer()
	if !strings.HasPrefix(wanted.GetName(), "customers/") {
		return nil, kerr.InvalidField("customer.name", "must be of the form customers/{customer}")
	}
	row, err := s.Load.Customer(ctx, wanted.GetName())
	if err != nil {
		return nil, err
	}
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		paths = populated(wanted)
	}
	changed, err := masked(row.Resource, wanted, paths)
	if err != nil {
		return nil, err
	}
	etag, err := service.WantedEtag(ctx, wanted.GetEtag(), "customer.etag")
	if err != nil {
		return nil, err
	}
	req = proto.CloneOf(req)
	req.Customer.Etag = etag // a header's is part of the request, too
	return once.Do(ctx, s.Once, "UpdateCustomer", req, func(
		ctx context.Context, attempt *once.Attempt,
	) (*customerv1.Customer, error) {
		attempt.CustomerID = row.ID
		if row, err = s.Load.Customer(ctx, wanted.GetName()); err != nil {
			return nil, err
		}
		if err := service.Fresh(etag, row.Resource.GetEtag()); err != nil {
			return nil, err
		}
		if err := attempt.GoOn(ctx); err != nil {
			return nil, err
		}
		return s.update(ctx, attempt, row, changed, paths, etag)
	})
}

// update changes what paths name, at the providers and here. Products are changed one by one at the provider, and each
// change that happened is recorded, also when a later one fails.
func (s *Server) update(
	ctx context.Context, attempt *once.Attempt, row *store.Customer, changed *customerv1.Customer, paths []string,
	etag string,
) (*customerv1.Customer, error) {
	if len(row.Users) > 0 && slices.Contains(paths, "products") {
		etag = "" // What was changed at the provider is noted, whatever was changed here since.
	}
	products, failure := s.changeProducts(ctx, row, changed.GetProducts())
	if failure == nil {
		products = changed.GetProducts()
	}
	before := row.Resource.GetProducts()
	err := s.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
		fresh, err := tx.Customer(row.ID)
		if err != nil {
			return service.Found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
		}
		if err := service.Fresh(etag, fresh.Resource.GetEtag()); err != nil {
			return err
		}
		// Another call may have changed the customer while the provider was asked: what it changed stays, but for
		// what the mask names.
		if failure == nil && slices.Contains(paths, "reference") {
			fresh.Resource.Reference = optional.Of(changed.GetReference())
			fresh.Reference = s.Customers.reference(fresh.Tenant, changed.GetReference())
		}
		if failure != nil && slices.Equal(products, before) {
			row = fresh // Its etag stays, too, so that the same call can be made again.
			return s.noteFailure(ctx, tx, fresh, failure)
		}
		if slices.Contains(paths, "products") {
			fresh.Resource.Products = merged(before, products, fresh.Resource.GetProducts())
		}
		fresh.Resource.UpdateTime = timestamppb.New(s.Clock.Now())
		fresh.Resource.Etag = nextEtag(fresh.Resource.GetEtag())
		if err := tx.UpdateCustomer(fresh); err != nil {
			return referenceTaken(err)
		}
		row = fresh
		if failure != nil { // of the products, some changed
			return s.noteFailure(ctx, tx, fresh, failure)
		}
		if err := s.Audit.Note(ctx, tx, "UpdateCustomer", fresh.Resource.GetName()); err != nil {
			return err
		}
		return attempt.Done(tx, fresh.Resource)
	})
	if err := errors.Join(failure, err); err != nil {
		return nil, firstError(failure, err)
	}
	return row.Resource, nil
}

// noteFailure records that the provider did not change all products that it should have.
func (s *Server) noteFailure(ctx context.Context, tx store.Tx, row *store.Customer, failure error) error {
	return s.Audit.NoteOutcome(ctx, tx, "UpdateCustomer", row.Resource.GetName(), kerr.Reason(failure).String())
}

// populated names the fields of a customer that are set, for a request without a mask.
func populated(wanted *customerv1.Customer) []string {
	var paths []string
	if wanted.GetType() != customerv1.Customer_TYPE_UNSPECIFIED {
		paths = append(paths, "type")
	}
	if wanted.Reference != nil {
		paths = append(paths, "reference")
	}
	if len(wanted.GetProducts()) > 0 {
		paths = append(paths, "products")
	}
	return paths
}

// nextEtag counts an etag up.
func nextEtag(etag string) string {
	n, _ := strconv.ParseInt(etag, 10, 64) // every customer has one, from 1 on
	return strconv.FormatInt(n+1, 10)
}

// masked gives a customer with the fields of another one that a mask names.
func masked(have, wanted *customerv1.Customer, paths []string) (*customerv1.Customer, error) {
	changed := proto.CloneOf(have)
	for _, path := range paths {
		switch path {
		case "reference":
			changed.Reference = optional.Of(wanted.GetReference())
		case "products":
			changed.Products = wanted.GetProducts()
			if len(changed.GetProducts()) == 0 {
				changed.Products = []customerv1.Product_Value{customerv1.Product_BANKING}
			}
		case "type":
			if wanted.GetType() != have.GetType() {
				return nil, kerr.InvalidField("customer.type", "cannot change")
			}
		case "name", "etag":
		case "*":
			return nil, kerr.InvalidField("updateMask", "must name the fields")
		default:
			return nil, kerr.InvalidField("updateMask", "may hold reference and products")
		}
	}
	return changed, nil
}

// merged gives the products of which one call made after of before, while others made now of before.
func merged(before, after, now []customerv1.Product_Value) []customerv1.Product_Value {
	var products []customerv1.Product_Value
	for _, p := range after {
		if slices.Contains(now, p) || !slices.Contains(before, p) {
			products = append(products, p)
		}
	}
	for _, p := range now {
		if !slices.Contains(before, p) && !slices.Contains(after, p) {
			products = append(products, p)
		}
	}
	return products
}

// changeProducts books and cancels products at each provider that has the customer as a user. It gives the
// products that are booked afterwards.
func (s *Server) changeProducts(
	ctx context.Context, row *store.Customer, wanted []customerv1.Product_Value,
) ([]customerv1.Product_Value, error) {
	have := slices.Clone(row.Resource.GetProducts())
	for _, id := range slices.Sorted(maps.Keys(row.Users)) {
		p, err := s.Tenants.Provider(row.Tenant, id)
		if err != nil || p.Users == nil {
			continue // no longer configured: nothing to change there
		}
		for _, product := range wanted {
			if slices.Contains(row.Resource.GetProducts(), product) {
				continue
			}
			if err := p.Users.AddProduct(ctx, row.Users[id], product); err != nil {
				return have, service.CallError(err)
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
				return have, service.CallError(err)
			}
			have = slices.DeleteFunc(have, func(p customerv1.Product_Value) bool { return p == product })
		}
	}
	return have, nil
}

// DeleteCustomer implements customerv1.CustomerServiceServer. Everything is deleted at the providers first; a
// failure there leaves the customer, so that the call can be made again: deleting what is gone already is no
// error.
func (s *Server) DeleteCustomer(
	ctx context.Context, req *customerv1.DeleteCustomerRequest,
) (*customerv1.DeletionReceipt, error) {
	etag, err := service.WantedEtag(ctx, req.GetEtag(), "etag")
	if err != nil {
		return nil, err
	}
	req = proto.CloneOf(req)
	req.Etag = etag
	return once.Do(ctx, s.Once, "DeleteCustomer", req,
		func(ctx context.Context, attempt *once.Attempt) (*customerv1.DeletionReceipt, error) {
			row, err := s.Load.Customer(ctx, req.GetName())
			if kerr.Reason(err) == errorv1.Error_CUSTOMER_NOT_FOUND {
				receipt, none := s.Customers.Receipt(ctx, service.LastSegment(req.GetName()))
				if none != nil {
					return nil, err
				}
				return receipt, attempt.Update(ctx, func(tx store.Tx) error { return attempt.Done(tx, receipt) })
			}
			if err != nil {
				return nil, err
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			return s.Customers.Delete(ctx, attempt, row, etag)
		})
}

// GetDeletionReceipt implements customerv1.CustomerServiceServer.
func (s *Server) GetDeletionReceipt(
	ctx context.Context, req *customerv1.GetDeletionReceiptRequest,
) (*customerv1.DeletionReceipt, error) {
	return s.Customers.Receipt(ctx, service.LastSegment(req.GetName()))
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
