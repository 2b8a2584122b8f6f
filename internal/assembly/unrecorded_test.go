package assembly_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// Each method that changes something at a provider is called while one access to the store fails, each in turn. Before
// the provider was asked, the caller is told that nothing was done; afterwards, that nobody knows. Asking again settles
// it, and what may be done once is done once.

// hiccup is a database of which one access fails, before it does anything or although it did.
type hiccup struct {
	store.Database

	durable bool
	effects func() int

	mu        sync.Mutex
	at, count int // none fails while at is 0
	// acted is what the provider had done when the access failed, -1 when none did.
	acted int
}

// spring has an access from now on fail, none with 0, and gives what the provider had done when one did.
func (h *hiccup) spring(at int) (acted int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.count = at, 0
	return h.acted
}

func (h *hiccup) springs() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	if h.count != h.at {
		return false
	}
	h.acted = h.effects()
	return true
}

func (h *hiccup) View(ctx context.Context, tenant string, fn func(store.Reader) error) error {
	if h.springs() {
		return errDisk
	}
	return h.Database.View(ctx, tenant, fn)
}

func (h *hiccup) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if !h.springs() {
		return h.Database.Update(ctx, tenant, fn)
	}
	if !h.durable {
		return errDisk
	}
	return errors.Join(h.Database.Update(ctx, tenant, fn), errDisk)
}

// world is a provider that writes, and what it wrote.
type world struct {
	mu      sync.Mutex
	effects map[string]int
	// answered are the times at which the provider answered.
	answered []time.Time
	// link is what a synchronization answers.
	link *providers.Link
	// takes is how long the provider takes to answer what it has done.
	takes time.Duration
}

// act notes an effect as the client of HTTP does.
func (w *world) act(ctx context.Context, what string) {
	identity.TrailOf(ctx).Acted()
	w.mu.Lock()
	w.effects[what]++
	w.answered = append(w.answered, time.Now().Add(w.takes))
	w.mu.Unlock()
	time.Sleep(w.takes)
}

// nth gives when the provider answered for the nth time, zero when it has not yet.
func (w *world) nth(n int) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n < 1 || len(w.answered) < n {
		return time.Time{}
	}
	return w.answered[n-1]
}

func (w *world) count(what ...string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(what) == 0 {
		for _, count := range w.effects {
			n += count
		}
	}
	for _, name := range what {
		n += w.effects[name]
	}
	return n
}

type worldConsents struct {
	providers.Consents
	*world
}

func (c worldConsents) CreateConsent(
	ctx context.Context, asked providers.NewConsent,
) (*providers.CreatedConsent, error) {
	c.act(ctx, "consent")
	return c.Consents.CreateConsent(ctx, asked)
}

func (c worldConsents) RevokeConsent(ctx context.Context, _ providers.ConsentRef) error {
	c.act(ctx, "revocation")
	return nil
}

var worldLink = providers.Link{URI: "https://bank.example.com/more", TTL: time.Hour}

func (w *world) RenewLink(ctx context.Context, _ providers.ConsentRef, _ providers.Flow) (*providers.Issued, error) {
	w.act(ctx, "renewal")
	return &providers.Issued{Link: worldLink}, nil
}

func (w *world) AddBank(ctx context.Context, _ providers.ConsentRef, _ providers.Flow) (*providers.Issued, error) {
	if w.count("flow") > 0 {
		return nil, &providers.Error{Kind: providers.KindConflict, Provider: "fimento", Status: 409}
	}
	w.act(ctx, "flow")
	return &providers.Issued{Link: worldLink}, nil
}

func (w *world) SimulateDecision(ctx context.Context, _ providers.ConsentRef, _ bool) error {
	w.act(ctx, "decision")
	return nil
}

func (w *world) SyncConnection(
	ctx context.Context, _ providers.ConsentRef, _ string, _ providers.Flow,
) (*providers.Link, error) {
	w.act(ctx, "sync")
	return w.link, nil
}

func (w *world) DeleteConnection(ctx context.Context, _ providers.ConsentRef, _ string) error {
	w.act(ctx, "removal")
	return nil
}

func (w *world) ManagementSession(
	ctx context.Context, _ providers.ConsentRef, _ providers.Flow,
) (*providers.Link, error) {
	w.act(ctx, "session")
	return &worldLink, nil
}

