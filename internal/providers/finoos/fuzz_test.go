package finoos

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/providers"
)

// Each decoder with its mapping. Whatever finoOS sends, nothing panics, and what is accepted is well formed.

var datePattern = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})?$`)

func seed(f *testing.F, samples ...string) {
	f.Helper()
	for _, sample := range samples {
		f.Add([]byte(sample))
	}
	for _, odd := range []string{
		``, `null`, `{}`, `[]`, `[null]`, `"x"`, `-0.00`, `{"logins": [null]}`, `{"users": [{"scopes": {}}]}`, "\xff",
	} {
		f.Add([]byte(odd))
	}
}

func FuzzLogins(f *testing.F) {
	seed(f, string(sampleLogins), string(sampleLoginsReference), twoBanks,
		`{"logins": [{"id": "L", "accounts": [{"id": "A", "balance": 1e3, "standingOrders": [{"executionDay": 1e18}]}]}]}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		var wire wireLogins
		if json.Unmarshal(body, &wire) != nil || wire.check() != nil {
			return
		}
		ids := map[string]bool{}
		for _, login := range wire.Logins.value {
			for _, account := range login.Accounts {
				got := accountOf(login, account, false)
				if ids[got.ID] || got.ConnectionID == "" || got.GetCurrencyCode() == "" {
					t.Errorf("%q at %q", got.ID, got.ConnectionID)
				}
				ids[got.ID] = true
				if balance := got.GetBalance(); balance != nil {
					if _, err := money.Parse(balance.GetValue()); err != nil {
						t.Errorf("the balance is %q", balance.GetValue())
					}
				}
				orders := identities{}
				for _, order := range account.StandingOrders {
					o := standingOrderOf(order, account.Currency)
					if orders.ofStandingOrder(order.ID, o) == "" || !datePattern.MatchString(o.GetCreationDate()) {
						t.Errorf("%v", o)
					}
				}
				for _, security := range account.Securities {
					securityOf(security, account.Currency)
				}
			}
		}
		connectionsOf(wire.Logins.value, []wireStatus{{ID: "L"}})
	})
}

func FuzzTransactions(f *testing.F) {
	seed(f, string(sampleLogins), string(sampleLoginsReference),
		`{"logins": [{"accounts": [{"transactions": [{"amount": 1}], "id": "A"}], "id": "L"}]}`,
		`{"x": [[{"y": 1}]], "LOGINS": [{"id": "Z", "accounts": [{"id": "Z", "transactions": [{"amount": 1}, {"amount": 1}]}]}]}`)
	var known wireLogins
	if err := json.Unmarshal([]byte(twoBanks), &known); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		count, stop := 0, errors.New("stop")
		reader := transactionReader{
			known: outlineOf(known.Logins.value),
			yield: func(tx providers.Transaction) error {
				if tx.ID == "" || !strings.Contains(tx.AccountID,
					"/") || tx.GetAmount().GetCurrencyCode() == "" || !datePattern.MatchString(tx.GetBookingDate()) {
					t.Errorf("%+v", tx)
				}
				if count++; count == 100 {
					return stop
				}
				return nil
			},
		}
		err := reader.read(jsonread.NewDecoder(bytes.NewReader(body)))
		if err != nil {
			return
		}
		// What is read to its end is what encoding/json reads as well.
		var plain struct {
			Logins []struct {
				ID       text
				Accounts []struct {
					ID           text
					Transactions []wireTransaction
				}
			}
		}
		if whole := json.NewDecoder(bytes.NewReader(body)).Decode(&plain); whole != nil {
			t.Errorf("read, and yet: %v", whole)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	seed(f, `{"users": [{"id": "a", "scopes": "banking, companies", "createdAt": "2020-05-26T17:11:22Z"}]}`,
		`{"users": [{"scopes": ["banking"]}]}`,
		`{"accessToken": "a", "refreshToken": "b", "expiresIn": 300, "refreshExpiresIn": 1800}`, `{"id": "string"}`,
		`{"redirectURL": "https://uba.test.fino.run/auth"}`,
		`{"loginsStatuses": [{"active": true, "id": "5d72", "lastSynchronization": "2020-05-26T17:11:22Z"}]}`,
		`{"results": [{"company": "fino", "queryID": "1", "status": "ok", "url": "x"}]}`,
		`{"type": "forbidden", "message": "Forbidden. No access to this resource"}`, `"https://uba.test.fino.run/"`)
	f.Fuzz(func(t *testing.T, body []byte) {
		if code := errorCode(400, body); code != "" && !codePattern.MatchString(code) {
			t.Errorf("code %q", code)
		}
		var users wireUsers
		if json.Unmarshal(body, &users) == nil && users.check() == nil {
			for _, user := range users.Users.value {
				for _, scope := range userOf(user).Scopes {
					if strings.ContainsAny(scope, ", ") && !bytes.Contains(body, []byte("[")) {
						t.Errorf("scope %q", scope)
					}
				}
			}
		}
		var link wireOptionalLink
		if json.Unmarshal(body,
			&link) == nil && link.check() == nil && link.URL != "" &&
			!strings.HasPrefix(strings.ToLower(string(link.URL)), "http") {
			t.Errorf("link %q", link.URL)
		}
		var issued wireTokens
		if json.Unmarshal(body, &issued) == nil && issued.check() == nil && seconds(issued.ExpiresIn).Hours() > 24 {
			t.Errorf("a life of %s", seconds(issued.ExpiresIn))
		}
		var created wireID
		var statuses wireStatuses
		var logos wireLogoResults
		if json.Unmarshal(body, &created) == nil && created.check() == nil && created.ID == "" {
			t.Error("no id")
		}
		if json.Unmarshal(body, &statuses) == nil && statuses.check() == nil {
			connectionsOf([]wireLogin{{ID: "L"}}, statuses.Statuses.value)
		}
		if json.Unmarshal(body, &logos) == nil && logos.check() == nil {
			logosOf([]*insightsv1.SearchCompanyLogosRequest_Query{{QueryId: "1"}}, logos.Results.value)
		}
	})
}

func FuzzAnalysis(f *testing.F) {
	seed(f, string(sampleAnalysis),
		`[{"customerAll": [{"transactionCount": "5", "daysBetweenTransactions": [1e-18, null]}]}]`)
	f.Fuzz(func(t *testing.T, body []byte) {
		var wire wireAnalyses
		if json.Unmarshal(body, &wire) != nil || wire.check() != nil {
			return
		}
		for _, account := range analysisOf(wire.value).GetAccounts() {
			for _, partner := range account.GetCustomers().GetAll() {
				if total := partner.GetTotalAmount().GetValue(); total != "" {
					if _, err := parseNumber(total); err != nil && len(total) <= maxMeasureText {
						t.Errorf("the total is %q", total)
					}
				}
			}
		}
	})
}
