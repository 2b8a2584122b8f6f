package assembly_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// A process stands still here for longer than its leases last, and goes on afterwards. Others took its work over.

// stillFor is longer than a lease lasts.
const stillFor = time.Minute

// stalling is a database to which the nth Update comes late.
type stalling struct {
	store.Database

	at       int32
	stands   time.Duration
	calls    *atomic.Int32
	standing chan struct{}
}

func (s stalling) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if s.calls.Add(1) == s.at {
		close(s.standing)
		time.Sleep(s.stands)
	}
	return s.Database.Update(ctx, tenant, fn)
}

// stall has a process stand still before its nth Update from now on, and gives what is closed then. Nothing else tells:
// a goroutine that waits for another process's transaction is as durably blocked as one that stands still.
func stall(p *assemblytest.Gateway, at int32, stands time.Duration) (standing <-chan struct{}) {
	s := stalling{
		Database: p.Database(), at: at, stands: stands, calls: &atomic.Int32{}, standing: make(chan struct{}),
	}
	p.Store.Store = s
	return s.standing
}

// Updates of a creating request: the key is claimed by the first, the second notes the write that comes.
const beforeTheWrite = 2

// faxes sends faxes.
type faxes struct {
	providers.Shipments

	sent  atomic.Int32
	takes time.Duration
}

func (f *faxes) SendShipment(context.Context, providers.Shipment) error {
	f.sent.Add(1)
	time.Sleep(f.takes)
	return nil
}

// faxing makes a provider send faxes.
func faxing(f *faxes) func(*assembly.Options, *providers.Provider) {
	return func(_ *assembly.Options, p *providers.Provider) {
		p.Shipments = f
		p.Capabilities["CreateShipment"] = providers.Support{Level: providers.Native}
		p.Capabilities["ListShipments"] = providers.Support{Level: providers.Native}
	}
}

func faxRequest(key string) *documentsv1.CreateShipmentRequest {
	return &documentsv1.CreateShipmentRequest{RequestId: key, Shipment: &documentsv1.Shipment{
		Channel: documentsv1.Channel_FAX, Recipient: "+4930123456", Pdf: []byte("%PDF-1.4"), Subject: "Offer",
	}}
}

// wantTakenOver sees that a call learned that another process has its request.
func wantTakenOver(t *testing.T, err error) {
	t.Helper()
	if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE || kerr.Retry(err) == 0 {
		t.Errorf("the process that stood still ended with %v, want that it may be tried again", err)
	}
}

func TestNoSecondFaxAfterStandingStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &faxes{}
		p := assemblytest.New(t, faxing(provider))
		still := p.Dying(t)
		standing := stall(still, beforeTheWrite, stillFor)
		var late error
		var calling sync.WaitGroup
		calling.Go(func() { _, late = still.Servers.Documents.CreateShipment(still.Ctx, faxRequest("key-1")) })
		<-standing
		sent, err := p.Servers.Documents.CreateShipment(p.Ctx, faxRequest("key-1"))
		if err != nil {
			t.Fatal(err)
		}
		calling.Wait()
		wantTakenOver(t, late)
		if n := provider.sent.Load(); n != 1 {
			t.Errorf("%d faxes were sent for one key", n)
		}
		all, err := p.Servers.Documents.ListShipments(p.Ctx, &documentsv1.ListShipmentsRequest{})
		if err != nil || len(all.GetShipments()) != 1 || all.GetShipments()[0].GetName() != sent.GetName() {
			t.Errorf("the shipments are %v, %v", all.GetShipments(), err)
		}
	})
}

func TestNoSecondPartnerBankAfterStandingStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &banks{hold: make(chan struct{})}
		close(provider.hold)
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.PartnerBanks = provider
			p.Capabilities["CreatePartnerBank"] = providers.Support{Level: providers.Native}
		})
		still := p.Dying(t)
		standing := stall(still, beforeTheWrite, stillFor)
		request := &consentv1.CreatePartnerBankRequest{
			RequestId: "key-1", PartnerBank: &consentv1.PartnerBank{DisplayName: "Lübecker Bank"},
		}
		var late error
		var calling sync.WaitGroup
		calling.Go(func() { _, late = still.Servers.Consent.CreatePartnerBank(still.Ctx, request) })
		<-standing
		if _, err := p.Servers.Consent.CreatePartnerBank(p.Ctx, request); err != nil {
			t.Fatal(err)
		}
		calling.Wait()
		wantTakenOver(t, late)
		if calls := provider.calls.Load(); calls != 1 {
			t.Errorf("%d partner banks were made for one key", calls)
		}
	})
}

// The store is slow to take the note of a write, slower than a lease lasts. The write's lease begins when it is noted:
// nobody takes the write for interrupted while it is under way.
func TestLeaseBeginsWithTheNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, faxing(&faxes{takes: 10 * time.Second}))
		slow := p.Dying(t)
		stall(slow, beforeTheWrite, 20*time.Second)
		if _, err := slow.Servers.Documents.CreateShipment(slow.Ctx, faxRequest("key-1")); err != nil {
			t.Errorf("a fax that was sent: %v", err)
		}
	})
}

// The user of a customer of the request's own is made by whoever has the request.
func TestNoSecondUserAfterStandingStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Users = users{made: &made} })
		still := p.Dying(t)
		standing := stall(still, beforeTheWrite, stillFor)
		var late error
		var calling sync.WaitGroup
		calling.Go(func() { _, late = still.Servers.Consent.CreateConsent(still.Ctx, consentRequest("key-1", "")) })
		<-standing
		if _, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", "")); err != nil {
			t.Fatal(err)
		}
		calling.Wait()
		wantTakenOver(t, late)
		if made.Load() != 1 || p.Made() != 1 {
			t.Errorf("%d users and %d consents were made for one key", made.Load(), p.Made())
		}
	})
}

// The user of a customer that several requests are about is made by whoever has the right to it. A process that stood
// still finds the user that another request made meanwhile, and goes on with it.
func TestUserOfAnotherRequestAfterStandingStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Users = users{made: &made} })
		customer, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
		})
		if err != nil {
			t.Fatal(err)
		}
		still := p.Dying(t)
		standing := stall(still, beforeTheWrite, stillFor)
		var late error
		var calling sync.WaitGroup
		calling.Go(func() {
			_, late = still.Servers.Consent.CreateConsent(still.Ctx, consentRequest("key-1", customer.GetName()))
		})
		<-standing
		if _, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-2", customer.GetName())); err != nil {
			t.Fatal(err)
		}
		calling.Wait()
		if late != nil || made.Load() != 1 || p.Made() != 2 {
			t.Errorf("%v; %d users and %d consents were made, want 1 and 2", late, made.Load(), p.Made())
		}
	})
}

// userBook makes users, each another one, and counts the deletions.
type userBook struct {
	users

	deleted atomic.Int32
}

func (u *userBook) DeleteUser(context.Context, string) error {
	u.deleted.Add(1)
	return nil
}

// firstFails makes consents, but for the first one, which is refused after a while.
type firstFails struct {
	providers.Consents

	calls         atomic.Int32
	stands, takes time.Duration // the first, the others
}

func (f *firstFails) CreateConsent(
	ctx context.Context, asked providers.NewConsent,
) (*providers.CreatedConsent, error) {
	if f.calls.Add(1) == 1 {
		time.Sleep(f.stands)
		return nil, &providers.Error{Kind: providers.KindUnavailable}
	}
	time.Sleep(f.takes)
	return f.Consents.CreateConsent(ctx, asked)
}

// A process stands still while the provider is asked for a consent, and learns then that it failed. Customer and user
// are those of the consent that another process made for the same request, or is making: they stay.
func TestFailureLeavesWhatWasTakenOver(t *testing.T) {
	for _, takes := range []time.Duration{0, stillFor} {
		t.Run(takes.String(), func(t *testing.T) { failureLeavesWhatWasTakenOver(t, takes) })
	}
}