func (w *world) ImportConnections(
	ctx context.Context, _ providers.ConsentRef, _ bool, _ []*bankingv1.ImportedConnection,
) error {
	w.act(ctx, "import")
	return nil
}

func (w *world) SendShipment(ctx context.Context, _ providers.Shipment) error {
	w.act(ctx, "shipment")
	return nil
}

func (w *world) CreatePartnerBank(
	ctx context.Context, _ providers.PartnerBank,
) (*providers.PartnerBank, error) {
	w.act(ctx, "partner bank")
	return &providers.PartnerBank{ID: "bank", DisplayName: "Lübecker Bank"}, nil
}

func (w *world) UpdatePartnerBank(
	ctx context.Context, bank providers.PartnerBank,
) (*providers.PartnerBank, error) {
	w.act(ctx, "update")
	return &bank, nil
}

func (w *world) ListPartnerBanks(context.Context, int, int) ([]providers.PartnerBank, error) {
	return []providers.PartnerBank{{ID: "bank", DisplayName: "Lübecker Bank"}}, nil
}

// worldUsers are billed users.
type worldUsers struct {
	providers.Users
	*world
}

func (u worldUsers) CreateUser(ctx context.Context, _ providers.NewUser) (string, error) {
	u.act(ctx, "user")
	return fmt.Sprint("user-", u.count("user")), nil
}

func (u worldUsers) DeleteUser(ctx context.Context, _ string) error {
	u.act(ctx, "user's end")
	return nil
}

func (u worldUsers) AddProduct(ctx context.Context, _ string, _ customerv1.Product_Value) error {
	u.act(ctx, "product")
	return nil
}

func (u worldUsers) MaxUserPage() int { return 100 }

// at is what a call is about.
type at struct{ consent, connection, customer string }

