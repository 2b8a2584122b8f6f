package finoos

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// brought is what a caller may bring along.
func brought() []*bankingv1.ImportedConnection {
	return []*bankingv1.ImportedConnection{{
		Id: testLogin,
		Bank: &consentv1.Connection_Bank{
			DisplayName: optional.Of("fino Bank"),
			Bic:         optional.Of("SUBSDE71"),
			BankCode:    optional.Of("70199901"),
			LogoUri:     optional.Of("https://l/f"),
			CountryCode: optional.Of("DE"),
		},
		Accounts: []*bankingv1.ImportedAccount{
			{
				Id:                   "A1",
				Iban:                 optional.Of("DE64100200007791587578"),
				AccountNumber:        optional.Of("83767594"),
				DisplayName:          optional.Of("Girokonto"),
				OwnerName:            optional.Of("Torben Mais"),
				Type:                 bankingv1.Account_CURRENT,
				Balance:              euro("12345678901234.56"),
				CreditLine:           euro("-0.00"),
				MonthlySpendingLimit: euro("6000.10"),
				Transactions: []*bankingv1.ImportedTransaction{
					{Id: "T1", Transaction: &bankingv1.Transaction{
						Status:                bankingv1.Transaction_BOOKED,
						Amount:                euro("-24.99"),
						BookingDate:           optional.Of("2020-05-26"),
						ValueDate:             optional.Of("2020-12-31"),
						RemittanceInformation: optional.Of("Welcome to finoOS"),
						Counterparty: &bankingv1.Transaction_Counterparty{
							Name:       optional.Of("Schettchens Schnittchen"),
							Iban:       optional.Of("DE83"),
							Bic:        optional.Of("GENODEF1S04"),
							CreditorId: optional.Of("DE97ZZZ"),
						},
						MandateId:  optional.Of("MREF"),
						EndToEndId: optional.Of("E2E-1"),
						BankTransactionCodes: []*bankingv1.Transaction_BankTransactionCode{
							{Type: optional.Of("transactionCode"), Value: "999"},
						},
						ProviderCategory: optional.Of("salary"),
						Tags:             labels("salary", "rent"),
					}},
					{Id: "T2", Transaction: &bankingv1.Transaction{
						Status: bankingv1.Transaction_PENDING, Amount: &typev1.Money{Value: "0.1", CurrencyCode: "CHF"},
						BookingDate: optional.Of("2020-05-26T22:30:00Z"),
						EndToEndId:  optional.Of("E2E-2"),
						BankTransactionCodes: []*bankingv1.Transaction_BankTransactionCode{
							{Type: optional.Of("EndToEndReference"), Value: "E2E-2"},
						}, ProviderCategory: optional.Of("rent"),
					}},
				},
				StandingOrders: []*bankingv1.StandingOrder{
					{
						Name:                  "consents/c/accounts/a/standingOrders/S1",
						Amount:                euro("200"),
						Interval:              optional.Of("MONTHLY"),
						ExecutionDay:          optional.Of(int32(2)),
						CreationDate:          optional.Of("2020-05-26"),
						FirstExecutionDate:    optional.Of("2020-06-02"),
						LastExecutionDate:     optional.Of("2021-06-02"),
						RemittanceInformation: optional.Of("Taschengeld"),
					},
					{Amount: euro("1")},
					{Amount: euro("1")},
				},
				Securities: []*bankingv1.Security{
					{
						Name:          "S",
						DisplayName:   optional.Of("finoOS Security"),
						Isin:          optional.Of("US0378331005"),
						Market:        optional.Of("NASDAQ"),
						Quantity:      optional.Of("40.000000001"),
						Amount:        euro("200"),
						Price:         &typev1.Money{Value: "100", CurrencyCode: "USD"},
						PurchasePrice: &typev1.Money{Value: "150", CurrencyCode: "USD"},
						ExchangeRate:  optional.Of("1.23"),
					},
				},
			},
			{
				Id: "A2", ProviderType: optional.Of("ESCROW"), Type: bankingv1.Account_SAVINGS,
				Balance: &typev1.Money{Value: "007", CurrencyCode: "CHF"},
			},
		},
	}}
}

