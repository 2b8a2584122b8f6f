package finoos

import (
	"errors"
	"slices"
	"testing"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/providers"
)

// Every list that the documentation shows may be written as null when it has no entries.
func TestNullIsAnEmptyList(t *testing.T) {
	const inside = `{"logins": [{"id": "L", "bank": null, "accounts": [
		{"id": "A", "transactions": null, "standingOrders": null, "securities": null}]},
		{"accounts": null, "id": "M"}]}`
	ctx := testContext()
	count := func(n, want int) int { return n - want }
	for name, tc := range map[string]struct {
		operation, body string
		entries         func(p *providers.Provider) (int, error)
	}{
		"users": {"list_users", `{"users": null}`, func(p *providers.Provider) (int, error) {
			users, err := p.Users.ListUsers(ctx, 0, 50)
			return len(users), err
		}},
		"scopes": {"list_users", `{"users": [{"id": "u", "scopes": null}]}`, func(p *providers.Provider) (int, error) {
			users, err := p.Users.ListUsers(ctx, 0, 50)
			if err != nil || len(users) != 1 {
				return len(users), err
			}
			return len(users[0].Scopes), nil
		}},
		"logins": {"get_logins", `{"logins": null}`, func(p *providers.Provider) (int, error) {
			accounts, err := p.Accounts.ListAccounts(ctx, testRef)
			return len(accounts), err
		}},
		"logins of a consent": {"get_logins", `{"logins": null}`, func(p *providers.Provider) (int, error) {
			state, err := p.Consents.GetConsent(ctx, testRef)
			if err != nil {
				return 0, err
			}
			return len(state.Connections), nil
		}},
		"logins with transactions": {"get_logins", `{"logins": null}`, func(p *providers.Provider) (int, error) {
			found, err := collect(p)
			return len(found), err
		}},
		"accounts": {"get_logins", inside, func(p *providers.Provider) (int, error) {
			accounts, err := p.Accounts.ListAccounts(ctx, testRef)
			return count(len(accounts), 1), err
		}},
		"transactions": {"get_logins", inside, func(p *providers.Provider) (int, error) {
			found, err := collect(p)
			return len(found), err
		}},
		"standing orders": {"get_logins", inside, func(p *providers.Provider) (int, error) {
			found, err := p.Holdings.ListStandingOrders(ctx, testRef)
			return len(found), err
		}},
		"securities": {"get_logins", inside, func(p *providers.Provider) (int, error) {
			found, err := p.Holdings.ListSecurities(ctx, testRef)
			return len(found), err
		}},
		"tags and codes": {
			"get_logins", `{"logins": [{"id": "L", "accounts": [{"id": "A", "transactions": [
				{"id": "t", "amount": 1, "tags": null, "codes": null, "counterPart": null}]}]}]}`,
			func(p *providers.Provider) (int, error) {
				found, err := collect(p)
				if err != nil || len(found) != 1 || found[0].Category != nil || found[0].Counterparty != nil {
					return -1, err
				}
				return len(found[0].GetTags()) + len(found[0].GetBankTransactionCodes()), nil
			},
		},
		"statuses": {"synchronization_status", `{"loginsStatuses": null}`, func(p *providers.Provider) (int, error) {
			state, err := p.Consents.GetConsent(ctx, testRef)
			if err != nil {
				return 0, err
			}
			return count(len(state.Connections), 1), nil
		}},
		"results": {"search_company_logos", `{"results": null}`, func(p *providers.Provider) (int, error) {
			logos, err := p.Logos.SearchLogos(ctx, &insightsv1.SearchCompanyLogosRequest{
				Queries: []*insightsv1.SearchCompanyLogosRequest_Query{{QueryId: "a", Name: "A"}},
			})
			return len(logos), err
		}},
		"analyses": {"payment_partner_analysis", `null`, func(p *providers.Provider) (int, error) {
			analysis, err := p.PaymentPartners.PaymentPartnerAnalysis(ctx, testRef)
			return len(analysis.GetAccounts()), err
		}},
		"lists of an analysis": {
			"payment_partner_analysis", `[{"accountID": "A", "customerAll": null, "customerLastMonth": null,
				"customerPreMonth": null, "customerQuarter": null, "customerYear": null, "supplierAll": null,
				"supplierLastMonth": null, "supplierPreMonth": null, "supplierQuarter": null, "supplierYear": null}]`,
			func(p *providers.Provider) (int, error) {
				analysis, err := p.PaymentPartners.PaymentPartnerAnalysis(ctx, testRef)
				if err != nil || len(analysis.GetAccounts()) != 1 {
					return -1, err
				}
				a := analysis.GetAccounts()[0]
				return len(a.GetCustomers().GetAll()) + len(a.GetSuppliers().GetYear()), nil
			},
		},
		"lists of a partner": {
			"payment_partner_analysis", `[{"accountID": "A", "customerAll": [{"name": "P", "tags": null,
				"daysBetweenTransactions": null, "averageAmountsMonthly": null, "averageAmountsQuarterly": null,
				"averageAmountsYearly": null, "totalAmountMonthly": null, "totalAmountQuarterly": null,
				"totalAmountYearly": null, "percentageOfOverallAmountMonthly": null,
				"percentageOfOverallAmountQuarterly": null, "percentageOfOverallAmountYearly": null}]}]`,
			func(p *providers.Provider) (int, error) {
				analysis, err := p.PaymentPartners.PaymentPartnerAnalysis(ctx, testRef)
				if err != nil {
					return 0, err
				}
				partner := analysis.GetAccounts()[0].GetCustomers().GetAll()[0]
				return len(partner.GetTags()) + len(partner.GetDaysBetweenTransactions()) +
					len(partner.GetTotalAmountMonthly()), nil
			},
		},
	} {
		f := newFake(t)
		f.answer(tc.operation, 200, tc.body)
		if n, err := tc.entries(f.provider()); err != nil || n != 0 {
			t.Errorf("%s: %d entries more than there are, %v", name, n, err)
		}
	}
}

// A refusal names the caller's field where finoOS names its own, and no word of finoOS's goes on.
func TestRefusedFieldsAreNamed(t *testing.T) {
	for body, want := range map[string][]string{
		`{"type": "invalidInput", "message": "scopes must not be empty"}`:   {"customer.products"},
		`{"type": "invalidInput", "message": "invalid input: \"type\""}`:    {"customer.type"},
		`{"type": "invalidInput", "message": "the type of user is wrong"}`:  nil,
		`{"type": "invalidInput", "message": ["scopes"]}`:                   nil,
		`{"type": "invalidInput", "message": "Torben Mais is not welcome"}`: nil,
		`{"type": "invalidInput"}`:                                          nil,
	} {
		f := newFake(t)
		f.answer("create_user", 400, body)
		_, err := f.provider().Users.CreateUser(testContext(), providers.NewUser{Type: customerv1.Customer_PERSON})
		var failed *providers.Error
		if !errors.As(err, &failed) || failed.Kind != providers.KindRejected || failed.Code != "invalidInput" ||
			!slices.Equal(failed.Fields, want) {
			t.Errorf("%s became %+v", body, err)
		}
	}
}
