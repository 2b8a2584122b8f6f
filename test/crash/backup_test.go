package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/test/worldtest"
)

var _ = worldtest.Only(worldtest.SQLite, "backups of PostgreSQL are taken and restored by its own tools",
	"TestBackup", "TestRestoreErasesAgain", "TestRestoreEndsAgain")

// TestBackup takes a backup while callers are at work, as docs/operations-backup.md has it, loses the database, and
// restores it: all that was acknowledged before the backup began is there, keys included.
func TestBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	random := rand.New(rand.NewPCG(uint64(*seed), 4))
	var before []*request
	for range 20 {
		r := &request{kind: creatingKinds()[random.IntN(len(creatingKinds()))], key: uuid.NewString()}
		r.answer = must(r.send(w.context(), w.client))(t)
		before = append(before, r)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := &request{kind: aCustomer, key: uuid.NewString()}
				if _, err := r.send(w.context(), w.client); err != nil {
					t.Errorf("a backup disturbs a caller: %v", err)
					return
				}
			}
		})
	}
	w.run("backup", "--to", w.path("backup.db"), "--keys", w.path("kontor.keys"))
	close(stop)
	group.Wait()
	if info, err := os.Stat(w.path("backup.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the backup's mode: %v, %v", info, err)
	}
	if out, err := w.tryRun("backup", "--to", w.path("backup.db")); err == nil {
		t.Errorf("a file was overwritten: %s", out)
	}

	w.lose()
	w.run("restore", "--from", w.path("backup.db"), "--keys", w.path("kontor.keys"))
	w.verified()
	w.restart()
	for _, r := range before {
		w.settle(t, r)
		w.stands(t, r.answer, false)
	}
	must(w.client.Customers.CreateCustomer(w.context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
	}))(t)
}

