// Package insights derives an evaluation of transactions for providers that have none. It only adds up; it decides
// nothing.
package insights

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/optional"
)

// Deriver takes transactions one by one and holds only sums and the entries of each day. Only booked transactions
// count: a pending one may vanish.
type Deriver struct {
	accounts   []*bankingv1.Account
	days       map[dayKey]*day
	categories map[categoryKey]*sums
}

type dayKey struct{ date, currency string }

type day struct {
	sums
	entries []*insightsv1.Insights_Entry
}

type categoryKey struct {
	category bankingv1.Category_Value
	currency string
}

type sums struct {
	income, expense money.Decimal
	count           int32
}

func (s *sums) add(amount money.Decimal) {
	if amount.Sign() >= 0 {
		s.income = s.income.Add(amount)
	} else {
		s.expense = s.expense.Add(amount)
	}
	s.count++
}

// NewDeriver begins with the accounts that the transactions are on.
func NewDeriver(accounts []*bankingv1.Account) *Deriver {
	return &Deriver{accounts: accounts, days: make(map[dayKey]*day), categories: make(map[categoryKey]*sums)}
}

// Add takes a transaction. One whose amount is not a number, or that is not booked, is passed over.
func (d *Deriver) Add(t *bankingv1.Transaction) {
	amount, err := money.Parse(t.GetAmount().GetValue())
	if err != nil || t.GetStatus() == bankingv1.Transaction_PENDING {
		return
	}
	currency := t.GetAmount().GetCurrencyCode()
	onDay := at(d.days, dayKey{cmp.Or(t.GetBookingDate(), t.GetValueDate()), currency})
	onDay.add(amount)
	onDay.entries = append(onDay.entries, &insightsv1.Insights_Entry{
		RemittanceInformation: optional.Of(t.GetRemittanceInformation()),
		Amount:                t.GetAmount(),
		Category:              optional.Of(t.GetCategory()),
		ProviderCategory:      optional.Of(t.GetProviderCategory()),
	})
	at(d.categories, categoryKey{t.GetCategory(), currency}).add(amount)
}

// at gives a map's value for a key, made when it is missing.
func at[K comparable, V any](m map[K]*V, key K) *V {
	value, ok := m[key]
	if !ok {
		value = new(V)
		m[key] = value
	}
	return value
}

// Result gives the evaluation, days in order. The balance of a day is reckoned back from the present balances; it is
// given only where all accounts of the currency have one.
func (d *Deriver) Result() *insightsv1.Insights {
	result := &insightsv1.Insights{Origin: insightsv1.InsightsOrigin_DERIVED, Accounts: d.accounts}
	balances := d.balances()
	for _, currency := range slices.Sorted(maps.Keys(balances)) {
		if balances[currency] != nil {
			result.TotalBalances = append(result.TotalBalances, balances[currency].Money(currency))
		}
	}
	keys := slices.SortedFunc(maps.Keys(d.days), func(a, b dayKey) int {
		return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.currency, b.currency))
	})
	for _, key := range slices.Backward(keys) {
		moved := d.days[key]
		movement := &insightsv1.Insights_Movement{
			Date:    optional.Of(key.date),
			Income:  moved.income.Money(key.currency),
			Expense: moved.expense.Money(key.currency),
			Entries: moved.entries,
		}
		if balance := balances[key.currency]; balance != nil {
			movement.Balance = balance.Money(key.currency)
			before := balance.Add(moved.income.Add(moved.expense).Neg())
			balances[key.currency] = &before
		}
		result.Movements = append(result.Movements, movement)
	}
	slices.Reverse(result.GetMovements())
	for _, key := range slices.SortedFunc(maps.Keys(d.categories), func(a, b categoryKey) int {
		return cmp.Or(cmp.Compare(a.category, b.category), cmp.Compare(a.currency, b.currency))
	}) {
		sum := d.categories[key]
		result.Categories = append(result.Categories, &insightsv1.Insights_CategorySum{
			Category: optional.Of(key.category), TransactionCount: sum.count,
			Income: sum.income.Money(key.currency), Expense: sum.expense.Money(key.currency),
		})
	}
	return result
}

// Span gives the start of the day of the earliest booking and the end of the day of the latest, among movements whose
// dates are dates; nil where there is none. A point of a graph on which nothing moved is no booking. Location is the
// zone in which the dates are meant.
func Span(movements []*insightsv1.Insights_Movement, location *time.Location) (start, end *timestamppb.Timestamp) {
	var dates []string
	for _, m := range movements {
		if _, err := time.Parse(time.DateOnly, m.GetDate()); err == nil && moved(m) {
			dates = append(dates, m.GetDate())
		}
	}
	if len(dates) == 0 {
		return nil, nil
	}
	return startOf(slices.Min(dates), location, 0), startOf(slices.Max(dates), location, 1)
}

// moved tells whether anything moved.
func moved(m *insightsv1.Insights_Movement) bool {
	if len(m.GetEntries()) > 0 {
		return true
	}
	for _, sum := range []string{m.GetIncome().GetValue(), m.GetExpense().GetValue()} {
		if amount, err := money.Parse(sum); err == nil && amount.Sign() != 0 {
			return true
		}
	}
	return false
}

// balances adds up the accounts' balances by currency, nil where one is not known.
func (d *Deriver) balances() map[string]*money.Decimal {
	balances := make(map[string]*money.Decimal)
	for _, account := range d.accounts {
		currency := cmp.Or(account.GetBalance().GetCurrencyCode(), account.GetCurrencyCode())
		balance, err := money.Parse(account.GetBalance().GetValue())
		have, seen := balances[currency]
		switch {
		case err != nil || seen && have == nil:
			balances[currency] = nil
		case seen:
			sum := have.Add(balance)
			balances[currency] = &sum
		default:
			balances[currency] = &balance
		}
	}
	return balances
}

// startOf gives the moment at which a date begins, or some days after it; nil for what is no date.
func startOf(date string, location *time.Location, days int) *timestamppb.Timestamp {
	t, err := time.ParseInLocation(time.DateOnly, date, location)
	if err != nil {
		return nil
	}
	return timestamppb.New(t.AddDate(0, 0, days))
}
