package finoos

import (
	"context"
	"fmt"
	"strings"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/providers"
)

// fieldConnections is the request's field that everything of this file is in.
const fieldConnections = "connections"

// ImportConnections sets the user's bank logins, or merges into them. The user needs the scope bankingExternal.
func (a *adapter) ImportConnections(
	ctx context.Context, ref providers.ConsentRef, replace bool, connections []*bankingv1.ImportedConnection,
) error {
	operation := opUpdateLogins
	if replace {
		operation = opSetLogins
	}
	body, err := newLogins(connections)
	if err != nil {
		return a.invalidField(operation, string(*err))
	}
	return a.do(ctx, request{Operation: operation, Path: ofUser(ref.ID), Body: body}, nil)
}

// badField is the path of a field that finoOS cannot take.
type badField string

func bad(format string, args ...any) *badField {
	field := badField(fmt.Sprintf(format, args...))
	return &field
}

// newLogins makes finoOS's form of what the caller brought along. Ids of logins and of accounts must be unique in the
// request, those of transactions in their account, or finoOS refuses all of it.
func newLogins(connections []*bankingv1.ImportedConnection) (wireNewLogins, *badField) {
	body := wireNewLogins{Logins: make([]wireNewLogin, 0, len(connections))}
	logins, accounts := map[string]bool{}, map[string]bool{}
	for i, connection := range connections {
		if logins[connection.GetId()] {
			return wireNewLogins{}, bad(fieldConnections)
		}
		logins[connection.GetId()] = true
		login := wireNewLogin{
			ID: text(connection.GetId()), Bank: bankBody(connection.GetBank()),
			Accounts: make([]wireNewAccount, 0, len(connection.GetAccounts())),
		}
		for j, account := range connection.GetAccounts() {
			if accounts[account.GetId()] {
				return wireNewLogins{}, bad(fieldConnections)
			}
			accounts[account.GetId()] = true
			wire, err := newAccount(fmt.Sprintf("%s[%d].accounts[%d]", fieldConnections, i, j), account)
			if err != nil {
				return wireNewLogins{}, err
			}
			login.Accounts = append(login.Accounts, wire)
		}
		body.Logins = append(body.Logins, login)
	}
	return body, nil
}

func bankBody(b *consentv1.Connection_Bank) wireBank {
	return wireBank{
		Name: text(b.GetDisplayName()), BIC: text(b.GetBic()), BankCode: text(b.GetBankCode()),
		Logo: wireLogo{URL: text(b.GetLogoUri())},
	}
}

// providerTypes says what finoOS calls the kinds of accounts, for an account that the caller did not give finoOS's own
// word for.
var providerTypes = map[bankingv1.Account_Type]text{
	bankingv1.Account_CURRENT:    "GIRO",
	bankingv1.Account_SAVINGS:    "SAVINGS",
	bankingv1.Account_CARD:       "CREDITCARD",
	bankingv1.Account_LOAN:       "LOAN",
	bankingv1.Account_SECURITIES: "DEPOT",
	bankingv1.Account_OTHER:      "OTHER",
}

