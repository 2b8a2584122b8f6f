package fimento

import (
	"context"
	"iter"
	"net/url"
	"strconv"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/optional"
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
			t.AccountID = known.of(text(t.AccountID))
			if !yield(t, nil) {
				return
			}
		}
	}
}

// listed reads the pages of transactions one by one. Which number the first page has, how many transactions it holds
// and what follows the last one is not documented: pages count from 1, and one that is empty is the end. A transaction
// that moves to the next page in the meantime still comes once. A page with nothing new is no end by itself: see
// turning.
func (a *adapter) listed(ctx context.Context, ref providers.ConsentRef) iter.Seq2[providers.Transaction, error] {
	return func(yield func(providers.Transaction, error) bool) {
		var seen map[string]struct{}
		pages := turning{end: a.cfg.TransactionsEnd}
		for page := 1; page <= maxPages; page++ {
			listed := transactionPage{dates: dates{market: marketOf(ref)}}
			if err := a.do(ctx, transactionsRequest(ref, page), &listed); err != nil {
				yield(providers.Transaction{}, err)
				return
			}
			if len(listed.found) == 0 {
				return
			}
			if seen == nil {
				seen = make(map[string]struct{}, len(listed.found))
			}
			before := len(seen)
			for _, t := range listed.found {
				if _, again := seen[t.ID]; again {
					continue
				}
				seen[t.ID] = struct{}{}
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
				yield(providers.Transaction{}, a.client.Refuse(ctx, opTransactions, nil, errRepeated))
				return
			}
		}
		yield(providers.Transaction{}, a.client.Refuse(ctx, opTransactions, nil, errEndless))
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

// transactionPage is a page of transactions, mapped while it was read. Their AccountID is Fimento's accountId still: to
// which account that belongs only the accounts tell, which are read when a page has come.
type transactionPage struct {
	dates dates
	given bool // the list
	found []providers.Transaction
	wrong error // what a transaction lacks
}

var readPage = jsonread.Members[transactionPage]{
	jsonread.At("transactions", func(d *decoder, p *transactionPage) error {
		p.given, p.found, p.wrong = true, nil, nil
		var w wireTransaction
		return jsonread.List(d, func(int) error {
			w = wireTransaction{}
			err := readTransaction(d, &w)
			if err == nil {
				p.add(&w)
			}
			return err
		})
	}),
}.Read

// UnmarshalJSONFrom reads the page.
func (p *transactionPage) UnmarshalJSONFrom(d *decoder) error { return readPage(d, p) }

// add maps a transaction. It must have an id and an amount: without an id nothing could be told from its repetition.
func (p *transactionPage) add(w *wireTransaction) {
	switch {
	case p.wrong != nil:
	case w.ID == "":
		p.wrong = missing("transactions._id")
	case w.Amount == nil:
		p.wrong = missing("transactions.amount")
	default:
		p.found = append(p.found, transactionOf(w, &p.dates))
	}
}

// check wants the list, which is empty after the last page, and whole transactions in it.
func (p *transactionPage) check() error {
	if !p.given {
		return missing("transactions")
	}
	return p.wrong
}

// wireTransaction is one transaction. cBankId is left out: it is an id of Fimento's own that nothing else refers to.
type wireTransaction struct {
	ID          text    `json:"_id"`
	Amount      *amount `json:"amount"`
	Date        text    `json:"date"`
	Description text    `json:"description"`
	AccountID   text    `json:"accountId"`
	Category    text    `json:"category"`
}

var readTransaction = jsonread.Members[wireTransaction]{
	jsonread.At("_id", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.ID) }),
	jsonread.At("amount", func(d *decoder, w *wireTransaction) error { return readAmount(d, &w.Amount) }),
	jsonread.At("date", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.Date) }),
	jsonread.At("description", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.Description) }),
	jsonread.At("accountId", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.AccountID) }),
	jsonread.At("category", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.Category) }),
}.Read

// transactionOf maps one transaction, but for the account that it is on. Its amount must be there.
func transactionOf(t *wireTransaction, dates *dates) providers.Transaction {
	purpose := purposeOf(t.Category, t.Amount)
	return providers.Transaction{
		ID:        string(t.ID),
		AccountID: string(t.AccountID),
		Transaction: &bankingv1.Transaction{
			Status:                bankingv1.Transaction_BOOKED,
			Amount:                t.Amount.money(dates.market),
			BookingDate:           optional.Of(dates.of(t.Date)),
			RemittanceInformation: told(t.Description),
			Category:              optional.Of(purpose.Category),
			Subcategory:           optional.Of(purpose.Subcategory),
			ProviderCategory:      told(t.Category),
		},
	}
}

func purposeOf(label text, a *amount) providers.Purpose {
	return providers.PurposeOf(string(label), a == nil || a.Sign() >= 0)
}
