package banking_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// registered calls methods by their names, without a server.
type registered map[string]func(ctx context.Context, fill func(protoreflect.Message)) error

func (r registered) RegisterService(desc *grpc.ServiceDesc, server any) {
	for _, m := range desc.Methods {
		r[m.MethodName] = func(ctx context.Context, fill func(protoreflect.Message)) error {
			_, err := m.Handler(server, ctx, func(request any) error {
				fill(request.(protoreflect.ProtoMessage).ProtoReflect()) //nolint:forcetypeassert // all are
				return nil
			}, nil)
			return err
		}
	}
	for _, m := range desc.Streams {
		r[m.StreamName] = func(ctx context.Context, fill func(protoreflect.Message)) error {
			return m.Handler(server, &filled{ctx: ctx, fill: fill})
		}
	}
}

// filled is a stream whose request is filled in.
type filled struct {
	grpc.ServerStream

	ctx  context.Context //nolint:containedctx // of the stream
	fill func(protoreflect.Message)
}

func (f *filled) Context() context.Context { return f.ctx }
func (f *filled) SendMsg(any) error        { return nil }
func (f *filled) RecvMsg(request any) error {
	f.fill(request.(protoreflect.ProtoMessage).ProtoReflect()) //nolint:forcetypeassert // all are
	return nil
}

// Under a verification of accounts no RPC reads any bank data but the accounts. Whatever is new in these services is
// refused, or has to be named here.
func TestVerificationCoversAccountsAlone(t *testing.T) {
	covered := map[string]bool{"ListAccounts": true, "GetAccount": true}
	noBankData := map[string]bool{
		"ListConnections": true, "GetConnection": true, "SyncConnection": true, "DeleteConnection": true,
		"CreateManagementSession": true, "ImportConnections": true, "SearchCompanyLogos": true,
	}
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Accounts = &wealthy{}
			for _, capability := range providers.AllCapabilities {
				p.Capabilities[capability] = providers.Support{Level: providers.Native}
			}
		})
		row := verification(t, p)
		p.Report(providers.ConsentState{Observations: []providers.Observation{
			{Key: "f", Type: consentv1.ConsentEvent_FETCH_COMPLETED}, {Key: "a", Type: consentv1.ConsentEvent_APPROVED},
		}}, nil)
		assemblytest.Pass(10 * time.Second)
		account := p.Reads.Names.Account(row.Tenant, row.ID, "rich")
		calls := registered{}
		p.Servers.Register(calls)
		asked := 0
		for _, service := range []protoreflect.FullName{
			"kontor.banking.v1.BankingService", "kontor.insights.v1.InsightsService",
		} {
			found, err := protoregistry.GlobalFiles.FindDescriptorByName(service)
			if err != nil {
				t.Fatal(err)
			}
			methods := found.(protoreflect.ServiceDescriptor).Methods() //nolint:forcetypeassert // it is one
			for i := range methods.Len() {
				method := string(methods.Get(i).Name())
				if noBankData[method] {
					continue
				}
				asked++
				err := calls[method](p.Ctx, func(request protoreflect.Message) {
					for _, field := range []protoreflect.Name{"name", "parent"} {
						if f := request.Descriptor().Fields().ByName(field); f != nil {
							request.Set(f, protoreflect.ValueOfString(parentOf(method, row, account)))
						}
					}
				})
				want := errorv1.Error_NOT_COVERED_BY_CONSENT
				if covered[method] {
					want = errorv1.Error_REASON_UNSPECIFIED
				}
				if kerr.Reason(err) != want || (err != nil) != (want != errorv1.Error_REASON_UNSPECIFIED) {
					t.Errorf("%s gives %v, want %v", method, err, want)
				}
			}
		}
		if asked < 9 {
			t.Errorf("only %d methods read bank data", asked)
		}
		listed, err := p.Servers.Banking.ListAccounts(p.Ctx, &bankingv1.ListAccountsRequest{
			Parent: row.Resource.GetName(),
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Servers.Banking.GetAccount(p.Ctx, &bankingv1.GetAccountRequest{Name: account})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range append(listed.GetAccounts(), got) {
			if a.GetIban() == "" || a.GetFingerprint() == "" || a.Balance != nil || a.CreditLine != nil ||
				a.MonthlySpendingLimit != nil {
				t.Errorf("the account is %v", a)
			}
		}
	})
}

// parentOf is what a method is asked about.
func parentOf(method string, row *store.Consent, account string) string {
	switch {
	case method == "GetAccount":
		return account
	case strings.HasPrefix(method, "List") && method != "ListAccounts":
		return row.Resource.GetName() + "/accounts/-"
	}
	return row.Resource.GetName()
}

// verification asks for a consent to verify accounts.
func verification(t *testing.T, p *assemblytest.Gateway) *store.Consent {
	t.Helper()
	made, err := p.Servers.Consent.CreateConsent(p.Ctx, &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider: "fimento", Market: "SE", DataCollection: consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION,
			RedirectUris: &consentv1.Consent_RedirectUris{Success: optional.Of("https://app.example.com/done")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	row, _, err := p.Load.Consent(p.Ctx, made.GetName())
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// wealthy has one account, with all that can be told of it.
type wealthy struct{ ledger }

func (wealthy) ListAccounts(context.Context, providers.ConsentRef) ([]providers.Account, error) {
	amount := &typev1.Money{Value: "1000000", CurrencyCode: "SEK"}
	return []providers.Account{{ID: "rich", Account: &bankingv1.Account{
		Iban: optional.Of("SE45 5000 0000 0583 9825 7466"), Balance: amount, CreditLine: amount,
		MonthlySpendingLimit: amount,
	}}}, nil
}
