package fimento

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// GetInsights reads the evaluation.
func (a *adapter) GetInsights(ctx context.Context, ref providers.ConsentRef,
	referenceID string) (*insightsv1.Insights, []providers.Account, error) {
	r, err := a.ofConsent(opInsights, ref)
	if err != nil {
		return nil, nil, err
	}
	if err := a.addReference(r, referenceID); err != nil {
		return nil, nil, err
	}
	evaluated := wireInsights{wireAccounts: wireAccounts{asked: ref.ID}}
	if err := a.do(ctx, r, &evaluated); err != nil {
		return nil, nil, err
	}
	market := marketOf(ref)
	accounts := accountsOf(evaluated.AccountsInfo.list, market)
	insights, err := insightsOf(evaluated, accounts, market)
	if err != nil {
		return nil, nil, a.client.Refuse(ctx, opInsights, nil, err)
	}
	return insights, accounts, nil
}

// wireInsights is the evaluation. The three raw members are open objects.
type wireInsights struct {
	wireAccounts
	TransactionGraph      []wireMovement  `json:"transactionGraph"`
	FetchedAtInterval     wireInterval    `json:"fetchedAtInterval"`
	TotalBalance          json.RawMessage `json:"totalBalance"`
	Categorisation        json.RawMessage `json:"categorisation"`
	ComputationAutomation json.RawMessage `json:"computationAutomation"`
}

var readInsights = jsonread.Members[wireInsights]{
	jsonread.At("accountsInfo", func(d *decoder, w *wireInsights) error {
		return readList(d, &w.AccountsInfo, readAccount)
	}),
	jsonread.At("processId", func(d *decoder, w *wireInsights) error { return jsonread.Value(d, &w.ProcessID) }),
	jsonread.At("transactionGraph", func(d *decoder, w *wireInsights) error {
		return jsonread.Slice(d, &w.TransactionGraph, readMovement)
	}),
	jsonread.At("fetchedAtInterval", func(d *decoder, w *wireInsights) error {
		return readInterval(d, &w.FetchedAtInterval)
	}),
	jsonread.At("totalBalance", func(d *decoder, w *wireInsights) error { return jsonread.Value(d, &w.TotalBalance) }),
	jsonread.At("categorisation", func(d *decoder, w *wireInsights) error {
		return jsonread.Value(d, &w.Categorisation)
	}),
	jsonread.At("computationAutomation", func(d *decoder, w *wireInsights) error {
		return jsonread.Value(d, &w.ComputationAutomation)
	}),
}.Read

// UnmarshalJSONFrom reads the evaluation.
func (w *wireInsights) UnmarshalJSONFrom(d *decoder) error { return readInsights(d, w) }

type wireInterval struct {
	Min instant `json:"min"`
	Max instant `json:"max"`
}

var readInterval = jsonread.Members[wireInterval]{
	jsonread.At("min", func(d *decoder, w *wireInterval) error { return jsonread.Value(d, &w.Min) }),
	jsonread.At("max", func(d *decoder, w *wireInterval) error { return jsonread.Value(d, &w.Max) }),
}.Read

type wireMovement struct {
	Date text             `json:"date"`
	Info wireMovementInfo `json:"info"`
}

var readMovement = jsonread.Members[wireMovement]{
	jsonread.At("date", func(d *decoder, w *wireMovement) error { return jsonread.Value(d, &w.Date) }),
	jsonread.At("info", func(d *decoder, w *wireMovement) error { return readMovementInfo(d, &w.Info) }),
}.Read

type wireMovementInfo struct {
	Balance              *amount     `json:"balance"`
	NegativeSum          *amount     `json:"negativeSum"`
	PositiveSum          *amount     `json:"positiveSum"`
	NegativeTransactions []wireEntry `json:"negativeTransactions"`
	PositiveTransactions []wireEntry `json:"positiveTransactions"`
}

var readMovementInfo = jsonread.Members[wireMovementInfo]{
	jsonread.At("balance", func(d *decoder, w *wireMovementInfo) error { return readAmount(d, &w.Balance) }),
	jsonread.At("negativeSum", func(d *decoder, w *wireMovementInfo) error { return readAmount(d, &w.NegativeSum) }),
	jsonread.At("positiveSum", func(d *decoder, w *wireMovementInfo) error { return readAmount(d, &w.PositiveSum) }),
	jsonread.At("negativeTransactions", func(d *decoder, w *wireMovementInfo) error {
		return jsonread.Slice(d, &w.NegativeTransactions, readEntry)
	}),
	jsonread.At("positiveTransactions", func(d *decoder, w *wireMovementInfo) error {
		return jsonread.Slice(d, &w.PositiveTransactions, readEntry)
	}),
}.Read

type wireEntry struct {
	Description text    `json:"description"`
	Amount      *amount `json:"amount"`
	Category    text    `json:"category"`
}

