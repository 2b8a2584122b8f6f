package customers_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// users take their time to change products.
type users struct {
	providers.Users

	takes time.Duration
	fails error
}

func (u *users) CreateUser(context.Context, providers.NewUser) (string, error) { return "user", nil }

func (u *users) AddProduct(context.Context, string, customerv1.Product_Value) error {
	<-time.After(u.takes)
	return u.fails
}

func (u *users) RemoveProduct(ctx context.Context, user string, product customerv1.Product_Value) error {
	return u.AddProduct(ctx, user, product)
}

// While a provider is asked to change a customer's products, another process changes the customer, too. Both calls are
// acknowledged, and both count.
func TestUpdatesBesideAChangeOfProducts(t *testing.T) {
	const banking, imports, fax = customerv1.Product_BANKING, customerv1.Product_IMPORT,
		customerv1.Product_DOCUMENT_SHIPMENT
	type products = []customerv1.Product_Value
	for name, c := range map[string]struct {
		first, slow, quick, want products // what the customer has, what each call wants, and what is right in the end
	}{
		"a reference alone": {products{banking}, products{banking, imports}, nil, products{banking, imports}},
		"two additions": {
			products{banking}, products{banking, imports}, products{banking, fax}, products{banking, imports, fax},
		},
		"a removal, and an addition meanwhile": {
			products{banking, imports}, products{banking}, products{banking, imports, fax}, products{banking, fax},
		},
		"an addition, and a removal meanwhile": {
			products{banking, imports}, products{banking, imports, fax}, products{banking}, products{banking, fax},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := &users{}
				p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Users = slow })
				other := p.Beside(t)
				customer, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
					Customer: &customerv1.Customer{
						Type: customerv1.Customer_PERSON, Reference: optional.Of("old"), Products: c.first,
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				_, err = p.Servers.Consent.CreateConsent(p.Ctx, &consentv1.CreateConsentRequest{
					Consent: &consentv1.Consent{
						Provider: "providers/fimento",
						Market:   "SE",
						Customer: customer.GetName(),
						RedirectUris: &consentv1.Consent_RedirectUris{
							Success: optional.Of("https://app.example.com/done"),
						},
					},
					Psu: &consentv1.Psu{NationalId: "199503096316"},
				})
				if err != nil {
					t.Fatal(err)
				}
				update := func(at *assemblytest.Gateway, change *customerv1.Customer, paths ...string) {
					change.Name = customer.GetName()
					_, err := at.Servers.Customer.UpdateCustomer(at.Ctx, &customerv1.UpdateCustomerRequest{
						Customer: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
					})
					if err != nil {
						t.Error(err)
					}
				}
				slow.takes = time.Minute
				var late sync.WaitGroup
				late.Go(func() { update(p, &customerv1.Customer{Products: c.slow}, "products") })
				synctest.Wait()
				slow.takes = time.Second
				update(other, &customerv1.Customer{Reference: optional.Of("new")}, "reference")
				if c.quick != nil {
					update(other, &customerv1.Customer{Products: c.quick}, "products")
				}
				late.Wait()
				got, err := p.Servers.Customer.GetCustomer(p.Ctx,
					&customerv1.GetCustomerRequest{Name: customer.GetName()})
				if err != nil || got.GetReference() != "new" || !slices.Equal(got.GetProducts(), c.want) {
					t.Errorf("in the end the customer is %v, %v; want the products %v", got, err, c.want)
				}
			})
		})
	}
}

// An update of which nothing is known to have happened leaves the etag, so that it can be sent again as it was.
func TestAnUpdateThatFailedCanBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &users{}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Users = at })
		row := p.Create(t)
		customer, err := p.Servers.Customer.GetCustomer(p.Ctx, &customerv1.GetCustomerRequest{
			Name: row.Resource.GetCustomer(),
		})
		if err != nil {
			t.Fatal(err)
		}
		update := func() (*customerv1.Customer, error) {
			return p.Servers.Customer.UpdateCustomer(p.Ctx, &customerv1.UpdateCustomerRequest{
				Customer: &customerv1.Customer{
					Name: customer.GetName(), Etag: customer.GetEtag(),
					Products: []customerv1.Product_Value{customerv1.Product_BANKING, customerv1.Product_IMPORT},
				},
				RequestId: "one",
			})
		}
		at.fails = &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"}
		if _, err := update(); kerr.Reason(err) != errorv1.Error_PROVIDER_UNAVAILABLE {
			t.Fatalf("a provider that is away: %v", err)
		}
		at.fails = nil
		changed, err := update()
		if err != nil || len(changed.GetProducts()) != 2 || changed.GetEtag() == customer.GetEtag() {
			t.Errorf("the same again: %v, %v", changed, err)
		}
	})
}
