// Package storetest is the suite that every store must pass: package store says what a store does, this package proves
// it. It knows nothing of any database. What only one of them can do, or must survive (its crashes, its files), is
// tested beside the implementation.
package storetest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/testing/protocmp"

	"kontor.dev/kontor/internal/store"
)

// Prepared is an empty database of one test's own.
type Prepared struct {
	// Open opens it, as often as it is called; the stores are closed when the test ends.
	Open func() store.Database
	// Stored gives all bytes that are stored, as somebody finds them who copies the database.
	Stored func() []byte
	// Settled waits until the logs show all that was committed; nil where they do so at once. What is committed while
	// older transactions are under way may have to wait for them.
	Settled func()
}

// Run runs the suite, on one store, and on two that have one database open, as two processes have: there each call goes
// to the other one than the call before, so that what one wrote the other must find. It does so for further numbers of
// stores, too. Tests run in parallel.
func Run(t *testing.T, prepare func(t *testing.T) Prepared, further ...int) {
	for _, stores := range append([]int{1, 2}, further...) {
		t.Run([]string{"one store", "two stores", "three stores"}[stores-1], func(t *testing.T) {
			t.Parallel()
			RunOn(t, prepare, stores)
		})
	}
	t.Run("Copies of a database", func(t *testing.T) {
		t.Parallel()
		testForeignCursors(t, prepare(t).Open(), prepare(t).Open())
	})
}

// RunOn runs the suite on so many stores that have one database open.
func RunOn(t *testing.T, prepare func(t *testing.T) Prepared, stores int) {
	for _, test := range tests() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			database := prepare(t)
			s := &spread{stored: database.Stored, settled: database.Settled}
			for range stores {
				s.stores = append(s.stores, database.Open())
			}
			test.run(t, s)
		})
	}
}

// suiteTest is one of the tests. It has an empty database.
type suiteTest struct {
	name string
	run  func(*testing.T, *spread)
}

