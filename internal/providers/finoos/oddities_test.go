package finoos

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// One test for each oddity of finoOS that has to be put up with. Those of tokens are in auth_test.go.

func TestOddityScopesAreAStringOrAnArrayAndDeletedUsersAreListed(t *testing.T) {
	f := newFake(t)
	f.answer("list_users", 200, `{"users": [
		{"createdAt": "2020-05-26T17:11:22Z", "deleted": true, "deletedAt": "2020-06-01T00:00:00Z", "id": "a", "modifiedAt": "string", "scopes": "banking, newScope companies"},
		{"createdAt": "string", "deleted": false, "deletedAt": null, "id": "b", "scopes": ["banking", "other"]},
		{"id": "c", "deletedAt": "0001-01-01T00:00:00Z", "scopes": ""}, {"id": "d", "scopes": null}]}`)
	got, err := f.provider().Users.ListUsers(testContext(), 3, 4)
	want := []providers.User{
		{
			ID: "a", Scopes: []string{"banking", "newScope", "companies"}, Deleted: true,
			CreateTime: time.Date(2020, 5, 26, 17, 11, 22, 0, time.UTC),
			DeleteTime: time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC),
		},
		{ID: "b", Scopes: []string{"banking", "other"}},
		{ID: "c"},
		{ID: "d"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestOddityCasingOfFieldNames(t *testing.T) {
	// What we send is in operations (bankLoginId, processID, queryID, creditorID); what we read is taken in either
	// casing.
	for _, body := range []string{
		`{"id": "t", "accountID": "A", "amount": 1, "counterPart": {"creditorId": "DE97"}}`,
		`{"ID": "t", "accountId": "A", "amount": 1, "counterpart": {"creditorID": "DE97"}}`,
	} {
		w := decoded[wireTransaction](t, body)
		if got := mappedTransaction(w, ""); w.ID != "t" || got.GetCounterparty().GetCreditorId() != "DE97" {
			t.Errorf("%s became %v", body, got)
		}
	}
	if got := decoded[wireLogoResult](t, `{"queryId": "1"}`); got.QueryID != "1" {
		t.Errorf("%+v", got)
	}
}

func TestOddityAccountIDsThatMatchNoAccount(t *testing.T) {
	f := newFake(t)
	f.answer("get_logins", 200, string(sampleLoginsReference)) // its accountIDs are of another account
	p := f.provider()
	account := testLogin + "/A38253.f837c3ab353"
	orders, err := p.Holdings.ListStandingOrders(testContext(), testRef)
	if err != nil || len(orders) != 1 || orders[0].AccountID != account {
		t.Errorf("%v, %v", orders, err)
	}
	securities, err := p.Holdings.ListSecurities(testContext(), testRef)
	if err != nil || len(securities) != 1 || securities[0].AccountID != account {
		t.Errorf("%v, %v", securities, err)
	}
	transactions, err := collect(p)
	if err != nil || len(transactions) != 1 || transactions[0].AccountID != account {
		t.Errorf("%v, %v", transactions, err)
	}
}

func TestOddityStandingOrdersWithoutAnID(t *testing.T) {
	f := newFake(t)
	f.answer("get_logins", 200, `{"logins": [{"id": "L", "accounts": [{"id": "A", "standingOrders": [
		{"id": "", "amount": 1, "purpose": "a"}, {"id": "", "amount": 1, "purpose": "b"}, {"id": "", "amount": 1, "purpose": "a"}, {"id": "own", "amount": 1}]}]}]}`)
	orders, err := f.provider().Holdings.ListStandingOrders(testContext(), testRef)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, order := range orders {
		ids = append(ids, order.ID)
	}
	if ids[2] != ids[0]+"-2" || ids[3] != "own" || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 4 {
		t.Errorf("ids are %v", ids)
	}
}

func TestOddityIBANsWithBadCheckDigits(t *testing.T) {
	f := newFake(t)
	for _, iban := range []string{
		"DE64100200007791587578", "123", "not an IBAN",
	} { // the first is the sample's, and fails mod-97
		f.answer("get_logins", 200,
			fmt.Sprintf(`{"logins": [{"id": "L", "accounts": [{"id": "A", "iban": %q}]}]}`, iban))
		accounts, err := f.provider().Accounts.ListAccounts(testContext(), testRef)
		if err != nil || accounts[0].GetIban() != iban {
			t.Errorf("%v, %v", accounts, err)
		}
	}
}

func TestOddityEmptyLogosAndTagsWithoutSource(t *testing.T) {
	for _, logo := range []string{`{"url": "", "type": ""}`, `null`, `{}`} {
		login := decoded[wireLogin](t, `{"bank": {"name": "fino Bank", "logo": `+logo+`}}`)
		if bank := bankOf(login.Bank); bank.GetLogoUri() != "" || bank.GetDisplayName() != "fino Bank" {
			t.Errorf("%s: %v", logo, bank)
		}
	}
	got := mappedTransaction(decoded[wireTransaction](t,
		`{"tags": [{"name": "salary"}, {"name": "rent", "source": "string"}, {"source": "x"}, {}]}`), "")
	tagged := []*bankingv1.Transaction_Tag{{Name: "salary"}, {Name: "rent", Source: optional.Of("string")}}
	if diff := cmp.Diff(tagged, got.GetTags(), protocmp.Transform()); diff != "" {
		t.Errorf("tags are %v", got.GetTags())
	}
}

func TestOddityPeriodsOfTheAnalysis(t *testing.T) {
	f := newFake(t)
	f.answer("payment_partner_analysis", 200, `[{"accountID": "A", "customerAll": [{
		"firstTransactionDate": 1590513082, "lastTransactionDate": "26.05.2020",
		"percentageOfOverallAmountMonthly": [{"percentage": 14.7, "quarter": "3", "year": "2020"}, {"percentage": "1", "month": 4, "year": 2020}, {"quarter": "2", "month": "5"}],
		"percentageOfOverallAmountQuarterly": [{"percentage": 14.7, "quarter": 3, "year": 2020}],
		"totalAmountMonthly": [{"month": 3, "year": 2020, "totalAmount": 0.1, "transactionCount": "56"}]}]}]`)
	analysis, err := f.provider().PaymentPartners.PaymentPartnerAnalysis(testContext(), testRef)
	if err != nil {
		t.Fatal(err)
	}
	p := analysis.GetAccounts()[0].GetCustomers().GetAll()[0]
	got := fmt.Sprint(p.GetFirstTransactionDate(), " ", p.GetLastTransactionDate())
	for _, s := range p.GetPercentageOfOverallAmountMonthly() {
		got += fmt.Sprintf(" | %s-%s-%s %s", s.GetYear(), s.GetQuarter(), s.GetMonth(), s.GetPercentage())
	}
	for _, s := range p.GetPercentageOfOverallAmountQuarterly() {
		got += fmt.Sprintf(" | %s-%s-%s %s", s.GetYear(), s.GetQuarter(), s.GetMonth(), s.GetPercentage())
	}
	for _, s := range p.GetTotalAmountMonthly() {
		got += fmt.Sprintf(" | %s-%s-%s %s %d", s.GetYear(), s.GetQuarter(), s.GetMonth(), s.GetTotalAmount().GetValue(),
			s.GetTransactionCount())
	}
	if want := "1590513082 26.05.2020 | 2020--3 14.7 | 2020--4 1 | -2-5  | 2020-3- 14.7 | 2020--3 0.1 56"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A fax goes out with an address and without a number: the fake refuses any field beyond the documented ones.
func TestOddityAFaxHasNoNumber(t *testing.T) {
	f := newFake(t)
	if err := f.provider().Shipments.SendShipment(testContext(), testShipment); err != nil {
		t.Fatal(err)
	}
	f.only("send_fax")
}

func TestOddityConnectTakesTheUsersAddressWhenKnown(t *testing.T) {
	f := newFake(t)
	if _, err := f.provider().Links.RenewLink(testContext(), testRef, testFlow); err != nil {
		t.Fatal(err)
	}
	if got := f.only("connect").header.Get("User-IP"); got != testIP {
		t.Errorf("User-IP is %q", got)
	}
}

// What is not documented is passed on or ignored, never an error.
func TestUnknownFieldsAndCodes(t *testing.T) {
	f := newFake(t)
	f.answer("get_logins", 200,
		`{"version": 2, "logins": [{"id": 7, "flags": {"new": [true, null]}, "bank": {"name": "B", "bankCode": 70199901, "rating": 1}, "accounts": [
		{"id": 8, "type": "ESCROW", "number": 83767594, "color": "red", "limits": [{"a": 1}], "transactions": [
			{"id": 9, "amount": 1, "booked": true, "codes": [{"type": "gvc", "value": 166}], "tags": [{"name": "spaceTravel"}], "weather": "rain"}]}]}]}`)
	p := f.provider()
	accounts, err := p.Accounts.ListAccounts(testContext(), testRef)
	if err != nil || accounts[0].ID != "7/8" || accounts[0].GetType() != bankingv1.Account_OTHER ||
		accounts[0].GetProviderType() != "ESCROW" || accounts[0].GetAccountNumber() != "83767594" {
		t.Errorf("%v, %v", accounts, err)
	}
	got, err := collect(p)
	want := []providers.Transaction{{ID: "9", AccountID: "7/8", Transaction: &bankingv1.Transaction{
		Status: bankingv1.Transaction_BOOKED, Amount: euro("1"), Category: bankingv1.Category_OTHER.Enum(),
		ProviderCategory: optional.Of("spaceTravel"), Tags: labels("spaceTravel"),
		BankTransactionCodes: []*bankingv1.Transaction_BankTransactionCode{{Type: optional.Of("gvc"), Value: "166"}},
	}}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
