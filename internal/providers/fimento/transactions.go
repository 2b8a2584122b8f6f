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

// Transactions reads all transactions, and only when the iteration comes to them. Fimento cannot narrow the read.
//
// A transaction names its account by a string of which the documentation does not say what it is. So the accounts are
// read too, once there is a transaction to attribute: one whose string is the number of a listed account is on that
// account, any other on none.
func (a *adapter) Transactions(
	ctx context.Context, ref providers.ConsentRef, _ providers.Query,
) iter.Seq2[providers.Transaction, error] {
	return func(yield func(providers.Transaction, error) bool) {
		market := marketOf(ref)
		var known attribution
		for t, err := range a.listed(ctx, ref) {
			if err == nil && known == nil && t.AccountID != "" {
				var accounts []providers.Account
				if accounts, err = a.ListAccounts(ctx, ref); err == nil {
					known = attributionOf(accounts)
				}
			}
			if err != nil {
				yield(providers.Transaction{}, err)
				return
			}
			if !yield(transactionOf(t, known.of(t.AccountID), market), nil) {
				return
			}
		}
	}
}

// listed reads the pages of transactions one by one. Which number the first page has, how many transactions it holds
// and what follows the last one is not documented: pages count from 1, and one that is empty is the end. A transaction
// that moves to the next page in the meantime still comes once. A page with nothing new is no end by itself: see
// turning.
func (a *adapter) listed(ctx context.Context, ref providers.ConsentRef) iter.Seq2[wireTransaction, error] {
	return func(yield func(wireTransaction, error) bool) {
		seen, pages := map[text]bool{}, turning{end: a.cfg.TransactionsEnd}
		for page := 1; page <= maxPages; page++ {
			var listed wireTransactions
			if err := a.do(ctx, transactionsRequest(ref, page), &listed); err != nil {
				yield(wireTransaction{}, err)
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
				if !yield(t, nil) {
					return
				}
			}
			switch pages.after(len(seen) - before) {
			case goesOn:
			case ends:
				return
			case seemsToEnd:
				a.client.Doubt(ctx, opTransactions, errRepeated)
				return
			case fails:
				yield(wireTransaction{}, a.client.Refuse(ctx, opTransactions, nil, errRepeated))
				return
			}
		}
		yield(wireTransaction{}, a.client.Refuse(ctx, opTransactions, nil, errEndless))
	}
}

// turning watches whether pages bring anything new. Where one does not, Fimento may have given the last page again, or
// it may not have turned the page: then there is more that nobody has read. The one cannot be told from the other, so a
// second such page in a row is taken for the end with a warning in the log, until the operator knows and says so. One
// alone is what is left where transactions moved down by a page.
type turning struct {
	end   TransactionsEnd
	stale int // pages in a row with nothing new
}

// turn is what follows a page.
type turn int

const (
	goesOn turn = iota
	ends
	seemsToEnd
	fails
)

// after tells what follows a page with so many transactions that were not seen before.
func (t *turning) after(fresh int) turn {
	if fresh > 0 {
		t.stale = 0
		return goesOn
	}
	t.stale++
	switch {
	case t.end == RepeatedPage:
		return ends
	case t.stale == 1:
		return goesOn
	case t.end == EmptyPage:
		return fails
	}
	return seemsToEnd
}

// transactionsRequest names no partner bank: the documentation lists that header for all operations on a process but
// this one.
func transactionsRequest(ref providers.ConsentRef, page int) request {
	return request{Operation: opTransactions, Path: ofProcess(ref.ID), Query: url.Values{"page": {strconv.Itoa(page)}}}
}