func failureLeavesWhatWasTakenOver(t *testing.T, takes time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		book := &userBook{users: users{made: &atomic.Int32{}}}
		provider := &firstFails{stands: stillFor, takes: takes}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			provider.Consents = p.Consents
			p.Users, p.Consents = book, provider
		})
		still := p.Dying(t)
		var late error
		var calling sync.WaitGroup
		calling.Go(func() { _, late = still.Servers.Consent.CreateConsent(still.Ctx, consentRequest("key-1", "")) })
		assemblytest.Pass(5 * time.Second)
		made, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", ""))
		if err != nil {
			t.Fatal(err)
		}
		calling.Wait()
		if late == nil {
			t.Error("the process whose consent failed acknowledged it")
		}
		get := &consentv1.GetConsentRequest{Name: made.GetName()}
		if _, err := p.Servers.Consent.GetConsent(p.Ctx, get); err != nil || book.deleted.Load() != 0 {
			t.Errorf("the acknowledged consent: %v; %d users were deleted", err, book.deleted.Load())
		}
	})
}

// The customer of a failed request stays also when somebody else asked for a consent of theirs meanwhile.
func TestFailureLeavesACustomerWithAConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, others := range []bool{false, true} {
			book := &userBook{users: users{made: &atomic.Int32{}}}
			provider := &firstFails{stands: 10 * time.Second}
			p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
				provider.Consents = p.Consents
				p.Users, p.Consents = book, provider
			})
			var failure error
			var calling sync.WaitGroup
			calling.Go(func() { _, failure = p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", "")) })
			assemblytest.Pass(5 * time.Second)
			all, err := p.Servers.Customer.ListCustomers(p.Ctx, &customerv1.ListCustomersRequest{})
			if err != nil || len(all.GetCustomers()) != 1 {
				t.Fatalf("the customers are %v, %v", all.GetCustomers(), err)
			}
			name := all.GetCustomers()[0].GetName()
			if others {
				if _, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-2", name)); err != nil {
					t.Fatal(err)
				}
			}
			calling.Wait()
			if kerr.Reason(failure) != errorv1.Error_PROVIDER_UNAVAILABLE {
				t.Errorf("the request that failed ended with %v", failure)
			}
			_, err = p.Servers.Customer.GetCustomer(p.Ctx, &customerv1.GetCustomerRequest{Name: name})
			if stays := err == nil; stays != others || (book.deleted.Load() == 0) != others {
				t.Errorf("with a consent of others %t: the customer stays %t, %d users were deleted", others, stays,
					book.deleted.Load())
			}
		}
	})
}

// Where a provider knows one consent for each user, a process that stood still finds the consent of the one that took
// its request over. That is the answer of the key, and no reason to refuse.
func TestOneAnswerAfterStandingStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{hold: make(chan struct{})}
		p := assemblytest.New(t, slowly(provider), func(_ *assembly.Options, p *providers.Provider) {
			p.Users, p.OneConsentPerUser = users{made: &atomic.Int32{}}, true
		})
		still := p.Dying(t)
		var late error
		var calling sync.WaitGroup
		calling.Go(func() { _, late = still.Servers.Consent.CreateConsent(still.Ctx, consentRequest("key-1", "")) })
		assemblytest.Pass(5 * time.Second)
		if _, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", "")); err != nil {
			t.Fatal(err)
		}
		close(provider.hold)
		calling.Wait()
		wantTakenOver(t, late)
	})
}

// connecting is a provider that keeps one consent for each user. The first user, or the first read, takes its time.
type connecting struct {
	users
	providers.Consents

	userTakes, readTakes time.Duration
	calls, reads, ended  atomic.Int32
}

func (c *connecting) CreateUser(context.Context, providers.NewUser) (string, error) {
	n := c.calls.Add(1)
	if n == 1 {
		time.Sleep(c.userTakes)
	}
	return fmt.Sprint("user-", n), nil
}

