package customers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// userWait is how long to wait before looking again whether another process has made a customer's user.
const userWait = 50 * time.Millisecond

// Registry makes and deletes customers, and their users at providers.
type Registry struct {
	Store   *service.Store
	Tenants service.Tenants
	Clock   service.Clock
	Load    *service.Loader
	Keys    *keys.Keys
	Audit   *audit.Trail
	History *history.Writer

	users coalesce.Turns
}

// New makes the row of a customer.
func (r *Registry) New(tenant, id string, wanted *customerv1.Customer) *store.Customer {
	now := timestamppb.New(r.Clock.Now())
	products := wanted.GetProducts()
	if len(products) == 0 {
		products = []customerv1.Product_Value{customerv1.Product_BANKING}
	}
	return &store.Customer{
		Tenant: tenant, ID: id, Reference: r.reference(tenant, wanted.GetReference()), Users: map[string]string{},
		Resource: &customerv1.Customer{
			Name: service.CustomerName(id), Type: wanted.GetType(), Reference: optional.Of(wanted.GetReference()),
			Products:   slices.Clone(products),
			CreateTime: now, UpdateTime: now, Etag: "1",
		},
	}
}

// reference is what a customer is found by in place of its caller's own id.
func (r *Registry) reference(tenant, reference string) store.Lookup {
	return r.Keys.Lookup(keys.CustomerReference, tenant, reference)
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
	if saved { // another request, of this process or of another, may have made the user meanwhile
		if row, err = r.Load.Customer(ctx, row.Resource.GetName()); err != nil {
			return "", err
		}
	}
	if user := row.Users[p.ID]; user != "" {
		return user, nil
	}
	if user, err := r.intendUser(ctx, attempt, p, row, saved); user != "" || err != nil {
		return user, err
	}
	made, err := p.Users.CreateUser(ctx, providers.NewUser{
		Type: row.Resource.GetType(), Products: row.Resource.GetProducts(),
	})
	if err != nil {
		return "", attempt.Abandon(ctx, err, func(tx store.Tx) error {
			if !saved {
				return nil
			}
			return lostIsFine(tx.ReleaseUser(row.ID, p.ID, attempt.Owner()))
		})
	}
	row.Users[p.ID] = made
	user := made
	err = r.Store.Update(ctx, row.Tenant, func(tx store.Tx) error {
		if err := attempt.Settle(tx, store.IntentDone); err != nil {
			return err
		}
		if !saved {
			return r.Insert(ctx, tx, row)
		}
		if err := lostIsFine(tx.ReleaseUser(row.ID, p.ID, attempt.Owner())); err != nil {
			return err
		}
		fresh, err := tx.Customer(row.ID)
		if err != nil {
			return service.Found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
		}
		if user = fresh.Users[p.ID]; user != "" {
			// This process stood still for so long that another one took over: the user made here is an orphan,
			// and listed as such.
			return nil
		}
		user, fresh.Users[p.ID] = made, made
		return tx.UpdateCustomer(fresh)
	})
	if err != nil {
		return "", r.notStored(ctx, attempt, p, row, saved, made, err)
	}
	attempt.Settled()
	return user, nil
}

// notStored tells a caller that a user was made and not stored. When that is since their customer, who was saved, was
// deleted meanwhile, it deletes the user: the receipt tells that nothing of theirs is left.
func (r *Registry) notStored(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, row *store.Customer, saved bool, made string,
	cause error,
) error {
	_, gone := r.Load.Customer(ctx, row.Resource.GetName())
	if !saved || kerr.Reason(gone) != errorv1.Error_CUSTOMER_NOT_FOUND {
		return attempt.Unrecorded(ctx, p, "create_user", cause)
	}
	if err := p.Users.DeleteUser(ctx, made); err != nil {
		return attempt.Unrecorded(ctx, p, "create_user", err)
	}
	return gone
}

// intendUser notes that the customer's user is about to be made. Of a customer that others know, too, it claims the
// right to make it in the same transaction, so that nobody who lost that right goes on to the provider; it waits while
// another process has it. It gives the user when there is one.
func (r *Registry) intendUser(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, row *store.Customer, saved bool,
) (user string, err error) {
	for {
		err := attempt.Intend(ctx, p, "create_user", row.Resource.GetName(), func(tx store.Tx) error {
			user = ""
			if !saved {
				return nil
			}
			fresh, err := tx.Customer(row.ID)
			if err != nil {
				return service.Found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
			}
			if user = fresh.Users[p.ID]; user != "" {
				return store.ErrClaimed // It is made: there is nothing to note.
			}
			return tx.ClaimUser(row.ID, p.ID, r.Clock.Now(), attempt.Lease())
		})
		switch {
		case !errors.Is(err, store.ErrClaimed):
			return "", err
		case user != "":
			return user, nil
		}
		timer := time.NewTimer(userWait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		}
	}
}

// Withdraw takes back a customer that an attempt made for itself, with their users at providers. It leaves them when
// another process took the attempt's request over, which then works with the same customer, and when the customer has
// a consent. They are deleted here first: from then on nobody builds on users that are about to go. A user whose
// deletion fails is listed as an orphan.
func (r *Registry) Withdraw(ctx context.Context, attempt *once.Attempt, customer *store.Customer) error {
	var users map[string]string
	err := r.Store.Update(ctx, customer.Tenant, func(tx store.Tx) error {
		users = nil
		if err := attempt.Own(tx); err != nil {
			return err
		}
		row, err := tx.Customer(customer.ID)
		if err != nil {
			return service.Found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
		}
		removed, err := tx.DeleteCustomer(row.ID, deletionStep)
		switch {
		case err != nil:
			return err
		case !removed.Done:
			return store.ErrClaimLost // The customer has a consent: nothing is deleted.
		}
		users = row.Users
		return r.Audit.Note(ctx, tx, "DeleteCustomer", row.Resource.GetName())
	})
	if err != nil {
		return lostIsFine(err)
	}
	var failures []error
	for _, id := range slices.Sorted(maps.Keys(users)) {
		p, err := r.Tenants.Provider(customer.Tenant, id)
		if err == nil {
			err = p.Users.DeleteUser(ctx, users[id])
		}
		failures = append(failures, service.CallError(err))
	}
	return errors.Join(failures...)
}

// lostIsFine takes a claim that was lost for one that was given back.
func lostIsFine(err error) error {
	if errors.Is(err, store.ErrClaimLost) {
		return nil
	}
	return err
}
