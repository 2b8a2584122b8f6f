package fimento

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// ListAccounts reads the accounts out of the insights. Their ConnectionID is the NAME of the bank; see accountsOf.
func (a *adapter) ListAccounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	r, err := a.ofConsent(opInsights, ref)
	if err != nil {
		return nil, err
	}
	listed := wireAccounts{asked: ref.ID}
	if err := a.do(ctx, r, &listed); err != nil {
		return nil, err
	}
	return accountsOf(listed.AccountsInfo.list, marketOf(ref)), nil
}

// wireAccounts is the part of the insights that tells the accounts.
type wireAccounts struct {
	AccountsInfo required[wireAccount] `json:"accountsInfo"`
	ProcessID    text                  `json:"processId"`

	asked string // which process was asked about
}

var readAccounts = jsonread.Members[wireAccounts]{
	jsonread.At("accountsInfo", func(d *decoder, w *wireAccounts) error {
		return readList(d, &w.AccountsInfo, readAccount)
	}),
	jsonread.At("processId", func(d *decoder, w *wireAccounts) error { return jsonread.Value(d, &w.ProcessID) }),
}.Read

// UnmarshalJSONFrom reads the part, and skips the rest of the insights.
func (a *wireAccounts) UnmarshalJSONFrom(d *decoder) error { return readAccounts(d, a) }

// check wants the list, which may be empty: an answer without it is not one that says "no accounts".
func (a *wireAccounts) check() error {
	if err := a.AccountsInfo.checkAs("accountsInfo"); err != nil {
		return err
	}
	return about("processId", a.ProcessID, a.asked)
}

type wireAccount struct {
	AccountNumber text    `json:"accountNumber"`
	Name          text    `json:"name"`
	Balance       *amount `json:"balance"`
	Type          text    `json:"type"`
	Bank          text    `json:"bank"`
}

var readAccount = jsonread.Members[wireAccount]{
	jsonread.At("accountNumber", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.AccountNumber) }),
	jsonread.At("name", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.Name) }),
	jsonread.At("balance", func(d *decoder, w *wireAccount) error { return readAmount(d, &w.Balance) }),
	jsonread.At("type", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.Type) }),
	jsonread.At("bank", func(d *decoder, w *wireAccount) error { return jsonread.Value(d, &w.Bank) }),
}.Read

// accountKey normalises an account number: without the spaces, dashes, dots, commas and slashes that make it easier to
// read, and in upper case. Everything else tells numbers apart, a leading zero and the asterisks of a masked card
// included: a transaction on the wrong account is worse than one on none.
func accountKey(number text) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || strings.ContainsRune(".,/", r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, string(number))
}

// attribution finds the account that a transaction is on: by the normalised number, the account's id; "" where several
// accounts have the number.
type attribution map[string]string

func attributionOf(accounts []providers.Account) attribution {
	byNumber := attribution{}
	for _, account := range accounts {
		number := accountKey(text(cmp.Or(account.GetIban(), account.GetAccountNumber())))
		if _, several := byNumber[number]; several {
			byNumber[number] = ""
		} else {
			byNumber[number] = account.ID
		}
	}
	delete(byNumber, "")
	return byNumber
}

// of gives the id of the account whose number a transaction's accountId is, "" when it is no listed account's. What an
// accountId is, the documentation does not say.
func (byNumber attribution) of(accountID text) string { return byNumber[accountKey(accountID)] }

// accountsOf maps accountsInfo. An account without a number, and a second one whose number is taken, is told by bank,
// name and type as well; one that agrees in all of that is the same account listed twice.
//
// ConnectionID holds the bank's NAME, since accountsInfo knows no other: who matches it to a connection compares names.
func accountsOf(listed []wireAccount, market providers.Market) []providers.Account {
	taken, seen := map[string]bool{}, map[string]bool{}
	found := make([]providers.Account, 0, len(listed))
	for _, w := range listed {
		id := accountKey(w.AccountNumber)
		whole := strings.Join([]string{id, string(w.Bank), string(w.Name), string(w.Type)}, "|")
		if seen[whole] {
			continue
		}
		seen[whole] = true
		account := &bankingv1.Account{
			BankName:     told(w.Bank),
			DisplayName:  told(w.Name),
			Type:         accountTypeOf(string(w.Type)),
			ProviderType: told(w.Type),
			CurrencyCode: optional.Of(market.CurrencyCode),
			Balance:      w.Balance.money(market),
		}
		if isIBAN(id) {
			account.Iban = told(w.AccountNumber)
		} else {
			account.AccountNumber = told(w.AccountNumber)
		}
		if id == "" || taken[id] {
			id = whole
		}
		taken[id] = true
		found = append(found, providers.Account{ID: id, ConnectionID: string(w.Bank), Account: account})
	}
	return found
}

// isIBAN tells an IBAN by its form; check digits are nobody's business here.
func isIBAN(number string) bool {
	if len(number) < 15 || len(number) > 34 {
		return false
	}
	for i, r := range number {
		letter, digit := r >= 'A' && r <= 'Z', r >= '0' && r <= '9'
		if i < 2 && !letter || (i == 2 || i == 3) && !digit || !letter && !digit {
			return false
		}
	}
	return true
}

// accountCodes are types that count only when they stand alone: "isk" is in "risk", too.
var accountCodes = map[string]bankingv1.Account_Type{
	"isk": bankingv1.Account_SECURITIES, "kf": bankingv1.Account_SECURITIES, // Swedish wrappers of investments
	"cacc": bankingv1.Account_CURRENT, "slry": bankingv1.Account_CURRENT,
	"svgs": bankingv1.Account_SAVINGS, // ISO 20022
}

// accountWords tell the type of an account by what its free string contains, in English, Swedish and Finnish. The first
// row that matches wins: a "luottokortti" is a card, an "investeringssparkonto" holds securities although it says
// "spar".
var accountWords = []struct {
	kind  bankingv1.Account_Type
	words []string
}{
	{bankingv1.Account_CARD, []string{"card", "kort"}},
	{bankingv1.Account_LOAN, []string{"loan", "mortgage", "lån", "laina", "luotto"}},
	{bankingv1.Account_SECURITIES, []string{
		"securit", "invest", "depot", "custody", "brokerage", "fund", "depå", "värdepapper", "aktie", "fond",
		"kapitalförsäkring", "arvopaperi",
		"arvo-osuus", "osake", "rahasto", "sijoitus",
	}},
	{bankingv1.Account_SAVINGS, []string{"saving", "deposit", "spar", "säästö", "talletus"}},
	{bankingv1.Account_CURRENT, []string{
		"current", "checking", "transaction", "salary", "giro", "payment", "business", "transaktion", "lön", "privat",
		"personkonto", "betal", "allkonto",
		"företag", "käyttö", "palkka", "yritys",
	}},
}

// accountTypeOf maps a type's free string.
func accountTypeOf(written string) bankingv1.Account_Type {
	lower := strings.ToLower(strings.TrimSpace(written))
	if lower == "" {
		return bankingv1.Account_OTHER
	}
	for _, row := range accountWords {
		if slices.ContainsFunc(row.words, func(word string) bool { return strings.Contains(lower, word) }) {
			return row.kind
		}
	}
	if kind, ok := accountCodes[lower]; ok {
		return kind
	}
	return bankingv1.Account_OTHER
}