var readEntry = jsonread.Members[wireEntry]{
	jsonread.At("description", func(d *decoder, w *wireEntry) error { return jsonread.Value(d, &w.Description) }),
	jsonread.At("amount", func(d *decoder, w *wireEntry) error { return readAmount(d, &w.Amount) }),
	jsonread.At("category", func(d *decoder, w *wireEntry) error { return jsonread.Value(d, &w.Category) }),
}.Read

// insightsOf maps the insights, without the accounts, which stand beside them.
func insightsOf(i wireInsights, found []providers.Account, market providers.Market) (*insightsv1.Insights, error) {
	insights := &insightsv1.Insights{
		Origin:        insightsv1.InsightsOrigin_NATIVE,
		TotalBalances: totalBalancesOf(found, market),
	}
	if fetched := i.FetchedAtInterval; !fetched.Min.IsZero() || !fetched.Max.IsZero() {
		insights.FetchInterval = &insightsv1.Insights_Interval{
			StartTime: timestampOf(fetched.Min), EndTime: timestampOf(fetched.Max),
		}
	}
	for _, m := range i.TransactionGraph {
		insights.Movements = append(insights.Movements, movementOf(m, market))
	}
	insights.Categories = categoriesOf(insights.GetMovements(), market)
	for _, open := range []struct {
		field string
		raw   json.RawMessage
		to    **structpb.Struct
	}{
		{"totalBalance", i.TotalBalance, &insights.TotalBalance},
		{"categorisation", i.Categorisation, &insights.Categorisation},
		{"computationAutomation", i.ComputationAutomation, &insights.ComputationAutomation},
	} {
		object, err := providers.OpenObject(open.raw)
		if err != nil {
			return nil, &providers.ShapeError{Field: open.field, Want: "must be an object"}
		}
		*open.to = object
	}
	return insights, nil
}

func timestampOf(i instant) *timestamppb.Timestamp {
	if i.IsZero() {
		return nil
	}
	return timestamppb.New(i.Time)
}

// movementOf maps one point of the graph. Its date is a free string: what is no date passes as it is.
func movementOf(m wireMovement, market providers.Market) *insightsv1.Insights_Movement {
	mapped := &insightsv1.Insights_Movement{
		Date:    optional.Of(cmp.Or(dateOf(m.Date, market), string(m.Date))),
		Balance: m.Info.Balance.money(market),
		Income:  m.Info.PositiveSum.money(market),
		Expense: m.Info.NegativeSum.outflow().money(market),
	}
	for _, e := range m.Info.NegativeTransactions {
		e.Amount = e.Amount.outflow()
		mapped.Entries = append(mapped.Entries, entryOf(e, market))
	}
	for _, e := range m.Info.PositiveTransactions {
		mapped.Entries = append(mapped.Entries, entryOf(e, market))
	}
	return mapped
}

func entryOf(e wireEntry, market providers.Market) *insightsv1.Insights_Entry {
	return &insightsv1.Insights_Entry{
		RemittanceInformation: told(e.Description),
		Amount:                e.Amount.money(market),
		Category:              optional.Of(purposeOf(e.Category, e.Amount).Category),
		ProviderCategory:      told(e.Category),
	}
}

// categoriesOf sums the movements up, one row for each of the provider's labels and what it means, in the order of
// Kontor's list and then of the labels.
func categoriesOf(movements []*insightsv1.Insights_Movement,
	market providers.Market) []*insightsv1.Insights_CategorySum {
	type sum struct {
		income, expense money.Decimal
		count           int32
	}
	type purpose struct {
		label    string
		category bankingv1.Category_Value
	}
	sums := map[purpose]*sum{}
	for _, m := range movements {
		for _, e := range m.GetEntries() {
			key := purpose{e.GetProviderCategory(), e.GetCategory()}
			s := sums[key]
			if s == nil {
				s = &sum{}
				sums[key] = s
			}
			s.count++
			if value := decimal(e.GetAmount()); value.Sign() < 0 {
				s.expense = s.expense.Add(value)
			} else {
				s.income = s.income.Add(value)
			}
		}
	}
	rows := make([]*insightsv1.Insights_CategorySum, 0, len(sums))
	for key, s := range sums {
		rows = append(rows, &insightsv1.Insights_CategorySum{
			Category: optional.Of(key.category), ProviderCategory: optional.Of(key.label), TransactionCount: s.count,
			Income: s.income.Money(market.CurrencyCode), Expense: s.expense.Money(market.CurrencyCode),
		})
	}
	slices.SortFunc(rows, func(a, b *insightsv1.Insights_CategorySum) int {
		return cmp.Or(cmp.Compare(a.GetCategory(), b.GetCategory()),
			strings.Compare(a.GetProviderCategory(), b.GetProviderCategory()))
	})
	return rows
}

// totalBalancesOf sums the accounts' balances, which are all in the market's currency; nil when none has a balance.
func totalBalancesOf(found []providers.Account, market providers.Market) []*typev1.Money {
	var total money.Decimal
	known := false
	for _, account := range found {
		if account.Balance != nil {
			total, known = total.Add(decimal(account.Balance)), true
		}
	}
	if !known {
		return nil
	}
	return []*typev1.Money{total.Money(market.CurrencyCode)}
}
