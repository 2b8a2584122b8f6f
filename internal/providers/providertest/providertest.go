// Package providertest is the conformance suite of the seam: what every adapter must do, whatever its provider speaks.
// It runs an adapter against a played provider, which a Harness describes. What is peculiar to a provider is tested
// beside its adapter.
//
// A new adapter begins with Basic: a Harness of Settings, Market and Approve is enough for it. Run is the whole suite:
// the harness states facts about what is played (Has), brings the controls by which the suite makes the provider
// misbehave, and declares with a reason what cannot hold for the provider (Except). A test that is excepted and would
// pass fails, so that no exception outlives its reason.
//
// The suite asserts both ways: a port that is set works, and what is not offered is declared so. Effects are counted at
// the played provider.
package providertest

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
)

// Harness is an adapter's configuration for a played provider, and what can be done there. Settings, Market and Approve
// are enough for Basic. Functions fail the test when they cannot do what they are asked for.
type Harness struct {
	// Settings is the configuration with which the suite opens the adapter, several times where it needs to.
	Settings providers.Settings
	// Market is the market to ask for consents in.
	Market string
	// Approve lets the customer of a consent approve it and come back, and gives the query with which the provider's
	// page returned the browser. Nil lets the adapter's Simulator approve.
	Approve func(t testing.TB, ref providers.ConsentRef) url.Values

	// Psu is the identity to ask for consent with; nil where the provider takes none.
	Psu *consentv1.Psu
	// Company tells that customers are companies.
	Company bool
	// CallbackURL is an address that takes a shipment's report, for a provider with shipments.
	CallbackURL string
	// Clock is the played provider's time; nil for the real one.
	Clock func() time.Time
	// Has states facts about the provider and about what is played; nil states none.
	Has *Has

	// Calls counts the calls of an operation that reached the provider; "" counts all. When it is nil, Basic counts
	// what the adapter's HTTP client says that it sends.
	Calls func(operation string) int
	// Fail makes the provider answer an operation with a status, without doing anything, until undo.
	Fail func(t testing.TB, operation string, status int) (undo func())
	// Garble makes the provider answer an operation with a body that is not what it documents, until undo.
	Garble func(t testing.TB, operation string) (undo func())
	// Cut makes the provider do what an operation asks for and close the connection instead of answering, until undo.
	Cut func(t testing.TB, operation string) (undo func())
	// Withdraw are the ways in which the provider can tell that the customer withdrew an approval, by name. Each lets
	// the customer of an approved consent withdraw, and tells so until undo. One without a time must be among them,
	// where the provider can leave it out.
	Withdraw map[string]func(t testing.TB, ref providers.ConsentRef) (undo func())
	// Lapse lets the time of an approved consent run out at the provider, and moves Clock with it.
	Lapse func(t testing.TB, ref providers.ConsentRef)
	// End makes the provider refuse to read data under one consent because that consent is over.
	End func(t testing.TB, ref providers.ConsentRef)
	// Exceed makes the provider refuse to read data under one consent because that was done too often, until undo.
	Exceed func(t testing.TB, ref providers.ConsentRef) (undo func())
	// Reauthenticate makes the banks under a consent ask the customer to authenticate again.
	Reauthenticate func(t testing.TB, ref providers.ConsentRef)
	// Age makes what the adapter remembers of a consent (ConsentRef.State) too old to be used as it is.
	Age func(t testing.TB, ref providers.ConsentRef)

	// Webhooks has the played provider call an address when a consent changes, for an adapter that reads webhooks and
	// registers none, since that is done by hand.
	Webhooks func(t testing.TB, url string)

	// Except has a reason for each test that cannot hold for this provider, by the test's name.
	Except map[string]string
}

// Has states facts about the provider, and about what an approved consent of the played one holds.
type Has struct {
	// Login are the operations of one login, in order; empty for an adapter that never logs in.
	Login []string
	// ReadConsent, ReadAccounts and ReadTransactions are the operations by which the adapter does these reads, each
	// once or more often, without those of a login.
	ReadConsent, ReadAccounts, ReadTransactions []string
	// Accounts and Transactions are how many there are at least; zero stands for one.
	Accounts, Transactions int
	// Pending tells that some transactions are not booked yet. Without it, none may be pending.
	Pending bool
	// Collects tells that data under a consent is still being collected when it has just been approved.
	Collects bool
	// Addresses are the capabilities that the provider refuses without the end user's address.
	Addresses []providers.Capability
}

// test is one test of the suite.
type test struct {
	run func(*suite)
	// needs are the optional parts of the harness without which it cannot run.
	needs []string
}