func newAccount(path string, a *bankingv1.ImportedAccount) (wireNewAccount, *badField) {
	wire := wireNewAccount{
		wireAccount: wireAccount{
			ID:       text(a.GetId()),
			IBAN:     text(a.GetIban()),
			Number:   text(a.GetAccountNumber()),
			Name:     text(a.GetDisplayName()),
			Owner:    text(a.GetOwnerName()),
			Type:     text(a.GetProviderType()),
			Currency: text(a.GetBalance().GetCurrencyCode()),
		},
		Transactions: make([]wireTransaction, 0, len(a.GetTransactions())),
	}
	if wire.Type == "" {
		wire.Type = providerTypes[a.GetType()]
	}
	// finoOS has one currency for all three.
	for _, amount := range []struct {
		field string
		from  *typev1.Money
		to    **money.Decimal
	}{
		{"balance", a.GetBalance(), &wire.Balance},
		{"credit_line", a.GetCreditLine(), &wire.CreditLine},
		{"monthly_spending_limit", a.GetMonthlySpendingLimit(), &wire.MonthlySpendingLimit},
	} {
		if amount.from != nil && amount.from.GetCurrencyCode() != a.GetBalance().GetCurrencyCode() {
			return wireNewAccount{}, bad("%s.%s.currency_code", path, amount.field)
		}
		if err := setAmount(amount.to, path+"."+amount.field, amount.from); err != nil {
			return wireNewAccount{}, err
		}
	}
	ids := map[string]bool{}
	for i, t := range a.GetTransactions() {
		if ids[t.GetId()] {
			return wireNewAccount{}, bad(fieldConnections)
		}
		ids[t.GetId()] = true
		transaction, err := newTransaction(fmt.Sprintf("%s.transactions[%d].transaction", path, i), t.GetTransaction())
		if err != nil {
			return wireNewAccount{}, err
		}
		transaction.ID, transaction.AccountID = text(t.GetId()), wire.ID
		wire.Transactions = append(wire.Transactions, transaction)
	}
	made := identities{}
	for i, o := range a.GetStandingOrders() {
		order, err := newStandingOrder(fmt.Sprintf("%s.standing_orders[%d]", path, i), o)
		if err != nil {
			return wireNewAccount{}, err
		}
		order.ID, order.AccountID = text(made.ofStandingOrder(lastSegment(o.GetName()), o)), wire.ID
		wire.StandingOrders = append(wire.StandingOrders, order)
	}
	for i, s := range a.GetSecurities() {
		security, err := newSecurity(fmt.Sprintf("%s.securities[%d]", path, i), s)
		if err != nil {
			return wireNewAccount{}, err
		}
		security.ID, security.AccountID = text(made.ofSecurity(lastSegment(s.GetName()), s)), wire.ID
		wire.Securities = append(wire.Securities, security)
	}
	return wire, nil
}

// lastSegment is the id in a resource name; these messages have no other field for one.
func lastSegment(name string) text { return text(name[strings.LastIndexByte(name, '/')+1:]) }

func newTransaction(path string, t *bankingv1.Transaction) (wireTransaction, *badField) {
	if t.GetAmount() == nil {
		return wireTransaction{}, bad("%s.amount", path)
	}
	booked := t.GetStatus() != bankingv1.Transaction_PENDING
	wire := wireTransaction{
		Currency:   text(t.GetAmount().GetCurrencyCode()),
		Booked:     &booked,
		Purpose:    text(t.GetRemittanceInformation()),
		MandateRef: text(t.GetMandateId()),
	}
	if c := t.GetCounterparty(); c != nil {
		wire.CounterPart = &wireCounterPart{
			Name: text(c.GetName()), IBAN: text(c.GetIban()), BIC: text(c.GetBic()),
			CreditorID: text(c.GetCreditorId()),
		}
	}
	endToEnd := t.GetEndToEndId()
	for _, code := range t.GetBankTransactionCodes() {
		wire.Codes = append(wire.Codes, wireCode{Type: text(code.GetType()), Value: text(code.GetValue())})
		if isEndToEnd(code.GetType()) && code.GetValue() == endToEnd {
			endToEnd = "" // told already
		}
	}
	if endToEnd != "" { // first, so that it is the one that is read back
		wire.Codes = append([]wireCode{{Type: "endToEndId", Value: text(endToEnd)}}, wire.Codes...)
	}
	tags := t.GetTags()
	if label := t.GetProviderCategory(); label != "" && (len(tags) == 0 || tags[0].GetName() != label) {
		tags = append([]*bankingv1.Transaction_Tag{{Name: label}}, tags...)
	}
	for _, tag := range tags {
		wire.Tags = append(wire.Tags, wireTag{Name: text(tag.GetName()), Source: text(tag.GetSource())})
	}
	if err := setAmount(&wire.Amount, path+".amount", t.GetAmount()); err != nil {
		return wireTransaction{}, err
	}
	return wire, setDates(path, []datedField{
		{"booking_date", t.GetBookingDate(), &wire.BookingDate},
		{"value_date", t.GetValueDate(), &wire.ValueDate},
	})
}

