package fimento

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

var (
	refSE = providers.ConsentRef{ID: fakeProcess, PartnerBank: "bank-1", Market: "SE"}
	refFI = providers.ConsentRef{ID: fakeProcess, PartnerBank: "bank-1", Market: "FI"}
)

func newConsent() providers.NewConsent {
	return providers.NewConsent{
		Market: "SE", PartnerBank: "bank-1", DataCollection: consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION,
		IdempotencyKey: "key-1",
		Psu: &consentv1.Psu{
			NationalId: "199503096316", CompanyId: "5569876542", FirstName: "Elin", LastName: "Sandström",
			PsuType: "business",
		},
		BrokerBanks: []*consentv1.Consent_BrokerBank{
			{Name: "A & B", Id: optional.Of("b1"), LogoUri: optional.Of("www.logo.example/a.png")}, {Name: "C"},
		},
		Redirects: providers.Redirects{
			Success: "https://kontor.example/s", Error: "https://kontor.example/e", Exit: "https://kontor.example/x",
		},
	}
}

// operations calls every port once, by the operation that it leads to.
var operations = map[string]func(ctx context.Context, p *providers.Provider) error{
	"login": func(ctx context.Context, p *providers.Provider) error { return p.Session.Check(ctx) },
	"create_partner_bank": func(ctx context.Context, p *providers.Provider) error {
		_, err := p.PartnerBanks.CreatePartnerBank(ctx, providers.PartnerBank{DisplayName: "Demo"})
		return err
	},
	"list_partner_banks": func(ctx context.Context, p *providers.Provider) error {
		_, err := p.PartnerBanks.ListPartnerBanks(ctx, 1, 10)
		return err
	},
	"update_partner_bank": func(ctx context.Context, p *providers.Provider) error {
		_, err := p.PartnerBanks.UpdatePartnerBank(ctx, providers.PartnerBank{ID: fakeBank, DisplayName: "Demo"})
		return err
	},
	"create_process": func(ctx context.Context, p *providers.Provider) error {
		_, err := p.Consents.CreateConsent(ctx, newConsent())
		return err
	},
	"new_consent_link": func(ctx context.Context, p *providers.Provider) error {
		_, err := p.Links.RenewLink(ctx, refSE, providers.Flow{})
		return err
	},
	"new_consent_flow": func(ctx context.Context, p *providers.Provider) error {
		_, err := p.Banks.AddBank(ctx, refSE, providers.Flow{})
		return err
	},
	"get_process": func(ctx context.Context, p *providers.Provider) error {
		_, err := p.Consents.GetConsent(ctx, refSE)
		return err
	},
	"delete_process": func(ctx context.Context,
		p *providers.Provider) error {
		return p.Consents.RevokeConsent(ctx, refSE)
	},
	"add_webhook": func(ctx context.Context, p *providers.Provider) error {
		return p.Webhooks.RegisterWebhook(ctx, "https://kontor.example/hook")
	},
	"test_decision": func(ctx context.Context, p *providers.Provider) error {
		return p.Simulator.SimulateDecision(ctx, refSE, true)
	},
	"visualisation_link": func(ctx context.Context, p *providers.Provider) error {
		_, err := p.Visualizations.VisualizationLink(ctx, refSE, "")
		return err
	},
	"insights": func(ctx context.Context, p *providers.Provider) error {
		_, _, err := p.Insights.GetInsights(ctx, refSE, "")
		return err
	},
	"transactions": func(ctx context.Context, p *providers.Provider) error {
		for _, err := range p.Accounts.Transactions(ctx, refSE, providers.Query{}) {
			if err != nil {
				return err
			}
		}
		return nil
	},
}

func TestEveryOperationIsCalledAsDocumented(t *testing.T) {
	for _, row := range contract {
		t.Run(row.operation, func(t *testing.T) {
			f := newFake(t)
			if err := operations[row.operation](t.Context(), f.provider()); err != nil {
				t.Fatal(err)
			}
			f.only(row.operation)
		})
	}
}

func TestLogin(t *testing.T) {
	f := newFake(t)
	if err := f.provider().Session.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"name": fakeUser, "password": fakePass}
	if diff := cmp.Diff(want, f.only("login").Body); diff != "" {
		t.Error(diff)
	}
}