func TestImportIsSentAsFinoOSHasIt(t *testing.T) {
	f := newFake(t)
	if err := f.provider().Importer.ImportConnections(testContext(), testRef, true, brought()); err != nil {
		t.Fatal(err)
	}
	sent := tree(t, f.only("set_logins").body)
	orders := sent.(map[string]any)["logins"].([]any)[0].(map[string]any)["accounts"].([]any)[0].(map[string]any)["standingOrders"].([]any)
	made, again := orders[1].(map[string]any)["id"].(string), orders[2].(map[string]any)["id"].(string)
	if len(made) != 24 || again != made+"-2" {
		t.Errorf("ids made are %q and %q", made, again)
	}
	want := tree(t, `{"logins": [{
		"id": "5d7267d1b747aa683d88668f", "bank": {"name": "fino Bank", "bic": "SUBSDE71", "bankCode": "70199901", "logo": {"url": "https://l/f", "type": ""}},
		"accounts": [{
			"id": "A1", "iban": "DE64100200007791587578", "number": "83767594", "name": "Girokonto", "owner": "Torben Mais", "type": "GIRO", "currency": "EUR",
			"balance": 12345678901234.56, "creditLine": -0.00, "monthlySpendingLimit": 6000.10,
			"transactions": [
				{"id": "T1", "accountID": "A1", "amount": -24.99, "currency": "EUR", "booked": true, "bookingDate": "2020-05-26T00:00:00Z", "valueDate": "2020-12-31T00:00:00Z",
				 "purpose": "Welcome to finoOS", "mref": "MREF", "counterPart": {"name": "Schettchens Schnittchen", "iban": "DE83", "bic": "GENODEF1S04", "creditorId": "DE97ZZZ"},
				 "codes": [{"type": "endToEndId", "value": "E2E-1"}, {"type": "transactionCode", "value": "999"}], "tags": [{"name": "salary"}, {"name": "rent"}]},
				{"id": "T2", "accountID": "A1", "amount": 0.1, "currency": "CHF", "booked": false, "bookingDate": "2020-05-26T22:30:00Z",
				 "codes": [{"type": "EndToEndReference", "value": "E2E-2"}], "tags": [{"name": "rent"}]}],
			"standingOrders": [
				{"id": "S1", "accountID": "A1", "amount": 200, "currency": "EUR", "interval": "MONTHLY", "executionDay": 2, "creationDate": "2020-05-26T00:00:00Z",
				 "firstExecutionDate": "2020-06-02T00:00:00Z", "lastExecutionDate": "2021-06-02T00:00:00Z", "purpose": "Taschengeld"},
				{"id": "`+made+`", "accountID": "A1", "amount": 1, "currency": "EUR"}, {"id": "`+again+
		`", "accountID": "A1", "amount": 1, "currency": "EUR"}],
			"securities": [{"id": "S", "accountID": "A1", "name": "finoOS Security", "isin": "US0378331005", "market": "NASDAQ", "quantity": 40.000000001, "amount": 200, "currency": "EUR",
				"priceAmount": 100, "priceCurrency": "USD", "purchasePriceAmount": 150, "purchasePriceCurrency": "USD", "exchangeRate": 1.23}]
		}, {"id": "A2", "type": "ESCROW", "currency": "CHF", "balance": 7, "transactions": []}]}]}`)
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
}