var tests = map[string]test{
	"Wiring":           {run: testWiring},
	"Unsupported":      {run: testUnsupported},
	"Instances":        {run: testInstances},
	"Session":          {run: testSession},
	"Login":            {run: testLogin, needs: []string{"Has", "Calls"}},
	"Secrets":          {run: testSecrets},
	"Reads":            {run: testReads, needs: []string{"Has", "Calls"}},
	"Consents":         {run: testConsents},
	"Repetition":       {run: testRepetition},
	"Redirects":        {run: testRedirects},
	"Webhooks":         {run: testWebhooks},
	"Links":            {run: testLinks},
	"Banks":            {run: testBanks},
	"Revoke":           {run: testRevoke},
	"Simulator":        {run: testSimulator},
	"Accounts":         {run: testAccounts},
	"Transactions":     {run: testTransactions},
	"Query":            {run: testQuery},
	"StopEarly":        {run: testStopEarly},
	"Holdings":         {run: testHoldings},
	"Insights":         {run: testInsights},
	"Visualizations":   {run: testVisualizations},
	"PaymentPartners":  {run: testPaymentPartners},
	"Users":            {run: testUsers},
	"PartnerBanks":     {run: testPartnerBanks},
	"Connections":      {run: testConnections},
	"Logos":            {run: testLogos},
	"Shipments":        {run: testShipments},
	"State":            {run: testState},
	"Context":          {run: testContext},
	"Addresses":        {run: testAddresses, needs: []string{"Has"}},
	"Errors":           {run: testErrors, needs: []string{"Has", "Fail", "Garble"}},
	"Outcomes":         {run: testOutcomes, needs: []string{"Calls", "Fail", "Garble", "Cut"}},
	"Withdrawal":       {run: testWithdrawal, needs: []string{"Withdraw"}},
	"Expiry":           {run: testExpiry, needs: []string{"Lapse"}},
	"ConsentEnded":     {run: testConsentEnded, needs: []string{"Has", "Calls", "End"}},
	"AccessExceeded":   {run: testAccessExceeded, needs: []string{"Has", "Calls", "Exceed"}},
	"Reauthentication": {run: testReauthentication, needs: []string{"Reauthenticate"}},
	"StateRenewed":     {run: testStateRenewed, needs: []string{"Age"}},
}

// controls tells which of its optional parts the harness has.
func (h Harness) controls() map[string]bool {
	return map[string]bool{
		"Has": h.Has != nil, "Calls": h.Calls != nil, "Fail": h.Fail != nil, "Garble": h.Garble != nil,
		"Cut": h.Cut != nil, "Withdraw": len(h.Withdraw) > 0, "Lapse": h.Lapse != nil, "End": h.End != nil,
		"Exceed": h.Exceed != nil, "Reauthenticate": h.Reauthenticate != nil, "Age": h.Age != nil,
	}
}

// missing are the parts that a test needs and the harness does not have.
func (h Harness) missing(test test) []string {
	have := h.controls()
	return slices.DeleteFunc(slices.Clone(test.needs), func(name string) bool { return have[name] })
}

// Basic runs the tests for which the harness has all that they need. open makes a fresh harness for each.
func Basic(t *testing.T, open func(t *testing.T) Harness) {
	run(t, open, func(t *testing.T, name string, missing []string) {
		t.Helper()
		t.Logf("left out: %s needs %s", name, strings.Join(missing, ", "))
	})
}

// Run runs the whole suite. A test that cannot run, since the harness lacks something, must be declared in Except. open
// makes a fresh harness for each test.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	run(t, open, func(t *testing.T, name string, missing []string) {
		t.Helper()
		t.Errorf("%s needs %s: bring it, or say in Except why there is none", name, strings.Join(missing, ", "))
	})
}

func run(t *testing.T, open func(t *testing.T) Harness, incomplete func(t *testing.T, name string, missing []string)) {
	for _, name := range open(t).unknown() {
		t.Errorf("there is no test %s to except", name)
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		test := tests[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			_, excepted := h.Except[name]
			missing := h.missing(test)
			switch {
			case excepted:
				if problem := h.exception(t, name, test); problem != "" {
					t.Error(problem)
				}
			case len(missing) > 0:
				incomplete(t, name, missing)
			default:
				test.run(newSuite(t, h))
			}
		})
	}
}

// unknown are the exceptions from tests that do not exist.
func (h Harness) unknown() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(h.Except)), func(name string) bool {
		return tests[name].run != nil
	})
}

// exception tells what is wrong with an exception, "" when it is justified. A test whose controls are missing cannot
// show that it would pass.
func (h Harness) exception(tb testing.TB, name string, test test) (problem string) {
	reason := strings.TrimSpace(h.Except[name])
	if reason == "" {
		return "an exception without a reason"
	}
	tb.Logf("excepted: %s", reason)
	if len(h.missing(test)) > 0 {
		return ""
	}
	failure := failureOf(tb, func(tb testing.TB) { test.run(newSuite(tb, h)) })
	if failure == "" {
		return "is excepted, and passes: take the exception out"
	}
	tb.Logf("fails as expected: %s", failure)
	return ""
}

// Failure runs one test of the suite by its name, and gives its first failure, "" when it passes. It is for tests of
// the suite itself: of an adapter that is wrong, the suite must say so.
func Failure(tb testing.TB, name string, h Harness) string {
	tb.Helper()
	test, ok := tests[name]
	if !ok {
		tb.Fatalf("there is no test %s", name)
	}
	return failureOf(tb, func(tb testing.TB) {
		s := newSuite(tb, h)
		test.run(s)
		s.wantNothingSaid()
	})
}

// failureOf runs a test that is expected to fail, and gives its first failure, "" when it passes.
func failureOf(tb testing.TB, test func(testing.TB)) string {
	trial := &trial{TB: tb}
	done := make(chan struct{})
	go func() { // a failing test ends its goroutine
		defer close(done)
		test(trial)
	}()
	<-done
	return trial.failure
}

// trial is a test whose failures are only noted. Everything else is done by the test around it.
type trial struct {
	testing.TB

	failure string
}

func (t *trial) note(message string) { t.failure = cmp.Or(t.failure, message, "failed") }

func (t *trial) Error(args ...any)                 { t.note(strings.TrimSpace(fmt.Sprintln(args...))) }
func (t *trial) Errorf(format string, args ...any) { t.note(fmt.Sprintf(format, args...)) }
func (t *trial) Fail()                             { t.note("") }
func (t *trial) Failed() bool                      { return t.failure != "" }

func (t *trial) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}

func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *trial) FailNow() {
	t.Fail()
	runtime.Goexit()
}