func (c *connecting) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	if c.reads.Add(1) == 1 {
		time.Sleep(c.readTakes)
	}
	return c.Consents.GetConsent(ctx, ref)
}

func (c *connecting) RevokeConsent(context.Context, providers.ConsentRef) error {
	c.ended.Add(1)
	return nil
}

// A process asks for a consent, and what it asks the provider takes so long that another one takes its work over. The
// customer has connected a bank by then: that is not left over from before, and stays.
func TestBanksConnectedMeanwhileStay(t *testing.T) {
	for name, test := range map[string]struct {
		provider      *connecting
		user          string // that the customer has already
		first, second string // the keys
		want          errorv1.Error_Reason
	}{
		"another request, while the user is made": {
			&connecting{userTakes: stillFor}, "", "", "key-2", errorv1.Error_CONSENT_EXISTS,
		},
		"the same request, while the user is looked at": {
			&connecting{readTakes: stillFor}, "user-0", "key-1", "key-1", errorv1.Error_STORE_UNAVAILABLE,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := test.provider
				p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
					at.Consents = p.Consents
					p.Users, p.Consents, p.OneConsentPerUser = at, at, true
				})
				customer, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
					Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
				})
				if err != nil {
					t.Fatal(err)
				}
				if test.user != "" {
					has(t, p, customer, test.user)
				}
				still := p.Dying(t)
				var late error
				var calling sync.WaitGroup
				calling.Go(func() {
					_, late = still.Servers.Consent.CreateConsent(still.Ctx,
						consentRequest(test.first, customer.GetName()))
				})
				assemblytest.Pass(5 * time.Second)
				if _, err := p.Servers.Consent.CreateConsent(p.Ctx,
					consentRequest(test.second, customer.GetName())); err != nil {
					t.Fatal(err)
				}
				p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
					{ID: "bank", Active: true},
				}}, nil)
				calling.Wait()
				if n := at.ended.Load(); n != 0 || kerr.Reason(late) != test.want {
					t.Errorf("the late one ended with %v, and disconnected the user %d times", late, n)
				}
			})
		})
	}
}

// has gives a customer a user.
func has(t *testing.T, p *assemblytest.Gateway, customer *customerv1.Customer, user string) {
	t.Helper()
	row, err := p.Load.Customer(p.Ctx, customer.GetName())
	if err == nil {
		err = p.Store.Update(p.Ctx, row.Tenant, func(tx store.Tx) error {
			fresh, err := tx.Customer(row.ID)
			if err != nil {
				return err
			}
			fresh.Users["fimento"] = user
			return tx.UpdateCustomer(fresh)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A customer is deleted at one process while another one makes their user: the receipt says that nothing of theirs is
// left, and so it is.
func TestNoUserIsLeftOfADeletedCustomer(t *testing.T) {
	for _, key := range []string{"", "key-1"} {
		synctest.Test(t, func(t *testing.T) {
			book := &userBook{users: users{made: &atomic.Int32{}}}
			p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Users = book })
			other := p.Beside(t)
			customer, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
				Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
			})
			if err != nil {
				t.Fatal(err)
			}
			var late error
			var calling sync.WaitGroup
			calling.Go(func() {
				_, late = other.Servers.Consent.CreateConsent(other.Ctx, consentRequest(key, customer.GetName()))
			})
			assemblytest.Pass(500 * time.Millisecond)
			if _, err := p.Servers.Customer.DeleteCustomer(p.Ctx,
				&customerv1.DeleteCustomerRequest{Name: customer.GetName()}); err != nil {
				t.Fatal(err)
			}
			calling.Wait()
			made, deleted := book.made.Load(), book.deleted.Load()
			if made != 1 || deleted != 1 || kerr.Reason(late) != errorv1.Error_CUSTOMER_NOT_FOUND {
				t.Errorf("with key %q: %v; %d users were made, %d deleted", key, late, made, deleted)
			}
		})
	}
}