func TestCreateConsent(t *testing.T) {
	f := newFake(t)
	created, err := f.provider().Consents.CreateConsent(t.Context(), newConsent())
	if err != nil {
		t.Fatal(err)
	}
	sent := f.only("create_process")
	want := map[string]any{
		"market": "SE", "dataCollectionType": "bank-account-verification", "socialSecurityNumber": "199503096316",
		"companyId": "5569876542",
		"firstName": "Elin", "lastName": "Sandström", "redirectUrl": "https://kontor.example/s", "psuType": "business",
		"brokerBanks": []any{
			map[string]any{"name": "A & B", "id": "b1", "logoUri": "www.logo.example/a.png"},
			map[string]any{"name": "C"},
		},
	}
	if diff := cmp.Diff(want, sent.Body); diff != "" {
		t.Error(diff)
	}
	if bank, key := sent.Header.Get("partner-bank-id"), sent.Header.Get("idempotency-key"); bank != "bank-1" ||
		key != "key-1" {
		t.Errorf("the partner bank was %q, the key %q", bank, key)
	}
	if created.Ref != refSE {
		t.Errorf("the consent is %+v", created.Ref)
	}
	if created.Link != (providers.Link{URI: fakeLink, TTL: 24 * time.Hour}) {
		t.Errorf("the link is %+v", created.Link)
	}
	if keys := keysOf(created.State.Observations); len(keys) != 2 || keys[0] != "created" || created.State.Stateful {
		t.Errorf("the state is %v", created.State)
	}
}

func TestCreateConsentLeavesOutWhatIsEmpty(t *testing.T) {
	f := newFake(t)
	if _, err := f.provider().Consents.CreateConsent(t.Context(), providers.NewConsent{Market: "FI"}); err != nil {
		t.Fatal(err)
	}
	sent := f.only("create_process")
	if diff := cmp.Diff(map[string]any{"market": "FI", "dataCollectionType": "transaction-categorisation"},
		sent.Body); diff != "" {
		t.Error(diff)
	}
	if bank := sent.Header.Get("partner-bank-id"); bank != fakeBank {
		t.Errorf("the partner bank was %q, want the configured one", bank)
	}
	if _, ok := sent.Header["Idempotency-Key"]; ok {
		t.Error("an idempotency key was made up")
	}
}

