package fimento

import (
	"bytes"
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/providers"
)

// Whatever the provider sends, the adapter takes it apart without a panic, and what it makes of it can be sent on.

func seeds(f *testing.F, more ...string) {
	for _, row := range contract {
		f.Add([]byte(row.answer))
	}
	for _, seed := range append(more, `null`, `{}`, `[]`, `[null]`, `"\ud800"`, `{"_id": 1e400000000}`) {
		f.Add([]byte(seed))
	}
}

func sendable(t *testing.T, messages ...proto.Message) {
	t.Helper()
	for _, message := range messages {
		if _, err := proto.Marshal(message); err != nil {
			t.Error(err)
		}
		if _, err := protojson.Marshal(message); err != nil {
			t.Error(err)
		}
	}
}

func FuzzToken(f *testing.F) {
	seeds(f, `{"access_token": "string", "valid_until": 0}`,
		`{"access_token": 7, "valid_until": "2024-01-12T12:00:00Z"}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		var token wireToken
		if json.Unmarshal(body, &token) != nil {
			return
		}
		if end := expiryOf(token.ValidUntil, noon); !end.IsZero() && !end.After(noon) {
			t.Errorf("it ends %s, before it began", end)
		}
	})
}

func FuzzProcess(f *testing.F) {
	seeds(f,
		`{"_id": "1", "consent": "revoked", "consentFlowStatus": [{"code": "authError", "isError": true, "timestamp": "9999-12-31T23:59:59-14:00"}]}`,
		`{"_id": "1", "consentFlowStatuses": [{"status": {"code": "x"}, "customerBank": {"name": 7}}], "link": "https://a.example"}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		var process wireCreatedProcess
		if json.Unmarshal(body, &process) != nil || process.wireProcess.check() != nil {
			return
		}
		keys := map[string]bool{}
		for _, o := range reportOf(&process.wireProcess, noon).Observations {
			if o.Key == "" || keys[o.Key] {
				t.Errorf("key %q is empty or comes twice", o.Key)
			}
			keys[o.Key] = true
			if o.Type == 0 || (o.ConnectionID == "") != (o.Bank == nil) {
				t.Errorf("%+v is incomplete", o)
			}
			sendable(t, o.Bank, o.Error)
		}
		if process.Link != "" && !isWebAddress(process.Link) {
			t.Errorf("%q is no link", process.Link)
		}
	})
}

func FuzzLink(f *testing.F) {
	seeds(f, `"https://a.example"`, `{"a": ["https://a.example", {"b": "https://b.example"}]}`,
		`{"link": "https://a\u0000.example"}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		var link wireLink
		if json.Unmarshal(body, &link) == nil && link.check() == nil && !isWebAddress(link.URI) {
			t.Errorf("%q is no link", link.URI)
		}
	})
}

func FuzzPartnerBanks(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var banks wirePartnerBanks
		if json.Unmarshal(body, &banks) != nil || banks.check() != nil {
			return
		}
		for _, bank := range banks.list {
			if partnerBankOf(bank).ID == "" {
				t.Error("a partner bank has no id")
			}
		}
	})
}

func FuzzInsights(f *testing.F) {
	seeds(f,
		`{"accountsInfo": [{"accountNumber": 1, "balance": "1e3"}], "transactionGraph": [{"info": {"negativeSum": 1, "positiveTransactions": [{}]}}]}`,
		`{"accountsInfo": [], "totalBalance": [1e400], "fetchedAtInterval": {"min": "0001-01-01T00:00:00Z"}}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		var evaluated wireInsights
		if json.Unmarshal(body, &evaluated) != nil || evaluated.check() != nil {
			return
		}
		for _, market := range markets {
			accounts := accountsOf(evaluated.AccountsInfo.list, market)
			ids := map[string]bool{}
			for _, account := range accounts {
				if account.ID == "" || ids[account.ID] {
					t.Errorf("id %q is empty or comes twice", account.ID)
				}
				ids[account.ID] = true
				sendable(t, account.Account)
			}
			insights, err := insightsOf(evaluated, accounts, market)
			if err != nil {
				continue
			}
			sendable(t, insights)
			for _, m := range insights.Movements {
				if expense, err := money.Parse(m.GetExpense().GetValue()); err == nil && expense.Sign() > 0 {
					t.Errorf("the expense %s came in", m.Expense)
				}
			}
		}
	})
}

func FuzzTransactions(f *testing.F) {
	seeds(f,
		`{"transactions": [{"_id": "string", "amount": 0, "date": "2019-08-24T14:15:22Z", "description": "string", "accountId": "string", "category": "income", "cBankId": "string"}]}`,
		`{"transactions": [{"_id": 7, "amount": -1e-30, "date": "2024-02-30"}]}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		listed := transactionPage{dates: dates{market: providers.MarketFI}}
		if listed.UnmarshalJSONFrom(jsonread.NewDecoder(bytes.NewReader(body))) != nil || listed.check() != nil {
			return
		}
		for _, mapped := range listed.found {
			sendable(t, mapped.Transaction)
			if _, err := money.Parse(mapped.Amount.GetValue()); err != nil || mapped.ID == "" {
				t.Errorf("%+v is incomplete", mapped)
			}
		}
	})
}