// writes are the methods that change something at a provider. The first repetition may meet what the first call did.
var writes = map[string]struct {
	// users says that customers are users at the provider, and that the consent's has been made.
	users bool
	link  *providers.Link
	call  func(context.Context, *assemblytest.Gateway, at) error
	// anew says that the provider does not recognise a repetition of a consent.
	anew bool
	// late says that the store is not needed before the provider is asked.
	late bool
	// once may happen once, however often the caller asks.
	once string
	// met are the answers of a repetition that found what the first call did.
	met []errorv1.Error_Reason
}{
	"CreateConsent": {call: func(ctx context.Context, p *assemblytest.Gateway, _ at) error {
		_, err := p.Servers.Consent.CreateConsent(ctx, consentRequest("key-1", ""))
		return err
	}},
	"CreateConsent with a user": {users: true, once: "user", call: func(
		ctx context.Context, p *assemblytest.Gateway, _ at,
	) error {
		_, err := p.Servers.Consent.CreateConsent(ctx, consentRequest("key-1", ""))
		return err
	}},
	"CreateConsent that is not recognised": {users: true, anew: true, once: "consent", call: func(
		ctx context.Context, p *assemblytest.Gateway, _ at,
	) error {
		_, err := p.Servers.Consent.CreateConsent(ctx, consentRequest("key-1", ""))
		return err
	}},
	"RenewConsentLink": {call: func(ctx context.Context, p *assemblytest.Gateway, at at) error {
		_, err := p.Servers.Consent.RenewConsentLink(ctx, &consentv1.RenewConsentLinkRequest{Name: at.consent})
		return err
	}},
	"AddBank": {once: "flow", call: func(ctx context.Context, p *assemblytest.Gateway, at at) error {
		_, err := p.Servers.Consent.AddBank(ctx, &consentv1.AddBankRequest{Name: at.consent, RequestId: "key-1"})
		return err
	}, met: []errorv1.Error_Reason{errorv1.Error_CONSENT_FLOW_ALREADY_OPEN}},
	"RevokeConsent": {call: func(ctx context.Context, p *assemblytest.Gateway, at at) error {
		_, err := p.Servers.Consent.RevokeConsent(ctx, &consentv1.RevokeConsentRequest{Name: at.consent})
		return err
	}},
	"DeleteConsent": {call: func(ctx context.Context, p *assemblytest.Gateway, at at) error {
		_, err := p.Servers.Consent.DeleteConsent(ctx, &consentv1.DeleteConsentRequest{Name: at.consent})
		return err
	}, met: []errorv1.Error_Reason{errorv1.Error_CONSENT_NOT_FOUND}},
	"SimulateDecision": {call: func(ctx context.Context, p *assemblytest.Gateway, at at) error {
		_, err := p.Servers.Consent.SimulateDecision(ctx, &consentv1.SimulateDecisionRequest{
			Name: at.consent, Decision: consentv1.Decision_APPROVED,
		})
		return err
	}},
	"CreatePartnerBank": {once: "partner bank", call: func(
		ctx context.Context, p *assemblytest.Gateway, _ at,
	) error {
		_, err := p.Servers.Consent.CreatePartnerBank(ctx, &consentv1.CreatePartnerBankRequest{
			RequestId: "key-1", PartnerBank: &consentv1.PartnerBank{DisplayName: "Lübecker Bank"},
		})
		return err
	}},
	"UpdatePartnerBank": {late: true, call: func(ctx context.Context, p *assemblytest.Gateway, _ at) error {
		_, err := p.Servers.Consent.UpdatePartnerBank(ctx, &consentv1.UpdatePartnerBankRequest{
			PartnerBank: &consentv1.PartnerBank{Name: "partnerBanks/bank", DisplayName: "Lübecker Bank"},
		})
		return err
	}},
	"SyncConnection":             {call: syncOf},
	"SyncConnection with a link": {link: &worldLink, call: syncOf},
	"DeleteConnection": {call: func(ctx context.Context, p *assemblytest.Gateway, at at) error {
		_, err := p.Servers.Banking.DeleteConnection(ctx, &bankingv1.DeleteConnectionRequest{Name: at.connection})
		return err
	}},
	"CreateManagementSession": {call: func(ctx context.Context, p *assemblytest.Gateway, at at) error {
		_, err := p.Servers.Banking.CreateManagementSession(ctx, &bankingv1.CreateManagementSessionRequest{
			Name: at.consent,
		})
		return err
	}},
	"ImportConnections": {users: true, once: "user", call: func(
		ctx context.Context, p *assemblytest.Gateway, at at,
	) error {
		_, err := p.Servers.Banking.ImportConnections(ctx, &bankingv1.ImportConnectionsRequest{
			Name: at.customer, RequestId: "key-1", Connections: []*bankingv1.ImportedConnection{{Id: "1"}},
		})
		return err
	}},
	"CreateShipment": {once: "shipment", call: func(ctx context.Context, p *assemblytest.Gateway, _ at) error {
		_, err := p.Servers.Documents.CreateShipment(ctx, faxRequest("key-1"))
		return err
	}},
	"UpdateCustomer": {users: true, call: func(ctx context.Context, p *assemblytest.Gateway, at at) error {
		_, err := p.Servers.Customer.UpdateCustomer(ctx, &customerv1.UpdateCustomerRequest{
			Customer: &customerv1.Customer{Name: at.customer, Products: []customerv1.Product_Value{
				customerv1.Product_BANKING, customerv1.Product_IMPORT,
			}},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"products"}},
		})
		return err
	}},
	"DeleteCustomer": {call: deleteCustomer, met: []errorv1.Error_Reason{errorv1.Error_CUSTOMER_NOT_FOUND}},
	"DeleteCustomer with a user": {
		users: true, call: deleteCustomer, met: []errorv1.Error_Reason{errorv1.Error_CUSTOMER_NOT_FOUND},
	},
}

func syncOf(ctx context.Context, p *assemblytest.Gateway, at at) error {
	_, err := p.Servers.Banking.SyncConnection(ctx, &bankingv1.SyncConnectionRequest{Name: at.connection})
	return err
}

func deleteCustomer(ctx context.Context, p *assemblytest.Gateway, at at) error {
	_, err := p.Servers.Customer.DeleteCustomer(ctx, &customerv1.DeleteCustomerRequest{Name: at.customer})
	return err
}

// TestWhatAProviderDidIsNeverDenied has each access to the store fail, in turn, of each method that writes.
func TestWhatAProviderDidIsNeverDenied(t *testing.T) {
	for name := range writes {
		for _, durable := range []bool{false, true} {
			t.Run(fmt.Sprint(name, "/durable ", durable), func(t *testing.T) {
				before, after := 0, 0
				for step := 1; ; step++ {
					acted := denied(t, name, durable, step)
					switch {
					case acted < 0:
						if before == 0 != writes[name].late || after == 0 {
							t.Errorf("%d accesses failed before the provider was asked, and %d afterwards", before, after)
						}
						return
					case acted == 0:
						before++
					default:
						after++
					}
				}
			})
		}
	}
}

