package customers

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Delete deletes a customer at the providers, then here.
func (r *Registry) Delete(ctx context.Context, row *store.Customer) (*customerv1.DeletionReceipt, error) {
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
		receipt.Entries[i].DeleteTime = timestamppb.New(r.Clock.Now())
	}
	gone := make(map[string]bool) // at the providers: consents by name, users by provider and id
	for {
		deleted, err := r.deleteHere(ctx, row, gone, note)
		if err != nil {
			return nil, err
		}
		if deleted {
			note("kontor", "customer", 1)
			receipt.CompleteTime = timestamppb.New(r.Clock.Now())
			return receipt, nil
		}
		if err := r.deleteThere(ctx, row, gone, note); err != nil {
			return nil, err
		}
	}
}

// deleteThere deletes at the providers what a customer has there and is not gone yet.
func (r *Registry) deleteThere(
	ctx context.Context, row *store.Customer, gone map[string]bool, note func(place, kind string, count int),
) error {
	row, err := r.Load.Customer(ctx, row.Resource.GetName())
	if err != nil {
		return err
	}
	consents, err := r.Load.Consents(ctx, row.Tenant, store.ConsentFilter{CustomerID: row.ID})
	if err != nil {
		return err
	}
	for _, c := range consents {
		name := c.Resource.GetName()
		if gone[name] || c.Ended {
			gone[name] = true
			continue
		}
		p, err := r.Tenants.Provider(c.Tenant, c.Provider)
		if err != nil {
			return err
		}
		if p.Users == nil { // deleting the user, below, takes the consent with it
			ref, err := r.History.Ref(ctx, c)
			if err != nil {
				return err
			}
			if err := p.Consents.RevokeConsent(ctx, ref); !service.Over(err) {
				return service.CallError(err)
			}
			note(service.ProviderName(p.ID), "consent", 1)
		}
		gone[name] = true
	}
	for _, id := range slices.Sorted(maps.Keys(row.Users)) {
		user := id + "/" + row.Users[id]
		if gone[user] {
			continue
		}
		p, err := r.Tenants.Provider(row.Tenant, id)
		if err != nil {
			return err
		}
		if err := p.Users.DeleteUser(ctx, row.Users[id]); err != nil {
			return service.CallError(err)
		}
		note(service.ProviderName(id), "user", 1)
		gone[user] = true
	}
	return nil
}

// deletionStep bounds how many rows one transaction of a deletion takes, so that others write in between.
const deletionStep = 100

// deleteHere deletes a customer from the store, a part in each transaction, unless something of theirs is not gone at
// the providers: that may have been made a moment ago. It counts what it deleted. When the process dies on the way,
// the customer is there with what is left, and deleting again finishes it.
func (r *Registry) deleteHere(
	ctx context.Context, customer *store.Customer, gone map[string]bool, note func(place, kind string, count int),
) (deleted bool, err error) {
	for {
		var did step
		err := r.Store.Update(ctx, customer.Tenant, func(tx store.Tx) (err error) {
			did, err = r.deleteStep(tx, customer.ID, gone)
			if err != nil || !did.removed.Done {
				return err
			}
			return r.Audit.Note(ctx, tx, "DeleteCustomer", customer.Resource.GetName())
		})
		if err != nil || !did.ready {
			return false, err
		}
		note("kontor", "consent", did.consents)
		note("kontor", "shipment", did.removed.Shipments)
		if did.removed.Done {
			return true, nil
		}
	}
}

// step is what one transaction of a deletion did.
type step struct {
	// ready says that all that it looked at is gone at the providers; else it did nothing.
	ready    bool
	consents int
	removed  store.Removed
}

// deleteStep deletes a part of what is a customer's: consents, each with the event that says so, then the rest.
func (r *Registry) deleteStep(tx store.Tx, id string, gone map[string]bool) (step, error) {
	row, err := tx.Customer(id)
	if err != nil {
		return step{}, service.Found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
	}
	for provider, user := range row.Users {
		if !gone[provider+"/"+user] {
			return step{}, nil
		}
	}
	live, err := tx.Consents(store.ConsentFilter{CustomerID: id}, store.Page{Size: deletionStep})
	if err != nil {
		return step{}, err
	}
	for _, c := range live {
		if !gone[c.Resource.GetName()] {
			return step{}, nil
		}
	}
	did, left := step{ready: true}, deletionStep
	for _, c := range live {
		if left <= 0 {
			break
		}
		if _, err := r.History.Extend(tx, c, consent.Deleted(c.Flow, r.Clock.Now())); err != nil {
			return step{}, err
		}
		erased, err := tx.DeleteConsent(c.ID, left)
		if err != nil {
			return step{}, err
		}
		did.consents++
		left -= 1 + erased
	}
	did.removed, err = tx.DeleteCustomer(id, max(left, 1))
	return did, err
}
