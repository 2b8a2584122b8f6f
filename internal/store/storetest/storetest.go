// Package storetest is the suite that every store must pass: package store says what a store does, this package proves it. It knows nothing
// of any database. What only one of them can do, or must survive (its crashes, its files), is tested beside the implementation.
package storetest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/testing/protocmp"

	"kontor.dev/kontor/internal/store"
)

// Run runs the suite. open returns an empty store of the test's own, which it closes when the test ends. Tests run in parallel.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"Customers", testCustomers},
		{"CustomerReferences", testCustomerReferences},
		{"CustomerUsers", testCustomerUsers},
		{"CustomerPages", testCustomerPages},
		{"Consents", testConsents},
		{"ConsentVersions", testConsentVersions},
		{"ConsentLists", testConsentLists},
		{"ConsentsByProviderRef", testConsentsByProviderRef},
		{"DueConsents", testDueConsents},
		{"DeletedConsents", testDeletedConsents},
		{"Events", testEvents},
		{"ConsentLog", testConsentLog},
		{"LogUnderLoad", testLogUnderLoad},
		{"Shipments", testShipments},
		{"ShipmentLists", testShipmentLists},
		{"ShipmentLog", testShipmentLog},
		{"DeletedShipments", testDeletedShipments},
		{"Callbacks", testCallbacks},
		{"Idempotency", testIdempotency},
		{"IdempotencyRace", testIdempotencyRace},
		{"IdempotencyCleanup", testIdempotencyCleanup},
		{"Intents", testIntents},
		{"Webhooks", testWebhooks},
		{"Audit", testAudit},
		{"Times", testTimes},
		{"Empty", testEmpty},
		{"Isolation", testIsolation},
		{"Rollback", testRollback},
		{"Panic", testPanic},
		{"ErrorsLeaveTransactionUsable", testErrorsLeaveTransactionUsable},
		{"Snapshot", testSnapshot},
		{"LostUpdates", testLostUpdates},
		{"Context", testContext},
		{"Ended", testEnded},
		{"Copies", testCopies},
		{"Subscribe", testSubscribe},
		{"SubscribeUnderLoad", testSubscribeUnderLoad},
		{"DeleteCustomer", testDeleteCustomer},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

// update runs a transaction that must succeed.
func update(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// view reads; it must succeed.
func view(t *testing.T, s store.Store, fn func(store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// read returns the result of one read that must succeed.
func read[T any](t *testing.T, s store.Store, fn func(store.Reader) (T, error)) T {
	t.Helper()
	var result T
	view(t, s, func(r store.Reader) (err error) {
		result, err = fn(r)
		return err
	})
	return result
}

// readError returns the error of one read.
func readError[T any](t *testing.T, s store.Store, fn func(store.Reader) (T, error)) error {
	t.Helper()
	return s.View(t.Context(), func(r store.Reader) error {
		_, err := fn(r)
		return err
	})
}

// wantError checks an error by errors.Is; nil wants none.
func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// wantEqual compares deeply; nil and empty lists are equal, and times that are the same instant.
func wantEqual[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := difference(got, want); diff != "" {
		t.Errorf("%s differs (- want, + got):\n%s", what, diff)
	}
}

func difference[T any](got, want T) string {
	return cmp.Diff(want, got, protocmp.Transform(), cmpopts.EquateEmpty())
}
