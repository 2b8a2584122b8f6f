package fimento

import (
	"context"
	"iter"
	"net/url"
	"strconv"

	"kontor.dev/kontor/internal/providers"
)

// maxPages caps the pages of transactions: an end that does not come is a fault, and told as one.
const maxPages = 10_000

// Transactions reads all transactions, a page at a time and only when the iteration comes to it. Which number the
// first page has, how many transactions it holds and what follows the last one is not documented: pages count from 1,
// and one that is empty is the end. A transaction that moves to the next page in the meantime still comes once. Fimento
// cannot narrow the read.
//
// A page with nothing new is no end by itself. Fimento may give the last page again beyond the end, or may not have
// turned the page: then there is more that nobody has read, and a caller who took the rest for all would lend on half an
// account. The one cannot be told from the other, so a second such page in a row fails the read, unless the operator
// knows and says so (Config.TransactionsEnd). One alone is what is left where transactions moved down by a page.
//
// A transaction names its account by a string of which the documentation does not say what it is. So the accounts are
// read too, once there is a transaction to attribute: one whose string is the number of a listed account is on that
// account, any other on none.
func (a *adapter) Transactions(
	ctx context.Context, ref providers.ConsentRef, _ providers.Query,
) iter.Seq2[providers.Transaction, error] {
	return func(yield func(providers.Transaction, error) bool) {
		market := marketOf(ref)
		seen := map[text]bool{}
		var known attribution
		stale := 0 // pages in a row with nothing new
		for page := 1; page <= maxPages; page++ {
			var listed wireTransactions
			if err := a.do(ctx, transactionsRequest(ref, page), &listed); err != nil {
				yield(providers.Transaction{}, err)
				return
			}
			if len(listed.Transactions.list) == 0 {
				return
			}
			before := len(seen)
			for _, t := range listed.Transactions.list {
				if seen[t.ID] {
					continue
				}
				seen[t.ID] = true
				if known == nil && t.AccountID != "" {
					accounts, err := a.ListAccounts(ctx, ref)
					if err != nil {
						yield(providers.Transaction{}, err)
						return
					}
					known = attributionOf(accounts)
				}
				if !yield(transactionOf(t, known.of(t.AccountID), market), nil) {
					return
				}
			}
			switch {
			case len(seen) > before:
				stale = 0
			case a.cfg.TransactionsEnd == RepeatedPage:
				return
			default:
				stale++
			}
			if stale == 2 {
				yield(providers.Transaction{}, a.client.Refuse(ctx, opTransactions, nil, errRepeated))
				return
			}
		}
		yield(providers.Transaction{}, a.client.Refuse(ctx, opTransactions, nil, errEndless))
	}
}

// transactionsRequest names no partner bank: the documentation lists that header for all operations on a process but
// this one.
func transactionsRequest(ref providers.ConsentRef, page int) request {
	return request{Operation: opTransactions, Path: ofProcess(ref.ID), Query: url.Values{"page": {strconv.Itoa(page)}}}
}
