package customers

import (
	"context"
	"errors"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Delete deletes a customer at the providers, then here, when etag is the customer's. What went is counted in the
// transaction in which it goes here, so a deletion that another one finishes has one receipt with true counts.
func (r *Registry) Delete(
	ctx context.Context, attempt *once.Attempt, row *store.Customer, etag string,
) (*customerv1.DeletionReceipt, error) {
	gone := make(map[string]place) // at the providers: consents by name, users by provider and id
	for {
		receipt, err := r.deleteHere(ctx, attempt, row, etag, gone)
		if receipt != nil || err != nil {
			return receipt, err
		}
		if err := r.deleteThere(ctx, row, gone); err != nil {
			return nil, err
		}
	}
}

// Receipt gives the receipt of a deletion that is complete, by the customer's id.
func (r *Registry) Receipt(ctx context.Context, id string) (*customerv1.DeletionReceipt, error) {
	var receipt *customerv1.DeletionReceipt
	err := r.Store.View(ctx, service.TenantOf(ctx), func(tx store.Reader) error {
		row, err := tx.Receipt(id)
		if err != nil {
			return err
		}
		receipt = row.Resource
		return nil
	})
	if err == nil && receipt.GetCompleteTime() == nil {
		err = store.ErrNotFound
	}
	return receipt, service.Found(err, errorv1.Error_DELETION_RECEIPT_NOT_FOUND, "deletion receipt")
}

// place is where something of a customer's was deleted, as a receipt has it; empty when it had ended before.
type place string

// here is Kontor itself.
const here place = "kontor"

// note counts on a receipt what was deleted at a place.
func (r *Registry) note(receipt *customerv1.DeletionReceipt, at place, kind string, count int) {
	if count == 0 || at == "" {
		return
	}
	i := slices.IndexFunc(receipt.GetEntries(), func(e *customerv1.DeletionReceipt_Entry) bool {
		return e.GetPlace() == string(at) && e.GetKind() == kind
	})
	if i < 0 {
		receipt.Entries = append(receipt.Entries, &customerv1.DeletionReceipt_Entry{Place: string(at), Kind: kind})
		i = len(receipt.GetEntries()) - 1
	}
	receipt.Entries[i].Count += int32(count)
	receipt.Entries[i].DeleteTime = timestamppb.New(r.Clock.Now())
}

// deleteThere deletes at the providers what a customer has there and is not gone yet.
func (r *Registry) deleteThere(ctx context.Context, row *store.Customer, gone map[string]place) error {
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
		if _, ok := gone[name]; ok {
			continue
		}
		if c.Ended {
			gone[name] = ""
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
			gone[name] = place(service.ProviderName(p.ID))
		} else {
			gone[name] = ""
		}
	}
	for _, id := range slices.Sorted(maps.Keys(row.Users)) {
		user := id + "/" + row.Users[id]
		if _, ok := gone[user]; ok {
			continue
		}
		p, err := r.Tenants.Provider(row.Tenant, id)
		if err != nil {
			return err
		}
		if err := p.Users.DeleteUser(ctx, row.Users[id]); err != nil {
			return service.CallError(err)
		}
		gone[user] = place(service.ProviderName(id))
	}
	return nil
}

// deletionStep bounds how many rows one transaction of a deletion takes, so that others write in between.
const deletionStep = 100

// deleteHere deletes a customer from the store, a part in each transaction, unless something of theirs is not gone at
// the providers: that may have been made a moment ago. It gives the receipt when all is gone. When the process dies on
// the way, the customer is there with what is left, and deleting again finishes it.
func (r *Registry) deleteHere(
	ctx context.Context, attempt *once.Attempt, customer *store.Customer, etag string, gone map[string]place,
) (*customerv1.DeletionReceipt, error) {
	for {
		var did step
		err := r.Store.Update(ctx, customer.Tenant, func(tx store.Tx) (err error) {
			did, err = r.deleteStep(tx, customer.ID, etag, gone)
			if err != nil || !did.done {
				return err
			}
			if err := r.Audit.Note(ctx, tx, "DeleteCustomer", customer.Resource.GetName()); err != nil {
				return err
			}
			return attempt.Done(tx, did.receipt)
		})
		if err != nil || !did.ready {
			return nil, err
		}
		if did.done {
			return did.receipt, nil
		}
	}
}

// step is what one transaction of a deletion did.
type step struct {
	// ready says that all that it looked at is gone at the providers; else it did nothing. done says that all is gone.
	ready, done bool
	receipt     *customerv1.DeletionReceipt
}

// deleteStep deletes a part of what is a customer's: consents, each with the event that says so, then the rest.
func (r *Registry) deleteStep(tx store.Tx, id, etag string, gone map[string]place) (step, error) {
	row, err := tx.Customer(id)
	if err != nil {
		return step{}, service.Found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
	}
	if err := service.Fresh(etag, row.Resource.GetEtag()); err != nil {
		return step{}, err
	}
	for provider, user := range row.Users {
		if _, ok := gone[provider+"/"+user]; !ok {
			return step{}, nil
		}
	}
	live, err := tx.Consents(store.ConsentFilter{CustomerID: id}, store.Page{Size: deletionStep})
	if err != nil {
		return step{}, err
	}
	for _, c := range live {
		if _, ok := gone[c.Resource.GetName()]; !ok {
			return step{}, nil
		}
	}
	receipt, err := r.receiptSoFar(tx, row)
	if err != nil {
		return step{}, err
	}
	left := deletionStep
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
		r.note(receipt.Resource, gone[c.Resource.GetName()], "consent", 1)
		r.note(receipt.Resource, here, "consent", 1)
		left -= 1 + erased
	}
	removed, err := tx.DeleteCustomer(id, max(left, 1))
	if err != nil {
		return step{}, err
	}
	r.note(receipt.Resource, here, "shipment", removed.Shipments)
	if removed.Done {
		for _, provider := range slices.Sorted(maps.Keys(row.Users)) {
			r.note(receipt.Resource, gone[provider+"/"+row.Users[provider]], "user", 1)
		}
		r.note(receipt.Resource, here, "customer", 1)
		receipt.Resource.CompleteTime = timestamppb.New(r.Clock.Now())
	}
	return step{ready: true, done: removed.Done, receipt: receipt.Resource}, tx.PutReceipt(receipt)
}

// receiptSoFar gives the receipt of a deletion as far as it has come, or a new one.
func (r *Registry) receiptSoFar(tx store.Tx, customer *store.Customer) (*store.Receipt, error) {
	receipt, err := tx.Receipt(customer.ID)
	if errors.Is(err, store.ErrNotFound) {
		return &store.Receipt{Tenant: customer.Tenant, ID: customer.ID, Resource: &customerv1.DeletionReceipt{
			Name: "deletionReceipts/" + customer.ID, Customer: customer.Resource.GetName(),
		}}, nil
	}
	return receipt, err
}