func TestWhatIsMissingIsSaidWithoutACall(t *testing.T) {
	f := newFake(t)
	noBank := f.provider(func(c *Config, _ *providers.Deps) { c.PartnerBank = "" })
	ctx := t.Context()
	for name, tc := range map[string]struct {
		field string
		call  func() error
	}{
		"partner bank of a new consent": {"consent.partner_bank", func() error {
			_, err := noBank.Consents.CreateConsent(ctx, providers.NewConsent{Market: "SE"})
			return err
		}},
		"partner bank that is no header": {"consent.partner_bank", func() error {
			_, err := noBank.Consents.GetConsent(ctx, providers.ConsentRef{ID: "1", PartnerBank: "a\nb"})
			return err
		}},
		"foreign market": {"consent.market", func() error {
			_, err := f.provider().Consents.CreateConsent(ctx, providers.NewConsent{Market: "DE"})
			return err
		}},
		"reference of insights": {"reference_id", func() error {
			_, _, err := f.provider().Insights.GetInsights(ctx, refSE, "a\r\nb")
			return err
		}},
		"reference of a visualisation": {"reference_id", func() error {
			_, err := f.provider().Visualizations.VisualizationLink(ctx, refSE, "ö")
			return err
		}},
		"reference with a blank": {"reference_id", func() error {
			_, err := f.provider().Visualizations.VisualizationLink(ctx, refSE, "clerk ")
			return err
		}},
		"process": {"processId", func() error {
			return f.provider().Consents.RevokeConsent(ctx, providers.ConsentRef{PartnerBank: "bank-1"})
		}},
	} {
		got := errorOf(t, tc.call())
		if got.Kind != providers.KindInvalidField || !slices.Equal(got.Fields, []string{tc.field}) || got.Provider != "fimento" ||
			got.MayHaveHappened {
			t.Errorf("%s: the error is %+v, want the field %s", name, got, tc.field)
		}
	}
	none := providers.ConsentRef{ID: "1", Market: "SE"}
	for operation, call := range map[string]func() error{
		"get_process": func() error { _, err := noBank.Consents.GetConsent(ctx, none); return err },
		"new_consent_link": func() error {
			_, err := noBank.Links.RenewLink(ctx, none,
				providers.Flow{})
			return err
		},
		"new_consent_flow": func() error { _, err := noBank.Banks.AddBank(ctx, none, providers.Flow{}); return err },
		"delete_process":   func() error { return noBank.Consents.RevokeConsent(ctx, none) },
		"test_decision":    func() error { return noBank.Simulator.SimulateDecision(ctx, none, true) },
		"visualisation_link": func() error {
			_, err := noBank.Visualizations.VisualizationLink(ctx, none,
				"")
			return err
		},
		"insights":  func() error { _, _, err := noBank.Insights.GetInsights(ctx, none, ""); return err },
		"insights ": func() error { _, err := noBank.Accounts.ListAccounts(ctx, none); return err },
	} {
		if got := errorOf(t,
			call()); !slices.Equal(got.Fields, []string{"consent.partner_bank"}) || got.Operation != strings.TrimSpace(operation) {
			t.Errorf("%s without a partner bank is %+v", operation, got)
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("%d calls were made", len(f.calls))
	}
}

func TestLinks(t *testing.T) {
	for operation, ask := range map[string]func(context.Context, *providers.Provider) (*providers.Issued, error){
		"new_consent_link": func(ctx context.Context, p *providers.Provider) (*providers.Issued, error) {
			return p.Links.RenewLink(ctx, refSE,
				providers.Flow{Redirects: providers.Redirects{Success: "https://kontor.example/other"}})
		},
		"new_consent_flow": func(ctx context.Context, p *providers.Provider) (*providers.Issued, error) {
			return p.Banks.AddBank(ctx, refSE, providers.Flow{})
		},
	} {
		f := newFake(t)
		issued, err := ask(t.Context(), f.provider())
		if err != nil || issued.Link != (providers.Link{URI: fakeLink, TTL: 24 * time.Hour}) || issued.Ref != nil {
			t.Errorf("%s gave %v, %v", operation, issued, err)
		}
		if bank := f.only(operation).Header.Get("partner-bank-id"); bank != "bank-1" {
			t.Errorf("%s named the partner bank %q", operation, bank)
		}
	}
}

func TestRevokeConsentOfOneThatIsGone(t *testing.T) {
	f := newFake(t)
	f.fail("delete_process", 404)
	if err := f.provider().Consents.RevokeConsent(t.Context(), refSE); err != nil {
		t.Error(err)
	}
}

func TestSimulateDecision(t *testing.T) {
	for approve, want := range map[bool]string{true: "approved", false: "revoked"} {
		f := newFake(t)
		if err := f.provider().Simulator.SimulateDecision(t.Context(), refSE, approve); err != nil {
			t.Fatal(err)
		}
		if got := f.only("test_decision").Path; got != "/process/"+fakeProcess+"/consent/"+want {
			t.Errorf("the path is %s", got)
		}

		// Where the configuration leaves {status} out, it goes into the query.
		f = newFake(t,
			documented{operation: "test_decision", method: "PUT", path: "/test/{processId}", query: []string{"status"}})
		p := f.provider(func(c *Config, _ *providers.Deps) {
			c.Operations = providers.Overrides{"test_decision": "PUT /test/{processId}"}
		})
		if err := p.Simulator.SimulateDecision(t.Context(), refSE, approve); err != nil {
			t.Fatal(err)
		}
		if got := f.only("test_decision"); got.Path != "/test/"+fakeProcess || got.Query.Get("status") != want {
			t.Errorf("the path is %s, the query %v", got.Path, got.Query)
		}
	}
}

// Deciding in a customer's place is there where the configuration says so, and nowhere else.
func TestSimulationIsAllowedByTheConfigurationAlone(t *testing.T) {
	p := newFake(t).provider(func(c *Config, _ *providers.Deps) { c.AllowSimulation = false })
	support := p.Supports("SimulateDecision")
	if p.Simulator != nil || support.Level != providers.Unsupported ||
		!strings.Contains(support.Reason, "allow_simulation") {
		t.Errorf("it is offered: %+v", support)
	}
}

// An override moves an operation and changes nothing else about it.
func TestOverrides(t *testing.T) {
	for _, row := range contract {
		if row.operation == "test_decision" {
			continue // above
		}
		row.method, row.path, row.query = map[string]string{
			"GET": "POST", "POST": "PUT", "PUT": "PATCH", "DELETE": "POST",
		}[row.method], "/moved"+row.path+"/x", nil
		f := newFake(t, row)
		p := f.provider(func(c *Config, _ *providers.Deps) {
			c.Operations = providers.Overrides{row.operation: row.method + " " + row.path}
		})
		if err := operations[row.operation](t.Context(), p); err != nil {
			t.Errorf("%s: %v", row.operation, err)
		}
		f.only(row.operation)
	}
}

func TestPartnerBanks(t *testing.T) {
	f := newFake(t)
	p := f.provider().PartnerBanks
	want := providers.PartnerBank{
		ID: fakeBank, DisplayName: "Demo partner bank", LogoURI: "www.logoUrl.com", Broker: true,
	}
	for _, tc := range []struct {
		operation string
		call      func() (*providers.PartnerBank, error)
		body      map[string]any
	}{
		{"create_partner_bank", func() (*providers.PartnerBank, error) {
			return p.CreatePartnerBank(t.Context(),
				providers.PartnerBank{ID: "ignored", DisplayName: "Demo", LogoURI: "www.x.example", Broker: true})
		}, map[string]any{"name": "Demo", "isBroker": true, "logoUrl": "www.x.example"}},
		{"create_partner_bank", func() (*providers.PartnerBank, error) {
			return p.CreatePartnerBank(t.Context(), providers.PartnerBank{DisplayName: "Demo"})
		}, map[string]any{"name": "Demo", "isBroker": false}},
		{"update_partner_bank", func() (*providers.PartnerBank, error) {
			return p.UpdatePartnerBank(t.Context(), providers.PartnerBank{ID: "b/1", DisplayName: "Demo"})
		}, map[string]any{"name": "Demo", "isBroker": false, "logoUrl": ""}},
	} {
		got, err := tc.call()
		if err != nil {
			t.Fatal(err)
		}
		if *got != want {
			t.Errorf("%s gave %+v", tc.operation, got)
		}
		calls := f.seen(tc.operation)
		sent := calls[len(calls)-1]
		if diff := cmp.Diff(tc.body, sent.Body); diff != "" {
			t.Errorf("%s: %s", tc.operation, diff)
		}
		if tc.operation == "update_partner_bank" && sent.Path != "/partner-bank/b%2F1" {
			t.Errorf("the path is %s", sent.Path)
		}
	}
	got, err := p.ListPartnerBanks(t.Context(), 3, 25)
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("listed are %v, %v", got, err)
	}
	if query := f.only("list_partner_banks").Query; query.Get("page") != "3" || query.Get("limit") != "25" {
		t.Errorf("the query is %v", query)
	}
	f.answer("list_partner_banks", "[]")
	if got, err := p.ListPartnerBanks(t.Context(), 4, 25); err != nil || len(got) != 0 {
		t.Errorf("listed are %v, %v", got, err)
	}
}

