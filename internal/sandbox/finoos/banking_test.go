package finoos_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

var berlin = func() *time.Location {
	location, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return location
}()

const day = 24 * time.Hour

func TestConnectAnswersALinkToThisServer(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	if got := h.connect(userID); !regexp.MustCompile(`^` + regexp.QuoteMeta(h.url) +
		`/ui/[0-9a-f]{40}$`).MatchString(got) {
		t.Errorf("redirectURL %q", got)
	}
	based := setup(t, finoos.Config{BaseURL: "https://fino.example.com"})
	if got := based.connect(based.user("person")); !strings.HasPrefix(got, "https://fino.example.com/ui/") {
		t.Errorf("redirectURL %q", got)
	}
	h.call("POST", "/users/"+userID+"/banking/connect", urls("recurring", "yes")).refused(400, "badRequest")
}

// The members of a login are exactly the documentation's, and in its order.
func TestLoginsHaveTheDocumentedShape(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	path := "/users/" + userID + "/banking/logins?includeTransactions=true"
	body := string(h.call("GET", path, nil).body)
	for what, shape := range map[string]string{
		"login":         `{"id":S,"bank":{"name":S,"bic":S,"bankCode":S,"logo":{"url":"","type":""}},"accounts":`,
		"account":       `{"iban":S,"id":S,"number":S,"name":S,"owner":S,"type":"GIRO","balance":N,"creditLine":N,"monthlySpendingLimit":N,"currency":"EUR","transactions":`,
		"transaction":   `{"id":S,"accountID":S,"bookingDate":D,"valueDate":D,"currency":"EUR","mref":S,"purpose":S,"booked":true,"amount":N,"counterPart":{"bic":S,"iban":S,"creditorId":S,"name":S},"tags":[{"name":S}],"codes":[{"value":S,"type":"transactionCode"}]}`,
		"tag source":    `"tags":[{"name":S,"source":S}]`,
		"pending":       `"booked":false,"amount":N,"counterPart":{"bic":S,"iban":S,"creditorId":S,"name":S},"tags":[{"name":S}],"codes":[]}`,
		"standingOrder": `{"id":"","accountID":S,"creationDate":D,"firstExecutionDate":D,"lastExecutionDate":D,"executionDay":I,"interval":"MONTHLY","amount":N,"currency":"EUR","purpose":S}`,
		"security":      `{"id":S,"accountID":S,"amount":N,"priceAmount":N,"purchasePriceAmount":N,"currency":"EUR","priceCurrency":"USD","purchasePriceCurrency":"USD","exchangeRate":N,"quantity":N,"isin":S,"name":S,"market":S}`,
	} {
		if what == "pending" {
			shape = strings.Replace(shape, `"tags":[{"name":S}]`, `"tags":[{"name":S(?:,"source":S)?}]`, 1)
		}
		pattern := shape
		for _, special := range []string{"{", "}", "[", "]"} {
			pattern = strings.ReplaceAll(pattern, special, `\`+special)
		}
		for short, long := range map[string]string{
			":S": `:"[^"]*"`, ":N": `:-?[0-9.]+`, ":I": `:[0-9]+`, ":D": `:"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`,
		} {
			pattern = strings.ReplaceAll(pattern, short, long)
		}
		if !regexp.MustCompile(pattern).MatchString(body) {
			t.Errorf("no %s of the shape %s", what, shape)
		}
	}
	var without struct{ Logins []bankLogin }
	h.call("GET", strings.Replace(path, "true", "false", 1), nil).into(&without)
	for _, a := range without.Logins[0].Accounts {
		if a.Transactions == nil || len(a.Transactions) != 0 {
			t.Errorf("transactions without includeTransactions: %d", len(a.Transactions))
		}
	}
	if len(without.Logins[0].Accounts[0].StandingOrders) == 0 {
		t.Error("includeTransactions=false drops standing orders")
	}
	for _, query := range []string{"", "?includeTransactions=", "?includeTransactions=TRUE", "?includeTransactions=1"} {
		h.call("GET", "/users/"+userID+"/banking/logins"+query, nil).refused(400, "badRequest")
	}
}

func TestIDsLookLikeTheDocumentation(t *testing.T) {
	h := setup(t, finoos.Config{})
	object, accountID := regexp.MustCompile(`^[0-9a-f]{24}$`), regexp.MustCompile(`^A\d{5}\.[0-9a-f]{11}$`)
	seen := map[string]bool{}
	for _, l := range h.logins(h.connected("person")) {
		if !object.MatchString(l.ID) {
			t.Errorf("login id %q", l.ID)
		}
		empty := 0
		for _, a := range l.Accounts {
			if !accountID.MatchString(a.ID) || seen[a.ID] {
				t.Errorf("account id %q", a.ID)
			}
			seen[a.ID] = true
			for _, tx := range a.Transactions {
				if !object.MatchString(tx.ID) || seen[tx.ID] || tx.AccountID != a.ID {
					t.Errorf("transaction %q of account %q in %q", tx.ID, tx.AccountID, a.ID)
				}
				seen[tx.ID] = true
			}
			for _, o := range a.StandingOrders {
				if o.ID == "" {
					empty++
				}
				if o.AccountID == a.ID ||
					!regexp.MustCompile(`^A[0-9a-f]{24}\.[0-9a-f]{40}$`).MatchString(o.AccountID) {
					t.Errorf("standing order of account %q", o.AccountID)
				}
			}
		}
		if empty != 1 {
			t.Errorf("%d standing orders without an id, want 1", empty)
		}
	}
}

// The people behind users are the population's: nothing is lost or changed on the way into this dialect.
func TestLoginsShowThePopulation(t *testing.T) {
	h := setup(t, finoos.Config{})
	for _, kind := range []string{"person", "company"} {
		userID := h.connected(kind)
		person := h.core.Population.ForUser(sandbox.Germany, userID, kind == "company")
		logins := h.logins(userID)
		if len(logins) != 1 || logins[0].Bank.Name != "fino Bank" || logins[0].Bank.BankCode != "10020000" {
			t.Fatalf("logins: %+v", logins)
		}
		var want []sandbox.Account
		for _, l := range person.Logins {
			want = append(want, l.Accounts...)
		}
		accounts := logins[0].Accounts
		if len(accounts) < 3 || len(accounts) != len(want) {
			t.Fatalf("%d accounts, want the %d of the population and at least 3", len(accounts), len(want))
		}
		nights, pending := 0, 0
		for i, a := range accounts {
			w := want[i]
			if a.IBAN != w.IBAN || a.Number != w.Number || a.Name != w.Name || a.Owner != w.Owner ||
				string(a.Balance) != w.Balance ||
				string(a.CreditLine) != w.CreditLine || string(a.MonthlySpendingLimit) != w.MonthlySpendingLimit {
				t.Errorf("account %d: %+v", i, a)
			}
			if len(a.Transactions) != len(w.Transactions) || len(a.StandingOrders) != len(w.StandingOrders) ||
				len(a.Securities) != len(w.Securities) {
				t.Fatalf("account %d: %d transactions, want %d", i, len(a.Transactions), len(w.Transactions))
			}
			for j, tx := range a.Transactions {
				o := w.Transactions[j]
				if string(tx.Amount) != o.Amount || tx.Purpose != o.Description || tx.Booked != o.Booked ||
					tx.MRef != o.MandateRef ||
					tx.CounterPart.IBAN != o.Counterparty.IBAN || tx.CounterPart.BIC != o.Counterparty.BIC ||
					tx.CounterPart.CreditorID != o.Counterparty.CreditorID ||
					tx.CounterPart.Name != o.Counterparty.Name {
					t.Errorf("account %d, transaction %d: %+v, want %+v", i, j, tx, o)
				}
				if got, want := tx.BookingDate.In(berlin).Format(time.DateOnly),
					o.Date.Format(time.DateOnly); got != want {
					t.Errorf("booked on %s in Berlin, want %s", got, want)
				}
				if tx.BookingDate.UTC().Day() != tx.BookingDate.In(berlin).Day() {
					nights++
				}
				if !tx.Booked {
					pending++
				}
			}
		}
		if nights == 0 || pending == 0 {
			t.Errorf("%d bookings whose day in UTC is another, %d pending: want some of both", nights, pending)
		}
	}
}

func TestAmountsAreWrittenAsTheyAre(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	if err := h.fino.SetPerson(userID, h.core.Population.ByNationalID(sandbox.ExactNationalID)); err != nil {
		t.Fatal(err)
	}
	h.connect(userID)
	if _, err := h.fino.CompleteLogin(userID); err != nil {
		t.Fatal(err)
	}
	body := string(h.call("GET", "/users/"+userID+"/banking/logins?includeTransactions=true", nil).body)
	for _, literal := range []string{"0.1", "1e3", "12345678901234.56", "-0.00"} {
		if !strings.Contains(body, `"amount":`+literal+`,`) {
			t.Errorf("no amount is written as %s", literal)
		}
	}
	if err := h.fino.SetPerson("nobody", sandbox.Person{}); !errors.Is(err, finoos.ErrNoUser) {
		t.Errorf("SetPerson of nobody: %v", err)
	}
}

func TestPeopleCanBeChosen(t *testing.T) {
	h := setup(t, finoos.Config{})
	for _, choice := range []object{{"nationalID": sandbox.BadNationalID}, {"companyID": sandbox.SwedishCompanyID}} {
		userID := h.user("person")
		choice["userID"] = userID
		h.call("POST", "/_sandbox/users:person", choice).done()
		h.connect(userID)
		if _, err := h.fino.CompleteLogin(userID); err != nil {
			t.Fatal(err)
		}
		a := h.logins(userID)[0].Accounts[0]
		want := h.core.Population.ByNationalID(sandbox.BadNationalID).Name
		if choice["companyID"] != nil {
			want = h.core.Population.ByCompanyID(sandbox.SwedishCompanyID).Name
		}
		if a.Owner != want || a.Currency != "EUR" || !strings.HasPrefix(a.IBAN, "DE") {
			t.Errorf("owner %q, %s, %s; want %q in Germany", a.Owner, a.Currency, a.IBAN, want)
		}
	}
	if got := h.call("POST", "/_sandbox/users:person", object{"userID": "nobody"}); got.status != http.StatusNotFound {
		t.Errorf("status %d for nobody", got.status)
	}
}

func TestFurtherLoginsHaveOtherAccounts(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	h.connect(userID)
	if _, err := h.fino.CompleteLogin(userID); err != nil {
		t.Fatal(err)
	}
	logins := h.logins(userID)
	if len(logins) != 2 {
		t.Fatalf("%d logins", len(logins))
	}
	a, b := logins[0].Accounts[0], logins[1].Accounts[0]
	if logins[0].ID == logins[1].ID || a.ID == b.ID || a.IBAN == b.IBAN || a.Owner != b.Owner {
		t.Errorf("logins %q and %q: %s and %s", a.ID, b.ID, a.Owner, b.Owner)
	}
}

func TestAuthenticationLasts90Days(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	check := func(active bool, last time.Time) {
		t.Helper()
		got := h.statuses(userID)
		if len(got) != 1 || got[0].Active != active || !got[0].LastSynchronization.Equal(last) ||
			got[0].ID != h.logins(userID)[0].ID {
			t.Errorf("at %v: %+v, want active %v and %v", h.clock.Now(), got, active, last)
		}
	}
	check(true, start)
	h.advance(3*day + time.Hour) // synchronized in the background
	check(true, start.Add(3*day))
	h.advance(87*day - time.Hour - time.Second)
	check(true, start.Add(89*day))
	h.advance(time.Second)
	check(false, start.Add(90*day))
	h.advance(20 * day)
	check(false, start.Add(90*day))
}

func TestLoginsAreExpiredOnRequest(t *testing.T) {
	h := setup(t, finoos.Config{})
	one, other := h.connected("person"), h.connected("person")
	h.advance(day + time.Hour)
	h.fino.ExpireLogins(one)
	h.advance(5 * day)
	if got := h.statuses(one)[0]; got.Active || !got.LastSynchronization.Equal(start.Add(day)) {
		t.Errorf("expired: %+v", got)
	}
	if !h.statuses(other)[0].Active {
		t.Error("somebody else's login expired")
	}
	h.call("POST", "/_sandbox/logins:expire", object{}).done()
	if h.statuses(other)[0].Active {
		t.Error("not everybody's login expired")
	}
}

func TestOneOffLoginsAreInactiveAtOnce(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person", "recurring", false)
	before := h.logins(userID)
	if h.statuses(userID)[0].Active || len(before[0].Accounts[0].Transactions) == 0 {
		t.Error("a one-off login is active, or has no data")
	}
	h.advance(3 * day)
	if got := h.statuses(userID)[0]; !got.LastSynchronization.Equal(start) {
		t.Errorf("a one-off login was synchronized at %v", got.LastSynchronization)
	}
	var session link
	h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", before[0].ID)).into(&session)
	if _, err := h.fino.CompleteLogin(userID); err != nil {
		t.Fatal(err)
	}
	if h.statuses(userID)[0].Active ||
		len(h.logins(userID)[0].Accounts[0].Transactions) <= len(before[0].Accounts[0].Transactions) {
		t.Error("after the new authentication the login is active, or has no new data")
	}
}

func TestSynchronize(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	before := h.logins(userID)[0]
	h.advance(2 * day)
	h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", before.ID)).done()
	if got := h.statuses(userID)[0]; !got.LastSynchronization.Equal(start.Add(2 * day)) {
		t.Errorf("status %+v", got)
	}
	after := h.logins(userID)[0]
	a, b := after.Accounts[0], before.Accounts[0]
	added := a.Transactions[len(b.Transactions):]
	if len(added) < 2 || len(added) > 3 {
		t.Fatalf("%d new transactions", len(added))
	}
	for i := range after.Accounts {
		balance := decimal(before.Accounts[i].Balance)
		for j, tx := range after.Accounts[i].Transactions {
			isNew := j >= len(before.Accounts[i].Transactions)
			if isNew && (i != 0 || !tx.BookingDate.Equal(h.clock.Now()) || tx.AccountID != after.Accounts[i].ID) {
				t.Errorf("new transaction %+v", tx)
			}
			if !tx.Booked || len(tx.Codes) != 1 {
				t.Errorf("still pending two days later: %+v", tx)
			}
			if isNew || !before.Accounts[i].Transactions[j].Booked {
				balance.Add(balance, decimal(tx.Amount))
			}
		}
		if balance.Cmp(decimal(after.Accounts[i].Balance)) != 0 {
			t.Errorf("account %d: balance %s, want %s", i, after.Accounts[i].Balance, balance.FloatString(2))
		}
	}
	seen := map[string]bool{}
	for _, tx := range a.Transactions {
		if seen[tx.ID] {
			t.Errorf("id %s twice", tx.ID)
		}
		seen[tx.ID] = true
	}
}

// What was booked today stays pending until the day is over.
func TestSynchronizeTheSameDayBooksNothing(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	today := func() (pending int) {
		for _, tx := range h.logins(userID)[0].Accounts[0].Transactions {
			if !tx.Booked && tx.BookingDate.In(berlin).Format(time.DateOnly) == start.Format(time.DateOnly) {
				pending++
			}
		}
		return pending
	}
	before := today()
	h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", h.logins(userID)[0].ID)).done()
	if got := today(); before == 0 || got != before {
		t.Errorf("%d pending of today, then %d", before, got)
	}
}

func decimal(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		panic("not a number: " + n)
	}
	return r
}

func TestSynchronizeAsksForANewAuthentication(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	before := h.logins(userID)[0]
	h.advance(90 * day)
	var session link
	h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", before.ID)).into(&session)
	if got := len(h.logins(userID)[0].Accounts[0].Transactions); got != len(before.Accounts[0].Transactions) {
		t.Error("new data came without an authentication")
	}
	b := h.browse(session.RedirectURL)
	b.shows("Sign in at fino Bank")
	b.says("authenticate again")
	b.submit("login-submit", "login", "dummy", "pin", "654321")
	b.submit("tan-submit", "tan", b.tan())
	b.shows("Your bank is up to date")
	b.submit("finish")
	b.sentTo(redirectURL + "&userID=" + userID)
	if got := h.statuses(userID); len(got) != 1 || !got[0].Active || !got[0].LastSynchronization.Equal(h.clock.Now()) {
		t.Errorf("status %+v", got)
	}
	if got := len(h.logins(userID)[0].Accounts[0].Transactions); got <= len(before.Accounts[0].Transactions) {
		t.Error("the synchronization brought nothing")
	}
}

func TestDeleteLoginAndDisconnect(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	h.connect(userID)
	if _, err := h.fino.CompleteLogin(userID); err != nil {
		t.Fatal(err)
	}
	logins := h.logins(userID)
	h.call("DELETE", "/users/"+userID+"/banking/logins/"+logins[0].ID, nil).done()
	h.call("DELETE", "/users/"+userID+"/banking/logins/"+logins[0].ID, nil).refused(404, "notFound")
	if left := h.logins(userID); len(left) != 1 || left[0].ID != logins[1].ID {
		t.Errorf("left: %v", left)
	}
	page := h.connect(userID)
	h.call("DELETE", "/users/"+userID+"/banking/connect", nil).done()
	if len(h.logins(userID)) != 0 || len(h.statuses(userID)) != 0 {
		t.Error("data stays after disconnecting")
	}
	if b := h.browse(page); b.page.status != http.StatusGone {
		t.Errorf("a session outlives disconnecting: status %d", b.page.status)
	}
	h.call("DELETE", "/users/"+userID+"/banking/connect", nil).refused(404, "notFound")
	if u := h.users(0, 1)[0]; *u.Deleted {
		t.Error("disconnecting deleted the user")
	}
	h.connect(userID) // and again
}

func TestDeletingAUserDeletesBankingData(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	page := h.connect(userID)
	h.call("DELETE", "/users/"+userID, nil).done()
	if got := h.fino.Users()[0]; !got.Deleted || len(got.Logins) != 0 {
		t.Errorf("after deletion: %+v", got)
	}
	if b := h.browse(page); b.page.status != http.StatusGone {
		t.Errorf("a session outlives its user: status %d", b.page.status)
	}
}

func TestExpiredLoginsAreRenewed(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	h.fino.ExpireLogins(userID)
	h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", h.logins(userID)[0].ID)).into(&link{})
	if _, err := h.fino.CompleteLogin(userID); err != nil {
		t.Fatal(err)
	}
	if !h.statuses(userID)[0].Active {
		t.Error("not active after a new authentication")
	}
	h.advance(89 * day)
	if !h.statuses(userID)[0].Active {
		t.Error("the new authentication does not last")
	}
}

// sample is the request of the documentation's quickstart, and quickstart its answer.
const sample = `{"logins":[{"accounts":[{"balance":2004.41,"creditLine":0,"currency":"EUR","iban":"DE64100200007791587578","id":"A38253.f837c3ab353","monthlySpendingLimit":6000,"name":"Girokonto","number":"83767594","owner":"Torben Mais",
"securities":[{"accountID":"A5ecd4d9bb9e14800012d99e9.1356664d2044208d10cf439e5009e810382ba932","amount":200,"currency":"EUR","exchangeRate":1.23,"id":"5ecd4d9bb9e14800012d99e9","isin":"US0378331005","market":"NASDAQ","name":"finoOS Security","priceAmount":100,"priceCurrency":"EUR","purchasePriceAmount":150,"purchasePriceCurrency":"EUR","quantity":40}],
"standingOrders":[{"accountID":"A5ecd4d9bb9e14800012d99e9.1356664d2044208d10cf439e5009e810382ba932","amount":200,"creationDate":"2020-05-26T17:11:22Z","currency":"EUR","executionDay":2,"firstExecutionDate":"2020-05-26T17:11:22Z","id":"5ecd4d9bb9e14800012d99e9","interval":"MONTHLY","lastExecutionDate":"2020-05-26T17:11:22Z","purpose":"Taschengeld"}],
"transactions":[{"accountID":"A5ecd4d9bb9e14800012d99e9.1356664d2044208d10cf439e5009e810382ba932","amount":24.99,"booked":true,"bookingDate":"2020-05-26T17:11:22Z","codes":[{"type":"transactionCode","value":"999"}],"counterPart":{"bic":"GENODEF1S04","creditorId":"DE97ZZZ12345678901","iban":"DE83701999010000002000","name":"Schettchens Schnittchen"},"currency":"EUR","id":"5ecd4d9bb9e14800012d99e9","mref":"MREF123ZZ678JJ","purpose":"Welcome to finoOS","tags":[{"name":"salary","source":"string"}],"valueDate":"2020-05-26T17:11:22Z"}],
"type":"GIRO"}],"bank":{"bankCode":"70199901","bic":"SUBSDE71","logo":{"type":"string","url":"string"},"name":"fino Bank"},"id":"5d7267d1b747aa683d88668f"}]}`

const quickstart = `{"logins":[{"id":"5d7267d1b747aa683d88668f","bank":{"name":"fino Bank","bic":"SUBSDE71","bankCode":"70199901","logo":{"url":"","type":""}},"accounts":[{"iban":"DE64100200007791587578","id":"A38253.f837c3ab353","number":"83767594","name":"Girokonto","owner":"Torben Mais","type":"GIRO","balance":2004.41,"creditLine":0,"monthlySpendingLimit":6000,"currency":"EUR",
"transactions":[{"id":"5ecd4d9bb9e14800012d99e9","accountID":"A38253.f837c3ab353","bookingDate":"2020-05-26T17:11:22Z","valueDate":"2020-05-26T17:11:22Z","currency":"EUR","mref":"MREF123ZZ678JJ","purpose":"Welcome to finoOS","booked":true,"amount":24.99,"counterPart":{"bic":"GENODEF1S04","iban":"DE83701999010000002000","creditorId":"DE97ZZZ12345678901","name":"Schettchens Schnittchen"},"tags":[{"name":"salary"}],"codes":[{"value":"999","type":"transactionCode"}]}],
"standingOrders":[{"id":"","accountID":"A5ecd4d9bb9e14800012d99e9.1356664d2044208d10cf439e5009e810382ba932","creationDate":"2020-05-26T17:11:22Z","firstExecutionDate":"2020-05-26T17:11:22Z","lastExecutionDate":"2020-05-26T17:11:22Z","executionDay":2,"interval":"MONTHLY","amount":200,"currency":"EUR","purpose":"Taschengeld"}],
"securities":[{"id":"5ecd4d9bb9e14800012d99e9","accountID":"A38253.f837c3ab353","amount":200,"priceAmount":100,"purchasePriceAmount":150,"currency":"EUR","priceCurrency":"EUR","purchasePriceCurrency":"EUR","exchangeRate":1.23,"quantity":40,"isin":"US0378331005","name":"finoOS Security","market":"NASDAQ"}]}]}]}`

func TestTheQuickstartIsReproduced(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	h.call("POST", "/users/"+userID+"/banking/logins", raw(sample)).done()
	got := h.call("GET", "/users/"+userID+"/banking/logins?includeTransactions=true", nil)
	if want := strings.ReplaceAll(quickstart, "\n", ""); string(got.body) != want {
		t.Errorf("got  %s\nwant %s", got.body, want)
	}
	if n := len(h.statuses(userID)); n != 0 {
		t.Errorf("%d logins that nobody synchronizes have a status", n)
	}
	h.call("DELETE", "/users/"+userID+"/banking/logins/5d7267d1b747aa683d88668f", nil).done()
	if n := len(h.logins(userID)); n != 0 {
		t.Errorf("%d logins after deletion", n)
	}
}

func TestSetLoginsReplaces(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	path := "/users/" + userID + "/banking/logins"
	set := func(body string) answer { return h.call("POST", path, raw(body)) }
	set(sample).done()
	set(`{"logins":[{"id":"l1","bank":{"name":"A"}},{"id":"l2","accounts":[{"id":"a1","balance":0.10,"transactions":[{"id":"t1","amount":-1e3,"bookingDate":"2020-05-26T19:11:22+02:00"}]}]}]}`).done()
	body := string(h.call("GET", path+"?includeTransactions=true", nil).body)
	for _, want := range []string{
		`"id":"l1"`, `"id":"l2"`, `"balance":0.10`, `"amount":-1e3`, `"bookingDate":"2020-05-26T19:11:22+02:00"`,
		`"accounts":[]`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if strings.Contains(body, "Girokonto") {
		t.Error("what was set before is still there")
	}
	for _, bad := range []string{
		`{"logins":[{"id":"l1"},{"id":"l1"}]}`,
		`{"logins":[{"bank":{"name":"A"}}]}`,
		`{"logins":[{"id":"l1","accounts":[{"id":"a"}]},{"id":"l2","accounts":[{"id":"a"}]}]}`,
		`{"logins":[{"id":"l1","accounts":[{"name":"A"}]}]}`,
		`{"logins":[{"id":"l1","accounts":[{"id":"a","transactions":[{"id":"t"},{"id":"t"}]}]}]}`,
		`{"logins":[{"id":"l1","accounts":[{"id":"a","securities":[{"id":"t"},{"id":"t"}]}]}]}`,
	} {
		set(bad).refused(400, "invalidInput")
	}
	for _, bad := range []string{
		`{"logins":{}}`,
		`{"logins":[{"id":1}]}`,
		`{"logins":[{"id":"l1","accounts":[{"id":"a","balance":"1.00"}]}]}`,
		`{"logins":[{"id":"l1","accounts":[{"id":"a","balance":1.00,"balance":2.00}]}]}`,
		`{"logins":[{"id":"l1","accounts":[{"id":"a","transactions":[{"id":"t","bookingDate":"2020-05-26"}]}]}]}`,
		`{"logins":[{"id":"l1","accounts":[{"id":"a","transactions":[{"id":"t","counterPart":{"creditorID":"x"}}]}]}]}`,
		`{"logins":[{"id":"l1","accounts":[{"id":"a","standingOrders":[{"executionDay":"2"}]}]}]}`,
	} {
		set(bad).refused(400, "badRequest")
	}
	if got := len(h.logins(userID)); got != 2 {
		t.Errorf("%d logins after refused calls, want 2", got)
	}
	set(`{"logins":[]}`).done()
	if got := len(h.logins(userID)); got != 0 {
		t.Errorf("%d logins after setting none", got)
	}
}

func TestUpdateLoginsMerges(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	path := "/users/" + userID + "/banking/logins"
	h.call("POST", path, raw(sample)).done()
	h.call("PATCH", path, raw(`{"logins":[
		{"id":"5d7267d1b747aa683d88668f","accounts":[
			{"id":"A38253.f837c3ab353","balance":0,"name":"Neues Konto","transactions":[
				{"id":"5ecd4d9bb9e14800012d99e9","amount":-1.50,"purpose":"corrected"},
				{"id":"t2","amount":7.00}]},
			{"id":"a2","owner":"Torben Mais"}]},
		{"id":"l2"}]}`)).done()
	logins := h.logins(userID)
	if len(logins) != 2 || logins[0].Bank.Name != "fino Bank" || len(logins[0].Accounts) != 2 {
		t.Fatalf("logins: %+v", logins)
	}
	a := logins[0].Accounts[0]
	if a.Name != "Neues Konto" || a.Balance != "0" || a.IBAN != "DE64100200007791587578" ||
		a.MonthlySpendingLimit != "6000" {
		t.Errorf("account: %+v", a)
	}
	if len(a.Transactions) != 2 || a.Transactions[0].Amount != "-1.50" || a.Transactions[0].Purpose != "corrected" ||
		a.Transactions[1].AccountID != a.ID {
		t.Errorf("transactions: %+v", a.Transactions)
	}
	if len(a.StandingOrders) != 1 || len(a.Securities) != 1 {
		t.Errorf("%d standing orders and %d securities, want those from before", len(a.StandingOrders),
			len(a.Securities))
	}
	for _, bad := range []string{
		`{"logins":[{"id":"l3"},{"id":"l3"}]}`,
		`{"logins":[{"id":"l3","accounts":[{"id":"x"},{"id":"x"}]}]}`,
		`{"logins":[{"id":"l3","accounts":[{"id":"a2"}]}]}`, // an account of another login
	} {
		h.call("PATCH", path, raw(bad)).refused(400, "invalidInput")
	}
	if again := h.logins(userID); !reflect.DeepEqual(again, logins) {
		t.Error("a refused update changed something")
	}
}

// Logins that were set and such as the customer connected live side by side; to set logins replaces both.
func TestBankingUIAndExternalLogins(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	connected := h.logins(userID)
	h.call("PATCH", "/users/"+userID+"/banking/logins", raw(sample)).done()
	if both := h.logins(userID); len(both) != len(connected)+1 {
		t.Errorf("beside %d logins that were connected one was set: there are %d", len(connected), len(both))
	}
	h.call("POST", "/users/"+userID+"/banking/synchronize",
		urls("bankLoginId", "5d7267d1b747aa683d88668f")).refused(409, "conflict")
	var session link
	h.call("POST", "/users/"+userID+"/banking/overview?addBankLogin=true", urls()).into(&session)
	h.call("POST", "/users/"+userID+"/banking/logins", raw(sample)).done()
	if left := h.logins(userID); len(left) != 1 {
		t.Errorf("after all were replaced there are %d", len(left))
	}
}

func TestOverviewDemandsAddBankLogin(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	for _, query := range []string{"", "?addBankLogin=", "?addBankLogin=yes", "?addbanklogin=true"} {
		h.call("POST", "/users/"+userID+"/banking/overview"+query, urls()).refused(400, "badRequest")
	}
	for _, query := range []string{"true", "false"} {
		var session link
		h.call("POST", "/users/"+userID+"/banking/overview?addBankLogin="+query, urls()).into(&session)
		if !strings.HasPrefix(session.RedirectURL, h.url+"/ui/") {
			t.Errorf("redirectURL %q", session.RedirectURL)
		}
	}
}

// The same seed, start and requests give the same bytes, another seed others.
func TestSeedDecidesEverything(t *testing.T) {
	script := func(seed int64) []string {
		h := setupSeed(t, finoos.Config{BaseURL: "https://fino.example.com"}, seed)
		out := []string{h.token}
		keep := func(a answer) { out = append(out, string(a.body)) }
		userID := h.connected("company")
		keep(h.call("POST", "/users/"+userID+"/banking/connect", urls()))
		keep(h.call("GET", "/users/"+userID+"/banking/logins?includeTransactions=true", nil))
		h.advance(2 * day)
		h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", h.logins(userID)[0].ID)).done()
		keep(h.call("GET", "/users/"+userID+"/banking/logins?includeTransactions=true", nil))
		keep(h.call("GET", "/users/"+userID+"/paymentpartneranalysis", nil))
		keep(h.call("POST", "/companies/logos",
			object{"queries": []object{{"queryID": "1"}, {"queryID": "2"}, {"queryID": "3"}}}))
		return append(out, userID)
	}
	first := script(1)
	if !slices.Equal(first, script(1)) {
		t.Error("the same seed gives other answers")
	}
	other := script(2)
	for _, i := range []int{0, 1, 2, 3, 4, 6} {
		if first[i] == other[i] {
			t.Errorf("answer %d does not depend on the seed", i)
		}
	}
}