func tests() []suiteTest {
	return []suiteTest{
		{"Customers", testCustomers},
		{"CustomerReferences", testCustomerReferences},
		{"CustomerUsers", testCustomerUsers},
		{"CustomerPages", testCustomerPages},
		{"Consents", testConsents},
		{"ConsentVersions", testConsentVersions},
		{"ConsentsOfTheMoment", testConsentsOfTheMoment},
		{"ConsentLists", testConsentLists},
		{"ConsentListsMeanwhile", testConsentListsMeanwhile},
		{"ConsentsByProviderRef", testConsentsByProviderRef},
		{"ClaimDue", testClaimDue},
		{"ClaimDueOnce", testClaimDueOnce},
		{"Shares", testShares},
		{"OthersRead", testOthersRead},
		{"FlowClaims", testFlowClaims},
		{"ClaimsEnd", testClaimsEnd},
		{"RenewedClaims", testRenewedClaims},
		{"ClockGoesBack", testClockGoesBack},
		{"Backlog", testBacklog},
		{"NewsDuringClaims", testNewsDuringClaims},
		{"Pauses", testPauses},
		{"DeletedConsents", testDeletedConsents},
		{"Events", testEvents},
		{"ConsentLog", testConsentLog},
		{"SettledEvents", testSettledEvents},
		{"ErasureInPieces", testErasureInPieces},
		{"RoomGivenBack", testRoomGivenBack},
		{"OldShipments", testOldShipments},
		{"TrimmedLogs", testTrimmedLogs},
		{"LogUnderLoad", testLogUnderLoad},
		{"LateCommits", testLateCommits},
		{"Tails", testTails},
		{"Cursors", testCursors},
		{"Shipments", testShipments},
		{"ShipmentLists", testShipmentLists},
		{"ShipmentLog", testShipmentLog},
		{"DeletedShipments", testDeletedShipments},
		{"Callbacks", testCallbacks},
		{"Quotas", testQuotas},
		{"QuotaRace", testQuotaRace},
		{"Idempotency", testIdempotency},
		{"IdempotencyRace", testIdempotencyRace},
		{"IdempotencyCleanup", testIdempotencyCleanup},
		{"TakeOvers", testTakeOvers},
		{"TakeOverRace", testTakeOverRace},
		{"Intents", testIntents},
		{"Leases", testLeases},
		{"UserClaims", testUserClaims},
		{"UserClaimRace", testUserClaimRace},
		{"Webhooks", testWebhooks},
		{"Audit", testAudit},
		{"AuditSeals", testAuditSeals},
		{"AuditRoll", testAuditRoll},
		{"AuditCheckpoints", testAuditCheckpoints},
		{"AuditOrder", testAuditOrder},
		{"Times", testTimes},
		{"Empty", testEmpty},
		{"Isolation", testIsolation},
		{"OtherTenantsRows", testOtherTenantsRows},
		{"NoTenant", testNoTenant},
		{"EveryMethod", testEveryMethod},
		{"Rollback", testRollback},
		{"Panic", testPanic},
		{"Goexit", testGoexit},
		{"ErrorsLeaveTransactionUsable", testErrorsLeaveTransactionUsable},
		{"Snapshot", testSnapshot},
		{"LostUpdates", testLostUpdates},
		{"Conflicts", testConflicts},
		{"LookBeforeInsert", testLookBeforeInsert},
		{"FailuresBesideOthers", testFailuresBesideOthers},
		{"Context", testContext},
		{"Ended", testEnded},
		{"Copies", testCopies},
		{"Newest", testNewest},
		{"Subscribe", testSubscribe},
		{"SubscribeUnderLoad", testSubscribeUnderLoad},
		{"Sealed", testSealed},
		{"SameKeys", testSameKeys},
		{"DeleteConsentErases", testDeleteConsentErases},
		{"AnswersOfTheGone", testAnswersOfTheGone},
		{"ReplacedWebhooks", testReplacedWebhooks},
		{"DeleteCustomer", testDeleteCustomer},
		{"DeleteCustomerInPieces", testDeleteCustomerInPieces},
	}
}

// update runs a transaction of the tenant hansa that must succeed.
func update(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	updateOf(t, s, hansa, fn)
}

// updateOf runs a transaction of a tenant that must succeed.
func updateOf(t *testing.T, s store.Store, tenant string, fn func(store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), tenant, fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
	settle(s)
}

// settle waits until the logs show all that was committed.
func settle(s store.Store) {
	if s, ok := s.(*spread); ok && s.settled != nil {
		s.settled()
	}
}

// view reads what hansa has; it must succeed.
func view(t *testing.T, s store.Store, fn func(store.Reader) error) {
	t.Helper()
	settle(s)
	if err := s.View(t.Context(), hansa, fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// read returns the result of one read of hansa's that must succeed.
func read[T any](t *testing.T, s store.Store, fn func(store.Reader) (T, error)) T {
	t.Helper()
	return readOf(t, s, hansa, fn)
}

// readOf returns the result of one read of a tenant's that must succeed.
func readOf[T any](t *testing.T, s store.Store, tenant string, fn func(store.Reader) (T, error)) (result T) {
	t.Helper()
	settle(s)
	err := s.View(t.Context(), tenant, func(r store.Reader) (err error) {
		result, err = fn(r)
		return err
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return result
}

// readError returns the error of one read.
func readError[T any](t *testing.T, s store.Store, fn func(store.Reader) (T, error)) error {
	t.Helper()
	return s.View(t.Context(), hansa, func(r store.Reader) error {
		_, err := fn(r)
		return err
	})
}

// headOf is the end of a log.
func headOf(t *testing.T, s store.Database, log store.Log) store.Cursor {
	t.Helper()
	settle(s)
	head, err := s.System().Head(t.Context(), log)
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	return head
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
