package consents_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// meanwhile has something happen while the provider answers, and remembers which consents were ended there.
type meanwhile struct {
	providers.Consents

	happens func()
	ended   []string
}

func (m *meanwhile) once() {
	if happens := m.happens; happens != nil {
		m.happens = nil
		happens()
	}
}

func (m *meanwhile) CreateConsent(
	ctx context.Context, asked providers.NewConsent,
) (*providers.CreatedConsent, error) {
	defer m.once()
	return m.Consents.CreateConsent(ctx, asked)
}

func (m *meanwhile) RevokeConsent(_ context.Context, ref providers.ConsentRef) error {
	m.ended = append(m.ended, ref.ID)
	return nil
}

func (m *meanwhile) link() (*providers.Issued, error) {
	defer m.once()
	return &providers.Issued{Link: providers.Link{URI: "https://bank.example.com/another", TTL: time.Hour}}, nil
}

func (m *meanwhile) AddBank(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	return m.link()
}

func (m *meanwhile) RenewLink(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	return m.link()
}

// managed gives links to where banks are managed.
type managed struct {
	providers.Connections

	m *meanwhile
}

func (c managed) ManagementSession(
	context.Context, providers.ConsentRef, providers.Flow,
) (*providers.Link, error) {
	issued, err := c.m.link()
	return &issued.Link, err
}

// full is a database without room for one write.
type full struct {
	store.Database

	next bool
}

func (f *full) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if f.next {
		f.next = false
		return store.NewFault(store.FaultFull, "no room")
	}
	return f.Database.Update(ctx, tenant, fn)
}

func withMeanwhile(t *testing.T, changes ...func(*assembly.Options)) (*assemblytest.Gateway, *meanwhile) {
	t.Helper()
	m := &meanwhile{}
	p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
		for _, change := range changes {
			change(o)
		}
		m.Consents = p.Consents
		p.Consents, p.Links, p.Banks, p.Connections = m, m, m, managed{m: m}
		for _, capability := range []providers.Capability{"AddBank", "RevokeConsent", "CreateManagementSession"} {
			p.Capabilities[capability] = providers.Support{Level: providers.Native}
		}
	})
	return p, m
}

// Nobody gets a link to a consent that was revoked while the provider issued it: the customer would give a permission
// that has ended here, and that nobody would take back.
func TestNoLinkAfterARevocation(t *testing.T) {
	for what, call := range map[string]func(*assemblytest.Gateway, string) error{
		"RenewConsentLink": func(p *assemblytest.Gateway, name string) error {
			return failure(p.Servers.Consent.RenewConsentLink(p.Ctx, &consentv1.RenewConsentLinkRequest{Name: name}))
		},
		"AddBank": func(p *assemblytest.Gateway, name string) error {
			return failure(p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{Name: name}))
		},
		"CreateManagementSession": func(p *assemblytest.Gateway, name string) error {
			return failure(p.Servers.Banking.CreateManagementSession(p.Ctx,
				&bankingv1.CreateManagementSessionRequest{Name: name}))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, m := withMeanwhile(t)
			row := p.Create(t)
			name := row.Resource.GetName()
			if what != "RenewConsentLink" {
				p.Report(approval(), nil)
				assemblytest.Pass(time.Minute)
			}
			m.happens = func() {
				if _, err := p.Servers.Consent.RevokeConsent(p.Ctx,
					&consentv1.RevokeConsentRequest{Name: name}); err != nil {
					t.Error(err)
				}
			}
			if err := call(p, name); kerr.Reason(err) != errorv1.Error_CONSENT_REVOKED {
				t.Errorf("%s: %v", what, err)
			}
			if last := newest(t, p, name); last != consentv1.ConsentEvent_REVOKED {
				t.Errorf("%s: the last event is %s", what, last)
			}
			if link := get(t, p, name).GetLink(); link.GetUri() != "" {
				t.Errorf("%s: the link is %v", what, link)
			}
		})
	}
}

// A consent that was made at the provider while its customer was deleted is ended there: the receipt says that nothing
// of theirs is left.
func TestNothingIsLeftOfADeletedCustomer(t *testing.T) {
	for _, key := range []string{"", "key"} {
		synctest.Test(t, func(t *testing.T) {
			p, m := withMeanwhile(t)
			customer, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
				Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
			})
			if err != nil {
				t.Fatal(err)
			}
			m.happens = func() {
				if _, err := p.Servers.Customer.DeleteCustomer(p.Ctx,
					&customerv1.DeleteCustomerRequest{Name: customer.GetName()}); err != nil {
					t.Error(err)
				}
			}
			request := &consentv1.CreateConsentRequest{RequestId: key, Consent: &consentv1.Consent{
				Customer: customer.GetName(), Market: "SE", RedirectUris: &consentv1.Consent_RedirectUris{
					Success: optional.Of("https://app.example.com/done"),
				},
			}}
			for range 2 {
				err = failure(p.Servers.Consent.CreateConsent(p.Ctx, request))
				if kerr.Reason(err) != errorv1.Error_CUSTOMER_NOT_FOUND {
					t.Errorf("with key %q: %v", key, err)
				}
			}
			if !slices.Equal(m.ended, []string{"process-1"}) || p.Made() != 1 {
				t.Errorf("with key %q: %d made, ended %v", key, p.Made(), m.ended)
			}
		})
	}
}

// A consent whose customer was to be made with it, and that the store did not take, is left to the repetition.
func TestUnrecordedConsentsAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &full{}
		p, m := withMeanwhile(t, func(o *assembly.Options) { db.Database, o.Store = o.Store, db })
		m.happens = func() { db.next = true }
		request := &consentv1.CreateConsentRequest{RequestId: "key", Consent: &consentv1.Consent{
			Market: "SE", RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of("https://app.example.com/done"),
			},
		}}
		err := failure(p.Servers.Consent.CreateConsent(p.Ctx, request))
		if kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN || len(m.ended) > 0 {
			t.Errorf("%v, ended %v", err, m.ended)
		}
	})
}