// What is handed over and read back is the same.
func TestImportReadsBack(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	if err := p.Importer.ImportConnections(testContext(), testRef, false, brought()); err != nil {
		t.Fatal(err)
	}
	body := f.only("update_logins").body
	f.logins(body, body)
	imported := testRef
	imported.Imported = true
	accounts, err := p.Accounts.ListAccounts(testContext(), imported)
	if err != nil || len(accounts) != 2 {
		t.Fatalf("%v, %v", accounts, err)
	}
	if others, err := p.Accounts.ListAccounts(testContext(), testRef); err != nil || others[0].ImportId != nil {
		t.Errorf("an account that nobody handed over is %v, %v", others[0], err)
	}
	a := brought()[0].GetAccounts()[0]
	want := &bankingv1.Account{
		BankName:             brought()[0].GetBank().DisplayName,
		ImportId:             optional.Of("A1"),
		DisplayName:          optional.Of(a.GetDisplayName()),
		OwnerName:            optional.Of(a.GetOwnerName()),
		Iban:                 optional.Of(a.GetIban()),
		AccountNumber:        optional.Of(a.GetAccountNumber()),
		Type:                 a.GetType(),
		ProviderType:         optional.Of("GIRO"),
		CurrencyCode:         optional.Of("EUR"),
		Balance:              a.GetBalance(),
		CreditLine:           a.GetCreditLine(),
		MonthlySpendingLimit: a.GetMonthlySpendingLimit(),
	}
	if diff := cmp.Diff(want, accounts[0].Account,
		protocmp.Transform()); diff != "" || accounts[0].ID != testLogin+"/A1" {
		t.Error(diff)
	}
	if others, err := collect(p); err != nil || others[0].ImportId != nil {
		t.Errorf("a transaction that nobody handed over is %v, %v", others[0], err)
	}
	var transactions []providers.Transaction
	for transaction, err := range p.Accounts.Transactions(testContext(), imported, providers.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		transactions = append(transactions, transaction)
	}
	if len(transactions) != 2 || transactions[0].ID != "T1" || transactions[0].AccountID != testLogin+"/A1" {
		t.Fatalf("%v", transactions)
	}
	first := proto.CloneOf(a.GetTransactions()[0].GetTransaction())
	first.Category = bankingv1.Category_INCOME.Enum()
	first.ImportId = optional.Of("T1")
	first.BankTransactionCodes = append([]*bankingv1.Transaction_BankTransactionCode{
		{Type: optional.Of("endToEndId"), Value: "E2E-1"},
	}, first.BankTransactionCodes...)
	if diff := cmp.Diff(first, transactions[0].Transaction, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if got := transactions[1].Transaction; got.GetBookingDate() != "2020-05-27" ||
		got.GetStatus() != bankingv1.Transaction_PENDING || got.GetEndToEndId() != "E2E-2" ||
		got.GetProviderCategory() != "rent" {
		t.Errorf("%v", got)
	}
	orders, err := p.Holdings.ListStandingOrders(testContext(), testRef)
	if err != nil || len(orders) != 3 || orders[0].ID != "S1" {
		t.Fatalf("%v, %v", orders, err)
	}
	order := proto.CloneOf(a.GetStandingOrders()[0])
	order.Name = ""
	if diff := cmp.Diff(order, orders[0].StandingOrder, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	securities, err := p.Holdings.ListSecurities(testContext(), testRef)
	if err != nil || len(securities) != 1 {
		t.Fatalf("%v, %v", securities, err)
	}
	security := proto.CloneOf(a.GetSecurities()[0])
	security.Name = ""
	if diff := cmp.Diff(security, securities[0].Security, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestImportIsCheckedBeforeItIsSent(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	account := func(all []*bankingv1.ImportedConnection) *bankingv1.ImportedAccount { return all[0].GetAccounts()[0] }
	for _, c := range []struct {
		field  string
		change func([]*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection
	}{
		{"connections",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection { // the same login twice
				return append(all, &bankingv1.ImportedConnection{Id: testLogin})
			}},
		{"connections",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection { // the same account at two banks
				return append(all,
					&bankingv1.ImportedConnection{
						Id: "other", Accounts: []*bankingv1.ImportedAccount{{Id: "A1", Balance: euro("1")}},
					})
			}},
		{"connections",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection { // the same transaction twice
				account(all).Transactions[1].Id = "T1"
				return all
			}},
		{"connections[0].accounts[0].balance.value",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).Balance.Value = "much"
				return all
			}},
		{"connections[0].accounts[0].credit_line.currency_code",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).CreditLine.CurrencyCode = "CHF"
				return all
			}},
		{"connections[0].accounts[0].transactions[1].transaction.amount",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).Transactions[1].Transaction.Amount = nil
				return all
			}},
		{"connections[0].accounts[0].transactions[0].transaction.amount.value",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).Transactions[0].Transaction.Amount.Value = ""
				return all
			}},
		{"connections[0].accounts[0].transactions[0].transaction.value_date",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).Transactions[0].Transaction.ValueDate = optional.Of("2020-02-30")
				return all
			}},
		{"connections[0].accounts[0].transactions[0].transaction.booking_date",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).Transactions[0].Transaction.BookingDate = optional.Of("yesterday")
				return all
			}},
		{"connections[0].accounts[0].standing_orders[1].amount",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).StandingOrders[1].Amount = nil
				return all
			}},
		{"connections[0].accounts[0].standing_orders[0].amount.value",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).StandingOrders[0].Amount.Value = "x"
				return all
			}},
		{"connections[0].accounts[0].standing_orders[0].last_execution_date",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).StandingOrders[0].LastExecutionDate = optional.Of("x")
				return all
			}},
		{"connections[0].accounts[0].securities[0].price.value",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).Securities[0].Price.Value = "x"
				return all
			}},
		{"connections[0].accounts[0].securities[0].quantity",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).Securities[0].Quantity = optional.Of("x")
				return all
			}},
		{"connections[0].accounts[0].securities[0].exchange_rate",
			func(all []*bankingv1.ImportedConnection) []*bankingv1.ImportedConnection {
				account(all).Securities[0].ExchangeRate = optional.Of("NaN")
				return all
			}},
	} {
		var failed *providers.Error
		err := p.Importer.ImportConnections(testContext(), testRef, true, c.change(brought()))
		if !errors.As(err,
			&failed) || failed.Kind != providers.KindInvalidField || !slices.Equal(failed.Fields, []string{c.field}) ||
			failed.Operation != "set_logins" {
			t.Errorf("%s: %v", c.field, err)
		}
	}
	if len(f.asked("")) != 0 {
		t.Error("a call was made")
	}
}