// denied has one access fail, looks at what the caller is told, and asks again. It gives how much the provider had done
// for the call by then, -1 when there was no such access.
func denied(t *testing.T, name string, durable bool, step int) (acted int) {
	t.Helper()
	write := writes[name]
	synctest.Test(t, func(t *testing.T) {
		h := &hiccup{durable: durable, acted: -1}
		p, w, about := writing(t, name, func(db store.Database, w *world) store.Database {
			h.Database, h.effects = db, func() int { return w.count() }
			return h
		})
		h.spring(step)
		first := write.call(identity.WithTrail(p.Ctx), p, about)
		acted = h.spring(0)
		reason := kerr.Reason(first)
		switch {
		case acted < 0:
			if first != nil {
				t.Errorf("without a failure: %v", first)
			}
			return
		case first == nil: // It could be done without.
		case acted > 0 && reason != errorv1.Error_OUTCOME_UNKNOWN:
			t.Errorf("step %d: the provider did %v, and the caller is told %v", step, w.effects, first)
		case acted == 0 && reason != errorv1.Error_STORE_UNAVAILABLE:
			t.Errorf("step %d: nothing was done, and the caller is told %v", step, first)
		}
		second := write.call(identity.WithTrail(p.Ctx), p, about)
		met := second == nil || kerr.Reason(second) == errorv1.Error_OUTCOME_UNKNOWN && acted > 0 ||
			kerr.Reason(second) == errorv1.Error_OUTCOME_UNKNOWN && durable // an intent that is open
		for _, reason := range write.met {
			met = met || kerr.Reason(second) == reason
		}
		if !met {
			t.Errorf("step %d: after %v the second answer is %v", step, first, second)
		}
		if n := w.count(write.once); write.once != "" && n > 1 {
			t.Errorf("step %d: the provider did it %d times", step, n)
		}
		assemblytest.Pass(time.Minute)
	})
	return acted
}

// writing gives a gateway whose provider writes, what the provider writes from now on, and what a call is about. The
// gateway's database is what between makes of it.
func writing(
	t *testing.T, name string, between func(store.Database, *world) store.Database,
) (*assemblytest.Gateway, *world, at) {
	t.Helper()
	write := writes[name]
	w := &world{effects: map[string]int{}, link: write.link}
	p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
		o.Store = between(o.Store, w)
		p.Consents = worldConsents{p.Consents, w}
		p.Links, p.Banks, p.Simulator, p.PartnerBanks, p.Connections, p.Shipments = w, w, w, w, w, w
		names := []providers.Capability{
			"RevokeConsent", "DeleteConsent", "AddBank", "SimulateDecision", "CreatePartnerBank", "GetPartnerBank",
			"ListPartnerBanks", "UpdatePartnerBank", "SyncConnection", "DeleteConnection", "CreateManagementSession",
			"CreateShipment", "ListShipments",
		}
		p.RepeatsConsents = !write.anew
		if write.users {
			p.Users, p.Importer = worldUsers{world: w}, w
			names = append(names, "ImportConnections", "ListProviderUsers")
		}
		for _, name := range names {
			p.Capabilities[name] = providers.Support{Level: providers.Native}
		}
	})
	about := standing(t, p, name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.effects, w.answered = map[string]int{}, nil
	return p, w, about
}

// standing gives a consent that stands, with a connection, and its customer; for an import, a customer alone, and for a
// new link a consent that waits for a decision.
func standing(t *testing.T, p *assemblytest.Gateway, name string) at {
	t.Helper()
	if name == "ImportConnections" {
		made, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
		})
		if err != nil {
			t.Fatal(err)
		}
		return at{customer: made.GetName()}
	}
	row := p.Create(t)
	if name == "RenewConsentLink" {
		return at{consent: row.Resource.GetName(), customer: row.Resource.GetCustomer()}
	}
	p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
		{ID: "bank", Active: true},
	}}, nil)
	assemblytest.Pass(time.Minute)
	fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
	if err != nil {
		t.Fatal(err)
	}
	return at{
		consent: fresh.Resource.GetName(), customer: fresh.Resource.GetCustomer(),
		connection: fresh.Resource.GetConnections()[0].GetName(),
	}
}
