package fimento

import (
	"slices"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/providers"
)

// Every list that the documentation shows may be written as null when it has no entries.
func TestNullIsAnEmptyList(t *testing.T) {
	insights := func(p *providers.Provider) (int, error) {
		insights, accounts, err := p.Insights.GetInsights(t.Context(), refSE, "")
		entries := 0
		for _, m := range insights.GetMovements() {
			entries += len(m.GetEntries())
		}
		return len(accounts) + entries + len(insights.GetCategories()), err
	}
	statuses := func(p *providers.Provider) (int, error) {
		state, err := p.Consents.GetConsent(t.Context(), refSE)
		if err != nil {
			return 0, err
		}
		return len(state.Observations), nil
	}
	const process = `{"_id": "` + fakeProcess + `", `
	for name, tc := range map[string]struct {
		operation, body string
		entries         func(p *providers.Provider) (int, error)
	}{
		"partner banks": {"list_partner_banks", `null`, func(p *providers.Provider) (int, error) {
			banks, err := p.PartnerBanks.ListPartnerBanks(t.Context(), 1, 10)
			return len(banks), err
		}},
		"accountsInfo": {"insights", `{"accountsInfo": null}`, func(p *providers.Provider) (int, error) {
			accounts, err := p.Accounts.ListAccounts(t.Context(), refSE)
			return len(accounts), err
		}},
		"accountsInfo of insights": {"insights", `{"accountsInfo": null}`, insights},
		"transactionGraph":         {"insights", `{"accountsInfo": [], "transactionGraph": null}`, insights},
		"transactions of a day": {
			"insights", `{"accountsInfo": [], "transactionGraph": [
				{"date": "2024-01-12", "info": {"negativeTransactions": null, "positiveTransactions": null}}, {"info": null}]}`,
			insights,
		},
		"open objects": {
			"insights", `{"accountsInfo": [], "fetchedAtInterval": null, "totalBalance": null, "categorisation": null,
				"computationAutomation": null}`, insights,
		},
		"transactions": {"transactions", `{"transactions": null}`, func(p *providers.Provider) (int, error) {
			found, err := transactions(t.Context(), p, refSE)
			return len(found), err
		}},
		"banks of a process": {
			"get_process", process + `"customerBankConsent": null, "consentFlowStatuses": null, "brokerBanks": null}`,
			statuses,
		},
		"a history": {
			"get_process", process + `"consentFlowStatus": {"current": null, "history": null, "consent": null},
				"customerBankConsent": [{"customerBank": null, "status": {"current": null, "history": null}}]}`, statuses,
		},
		"all of a history": {"get_process", process + `"consentFlowStatus": null, "consent": null}`, statuses},
	} {
		f := newFake(t)
		f.answer(tc.operation, tc.body)
		if n, err := tc.entries(f.provider()); err != nil || n != 0 {
			t.Errorf("%s: %d entries, %v", name, n, err)
		}
	}
}

// A refusal names the caller's field where Fimento names its own, and no word of Fimento's goes on.
func TestRefusedFieldsAreNamed(t *testing.T) {
	for body, want := range map[string][]string{
		`{"message": ["market must be one of the following values: SE, FI"], "statusCode": 400}`: {"consent.market"},
		`{"message": "socialSecurityNumber is not valid: 199503096316"}`:                         {"psu.national_id"},
		`{"message": ["firstName is too long", "redirectUrl must be a URL address"]}`: {
			"psu.first_name", "consent.redirect_uris.success",
		},
		`{"message": ["property surprise should not exist"]}`: nil,
		`{"message": {"a": 1}}`:                               nil,
		`{"message": null}`:                                   nil,
		`[]`:                                                  nil,
		`market is wrong`:                                     nil,
	} {
		f := newFake(t)
		f.respond("create_process", func(call) reply { return reply{status: 400, body: body} })
		got := errorOf(t, operations["create_process"](t.Context(), f.provider()))
		if got.Kind != providers.KindRejected || !slices.Equal(got.Fields, want) || strings.Contains(got.Error(), "1995") {
			t.Errorf("%s became %+v", body, got)
		}
	}
	f := newFake(t)
	f.respond("create_process", func(call) reply {
		return reply{status: 409, body: `{"message": "market is taken"}`}
	})
	if got := errorOf(t, operations["create_process"](t.Context(), f.provider())); got.Fields != nil {
		t.Errorf("a conflict names %v", got.Fields)
	}
}