// An end-to-end reference that differs from the codes goes first, so that it is the one that is read back.
func TestImportedEndToEndIDGoesBeforeTheCodes(t *testing.T) {
	wire, err := newTransaction("", &bankingv1.Transaction{
		Amount:     euro("1"),
		EndToEndId: optional.Of("new"),
		BankTransactionCodes: []*bankingv1.Transaction_BankTransactionCode{
			{Type: optional.Of("endToEnd"), Value: "old"},
		},
	})
	if err != nil || len(wire.Codes) != 2 || mappedTransaction(wire, "").GetEndToEndId() != "new" {
		t.Errorf("%v, %v", wire.Codes, err)
	}
}

// A type that has no word of its own at finoOS is still told, and none is made up.
func TestImportedAccountTypes(t *testing.T) {
	for kind, want := range map[bankingv1.Account_Type]text{
		bankingv1.Account_TYPE_UNSPECIFIED: "", bankingv1.Account_CURRENT: "GIRO", bankingv1.Account_SAVINGS: "SAVINGS",
		bankingv1.Account_CARD: "CREDITCARD",
		bankingv1.Account_LOAN: "LOAN", bankingv1.Account_SECURITIES: "DEPOT", bankingv1.Account_OTHER: "OTHER",
	} {
		if got, err := newAccount("", &bankingv1.ImportedAccount{Type: kind}); err != nil || got.Type != want {
			t.Errorf("%s is sent as %q, %v", kind, got.Type, err)
		}
	}
}
