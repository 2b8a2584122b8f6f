package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/store"
)

func testShipments(t *testing.T, s *spread) {
	owned, free := newShipment(hansa, 2, id(1)), newShipment(hansa, 3, "")
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertShipment(owned),
			tx.InsertShipment(free))
	})
	get := func(id string) *store.Shipment {
		return read(t, s, func(r store.Reader) (*store.Shipment, error) { return r.Shipment(id) })
	}
	wantEqual(t, "a customer's shipment", get(owned.ID), owned)
	wantEqual(t, "a shipment without customer", get(free.ID), free)
	if owned.Version != 1 {
		t.Errorf("a new shipment has version %d, want 1", owned.Version)
	}

	stale := get(owned.ID)
	owned.Resource.Status, owned.Provider = documentsv1.Shipment_DELIVERED, fimento
	update(t, s, func(tx store.Tx) error { return tx.UpdateShipment(owned) })
	if owned.Version != 2 {
		t.Errorf("a changed shipment has version %d, want 2", owned.Version)
	}
	wantEqual(t, "the changed shipment", get(owned.ID), owned)
	wantError(t, "a change of what changed",
		s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.UpdateShipment(stale) }), store.ErrConflict)
	wantError(t, "a change of none", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.UpdateShipment(newShipment(hansa, 9, ""))
	}), store.ErrNotFound)
	wantError(t, "an id that is taken", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.InsertShipment(newShipment(hansa, 2, ""))
	}), store.ErrExists)
	wantError(t, "a customer who does not exist", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.InsertShipment(newShipment(hansa, 4, id(9)))
	}), store.ErrNotFound)

	// A document that was left in by mistake is not kept.
	document := newShipment(hansa, 5, "")
	document.Resource.Pdf = []byte("%PDF")
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertShipment(document), tx.AppendShipment(document.ID, document.Resource),
			tx.UpdateShipment(document))
	})
	if string(document.Resource.GetPdf()) != "%PDF" {
		t.Error("the caller's shipment was changed")
	}
	entries := read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
		return r.ShipmentEntries(document.ID, "", 9)
	})
	if get(document.ID).Resource.GetPdf() != nil || entries[0].After.GetPdf() != nil {
		t.Error("a document is kept")
	}
}

func testShipmentLists(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertCustomer(newCustomer(hansa, 2, "")))
		for _, n := range []int{24, 21, 22, 20, 23, 25} {
			shipment := newShipment(hansa, n, []string{"", id(1), id(2)}[n%3])
			if n >= 23 {
				shipment.Resource.Status = documentsv1.Shipment_FAILED
			}
			err = errors.Join(err, tx.InsertShipment(shipment))
		}
		return err
	})
	updateOf(t, s, stranger, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(stranger, 1, "")),
			tx.InsertShipment(newShipment(stranger, 30, id(1))))
	})
	for _, test := range []struct {
		filter store.ShipmentFilter
		want   []int
	}{
		{store.ShipmentFilter{}, []int{20, 21, 22, 23, 24, 25}},
		{store.ShipmentFilter{CustomerID: id(1)}, []int{22, 25}},
		{store.ShipmentFilter{Status: documentsv1.Shipment_FAILED}, []int{23, 24, 25}},
		{store.ShipmentFilter{CustomerID: id(2), Status: documentsv1.Shipment_SUBMITTED}, []int{20}},
		{store.ShipmentFilter{CustomerID: id(9)}, nil},
		{store.ShipmentFilter{Status: documentsv1.Shipment_DELIVERED}, nil},
	} {
		t.Run(fmt.Sprintf("%+v", test.filter), func(t *testing.T) {
			wantPages(t, s, test.want, func(r store.Reader, page store.Page) ([]*store.Shipment, error) {
				return r.Shipments(test.filter, page)
			}, func(s *store.Shipment) string { return s.ID })
		})
	}
}

func testDeletedShipments(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error {
		if err := seed(tx, hansa); err != nil {
			return err
		}
		return errors.Join(tx.InsertShipment(newShipment(hansa, 50, "")),
			tx.AppendShipment(id(50), &documentsv1.Shipment{}),
			tx.InsertCallback(newCallback(hansa, store.CallbackShipment, "of the deleted", id(50))))
	})
	before := headOf(t, s, store.ShipmentLog)
	update(t, s, func(tx store.Tx) error { return tx.DeleteShipment(id(50)) })
	view(t, s, func(r store.Reader) error {
		_, err := r.Shipment(id(50))
		wantError(t, "the shipment", err, store.ErrNotFound)
		if n, err := rows(r.ShipmentEntries(id(50), "", 9)); n != 0 || err != nil {
			t.Errorf("its log has %d entries (%v)", n, err)
		}
		_, err = r.Shipment(id(seedShipment))
		wantError(t, "another shipment", err, nil)
		if n, err := rows(r.ShipmentEntries("", "", 9)); n != 1 || err != nil {
			t.Errorf("the tenant's log has %d entries (%v), want 1", n, err)
		}
		return nil
	})
	for token, want := range map[string]error{"of the deleted": store.ErrNotFound, "s " + hansa: nil} {
		_, err := s.System().Callback(t.Context(), store.CallbackShipment, hash(token))
		wantError(t, "the token "+token, err, want)
	}
	wantError(t, "again", s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.DeleteShipment(id(50)) }),
		store.ErrNotFound)
	update(t, s, func(tx store.Tx) error { return tx.AppendShipment(id(seedShipment), &documentsv1.Shipment{}) })
	entries := read(t, s,
		func(r store.Reader) ([]store.ShipmentEntry, error) { return r.ShipmentEntries("", before, 9) })
	if len(entries) != 1 {
		t.Errorf("behind the former end there are %d new entries, want 1: a position was given twice", len(entries))
	}
}

// testOldShipments removes what belongs to nobody and is old, of every tenant, and nothing else.
func testOldShipments(t *testing.T, s *spread) {
	made := func(at time.Time, tenant, customer string) *store.Shipment {
		shipment := newShipment(tenant, 1, customer)
		of := uuid.Must(uuid.NewV7())
		for i := range 6 {
			of[i] = byte(at.UnixMilli() >> (40 - 8*i))
		}
		shipment.ID = of.String()
		err := s.Update(t.Context(), tenant, func(tx store.Tx) error {
			return errors.Join(tx.InsertShipment(shipment), tx.AppendShipment(shipment.ID, shipment.Resource))
		})
		if err != nil {
			t.Fatal(err)
		}
		return shipment
	}
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(hansa, 1, "")) })
	old, other := made(noon.Add(-time.Millisecond), hansa, ""), made(noon.Add(-time.Hour), stranger, "")
	owned, fresh := made(noon.Add(-time.Hour), hansa, id(1)), made(noon, hansa, "")
	wantSweep(t, s.System().DeleteShipmentsBefore, noon, 1, 1)
	wantSweep(t, s.System().DeleteShipmentsBefore, noon, 9, 1)
	wantSweep(t, s.System().DeleteShipmentsBefore, noon, 9, 0)
	settle(s)
	for _, shipment := range []*store.Shipment{old, other, owned, fresh} {
		err := s.View(t.Context(), shipment.Tenant, func(r store.Reader) error {
			entries, err := r.ShipmentEntries(shipment.ID, "", 9)
			if err != nil {
				return err
			}
			kept := shipment == owned || shipment == fresh
			if (len(entries) > 0) != kept {
				t.Errorf("%d entries, want any: %t", len(entries), kept)
			}
			_, err = r.Shipment(shipment.ID)
			if want := map[bool]error{false: store.ErrNotFound}[kept]; !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
