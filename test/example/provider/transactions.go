package example

import (
	"context"
	"iter"
	"net/url"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/providers"
)

// Transactions reads the transactions of one account after the other. Skarvholm can narrow a read to an account and to
// dates, so the query is passed on.
func (a *adapter) Transactions(
	ctx context.Context, ref providers.ConsentRef, query providers.Query,
) iter.Seq2[providers.Transaction, error] {
	return func(yield func(providers.Transaction, error) bool) {
		ids := []string{query.AccountID}
		if query.AccountID == "" {
			accounts, err := a.ListAccounts(ctx, ref)
			if err != nil {
				yield(providers.Transaction{}, err)
				return
			}
			ids = ids[:0]
			for _, account := range accounts {
				ids = append(ids, account.ID)
			}
		}
		for _, id := range ids {
			if !a.accountTransactions(ctx, ref, id, query, yield) {
				return
			}
		}
	}
}

// accountTransactions reads one account's, and tells whether there are to be more.
func (a *adapter) accountTransactions(
	ctx context.Context, ref providers.ConsentRef, id string, query providers.Query,
	yield func(providers.Transaction, error) bool,
) bool {
	r := request{
		Operation: opListTransactions, Path: map[string]string{paramAccount: id}, Query: url.Values{},
		Header: withUserIP(ctx),
	}
	for name, date := range map[string]string{"dateFrom": query.From, "dateTo": query.To} {
		if date != "" {
			r.Query.Set(name, date)
		}
	}
	var listed wireTransactions
	if _, err := a.doAs(ctx, ref, r, &listed); err != nil {
		yield(providers.Transaction{}, err)
		return false
	}
	for _, w := range listed.Transactions.Pending {
		if !yield(transactionOf(id, w, bankingv1.Transaction_PENDING), nil) {
			return false
		}
	}
	for _, w := range listed.Transactions.Booked {
		if !yield(transactionOf(id, w, bankingv1.Transaction_BOOKED), nil) {
			return false
		}
	}
	return true
}
