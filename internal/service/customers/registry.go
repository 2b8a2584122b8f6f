package customers

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Registry makes and deletes customers, and their users at providers.
type Registry struct {
	Store   *service.Store
	Tenants service.Tenants
	Clock   service.Clock
	Load    *service.Loader
	Audit   *audit.Trail
	History *history.Writer

	users coalesce.Turns
}

// New makes the row of a customer.
func (r *Registry) New(tenant, id string, wanted *customerv1.Customer) *store.Customer {
	now := timestamppb.New(r.Clock.Now())
	products := wanted.GetProducts()
	if len(products) == 0 {
		products = []customerv1.Customer_Product{customerv1.Customer_BANKING}
	}
	return &store.Customer{
		Tenant: tenant, ID: id, Users: map[string]string{},
		Resource: &customerv1.Customer{
			Name: service.CustomerName(id), Type: wanted.GetType(), Reference: wanted.GetReference(),
			Products:   slices.Clone(products),
			CreateTime: now, UpdateTime: now,
		},
	}
}

// Insert stores a new customer.
func (r *Registry) Insert(ctx context.Context, tx store.Tx, row *store.Customer) error {
	if err := tx.InsertCustomer(row); err != nil {
		return referenceTaken(err)
	}
	return r.Audit.Note(ctx, tx, "CreateCustomer", row.Resource.GetName())
}

// referenceTaken turns ErrExists of a customer into the reason.
func referenceTaken(err error) error {
	if errors.Is(err, store.ErrExists) {
		return kerr.New(errorv1.Error_CUSTOMER_REFERENCE_TAKEN, "another customer has this reference")
	}
	return err
}

// EnsureUser gives the customer's user at a provider, and makes one when there is none yet. The row is
// updated in the store at once: a user is billed, and must not be forgotten.
func (r *Registry) EnsureUser(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, row *store.Customer, saved bool,
) (string, error) {
	release, err := r.users.Take(ctx, row.Tenant+"\x00"+row.ID)
	if err != nil {
		return "", err
	}
	defer release()
	if saved { // another request may have made the user meanwhile
		if row, err = r.Load.Customer(ctx, row.Resource.GetName()); err != nil {
			return "", err
		}
	}
	if user := row.Users[p.ID]; user != "" {
		return user, nil
	}
	if err := attempt.Intend(ctx, p, "create_user", row.Resource.GetName(), nil); err != nil {
		return "", err
	}
	user, err := p.Users.CreateUser(ctx, providers.NewUser{
		Type: row.Resource.GetType(), Products: row.Resource.GetProducts(),
	})
	if err != nil {
		return "", attempt.Abandon(ctx, err, nil)
	}
	row.Users[p.ID] = user
	err = r.Store.Update(ctx, func(tx store.Tx) error {
		if err := attempt.Settle(tx, store.IntentDone); err != nil {
			return err
		}
		if !saved {
			return r.Insert(ctx, tx, row)
		}
		fresh, err := tx.Customer(row.Tenant, row.ID)
		if err != nil {
			return service.Found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
		}
		if fresh.Users[p.ID] == "" {
			fresh.Users[p.ID] = user
			return tx.UpdateCustomer(fresh)
		}
		// Another request made one meanwhile: the user made here is an orphan, and listed as such.
		user = fresh.Users[p.ID]
		return nil
	})
	if err != nil {
		return "", attempt.Unrecorded(ctx, p, "create_user", err)
	}
	attempt.Settled()
	return user, nil
}
