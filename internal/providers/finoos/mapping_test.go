package finoos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

func euro(value string) *typev1.Money { return &typev1.Money{Value: value, CurrencyCode: "EUR"} }

// decoded reads wire structs as the client does.
func decoded[T any](t *testing.T, body string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return value
}

func TestTransactionMapping(t *testing.T) {
	got := mappedTransaction(decoded[wireTransaction](t, `{
		"id": "5ecd4d9bb9e14800012d99e9", "accountID": "A38253.f837c3ab353", "bookingDate": "2020-05-26T17:11:22Z", "valueDate": "2020-05-27",
		"currency": "CHF", "mref": "MREF123ZZ678JJ", "purpose": "Welcome to finoOS", "booked": false, "amount": -24.99, "unknown": {"a": [1]},
		"counterPart": {"bic": "GENODEF1S04", "iban": "DE83701999010000002000", "creditorId": "DE97ZZZ12345678901", "name": "Schettchens Schnittchen"},
		"tags": [{"name": "never heard of"}, {"name": "salary", "source": "string"}, {"name": "rent"}],
		"codes": [{"value": "999", "type": "transactionCode"}, {"value": "NOTPROVIDED", "type": "endToEndReference"}]}`), "EUR")
	want := &bankingv1.Transaction{
		Status:                bankingv1.Transaction_PENDING,
		Amount:                &typev1.Money{Value: "-24.99", CurrencyCode: "CHF"},
		BookingDate:           optional.Of("2020-05-26"),
		ValueDate:             optional.Of("2020-05-27"),
		RemittanceInformation: optional.Of("Welcome to finoOS"),
		MandateId:             optional.Of("MREF123ZZ678JJ"),
		EndToEndId:            optional.Of("NOTPROVIDED"),
		Counterparty: &bankingv1.Transaction_Counterparty{
			Name:       optional.Of("Schettchens Schnittchen"),
			Iban:       optional.Of("DE83701999010000002000"),
			Bic:        optional.Of("GENODEF1S04"),
			CreditorId: optional.Of("DE97ZZZ12345678901"),
		},
		BankTransactionCodes: []*bankingv1.Transaction_BankTransactionCode{
			{
				Type:  optional.Of("transactionCode"),
				Value: "999",
			},
			{Type: optional.Of("endToEndReference"), Value: "NOTPROVIDED"},
		},
		Category:         bankingv1.Category_INCOME.Enum(),
		ProviderCategory: optional.Of("never heard of"),
		Tags: []*bankingv1.Transaction_Tag{
			{Name: "never heard of"}, {Name: "salary", Source: optional.Of("string")}, {Name: "rent"},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	// Of what is missing nothing is made up but the status, which finoOS has for all transactions that it shows by
	// default.
	got = mappedTransaction(decoded[wireTransaction](t,
		`{"amount": 1, "counterPart": {}, "tags": null, "codes": [], "booked": null}`), "")
	want = &bankingv1.Transaction{Status: bankingv1.Transaction_BOOKED, Amount: euro("1")}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestCategoryIsOfTheFirstKnownTag(t *testing.T) {
	const none = bankingv1.Subcategory_VALUE_UNSPECIFIED
	for tags, want := range map[string]providers.Purpose{
		"":                      {},
		"salary":                {Category: bankingv1.Category_INCOME, Subcategory: bankingv1.Subcategory_WAGE},
		"income,Kindergeld":     {Category: bankingv1.Category_INCOME, Subcategory: bankingv1.Subcategory_BENEFIT},
		"Kindergeld,salary":     {Category: bankingv1.Category_INCOME, Subcategory: bankingv1.Subcategory_BENEFIT},
		"Zinsen":                {Category: bankingv1.Category_INCOME, Subcategory: bankingv1.Subcategory_CAPITAL_INCOME},
		"no such tag":           {Category: bankingv1.Category_OTHER},
		"no such tag,Miete":     {Category: bankingv1.Category_HOUSING},
		"no such tag,other,7":   {Category: bankingv1.Category_OTHER},
		"groceries,salary":      {Category: bankingv1.Category_GROCERIES},
		"Versicherungen,salary": {Category: bankingv1.Category_INSURANCE},
	} {
		var wire wireTransaction
		for tag := range strings.SplitSeq(tags, ",") {
			wire.Tags = append(wire.Tags, wireTag{Name: text(tag)})
		}
		got := mappedTransaction(wire, "EUR")
		if got.GetCategory() != want.Category || got.GetSubcategory() != want.Subcategory ||
			got.GetProviderCategory() != strings.Split(tags, ",")[0] ||
			(got.Category == nil) != (tags == "") || (got.Subcategory == nil) != (want.Subcategory == none) {
			t.Errorf("%q is %s, %s of %q", tags, got.GetCategory(), got.GetSubcategory(), got.GetProviderCategory())
		}
	}
}

func TestAmountsPassExactly(t *testing.T) {
	for written, want := range map[string]string{
		"0.1": "0.1", "1e3": "1000", "12345678901234.56": "12345678901234.56", "-0.00": "-0.00", `"24.99"`: "24.99",
		"0": "0", "24.990000000000002": "24.990000000000002",
	} {
		account := accountOf(wireLogin{ID: "L"},
			decoded[wireAccount](t,
				fmt.Sprintf(`{"balance": %[1]s, "creditLine": %[1]s, "monthlySpendingLimit": %[1]s, "currency": "CHF"}`,
					written)), false)
		for _, amount := range []*typev1.Money{
			account.GetBalance(), account.GetCreditLine(), account.GetMonthlySpendingLimit(),
		} {
			if amount.GetValue() != want || amount.GetCurrencyCode() != "CHF" {
				t.Errorf("%s is %v", written, amount)
			}
		}
		if got := mappedTransaction(decoded[wireTransaction](t, `{"amount": `+written+`}`),
			"CHF").GetAmount(); got.GetValue() != want || got.GetCurrencyCode() != "CHF" {
			t.Errorf("%s is %v", written, got)
		}
		if got := securityOf(decoded[wireSecurity](t, `{"quantity": `+written+`, "exchangeRate": `+written+`}`),
			""); got.GetQuantity() != want || got.GetExchangeRate() != want {
			t.Errorf("%s is %v", written, got)
		}
	}
	account := accountOf(wireLogin{ID: "L"}, wireAccount{ID: "A"}, false)
	if account.GetBalance() != nil || account.GetCreditLine() != nil || account.GetCurrencyCode() != "EUR" {
		t.Errorf("amounts are made up: %v", account)
	}
}

func TestAccountTypes(t *testing.T) {
	for written, want := range map[string]bankingv1.Account_Type{
		"": bankingv1.Account_OTHER, " ": bankingv1.Account_OTHER,
		"GIRO": bankingv1.Account_CURRENT, "giro": bankingv1.Account_CURRENT,
		"CHECKING": bankingv1.Account_CURRENT, "CURRENT": bankingv1.Account_CURRENT,
		"SAVINGS": bankingv1.Account_SAVINGS, "TAGESGELD": bankingv1.Account_SAVINGS,
		"CREDITCARD": bankingv1.Account_CARD, "CREDIT_CARD": bankingv1.Account_CARD,
		"Credit card": bankingv1.Account_CARD, "LOAN": bankingv1.Account_LOAN,
		"DEPOT": bankingv1.Account_SECURITIES, "SECURITIES": bankingv1.Account_SECURITIES,
		"TIME_MACHINE": bankingv1.Account_OTHER,
	} {
		if got := accountOf(wireLogin{ID: "L"},
			wireAccount{Type: text(written)}, false); got.GetType() != want || got.GetProviderType() != written {
			t.Errorf("%q is %s, %q", written, got.GetType(), got.GetProviderType())
		}
	}
	for kind, written := range providerTypes {
		if got := accountTypeOf(written); got != kind {
			t.Errorf("%s is sent as %s and comes back as %s", kind, written, got)
		}
	}
}

func TestDatesAreTheBanks(t *testing.T) {
	for written, want := range map[string]string{
		"2020-05-26T17:11:22Z":          "2020-05-26",
		"2020-05-26T21:59:59.999Z":      "2020-05-26",
		"2020-05-26T22:00:00Z":          "2020-05-27", // summer time
		"2020-01-31T22:59:59Z":          "2020-01-31",
		"2020-01-31T23:00:00Z":          "2020-02-01", // winter time
		"2020-05-26T00:30:00+05:00":     "2020-05-25",
		"2020-05-26":                    "2020-05-26",
		"2020-05-26T23:59:59":           "2020-05-26",
		"2020-05-26 23:59:59":           "2020-05-26",
		"0001-01-01T00:00:00Z":          "",
		"0001-01-01":                    "",
		"":                              "",
		"string":                        "",
		"2020-13-01":                    "",
		"26.05.2020":                    "",
		"2020-05-26x":                   "",
		"2020-05-26T17:11:22.123+02:00": "2020-05-26",
	} {
		if got := dateOf(text(written)); got != want {
			t.Errorf("%q is %q, want %q", written, got, want)
		}
	}
}

func TestHoldings(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	account := testLogin + "/A38253.f837c3ab353"
	orders, err := p.Holdings.ListStandingOrders(testContext(), testRef)
	if err != nil || len(orders) != 1 || len(orders[0].ID) != 24 {
		t.Fatalf("%v, %v", orders, err)
	}
	wantOrder := []providers.StandingOrder{{ID: orders[0].ID, AccountID: account,
		StandingOrder: &bankingv1.StandingOrder{
			Amount: euro(
				"200",
			),
			Interval:              optional.Of("MONTHLY"),
			ExecutionDay:          optional.Of(int32(2)),
			CreationDate:          optional.Of("2020-05-26"),
			FirstExecutionDate:    optional.Of("2020-05-26"),
			LastExecutionDate:     optional.Of("2020-05-26"),
			RemittanceInformation: optional.Of("Taschengeld"),
		}}}
	if diff := cmp.Diff(wantOrder, orders, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	securities, err := p.Holdings.ListSecurities(testContext(), testRef)
	if err != nil {
		t.Fatal(err)
	}
	wantSecurity := []providers.Security{{ID: "5ecd4d9bb9e14800012d99e9", AccountID: account,
		Security: &bankingv1.Security{
			DisplayName:   optional.Of("finoOS Security"),
			Isin:          optional.Of("US0378331005"),
			Market:        optional.Of("NASDAQ"),
			Quantity:      optional.Of("40"),
			Amount:        euro("200"),
			Price:         euro("100"),
			PurchasePrice: euro("150"),
			ExchangeRate:  optional.Of("1.23"),
		}}}
	if diff := cmp.Diff(wantSecurity, securities, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for _, sent := range f.asked("get_logins") {
		if sent.query.Get("includeTransactions") != "false" {
			t.Error("transactions are asked for")
		}
	}
}

// Made ids follow the content, not the place in the list.
func TestMadeIdsStayTheSame(t *testing.T) {
	coffee := mappedTransaction(decoded[wireTransaction](t,
		`{"amount": -2.5, "purpose": "coffee", "bookingDate": "2020-05-26"}`), "EUR")
	tea := mappedTransaction(decoded[wireTransaction](t, `{"amount": -2.5, "purpose": "tea", "bookingDate": "2020-05-26"}`),
		"EUR")
	first, later := identities{}, identities{}
	a, b, c := first.ofTransaction("", coffee), first.ofTransaction("", coffee), first.ofTransaction("", tea)
	if a == b || b == c || a == c {
		t.Errorf("not unique: %s %s %s", a, b, c)
	}
	booked := proto.CloneOf(coffee)
	booked.Tags = labels("dining")
	if later.ofTransaction("",
		tea) != c || later.ofTransaction("", booked) != a || later.ofTransaction("", coffee) != b {
		t.Error("the ids changed with the order or with the tags")
	}
	if got := later.ofTransaction("own", coffee); got != "own" {
		t.Errorf("finoOS's id became %s", got)
	}
	if (identities{}).of("", "ab", "c") == (identities{}).of("", "a", "bc") {
		t.Error("contents run together")
	}
}

func TestAccountKeysNeverMeet(t *testing.T) {
	keys := map[string]bool{}
	for _, pair := range [][2]text{
		{"a", "b/c"}, {"a/b", "c"}, {"a%2Fb", "c"}, {"a%252Fb", "c"}, {"a", "b"}, {"a%", "b"}, {"a%25", "b"},
	} {
		keys[accountKey(pair[0], pair[1])] = true
	}
	if len(keys) != 7 {
		t.Errorf("%d keys: %v", len(keys), keys)
	}
	if got := accountKey(testLogin, "A38253.f837c3ab353"); got != "5d7267d1b747aa683d88668f/A38253.f837c3ab353" {
		t.Error(got)
	}
}

func TestConnectionsAreLogins(t *testing.T) {
	f := newFake(t)
	f.answer(
		"get_logins",
		200,
		`{"logins": [{"id": "on"}, {"id": "off", "bank": null}, {"id": "silent", "bank": {"name": "B", "logo": {"url": "https://l/b"}}}, {"id": "unknown"}]}`,
	)
	f.answer("synchronization_status", 200, `{"loginsStatuses": [
		{"id": "off", "active": false, "lastSynchronization": "2020-05-26T17:11:22.5+02:00"}, {"id": "on", "active": true}, {"id": "silent"}, {"id": "gone", "active": false}]}`)
	state, err := f.provider().Consents.GetConsent(testContext(), testRef)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range state.Connections {
		got = append(got,
			fmt.Sprintf("%s %t %s %s", c.ID, c.Active, c.SyncTime.UTC().Format(time.RFC3339Nano), c.Bank.GetLogoUri()))
	}
	want := []string{
		"on true 0001-01-01T00:00:00Z ", "off false 2020-05-26T15:11:22.5Z ",
		"silent true 0001-01-01T00:00:00Z https://l/b", "unknown true 0001-01-01T00:00:00Z ",
	}
	if !slices.Equal(got, want) || !state.Stateful {
		t.Errorf("%v", got)
	}
}

// A list that is null is empty; for a user without logins the status is not asked for.
func TestAUserWithoutLogins(t *testing.T) {
	f := newFake(t)
	f.answer("get_logins", 200, `{"logins": null}`)
	p := f.provider()
	state, err := p.Consents.GetConsent(testContext(), testRef)
	if err != nil || !state.Stateful || len(state.Connections) != 0 {
		t.Errorf("%+v, %v", state, err)
	}
	accounts, err := p.Accounts.ListAccounts(testContext(), testRef)
	if err != nil || len(accounts) != 0 {
		t.Errorf("%v, %v", accounts, err)
	}
	for transaction, err := range p.Accounts.Transactions(testContext(), testRef, providers.Query{}) {
		t.Errorf("%v, %v", transaction, err)
	}
	if n := len(f.asked("get_logins")); n != 3 || len(f.asked("synchronization_status")) != 0 {
		t.Errorf("logins were asked for %d times, once for each is enough", n)
	}
}

func TestLoginsNeedIds(t *testing.T) {
	for name, body := range map[string]string{
		"a login without one":        `{"logins": [{"accounts": []}]}`,
		"a login that is null":       `{"logins": [null]}`,
		"an account without one":     `{"logins": [{"id": "L", "accounts": [{"iban": "DE1"}]}]}`,
		"two logins with the same":   `{"logins": [{"id": "L"}, {"id": "L"}]}`,
		"two accounts with the same": `{"logins": [{"id": "L", "accounts": [{"id": "A"}, {"id": "A"}]}]}`,
	} {
		f := newFake(t)
		f.answer("get_logins", 200, body)
		if _, err := f.provider().Accounts.ListAccounts(testContext(),
			testRef); providers.KindOf(err) != providers.KindInvalidResponse {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := newFake(t)
	f.answer("get_logins", 200,
		`{"logins": [{"id": "L", "accounts": [{"id": "A"}]}, {"id": "M", "accounts": [{"id": "A"}]}]}`)
	accounts, err := f.provider().Accounts.ListAccounts(testContext(), testRef)
	if err != nil || len(accounts) != 2 || accounts[0].ID != "L/A" || accounts[1].ID != "M/A" ||
		accounts[1].ConnectionID != "M" {
		t.Errorf("the same account id at two banks: %v, %v", accounts, err)
	}
}

// Every field of the documentation has to arrive: the sample's values are replaced by values that differ, and no field
// of the message, and no value of the sample, may be left over.
func TestEveryFieldOfTheAnalysisIsMapped(t *testing.T) {
	var sample any
	decoder := json.NewDecoder(bytes.NewReader(sampleAnalysis))
	decoder.UseNumber()
	if err := decoder.Decode(&sample); err != nil {
		t.Fatal(err)
	}
	var values []string
	next := 0
	var number func(at string, value any) any
	number = func(at string, value any) any {
		next++
		switch v := value.(type) {
		case map[string]any:
			for key := range v {
				v[key] = number(key, v[key])
			}
			return v
		case []any:
			for i := range v {
				v[i] = number(at, v[i])
			}
			return v
		case bool:
			return true
		case string:
			if at == "source" { // says who labelled, which nobody asks for
				return v
			}
			values = append(values, fmt.Sprintf("text %d.", next))
		default:
			values = append(values, fmt.Sprint(1000000+next))
			return json.Number(values[len(values)-1])
		}
		return values[len(values)-1]
	}
	body, err := json.Marshal(number("", sample))
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(t)
	f.answer("payment_partner_analysis", 200, string(body))
	analysis, err := f.provider().PaymentPartners.PaymentPartnerAnalysis(testContext(), testRef)
	if err != nil {
		t.Fatal(err)
	}
	arrived := map[string]bool{}
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			period := slices.Contains([]protoreflect.Name{"quarter", "month"},
				field.Name()) && m.Descriptor().Name() != "Partners"
			if !m.Has(field) && !period && field.FullName() != "kontor.insights.v1.PaymentPartnerAnalysis.name" {
				t.Errorf("%s is empty", field.FullName())
			}
			value := m.Get(field)
			switch {
			case field.IsList() && field.Message() != nil:
				for j := range value.List().Len() {
					visit(value.List().Get(j).Message())
				}
			case field.IsList():
				for j := range value.List().Len() {
					arrived[value.List().Get(j).String()] = true
				}
			case field.Message() != nil:
				visit(value.Message())
			default:
				arrived[value.String()] = true
			}
		}
	}
	visit(analysis.ProtoReflect())
	for _, value := range values {
		if !arrived[value] {
			t.Errorf("%s did not arrive", value)
		}
	}
	if len(values) < 500 {
		t.Errorf("only %d values were looked at", len(values))
	}
}

func TestAnalysisOfTheSample(t *testing.T) {
	f := newFake(t)
	analysis, err := f.provider().PaymentPartners.PaymentPartnerAnalysis(testContext(), testRef)
	if err != nil {
		t.Fatal(err)
	}
	account := analysis.GetAccounts()[0]
	if account.GetAccount() != "string" || account.GetDisplayName() != "string" {
		t.Errorf("the account is %v", account)
	}
	partner := account.GetSuppliers().GetPreviousMonth()[0]
	want := &insightsv1.PaymentPartner{
		Name:                                  optional.Of("string"),
		Iban:                                  optional.Of("string"),
		CreditorId:                            optional.Of("string"),
		Abroad:                                true,
		Tags:                                  []*bankingv1.Transaction_Tag{{Name: "salary", Source: optional.Of("string")}},
		FirstTransactionDate:                  optional.Of("string"),
		LastTransactionDate:                   optional.Of("string"),
		ActivitySpan:                          optional.Of("0"),
		PercentageOfOverallActivitySpan:       optional.Of("0"),
		TotalAmount:                           euros("0"),
		MedianAmount:                          euros("0"),
		OverallAmountRank:                     optional.Of("0"),
		OverallTransactionCountRank:           optional.Of("0"),
		AverageOfRanks:                        optional.Of("0"),
		PercentageOfOverallAmount:             optional.Of("0"),
		PercentageOfOverallTransactionCount:   optional.Of("0"),
		DaysBetweenTransactions:               []string{"0"},
		DaysBetweenTransactionsAverage:        optional.Of("0"),
		DaysBetweenTransactionsDeviation:      optional.Of("0"),
		DaysBetweenTransactionsVariance:       optional.Of("0"),
		TransactionAmountSlope:                optional.Of("0"),
		TotalAmountMonthlySlope:               optional.Of("0"),
		PercentageOfOverallAmountMonthlySlope: optional.Of("0"),
		AverageAmountsMonthly: []*insightsv1.PaymentPartner_Average{
			{Year: optional.Of("2020"), Month: optional.Of("3"), Average: euros("1214.47")},
		},
		AverageAmountsQuarterly: []*insightsv1.PaymentPartner_Average{
			{Year: optional.Of("2020"), Quarter: optional.Of("3"), Average: euros("1214.47")},
		},
		AverageAmountsYearly: []*insightsv1.PaymentPartner_Average{
			{Year: optional.Of("2020"), Average: euros("1214.47")},
		},
		TotalAmountMonthly: []*insightsv1.PaymentPartner_Total{
			{Year: optional.Of("2020"), Month: optional.Of("3"), TotalAmount: euros("1241.23"), TransactionCount: 56},
		},
		TotalAmountQuarterly: []*insightsv1.PaymentPartner_Total{
			{Year: optional.Of("2020"), Quarter: optional.Of("3"), TotalAmount: euros("1241.23"), TransactionCount: 56},
		},
		TotalAmountYearly: []*insightsv1.PaymentPartner_Total{
			{Year: optional.Of("2020"), TotalAmount: euros("1241.23"), TransactionCount: 56},
		},
		PercentageOfOverallAmountMonthly: []*insightsv1.PaymentPartner_Percentage{
			{Year: optional.Of("2020"), Month: optional.Of("3"), Percentage: optional.Of("14.7")},
		},
		PercentageOfOverallAmountQuarterly: []*insightsv1.PaymentPartner_Percentage{
			{Year: optional.Of("2020"), Quarter: optional.Of("3"), Percentage: optional.Of("14.7")},
		},
		PercentageOfOverallAmountYearly: []*insightsv1.PaymentPartner_Percentage{
			{Year: optional.Of("2020"), Percentage: optional.Of("14.7")},
		},
	}
	if diff := cmp.Diff(want, partner, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestMeasuresAreExactAndBounded(t *testing.T) {
	for written, want := range map[string]string{
		"-3.469446951953614e-18": "-0.000000000000000003469446951953614", "1e3": "1000",
		"0.30000000000000004": "0.30000000000000004", `"14.7"`: "14.7", `""`: "", "null": "", "-0": "-0",
	} {
		var m measure
		if err := json.Unmarshal([]byte(written), &m); err != nil || string(m) != want {
			t.Errorf("%s is %q, %v", written, m, err)
		}
	}
	for _, written := range []string{
		"1e401", "1e-401", "1e999999999", `"NaN"`, `"Infinity"`, `"x"`, "{}", "[]", "true",
		`"` + strings.Repeat("1", 65) + `"`,
	} {
		var m measure
		if err := json.Unmarshal([]byte(written), &m); err == nil {
			t.Errorf("%s is taken for %s", written, m)
		}
		var i integer
		if err := json.Unmarshal([]byte(written), &i); err == nil {
			t.Errorf("%s is taken for %d", written, i)
		}
	}
}

// labels are tags without a source.
func labels(names ...string) []*bankingv1.Transaction_Tag {
	var tags []*bankingv1.Transaction_Tag
	for _, name := range names {
		tags = append(tags, &bankingv1.Transaction_Tag{Name: name})
	}
	return tags
}

func euros(value string) *typev1.Money { return &typev1.Money{Value: value, CurrencyCode: "EUR"} }

// mappedTransaction maps one transaction alone.
func mappedTransaction(w wireTransaction, accountCurrency text) *bankingv1.Transaction {
	return transactionOf(&w, accountCurrency, &dates{})
}
