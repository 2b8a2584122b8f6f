package banking_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
)

// ledger has two accounts with a transaction each, and gives both whatever it is asked for.
type ledger struct{ asked []providers.Query }

func (l *ledger) ListAccounts(context.Context, providers.ConsentRef) ([]providers.Account, error) {
	return []providers.Account{
		{ID: "a", Account: &bankingv1.Account{}},
		{ID: "b", Account: &bankingv1.Account{}},
	}, nil
}

func (l *ledger) Transactions(
	_ context.Context, _ providers.ConsentRef, query providers.Query,
) iter.Seq2[providers.Transaction, error] {
	l.asked = append(l.asked, query)
	return func(yield func(providers.Transaction, error) bool) {
		for _, account := range []string{"a", "b"} {
			t := providers.Transaction{
				ID:          "t",
				AccountID:   account,
				Transaction: &bankingv1.Transaction{BookingDate: optional.Of("2026-02-03")},
			}
			if !yield(t, nil) {
				return
			}
		}
	}
}

// What a caller wants is passed on to the provider, as far as it heeds it, and what comes back is narrowed all the
// same.
func TestReadsAreNarrowedAtTheProvider(t *testing.T) {
	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprint(single), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bank := &ledger{}
				p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
					p.Accounts, p.ReadsOneAccount = bank, single
					p.Capabilities["ListTransactions"] = providers.Support{Level: providers.Native}
				})
				row := p.Create(t)
				p.Report(providers.ConsentState{Observations: []providers.Observation{
					{
						Key:  "a",
						Type: consentv1.ConsentEvent_APPROVED,
					}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
				}}, nil)
				assemblytest.Pass(10 * time.Second)
				list := func(parent string) ([]*bankingv1.Transaction, error) {
					resp, err := p.Servers.Banking.ListTransactions(p.Ctx, &bankingv1.ListTransactionsRequest{
						Parent: parent, DateFrom: "2026-02-01", DateTo: "2026-02-28",
					})
					return resp.GetTransactions(), err
				}
				account := p.Reads.Names.Account(row.Tenant, row.ID, "b")
				got, err := list(account)
				if err != nil || len(got) != 1 || got[0].GetAccount() != account {
					t.Errorf("%v, %v", got, err)
				}
				want := providers.Query{From: "2026-02-01", To: "2026-02-28"}
				if single {
					want.AccountID = "b"
				}
				if len(bank.asked) != 1 || bank.asked[0] != want {
					t.Errorf("asked for %+v, want %+v", bank.asked, want)
				}
				if got, err = list(strings.TrimSuffix(account, service.LastSegment(account)) + "-"); err != nil ||
					len(got) != 2 {
					t.Errorf("all accounts: %v, %v", got, err)
				}
				if last := bank.asked[len(bank.asked)-1]; last.AccountID != "" {
					t.Errorf("all accounts are asked for as %+v", last)
				}
				before := len(bank.asked)
				if _, err := list(account + "x"); kerr.Reason(err) != errorv1.Error_ACCOUNT_NOT_FOUND {
					t.Errorf("no such account: %v", err)
				}
				if single && len(bank.asked) != before {
					t.Error("transactions of an account that is not there were asked for")
				}
			})
		})
	}
}
