package history_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

// begun is what a store has of a consent.
type begun struct {
	row               *store.Consent
	resource          *consentv1.Consent
	events, unsettled []consent.Event
	entries           []*consentv1.Consent
}

func readBegun(r store.Reader, id string) (b begun, err error) {
	var errs [4]error
	b.row, errs[0] = r.Consent(id)
	b.events, errs[1] = r.Events(id, 0, 1000)
	b.unsettled, errs[2] = r.UnsettledEvents(id)
	entries, err := r.ConsentEntries(id, "", 1000)
	errs[3] = err
	for _, e := range entries {
		b.entries = append(b.entries, e.After)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return b, err
	}
	b.resource, b.row.Resource, b.row.Version = b.row.Resource, nil, 0
	return b, nil
}

// TestBeginsAsStepByStep: a consent whose beginning grew in memory stands in the store as one that was stored step by
// step: the row, its events, which of them are settled, and the consent after each.
func TestBeginsAsStepByStep(t *testing.T) {
	t.Parallel()
	for _, flows := range []int{0, 1, 3} {
		a := newAged(t, 0)
		lives := func(tx store.Tx, row *store.Consent) error {
			now := a.now
			if _, err := a.Extend(tx, row, consent.Created(now, "made")); err != nil {
				return err
			}
			for flow := 1; flow <= flows; flow++ {
				now = now.Add(time.Minute)
				issued := consent.LinkIssued(flow, "https://x", now.Add(time.Hour), now)
				if _, err := a.Extend(tx, row, issued); err != nil {
					return err
				}
				for range 2 { // What is reported again is known.
					if err := a.Observe(tx, row, a.told(flow)); err != nil {
						return err
					}
				}
			}
			return nil
		}
		fresh := func() *store.Consent {
			return &store.Consent{
				Tenant: "t", ID: "d", CustomerID: "p", Resource: &consentv1.Consent{Name: "consents/d"},
			}
		}
		var plain, at begun
		undone := errors.New("undone")
		if err := a.db.Update(t.Context(), "t", func(tx store.Tx) (err error) {
			row := fresh()
			if err := errors.Join(tx.InsertConsent(row), lives(tx, row)); err != nil {
				return err
			}
			if plain, err = readBegun(tx, row.ID); err != nil {
				return err
			}
			return undone
		}); !errors.Is(err, undone) {
			t.Fatal(err)
		}
		if err := a.db.Update(t.Context(), "t", func(tx store.Tx) (err error) {
			row := fresh()
			if err := a.Begin(tx, row, func(tx store.Tx) error { return lives(tx, row) }); err != nil {
				return err
			}
			at, err = readBegun(tx, row.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(at.row, plain.row) || !proto.Equal(at.resource, plain.resource) {
			t.Errorf("%d flows: the consent is\n%+v\n%v, want\n%+v\n%v", flows, at.row, at.resource, plain.row,
				plain.resource)
		}
		if len(at.events) < 1+flows || !reflect.DeepEqual(at.events, plain.events) {
			t.Errorf("%d flows: the events are\n%v, want\n%v", flows, at.events, plain.events)
		}
		if flows > 1 && len(plain.unsettled) == len(plain.events) {
			t.Errorf("%d flows: nothing is settled, so that the test does not tell", flows)
		}
		if !reflect.DeepEqual(at.unsettled, plain.unsettled) {
			t.Errorf("%d flows: the unsettled events are\n%v, want\n%v", flows, at.unsettled, plain.unsettled)
		}
		for i, after := range plain.entries {
			if len(at.entries) != len(plain.entries) || !proto.Equal(at.entries[i], after) {
				t.Fatalf("%d flows: after event %d it is not %v", flows, i+1, after)
			}
		}
	}
}
