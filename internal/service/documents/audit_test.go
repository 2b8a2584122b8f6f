package documents_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// recorded is a database that notes what each transaction that became durable did to shipments, and to the audit.
type recorded struct {
	store.Database

	mu      sync.Mutex
	durable []*written
}

type written struct {
	store.Tx

	statuses []documentsv1.Shipment_Status
	outcomes []string
}

func (w *written) UpdateShipment(row *store.Shipment) error {
	w.statuses = append(w.statuses, row.Resource.GetStatus())
	return w.Tx.UpdateShipment(row)
}

func (w *written) AppendAudit(entries ...*store.Audit) error {
	for _, e := range entries {
		if e.Method == "CreateShipment" {
			w.outcomes = append(w.outcomes, e.Outcome)
		}
	}
	return w.Tx.AppendAudit(entries...)
}

func (r *recorded) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	var last *written
	err := r.Database.Update(ctx, tenant, func(tx store.Tx) error {
		last = &written{Tx: tx}
		return fn(last)
	})
	if err == nil && (len(last.statuses) > 0 || len(last.outcomes) > 0) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.durable = append(r.durable, last)
	}
	return err
}

// faxes is a provider that is sent shipments.
type faxes struct {
	sent    int
	failure error
}

func (f *faxes) SendShipment(context.Context, providers.Shipment) error {
	f.sent++
	return f.failure
}

// TestAShipmentIsAuditedInItsTransaction sends a fax, and one of unknown outcome. What became of it and its entry are
// one transaction: neither can be lost without the other.
func TestAShipmentIsAuditedInItsTransaction(t *testing.T) {
	for _, test := range []struct {
		failure error
		status  documentsv1.Shipment_Status
		outcome string
	}{
		{nil, documentsv1.Shipment_SUBMITTED, "OK"},
		{
			&providers.Error{Kind: providers.KindUnavailable, MayHaveHappened: true},
			documentsv1.Shipment_OUTCOME_UNKNOWN, "OUTCOME_UNKNOWN",
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			db, provider := &recorded{}, &faxes{failure: test.failure}
			p := assemblytest.New(t, func(o *assembly.Options, to *providers.Provider) {
				db.Database, o.Store = o.Store, db
				to.Shipments = provider
				to.Capabilities["CreateShipment"] = providers.Support{Level: providers.Native}
			})
			ctx := identity.WithTrail(p.Ctx)
			_, err := p.Servers.Documents.CreateShipment(ctx, &documentsv1.CreateShipmentRequest{
				RequestId: "fax-1",
				Shipment: &documentsv1.Shipment{
					Channel: documentsv1.Channel_FAX, Recipient: "+4945112345", Pdf: []byte("%PDF-1.7"),
				},
			})
			if (err == nil) != (test.failure == nil) || provider.sent != 1 {
				t.Fatalf("%d faxes were sent: %v", provider.sent, err)
			}
			if !identity.TrailOf(ctx).Has(test.outcome) {
				t.Errorf("the call does not know that %s is on record", test.outcome)
			}
			db.mu.Lock()
			defer db.mu.Unlock()
			if len(db.durable) != 1 {
				t.Fatalf("%d transactions wrote the shipment's status or its entry, want one that writes both",
					len(db.durable))
			}
			w := db.durable[0]
			if len(w.statuses) != 1 || w.statuses[0] != test.status || len(w.outcomes) != 1 ||
				w.outcomes[0] != test.outcome {
				t.Errorf("the transaction wrote the statuses %v and the outcomes %v", w.statuses, w.outcomes)
			}
		})
	}
}