func TestWebhook(t *testing.T) {
	f := newFake(t)
	if err := f.provider().Webhooks.RegisterWebhook(t.Context(), "https://kontor.example/h?a=1&b=2"); err != nil {
		t.Fatal(err)
	}
	if got := f.only("add_webhook").Raw; got != `{"webhookUrl":"https://kontor.example/h?a=1&b=2"}` {
		t.Errorf("the body is %s", got)
	}
}

func TestVisualizationLinkIsFetchedEveryTime(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	for range 3 {
		if got, err := p.Visualizations.VisualizationLink(t.Context(), refSE,
			"clerk-7"); err != nil || got != "https://view.example/v/1" {
			t.Fatalf("it gave %q, %v", got, err)
		}
	}
	calls := f.seen("visualisation_link")
	if len(calls) != 3 || calls[0].Header.Get("reference-id") != "clerk-7" ||
		calls[0].Header.Get("partner-bank-id") != "bank-1" {
		t.Errorf("the calls are %v", calls)
	}
}

func TestInsights(t *testing.T) {
	f := newFake(t)
	insights, accounts, err := f.provider().Insights.GetInsights(t.Context(), refSE, "clerk-7")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.only("insights").Header.Get("reference-id"); got != "clerk-7" {
		t.Errorf("the reference is %q", got)
	}
	same(t, insights, &insightsv1.Insights{}, `{
		"origin": "NATIVE",
		"fetchInterval": {"startTime": "2019-08-24T14:15:22Z", "endTime": "2019-08-25T14:15:22.5Z"},
		"totalBalances": [{"value": "1234.50", "currencyCode": "SEK"}],
		"movements": [{
			"date": "2024-01-12", "balance": {"value": "100.5", "currencyCode": "SEK"},
			"income": {"value": "125.49", "currencyCode": "SEK"}, "expense": {"value": "-24.99", "currencyCode": "SEK"},
			"entries": [
				{"remittanceInformation": "Matkassen Söder", "amount": {"value": "-24.99", "currencyCode": "SEK"}, "category": "GROCERIES", "providerCategory": "groceries"},
				{"remittanceInformation": "Lön", "amount": {"value": "125.49", "currencyCode": "SEK"}, "category": "INCOME", "providerCategory": "income"}
			]
		}],
		"categories": [
			{"category": "INCOME", "providerCategory": "income", "transactionCount": 1,
				"income": {"value": "125.49", "currencyCode": "SEK"}, "expense": {"value": "0", "currencyCode": "SEK"}},
			{"category": "GROCERIES", "providerCategory": "groceries", "transactionCount": 1,
				"income": {"value": "0", "currencyCode": "SEK"}, "expense": {"value": "-24.99", "currencyCode": "SEK"}}
		],
		"totalBalance": {"amount": 1234.5}, "categorisation": {"housing": {"share": 0.25}}, "computationAutomation": {"kalp": [1, 2]}
	}`)
	if len(accounts) != 1 {
		t.Fatalf("the accounts are %v", accounts)
	}
	wantAccount(t, accounts[0])
}