// lose kills the gateway and removes the database.
func (w *world) lose() {
	w.t.Helper()
	w.kill()
	for _, name := range []string{"kontor.db", "kontor.db-wal", "kontor.db-shm"} {
		if err := os.RemoveAll(w.path(name)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestRestoreErasesAgain puts an old copy of the database together with the newest keys: what callers deleted between
// them stays deleted, and nobody who can read the files and the store key finds it there.
func TestRestoreErasesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	random := rand.New(rand.NewPCG(uint64(*seed), 5))
	var before []*request
	for _, kind := range creatingKinds() {
		r := &request{kind: kind, key: uuid.NewString()}
		r.answer = must(r.send(w.context(), w.client))(t)
		before = append(before, r)
	}
	consentOf := func(customer string) *consentv1.Consent {
		provider := worldtest.Providers()[random.IntN(len(worldtest.Providers()))]
		request := consentRequest(uuid.NewString(), provider, "", customer)
		return must(w.client.Consents.CreateConsent(w.context(), request))(t)
	}
	stays, goes := newCustomer(t, w), newCustomer(t, w)
	deleted, theirs := consentOf(stays), consentOf(goes)
	w.run("backup", "--to", w.path("old.db"))
	must(w.client.Consents.DeleteConsent(w.context(), &consentv1.DeleteConsentRequest{Name: deleted.GetName()}))(t)
	must(w.client.Customers.DeleteCustomer(w.context(), &customerv1.DeleteCustomerRequest{Name: goes}))(t)
	w.run("backup", "--to", w.path("new.db"))

	if out, err := w.tryRun("restore", "--from", w.path("old.db"), "--keys", w.path("kontor.keys")); err == nil {
		t.Errorf("over a store in use: %s", out)
	}
	w.lose()
	said := w.run("restore", "--from", w.path("old.db"), "--keys", w.path("kontor.keys"))
	for _, line := range []string{"1 customers that were deleted", "2 consents that were deleted"} {
		if !strings.Contains(said, line) {
			t.Errorf("the restore does not say %q: %s", line, said)
		}
	}
	// Where a provider names a consent by its customer's user, that of the customer who stays is there.
	if storeHolds(t, w, theirs.GetProviderReference()) {
		t.Errorf("the store has how the provider names %s", theirs.GetName())
	}
	w.verified()
	w.restart()
	for _, r := range before {
		w.settle(t, r)
		w.stands(t, r.answer, false)
	}
	w.stands(t, &customerv1.Customer{Name: stays}, false)
	get := &customerv1.GetCustomerRequest{Name: goes}
	if _, err := w.client.Customers.GetCustomer(w.context(), get); reason(err) != "CUSTOMER_NOT_FOUND" {
		t.Errorf("the deleted customer: %v", err)
	}
	for _, of := range []*consentv1.Consent{deleted, theirs} {
		get := &consentv1.GetConsentRequest{Name: of.GetName()}
		if _, err := w.client.Consents.GetConsent(w.context(), get); reason(err) != "CONSENT_NOT_FOUND" {
			t.Errorf("the deleted consent: %v", err)
		}
		list := &consentv1.ListConsentEventsRequest{Parent: of.GetName()}
		if _, err := w.client.Consents.ListConsentEvents(w.context(), list); reason(err) != "CONSENT_NOT_FOUND" {
			t.Errorf("its events: %v", err)
		}
	}
	w.eventually("all is sealed", func() bool { return strings.Contains(w.verified(), " 0 not sealed yet") })
}

// TestRestoreEndsAgain puts an old copy together with the newest keys: what callers revoked between them is over, in
// its history too, and no provider is asked for data under it; receipts of deletions answer as before. Older keys, with
// which it would stand again, are refused unless the operator takes them knowingly.
func TestRestoreEndsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	var consents []*consentv1.Consent
	for _, provider := range worldtest.Providers() {
		request := consentRequest(uuid.NewString(), provider, "", "")
		consents = append(consents, must(w.client.Consents.CreateConsent(w.context(), request))(t))
		w.approve(consents[len(consents)-1])
		status := func() consentv1.Consent_Status {
			get := &consentv1.GetConsentRequest{Name: consents[len(consents)-1].GetName(), Refresh: true}
			return must(w.client.Consents.GetConsent(w.context(), get))(t).GetStatus()
		}
		w.eventually("the consent stands", func() bool { return status() == consentv1.Consent_AUTHORIZED })
	}
	goes := newCustomer(t, w)
	w.run("backup", "--to", w.path("old.db"), "--keys", w.path("old.keys"))
	for _, c := range consents {
		must(w.client.Consents.RevokeConsent(w.context(), &consentv1.RevokeConsentRequest{Name: c.GetName()}))(t)
	}
	deleted := &customerv1.DeleteCustomerRequest{Name: goes}
	receipt := must(w.client.Customers.DeleteCustomer(w.context(), deleted))(t)
	w.run("backup", "--to", w.path("new.db"), "--keys", w.path("kontor.keys"))

	w.lose()
	older := []string{"restore", "--from", w.path("old.db"), "--keys", w.path("old.keys")}
	if out, err := w.tryRun(older...); err == nil || !strings.Contains(out, "wrote newer ones") {
		t.Errorf("keys that are not the newest: %v, %s", err, out)
	}
	said := w.run("restore", "--from", w.path("old.db"), "--keys", w.path("kontor.keys"))
	for _, line := range []string{
		"with keys that were written at ", fmt.Sprintf("%d consents that ended", len(consents)), "1 receipts of deletions",
	} {
		if !strings.Contains(said, line) {
			t.Errorf("the restore does not say %q: %s", line, said)
		}
	}
	asked := func() (reads int) {
		for _, provider := range worldtest.Providers() {
			reads += w.Played[provider].Core.Calls.Count(worldtest.Of(provider).Read)
		}
		return reads
	}
	before := asked()
	w.restart()
	for _, c := range consents {
		w.stands(t, c, true)
		list := &bankingv1.ListAccountsRequest{Parent: c.GetName()}
		if _, err := w.client.Banking.ListAccounts(w.context(), list); reason(err) != "CONSENT_REVOKED" {
			t.Errorf("accounts under %s: %v", c.GetName(), err)
		}
		events := must(w.client.Consents.ListConsentEvents(w.context(), &consentv1.ListConsentEventsRequest{
			Parent: c.GetName(),
		}))(t).GetEvents()
		last := events[len(events)-1]
		if last.GetType() != consentv1.ConsentEvent_REVOKED || !strings.Contains(last.GetDescription(), "restored") {
			t.Errorf("the last event of %s is %v", c.GetName(), last)
		}
		watch := must(w.client.Consents.WatchConsents(w.context(), &consentv1.WatchConsentsRequest{
			Consent: c.GetName(),
		}))(t)
		told := must(watch.Recv())(t).GetConsent()
		if told.GetStatus() != consentv1.Consent_REVOKED {
			t.Errorf("a watcher of %s is told %s", c.GetName(), told.GetStatus())
		}
	}
	if got := asked() - before; got != 0 {
		t.Errorf("the providers were asked for data %d times", got)
	}
	again := must(w.client.Customers.GetDeletionReceipt(w.context(), &customerv1.GetDeletionReceiptRequest{
		Name: receipt.GetName(),
	}))(t)
	if !proto.Equal(again, receipt) {
		t.Errorf("the receipt is %v, was %v", again, receipt)
	}
	if again := must(w.client.Customers.DeleteCustomer(w.context(), deleted))(t); !proto.Equal(again, receipt) {
		t.Errorf("deleting again answers %v, was %v", again, receipt)
	}
	w.eventually("all is sealed", func() bool { return strings.Contains(w.verified(), " 0 not sealed yet") })

	w.lose()
	w.run(append(older, "--older-keys")...)
}