func newStandingOrder(path string, o *bankingv1.StandingOrder) (wireStandingOrder, *badField) {
	if o.GetAmount() == nil {
		return wireStandingOrder{}, bad("%s.amount", path)
	}
	wire := wireStandingOrder{
		Currency:     text(o.GetAmount().GetCurrencyCode()),
		Interval:     text(o.GetInterval()),
		ExecutionDay: integer(o.GetExecutionDay()),
		Purpose:      text(o.GetRemittanceInformation()),
	}
	if err := setAmount(&wire.Amount, path+".amount", o.GetAmount()); err != nil {
		return wireStandingOrder{}, err
	}
	return wire, setDates(path, []datedField{
		{"creation_date", o.GetCreationDate(), &wire.CreationDate},
		{"first_execution_date", o.GetFirstExecutionDate(), &wire.FirstExecutionDate},
		{"last_execution_date", o.GetLastExecutionDate(), &wire.LastExecutionDate},
	})
}

func newSecurity(path string, s *bankingv1.Security) (wireSecurity, *badField) {
	wire := wireSecurity{
		Name:                  text(s.GetDisplayName()),
		ISIN:                  text(s.GetIsin()),
		Market:                text(s.GetMarket()),
		Currency:              text(s.GetAmount().GetCurrencyCode()),
		PriceCurrency:         text(s.GetPrice().GetCurrencyCode()),
		PurchasePriceCurrency: text(s.GetPurchasePrice().GetCurrencyCode()),
	}
	for _, amount := range []struct {
		field string
		from  *typev1.Money
		to    **money.Decimal
	}{
		{"amount", s.GetAmount(), &wire.Amount},
		{"price", s.GetPrice(), &wire.PriceAmount},
		{"purchase_price", s.GetPurchasePrice(), &wire.PurchasePriceAmount},
	} {
		if err := setAmount(amount.to, path+"."+amount.field, amount.from); err != nil {
			return wireSecurity{}, err
		}
	}
	for _, number := range []struct {
		field, from string
		to          *measure
	}{
		{"quantity", s.GetQuantity(), &wire.Quantity},
		{"exchange_rate", s.GetExchangeRate(), &wire.ExchangeRate},
	} {
		if number.from == "" {
			continue
		}
		d, err := parseNumber(number.from)
		if err != nil {
			return wireSecurity{}, bad("%s.%s", path, number.field)
		}
		*number.to = measure(d.Text('f'))
	}
	return wire, nil
}

// setAmount sets a number from exact decimal text; an absent amount stays absent.
func setAmount(to **money.Decimal, path string, from *typev1.Money) *badField {
	if from == nil {
		return nil
	}
	amount, err := money.Parse(from.GetValue())
	if err != nil {
		return bad("%s.value", path)
	}
	*to = &amount
	return nil
}

type datedField struct {
	name, from string
	to         *text
}

// setDates writes dates as finoOS does, as instants: midnight UTC falls on the same date in the market's zone. Instants
// pass as they are, and what is neither finoOS would refuse or, worse, take for something else.
func setDates(path string, dates []datedField) *badField {
	for _, date := range dates {
		if date.from == "" {
			continue
		}
		instant := date.from
		if len(instant) == len("2006-01-02") {
			instant += "T00:00:00Z"
		}
		if _, err := time.Parse(time.RFC3339, instant); err != nil {
			return bad("%s.%s", path, date.name)
		}
		*date.to = text(instant)
	}
	return nil
}

// wireNewLogins are bank logins that the caller brings along.
type wireNewLogins struct {
	Logins []wireNewLogin `json:"logins"`
}

type wireNewLogin struct {
	ID       text             `json:"id"`
	Bank     wireBank         `json:"bank"`
	Accounts []wireNewAccount `json:"accounts"`
}

type wireNewAccount struct {
	wireAccount
	Transactions []wireTransaction `json:"transactions"`
}