func TestAccounts(t *testing.T) {
	f := newFake(t)
	accounts, err := f.provider().Accounts.ListAccounts(t.Context(), refSE)
	if err != nil || len(accounts) != 1 {
		t.Fatalf("the accounts are %v, %v", accounts, err)
	}
	wantAccount(t, accounts[0])

	f.fail("insights", 404)
	if _, err := f.provider().Accounts.ListAccounts(t.Context(),
		refSE); errorOf(t, err).Kind != providers.KindNotFound {
		t.Errorf("accounts of a process that is gone: %v", err)
	}
}

func wantAccount(t *testing.T, got providers.Account) {
	t.Helper()
	if got.ID != "93001234567" || got.ConnectionID != "Nordfjäll Bank" {
		t.Errorf("the account is %q of %q", got.ID, got.ConnectionID)
	}
	same(t, got.Account, &bankingv1.Account{}, `{
		"bankName": "Nordfjäll Bank", "displayName": "Lönekonto", "accountNumber": "9300 123 456-7", "type": "CURRENT", "providerType": "Transaktionskonto",
		"currencyCode": "SEK", "balance": {"value": "1234.50", "currencyCode": "SEK"}
	}`)
}

func TestTransaction(t *testing.T) {
	f := newFake(t)
	f.respond("transactions", pages([]string{`{
		"_id": "t1", "amount": -24.99, "date": "2024-01-11T23:30:00Z", "description": "Matkassen Söder", "accountId": "9300-123 4567",
		"category": "income", "cBankId": "c1"
	}`}))
	got, err := transactions(t.Context(), f.provider(), refFI)
	if err != nil || len(got) != 1 {
		t.Fatalf("the transactions are %v, %v", got, err)
	}
	if got[0].ID != "t1" || got[0].AccountID != "93001234567" {
		t.Errorf("it is %q on %q", got[0].ID, got[0].AccountID)
	}
	same(t, got[0].Transaction, &bankingv1.Transaction{}, `{
		"status": "BOOKED", "amount": {"value": "-24.99", "currencyCode": "EUR"}, "bookingDate": "2024-01-12",
		"remittanceInformation": "Matkassen Söder", "category": "INCOME", "providerCategory": "income"
	}`)
}

// same compares a message with one written as JSON.
func same[M proto.Message](t *testing.T, got, want M, wanted string) {
	t.Helper()
	if err := protojson.Unmarshal([]byte(wanted), want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func keysOf(observations []providers.Observation) []string {
	keys := make([]string, len(observations))
	for i, o := range observations {
		keys[i] = o.Key
	}
	return keys
}

// Fimento does not document the status by which it refuses another flow. Only where the process says that its flow is
// undecided is it that.
func TestFlowsThatAreOpen(t *testing.T) {
	for decision, want := range map[string]providers.ErrorKind{
		`null`: providers.KindConflict, `"null"`: providers.KindConflict,
		`"approved"`: providers.KindRejected, `"revoked"`: providers.KindRejected,
	} {
		f := newFake(t)
		f.fail("new_consent_flow", 400)
		f.answer("get_process", `{"_id": "1", "consentFlowStatus": {"consent": `+decision+`}}`)
		_, err := f.provider().Banks.AddBank(t.Context(), refSE, providers.Flow{})
		if got := errorOf(t, err); got.Kind != want || got.Status != 400 || got.Operation != "new_consent_flow" {
			t.Errorf("%s: got %+v, want %s", decision, got, want)
		}
	}
}
