package finoos

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// ListAccounts reads all accounts of all bank logins.
func (a *adapter) ListAccounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	logins, err := a.logins(ctx, ref)
	if err != nil {
		return nil, err
	}
	var accounts []providers.Account
	for _, login := range logins {
		for _, account := range login.Accounts {
			accounts = append(accounts, accountOf(login, account, ref.Imported))
		}
	}
	return accounts, nil
}

// logins reads the bank logins of a consent without transactions.
func (a *adapter) logins(ctx context.Context, ref providers.ConsentRef) ([]wireLogin, error) {
	logins, err := a.allLogins(ctx, ref)
	return slices.DeleteFunc(logins, func(l wireLogin) bool { return !ref.Share.Covers(string(l.ID)) }), err
}

// allLogins reads the bank logins of a user without transactions.
func (a *adapter) allLogins(ctx context.Context, ref providers.ConsentRef) ([]wireLogin, error) {
	var wire wireLogins
	if err := a.do(ctx, loginsRequest(ref, false), &wire); err != nil {
		return nil, err
	}
	return wire.Logins.value, nil
}

// loginsRequest always says whether transactions are wanted: the parameter is documented as required, and its default
// is not told.
func loginsRequest(ref providers.ConsentRef, transactions bool) request {
	return request{
		Operation: opGetLogins,
		Path:      ofUser(ref.ID),
		Query:     url.Values{"includeTransactions": {strconv.FormatBool(transactions)}},
	}
}

type wireAccount struct {
	ID                   text                `json:"id"`
	IBAN                 text                `json:"iban,omitempty"`
	Number               text                `json:"number,omitempty"`
	Name                 text                `json:"name,omitempty"`
	Owner                text                `json:"owner,omitempty"`
	Type                 text                `json:"type,omitempty"`
	Currency             text                `json:"currency,omitempty"`
	Balance              *money.Decimal      `json:"balance,omitempty"`
	CreditLine           *money.Decimal      `json:"creditLine,omitempty"`
	MonthlySpendingLimit *money.Decimal      `json:"monthlySpendingLimit,omitempty"`
	StandingOrders       []wireStandingOrder `json:"standingOrders,omitempty"`
	Securities           []wireSecurity      `json:"securities,omitempty"`
}

var readAccount = jsonread.Members[wireAccount]{
	jsonread.At("id", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.ID) }),
	jsonread.At("iban", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.IBAN) }),
	jsonread.At("number", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.Number) }),
	jsonread.At("name", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.Name) }),
	jsonread.At("owner", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.Owner) }),
	jsonread.At("type", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.Type) }),
	jsonread.At("currency", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.Currency) }),
	jsonread.At("balance", func(d *decoder, w *wireAccount) error { return readAmount(d, &w.Balance) }),
	jsonread.At("creditLine", func(d *decoder, w *wireAccount) error { return readAmount(d, &w.CreditLine) }),
	jsonread.At("monthlySpendingLimit", func(d *decoder, w *wireAccount) error {
		return readAmount(d, &w.MonthlySpendingLimit)
	}),
	jsonread.At("standingOrders", func(d *decoder, w *wireAccount) error {
		return jsonread.Slice(d, &w.StandingOrders, readStandingOrder)
	}),
	jsonread.At("securities", func(d *decoder, w *wireAccount) error {
		return jsonread.Slice(d, &w.Securities, readSecurity)
	}),
}.Read

// accountKey is the id of an account under a consent. Accounts are told apart by where they are nested, since the ids
// of two bank logins need not differ. The login's id is escaped, so that two pairs never make one key.
func accountKey(login, account text) string {
	return loginEscaper.Replace(string(login)) + "/" + string(account)
}

var (
	loginEscaper   = strings.NewReplacer("%", "%25", "/", "%2F")
	loginUnescaper = strings.NewReplacer("%25", "%", "%2F", "/")
)

// loginOf gives the login of an account by its key.
func loginOf(accountKey string) string {
	login, _, _ := strings.Cut(accountKey, "/")
	return loginUnescaper.Replace(login)
}

// accountOf maps an account of a bank login. Under a consent whose data the caller handed over, finoOS's id is the
// caller's, as it was sent.
func accountOf(login wireLogin, w wireAccount, imported bool) providers.Account {
	currency := currencyOf(w.Currency)
	account := providers.Account{
		ID:           accountKey(login.ID, w.ID),
		ConnectionID: string(login.ID),
		Account: &bankingv1.Account{
			BankName:             told(login.Bank.Name),
			DisplayName:          told(w.Name),
			OwnerName:            told(w.Owner),
			Iban:                 told(w.IBAN),
			AccountNumber:        told(w.Number),
			Type:                 accountTypeOf(w.Type),
			ProviderType:         told(w.Type),
			CurrencyCode:         optional.Of(currency),
			Balance:              moneyOf(w.Balance, currency),
			CreditLine:           moneyOf(w.CreditLine, currency),
			MonthlySpendingLimit: moneyOf(w.MonthlySpendingLimit, currency),
		},
	}
	if imported {
		account.ImportId = told(w.ID)
	}
	return account
}

// accountTypes maps finoOS's words for kinds of accounts. The documentation shows GIRO alone; the others are the words
// that German banks and their interfaces use.
var accountTypes = map[string]bankingv1.Account_Type{
	"GIRO":            bankingv1.Account_CURRENT,
	"GIROKONTO":       bankingv1.Account_CURRENT,
	"CURRENT":         bankingv1.Account_CURRENT,
	"CHECKING":        bankingv1.Account_CURRENT,
	"SAVINGS":         bankingv1.Account_SAVINGS,
	"SAVING":          bankingv1.Account_SAVINGS,
	"SPARKONTO":       bankingv1.Account_SAVINGS,
	"SPARBUCH":        bankingv1.Account_SAVINGS,
	"TAGESGELD":       bankingv1.Account_SAVINGS,
	"TAGESGELDKONTO":  bankingv1.Account_SAVINGS,
	"FESTGELD":        bankingv1.Account_SAVINGS,
	"FESTGELDKONTO":   bankingv1.Account_SAVINGS,
	"FIXEDTERM":       bankingv1.Account_SAVINGS,
	"BAUSPAREN":       bankingv1.Account_SAVINGS,
	"CARD":            bankingv1.Account_CARD,
	"CREDITCARD":      bankingv1.Account_CARD,
	"KREDITKARTE":     bankingv1.Account_CARD,
	"LOAN":            bankingv1.Account_LOAN,
	"KREDIT":          bankingv1.Account_LOAN,
	"DARLEHEN":        bankingv1.Account_LOAN,
	"DEPOT":           bankingv1.Account_SECURITIES,
	"SECURITIES":      bankingv1.Account_SECURITIES,
	"SECURITY":        bankingv1.Account_SECURITIES,
	"WERTPAPIERDEPOT": bankingv1.Account_SECURITIES,
}

func accountTypeOf(providerType text) bankingv1.Account_Type {
	if strings.TrimSpace(string(providerType)) == "" {
		return bankingv1.Account_OTHER
	}
	if known, ok := accountTypes[strings.ToUpper(plainType.Replace(string(providerType)))]; ok {
		return known
	}
	return bankingv1.Account_OTHER
}
