package crash

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/test/worldtest"
)

// Fimento's operations, as a gate names them.
const (
	opLogin         = "POST /auth/login"
	opCreateProcess = "POST /process"
	opDeleteProcess = "DELETE /process/*"
	opNewFlow       = "POST /process/*/consent"
	opPartnerBank   = "POST /partner-bank"
)

// aSwedishConsent is a consent at Fimento.
var aSwedishConsent = consentKind(fimento.ID, true, true)

var _ = providers.Add(fimento.ID, provider{
	operations: fimentosOperations,
	kinds:      []*kind{aSwedishConsent},
	accounts: func(t *testing.T, w *world, all []*request) {
		if n, asked := processes(w), len(ofKind(all, aSwedishConsent)); n != asked {
			t.Errorf("Fimento made %d processes for %d consents", n, asked)
		}
	},
	audited: fimentosAudited,
	markets: []string{"SE", "FI"}, receipt: "consent", counts: 2, deletes: fimento.OpDeleteProcess,
	gone: func(t *testing.T, w *world) {
		if n := len(w.gates[fimento.ID].did(opDeleteProcess)); n != processes(w) || n != 2 {
			t.Errorf("Fimento made %d processes and deleted %d, want 2", processes(w), n)
		}
	},
})

// processes counts the processes that Fimento has, however often one was answered.
func processes(w *world) int { return distinct(w.gates[fimento.ID].did(opCreateProcess), "_id") }

func partnerBanks(w *world) int { return distinct(w.gates[fimento.ID].did(opPartnerBank), "_id") }

// flows counts the consent flows that were opened beyond each process's first.
func flows(w *world) int { return len(w.gates[fimento.ID].did(opNewFlow)) }

var fimentosOperations = []creating{
	{
		name: "CreateConsent/Fimento/new-customer", prepare: createConsent(fimento.ID, "SE", noCustomer),
		effects: processes,
		steps:   []step{{opLogin, true}, {opCreateProcess, true}},
	},
	{
		name: "CreateConsent/Fimento/known-customer", prepare: createConsent(fimento.ID, "FI", plainCustomer),
		effects: processes,
		steps:   []step{{opLogin, true}, {opCreateProcess, true}},
	},
	{
		name: "CreatePartnerBank", effects: partnerBanks,
		prepare: func(
			_ *testing.T, _ *world, key string,
		) func(context.Context, *worldtest.Stubs) (proto.Message, error) {
			return func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
				return call(c.Consents.CreatePartnerBank(ctx, &consentv1.CreatePartnerBankRequest{
					PartnerBank: &consentv1.PartnerBank{
						Provider: "providers/" + fimento.ID, DisplayName: "Bank " + key,
					},
					RequestId: key,
				}))
			}
		},
		steps: []step{{opLogin, false}, {opPartnerBank, false}},
	},
	{
		name:    "RevokeConsent/Fimento",
		prepare: revoke(fimento.ID),
		steps:   []step{{opLogin, true}, {opDeleteProcess, true}},
	},
	{
		name: "AddBank/Fimento", effects: flows,
		prepare: addBank(fimento.ID),
		steps:   []step{{opLogin, true}, {opNewFlow, true}},
	},
}

// fimentosAudited are the calls that Fimento is asked for.
func fimentosAudited(w *world, check func(audited) proto.Message) {
	c, t := w.client, w.t
	swedish := check(audited{method: "CreateConsent", do: func(ctx context.Context) (proto.Message, error) {
		request := consentRequest("", fimento.ID, "", "")
		request.Psu = person
		return call(c.Consents.CreateConsent(ctx, request))
	}})
	check(audited{method: "CreateConsent", outcome: "PROVIDER_UNAVAILABLE", do: func(ctx context.Context) (
		proto.Message, error,
	) {
		defer w.Played[fimento.ID].Core.Faults.Clear()
		w.Played[fimento.ID].Core.ExpireTokens()
		w.Played[fimento.ID].Core.Faults.Add(sandbox.Fault{
			Operation: fimento.OpLogin, Status: http.StatusServiceUnavailable,
		})
		return call(c.Consents.CreateConsent(ctx, consentRequest("", fimento.ID, "", "")))
	}})
	w.restart() // without the memory of the failed login
	c = w.client
	check(audited{method: "RenewConsentLink", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.RenewConsentLink(ctx, &consentv1.RenewConsentLinkRequest{Name: named(swedish)}))
	}})
	check(audited{method: "AddBank", outcome: "CONSENT_FLOW_ALREADY_OPEN", about: named(swedish), do: func(
		ctx context.Context,
	) (proto.Message, error) {
		return call(c.Consents.AddBank(ctx, &consentv1.AddBankRequest{Name: named(swedish)}))
	}})
	check(audited{method: "SimulateDecision", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.SimulateDecision(ctx, &consentv1.SimulateDecisionRequest{
			Name: named(swedish), Decision: consentv1.Decision_APPROVED,
		}))
	}})
	w.eventually("the data is there", func() bool {
		return must(c.Consents.GetConsent(w.context(), &consentv1.GetConsentRequest{
			Name: named(swedish), Refresh: true,
		}))(t).GetDataStage() == consentv1.DataStage_READY
	})
	for method, read := range map[string]func(context.Context) (proto.Message, error){
		"ListAccounts": func(ctx context.Context) (proto.Message, error) {
			return call(c.Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: named(swedish)}))
		},
		"StreamTransactions": func(ctx context.Context) (proto.Message, error) {
			stream, err := c.Banking.StreamTransactions(ctx, &bankingv1.StreamTransactionsRequest{
				Parent: named(swedish),
			})
			for err == nil {
				_, err = stream.Recv()
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return nil, err
		},
		"GetInsights": func(ctx context.Context) (proto.Message, error) {
			return call(c.Insights.GetInsights(ctx, &insightsv1.GetInsightsRequest{Name: named(swedish) + "/insights"}))
		},
		"CreateVisualizationLink": func(ctx context.Context) (proto.Message, error) {
			return call(c.Insights.CreateVisualizationLink(ctx, &insightsv1.CreateVisualizationLinkRequest{
				Name: named(swedish),
			}))
		},
	} {
		check(audited{method: method, about: named(swedish), do: read})
	}
	check(audited{method: "AddBank", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.AddBank(ctx, &consentv1.AddBankRequest{Name: named(swedish)}))
	}})
	bank := check(audited{method: "CreatePartnerBank", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.CreatePartnerBank(ctx, &consentv1.CreatePartnerBankRequest{
			PartnerBank: &consentv1.PartnerBank{Provider: "providers/" + fimento.ID, DisplayName: "Hanse"},
		}))
	}})
	check(audited{method: "UpdatePartnerBank", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.UpdatePartnerBank(ctx, &consentv1.UpdatePartnerBankRequest{
			PartnerBank: &consentv1.PartnerBank{Name: named(bank), DisplayName: "Nord"},
		}))
	}})
	check(audited{method: "RevokeConsent", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.RevokeConsent(ctx, &consentv1.RevokeConsentRequest{Name: named(swedish)}))
	}})
}

// TestGrownWhileDeleted gives a customer further consents while they are being deleted: they are deleted, too.
func TestGrownWhileDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	name := newCustomer(t, w)
	add := func(provider, market string) {
		request := consentRequest(uuid.NewString(), provider, market, name)
		must(w.client.Consents.CreateConsent(w.context(), request))(t)
	}
	add(fimento.ID, "SE")
	w.gates[fimento.ID].set(opDeleteProcess, passing, func() {
		add(fimento.ID, "FI")
		for _, other := range worldtest.Others(fimento.ID) {
			for _, market := range providers.Of(other).markets {
				add(other, market)
			}
		}
	})
	must(w.client.Customers.DeleteCustomer(w.context(), &customerv1.DeleteCustomerRequest{Name: name}))(t)
	for _, id := range worldtest.Providers() {
		providers.Of(id).gone(t, w)
	}
}
