package banking_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// ledger is a provider with two accounts, and what is on them. It gives all whatever it is asked for.
type ledger struct {
	transactions []providers.Transaction
	asked        []providers.Query
	// pause is how long it takes for each transaction.
	pause time.Duration
}

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
		for _, t := range l.transactions {
			time.Sleep(l.pause)
			t.Transaction = &bankingv1.Transaction{
				BookingDate: t.BookingDate, ValueDate: t.ValueDate, Status: t.Status,
				RemittanceInformation: optional.Of(t.ID),
			}
			if !yield(t, nil) {
				return
			}
		}
	}
}

// revocable are consents that can be revoked.
type revocable struct{ providers.Consents }

func (revocable) RevokeConsent(context.Context, providers.ConsentRef) error { return nil }

// entry is a transaction on an account; without a date where that is "".
func entry(account, id, date string) providers.Transaction {
	return providers.Transaction{ID: id, AccountID: account, Transaction: &bankingv1.Transaction{
		BookingDate: optional.Of(date), Status: bankingv1.Transaction_BOOKED,
	}}
}

// read gives services before a ledger, and a consent under which it can be read.
func read(t *testing.T, l *ledger, changes ...func(*assembly.Options, *providers.Provider)) (
	*assemblytest.Gateway, *store.Consent,
) {
	t.Helper()
	p := assemblytest.New(t, append(changes, func(_ *assembly.Options, p *providers.Provider) {
		p.Accounts, p.Consents = l, revocable{p.Consents}
		for _, capability := range []providers.Capability{"ListTransactions", "StreamTransactions", "RevokeConsent"} {
			p.Capabilities[capability] = providers.Support{Level: providers.Native}
		}
	})...)
	row := p.Create(t)
	p.Report(approved(), nil)
	assemblytest.Pass(10 * time.Second)
	return p, row
}

// approved is a consent whose data is there.
func approved() providers.ConsentState {
	return providers.ConsentState{Observations: []providers.Observation{
		{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
	}}
}

// everything names all transactions under a consent.
func everything(row *store.Consent) string { return row.Resource.GetName() + "/accounts/-" }

// list gives the remittance information, which is the provider's id, of a page.
func list(ctx context.Context, p *assemblytest.Gateway, req *bankingv1.ListTransactionsRequest) (
	ids []string, next string, err error,
) {
	resp, err := p.Servers.Banking.ListTransactions(ctx, req)
	for _, t := range resp.GetTransactions() {
		ids = append(ids, t.GetRemittanceInformation())
	}
	return ids, resp.GetNextPageToken(), err
}

// What a caller wants is passed on to the provider, as far as it heeds it, and what comes back is narrowed all the
// same.
func TestReadsAreNarrowedAtTheProvider(t *testing.T) {
	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprint(single), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{transactions: []providers.Transaction{
					entry("a", "t", "2026-02-03"), entry("b", "t", "2026-02-03"),
				}}
				p, row := read(t, l, func(_ *assembly.Options, p *providers.Provider) { p.ReadsOneAccount = single })
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
				if len(l.asked) != 1 || l.asked[0] != want {
					t.Errorf("asked for %+v, want %+v", l.asked, want)
				}
				if got, err = list(strings.TrimSuffix(account, service.LastSegment(account)) + "-"); err != nil ||
					len(got) != 2 {
					t.Errorf("all accounts: %v, %v", got, err)
				}
				if last := l.asked[len(l.asked)-1]; last.AccountID != "" {
					t.Errorf("all accounts are asked for as %+v", last)
				}
				before := len(l.asked)
				if _, err := list(account + "x"); kerr.Reason(err) != errorv1.Error_ACCOUNT_NOT_FOUND {
					t.Errorf("no such account: %v", err)
				}
				if single && len(l.asked) != before {
					t.Error("transactions of an account that is not there were asked for")
				}
			})
		})
	}
}

// A listing is one read for each process that serves a page of it, newest first, and no page repeats or skips.
func TestPagesAreOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, size = 10_000, 100
		l := &ledger{}
		day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range count { // oldest first, seven a day, some of which are pending
			t := entry("a", fmt.Sprint(i), day.AddDate(0, 0, i/7).Format(time.DateOnly))
			if i > count-20 && i%2 == 0 {
				t.Status = bankingv1.Transaction_PENDING
			}
			l.transactions = append(l.transactions, t)
		}
		p, row := read(t, l)
		other := p.Beside(t)
		for what, at := range map[string]struct {
			processes []*assemblytest.Gateway
			reads     int
		}{"one process": {[]*assemblytest.Gateway{p}, 1}, "two": {[]*assemblytest.Gateway{p, other}, 2}} {
			l.asked = nil
			var all []*bankingv1.Transaction
			req := &bankingv1.ListTransactionsRequest{Parent: everything(row), PageSize: size}
			pages := 0
			for ; pages == 0 || req.GetPageToken() != ""; pages++ {
				resp, err := at.processes[pages%len(at.processes)].Servers.Banking.ListTransactions(p.Ctx, req)
				if err != nil {
					t.Fatal(err)
				}
				if !resp.GetComplete() || resp.GetReadTime() == nil {
					t.Errorf("complete %t, read %v", resp.GetComplete(), resp.GetReadTime())
				}
				all = append(all, resp.GetTransactions()...)
				req.PageToken = resp.GetNextPageToken()
				time.Sleep(10 * time.Second)
			}
			if pages != count/size || len(l.asked) != at.reads {
				t.Errorf("%s: %d pages are %d reads", what, pages, len(l.asked))
			}
			seen := map[string]bool{}
			for _, t := range all {
				seen[t.GetName()] = true
			}
			if len(all) != count || len(seen) != count {
				t.Errorf("%s: %d transactions, %d different ones", what, len(all), len(seen))
			}
			if !slices.IsSortedFunc(all, func(a, b *bankingv1.Transaction) int {
				if a.GetStatus() != b.GetStatus() {
					return int(b.GetStatus() - a.GetStatus()) // pending first
				}
				return strings.Compare(b.GetBookingDate(), a.GetBookingDate())
			}) {
				t.Errorf("%s: they are not in order", what)
			}
		}
	})
}

// Between two pages transactions come and go. When the listing is no longer held, it is read anew.
func TestPagesGoOnBehindTheLastSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{transactions: []providers.Transaction{
			entry("a", "1", "2026-02-01"), entry("a", "2", "2026-02-02"), entry("a", "3", "2026-02-03"),
			entry("a", "4", "2026-02-04"),
		}}
		p, row := read(t, l)
		first, token, err := list(p.Ctx, p, &bankingv1.ListTransactionsRequest{Parent: everything(row), PageSize: 2})
		if err != nil || !slices.Equal(first, []string{"4", "3"}) {
			t.Fatal(first, err)
		}
		second := func() ([]string, error) {
			ids, _, err := list(p.Ctx, p, &bankingv1.ListTransactionsRequest{
				Parent: everything(row), PageSize: 2, PageToken: token,
			})
			return ids, err
		}
		want := []string{"2", "1"}
		l.transactions = append(l.transactions, entry("a", "5", "2026-02-05"))
		if got, err := second(); err != nil || !slices.Equal(got, want) || len(l.asked) != 1 {
			t.Errorf("while it is held: %v, %v, %d reads", got, err, len(l.asked))
		}
		assemblytest.Pass(10 * time.Minute)
		if p.Reads.Held.Bytes() != 0 {
			t.Error("it is still held")
		}
		if got, err := second(); err != nil || !slices.Equal(got, want) || len(l.asked) != 2 {
			t.Errorf("when it is held no longer: %v, %v, %d reads", got, err, len(l.asked))
		}
		assemblytest.Pass(10 * time.Minute)
		l.transactions = slices.DeleteFunc(l.transactions, func(t providers.Transaction) bool { return t.ID == "3" })
		if _, err := second(); kerr.Reason(err) != errorv1.Error_PAGE_TOKEN_EXPIRED {
			t.Errorf("when the last seen is gone: %v", err)
		}
	})
}

// A held listing is read under the consent as it stands, and goes with it.
func TestListingsGoWithTheConsent(t *testing.T) {
	for what, end := range map[string]func(*testing.T, *assemblytest.Gateway, *store.Consent) errorv1.Error_Reason{
		"withdrawn at the bank": func(t *testing.T, p *assemblytest.Gateway, row *store.Consent) errorv1.Error_Reason {
			state := approved()
			state.Observations = append(state.Observations,
				providers.Observation{Key: "r", Type: consentv1.ConsentEvent_REVOKED, Time: time.Now()})
			p.Report(state, nil)
			_, err := p.Servers.Consent.GetConsent(p.Ctx, &consentv1.GetConsentRequest{
				Name: row.Resource.GetName(), Refresh: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			return errorv1.Error_CONSENT_REVOKED
		},
		"revoked": func(t *testing.T, p *assemblytest.Gateway, row *store.Consent) errorv1.Error_Reason {
			_, err := p.Servers.Consent.RevokeConsent(p.Ctx, &consentv1.RevokeConsentRequest{
				Name: row.Resource.GetName(),
			})
			if err != nil {
				t.Fatal(err)
			}
			return errorv1.Error_CONSENT_REVOKED
		},
		"deleted": func(t *testing.T, p *assemblytest.Gateway, row *store.Consent) errorv1.Error_Reason {
			_, err := p.Servers.Consent.DeleteConsent(p.Ctx, &consentv1.DeleteConsentRequest{
				Name: row.Resource.GetName(),
			})
			if err != nil {
				t.Fatal(err)
			}
			return errorv1.Error_CONSENT_NOT_FOUND
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{transactions: []providers.Transaction{
					entry("a", "1", "2026-02-01"), entry("a", "2", "2026-02-02"),
				}}
				p, row := read(t, l)
				req := &bankingv1.ListTransactionsRequest{Parent: everything(row), PageSize: 1}
				_, token, err := list(p.Ctx, p, req)
				if err != nil || p.Reads.Held.Bytes() == 0 {
					t.Fatal("nothing is held", err)
				}
				want := end(t, p, row)
				if p.Reads.Held.Bytes() != 0 {
					t.Error("it is still held")
				}
				req.PageToken = token
				if _, _, err := list(p.Ctx, p, req); kerr.Reason(err) != want {
					t.Errorf("the next page gives %v, want %v", err, want)
				}
				if len(l.asked) != 1 {
					t.Errorf("%d reads", len(l.asked))
				}
			})
		})
	}
}

// A token is good for the tenant, client and query that it was given to.
func TestPageTokensAreBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{transactions: []providers.Transaction{
			entry("a", "1", "2026-02-01"), entry("a", "2", "2026-02-02"), entry("b", "3", "2026-02-03"),
		}}
		p, row := read(t, l)
		req := func(change func(*bankingv1.ListTransactionsRequest)) *bankingv1.ListTransactionsRequest {
			req := &bankingv1.ListTransactionsRequest{Parent: everything(row), PageSize: 1, DateFrom: "2026-01-01"}
			change(req)
			return req
		}
		_, token, err := list(p.Ctx, p, req(func(*bankingv1.ListTransactionsRequest) {}))
		if err != nil || token == "" {
			t.Fatal(err)
		}
		accounts, err := p.Servers.Banking.ListAccounts(p.Ctx, &bankingv1.ListAccountsRequest{
			Parent: row.Resource.GetName(), PageSize: 1,
		})
		if err != nil || accounts.GetNextPageToken() == "" {
			t.Fatal(err)
		}
		colleague := identity.With(p.Ctx, identity.Identity{ClientID: "other", Tenant: "default", Scopes: []string{"*"}})
		reads := len(l.asked)
		for what, try := range map[string]struct {
			ctx context.Context //nolint:containedctx // of the client that calls
			req *bankingv1.ListTransactionsRequest
		}{
			"another client": {colleague, req(func(r *bankingv1.ListTransactionsRequest) { r.PageToken = token })},
			"another date": {p.Ctx, req(func(r *bankingv1.ListTransactionsRequest) {
				r.PageToken, r.DateFrom = token, "2026-01-02"
			})},
			"another status": {p.Ctx, req(func(r *bankingv1.ListTransactionsRequest) {
				r.PageToken, r.Status = token, bankingv1.Transaction_BOOKED
			})},
			"another account": {p.Ctx, req(func(r *bankingv1.ListTransactionsRequest) {
				r.PageToken, r.Parent = token, accounts.GetAccounts()[0].GetName()
			})},
			"another list": {p.Ctx, req(func(r *bankingv1.ListTransactionsRequest) {
				r.PageToken = accounts.GetNextPageToken()
			})},
			"a broken one": {p.Ctx, req(func(r *bankingv1.ListTransactionsRequest) { r.PageToken = token[1:] })},
		} {
			_, _, err := list(try.ctx, p, try.req)
			if kerr.Reason(err) != errorv1.Error_INVALID_FIELD || !strings.Contains(fmt.Sprint(err), "pageToken") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if len(l.asked) != reads {
			t.Error("the provider was asked")
		}
		if got, _, err := list(p.Ctx, p, req(func(r *bankingv1.ListTransactionsRequest) {
			r.PageToken, r.PageSize = token, 10 // a page may have another size than the one before
		})); err != nil || !slices.Equal(got, []string{"2", "1"}) {
			t.Errorf("its own: %v, %v", got, err)
		}
	})
}

// Only days of the calendar are dates. What the bank has not booked counts by its value date, and is always there
// without one.
func TestDates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pending := func(id, date string) providers.Transaction {
			t := entry("a", id, "")
			t.Status, t.ValueDate = bankingv1.Transaction_PENDING, optional.Of(date)
			return t
		}
		l := &ledger{transactions: []providers.Transaction{
			entry("a", "january", "2026-01-15"), entry("a", "march", "2026-03-15"), pending("undated", ""),
			pending("valued", "2026-02-10"), entry("a", "february", "2026-02-28"),
		}}
		p, row := read(t, l)
		for _, c := range []struct {
			from, to string
			want     []string
		}{
			{"", "", []string{"undated", "valued", "march", "february", "january"}},
			{"2026-02-01", "2026-02-28", []string{"undated", "valued", "february"}},
			{"2026-03-01", "", []string{"undated", "march"}},
			{"", "2026-01-31", []string{"undated", "january"}},
			{"2024-02-29", "2024-02-29", []string{"undated"}},
		} {
			got, _, err := list(p.Ctx, p, &bankingv1.ListTransactionsRequest{
				Parent: everything(row), DateFrom: c.from, DateTo: c.to,
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("from %q to %q: %v, %v, want %v", c.from, c.to, got, err, c.want)
			}
		}
		reads := len(l.asked)
		for _, c := range []struct{ from, to, field string }{
			{"2026-13-45", "", "dateFrom"},
			{"2024-02-31", "", "dateFrom"},
			{"2026-02-29", "2026-03-01", "dateFrom"},
			{"", "2026-00-10", "dateTo"},
			{"2026-02-02", "2026-02-01", "dateFrom"},
		} {
			_, _, err := list(p.Ctx, p, &bankingv1.ListTransactionsRequest{
				Parent: everything(row), DateFrom: c.from, DateTo: c.to,
			})
			streamed := p.Servers.Banking.StreamTransactions(&bankingv1.StreamTransactionsRequest{
				Parent: row.Resource.GetName(), DateFrom: c.from, DateTo: c.to,
			}, &stream{ctx: p.Ctx})
			for _, err := range []error{err, streamed} {
				if kerr.Reason(err) != errorv1.Error_INVALID_FIELD || !strings.Contains(fmt.Sprint(err), c.field) {
					t.Errorf("from %q to %q: %v", c.from, c.to, err)
				}
			}
		}
		if len(l.asked) != reads {
			t.Error("the provider was asked")
		}
	})
}

// Where a transaction is on no account that is known, one account cannot be read.
func TestTransactionsOfNoAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{transactions: []providers.Transaction{entry("a", "1", "2026-02-02"), entry("", "2", "2026-02-01")}}
		p, row := read(t, l)
		resp, err := p.Servers.Banking.ListTransactions(p.Ctx, &bankingv1.ListTransactionsRequest{
			Parent: everything(row),
		})
		if err != nil || len(resp.GetTransactions()) != 2 {
			t.Fatal(resp, err)
		}
		one, other := resp.GetTransactions()[0], resp.GetTransactions()[1]
		account := p.Reads.Names.Account(row.Tenant, row.ID, "a")
		if one.GetAccount() != account || !strings.HasPrefix(one.GetName(), account+"/transactions/") {
			t.Errorf("of an account: %v", one)
		}
		if other.Account != nil || !strings.HasPrefix(other.GetName(), everything(row)+"/transactions/") {
			t.Errorf("of none: %v", other)
		}
		for parent, want := range map[string]errorv1.Error_Reason{
			account:       errorv1.Error_TRANSACTIONS_NOT_ATTRIBUTABLE,
			account + "x": errorv1.Error_ACCOUNT_NOT_FOUND,
		} {
			// Also where the date would keep it out: what is asked for may be empty for another reason.
			_, _, err := list(p.Ctx, p, &bankingv1.ListTransactionsRequest{Parent: parent, DateFrom: "2026-03-01"})
			if kerr.Reason(err) != want {
				t.Errorf("%s: %v, want %v", parent, err, want)
			}
		}
		l.transactions = l.transactions[:1]
		got, _, err := list(p.Ctx, p, &bankingv1.ListTransactionsRequest{Parent: account})
		if err != nil || !slices.Equal(got, []string{"1"}) {
			t.Errorf("when all are told: %v, %v", got, err)
		}
	})
}

// stream takes what is streamed.
type stream struct {
	grpc.ServerStream

	ctx  context.Context //nolint:containedctx // of the stream
	sent []*bankingv1.StreamTransactionsResponse
	at   []time.Time
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) Send(m *bankingv1.StreamTransactionsResponse) error {
	s.sent, s.at = append(s.sent, m), append(s.at, time.Now())
	return nil
}

// A stream is in the provider's order, says that it lives while the provider is slow, and is whole with END alone.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{pause: 40 * time.Second, transactions: []providers.Transaction{
			entry("a", "1", "2026-02-01"), entry("a", "2", "2026-02-02"), entry("", "3", "2026-01-01"),
		}}
		p, row := read(t, l)
		var s stream
		s.ctx = p.Ctx
		began := time.Now()
		err := p.Servers.Banking.StreamTransactions(&bankingv1.StreamTransactionsRequest{
			Parent: row.Resource.GetName(), DateFrom: "2026-02-01",
		}, &s)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		last := began
		for i, m := range s.sent {
			got = append(got, m.GetKind().String()+m.GetTransaction().GetRemittanceInformation())
			if silence := s.at[i].Sub(last); silence > 15*time.Second {
				t.Errorf("message %d comes after %v", i, silence)
			}
			last = s.at[i]
		}
		want := "HEARTBEAT HEARTBEAT TRANSACTION1 HEARTBEAT HEARTBEAT TRANSACTION2 HEARTBEAT HEARTBEAT END"
		if strings.Join(got, " ") != want {
			t.Errorf("got %v", got)
		}
		end := s.sent[len(s.sent)-1]
		if end.GetCount() != 2 || !end.GetComplete() || !end.GetReadTime().AsTime().Equal(began) {
			t.Errorf("the end is %v", end)
		}
		if p.Reads.Held.Bytes() != 0 {
			t.Error("a stream is held")
		}
	})
}

// While a bank's data is still coming, answers say that they are not complete.
func TestAnswersSayWhetherTheyAreComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{transactions: []providers.Transaction{entry("a", "1", "2026-02-01")}}
		p, row := read(t, l)
		state := approved()
		for i, kind := range []consentv1.ConsentEvent_Type{
			consentv1.ConsentEvent_BANK_SELECTED, consentv1.ConsentEvent_BANK_AUTHORIZED,
			consentv1.ConsentEvent_FETCH_STARTED, consentv1.ConsentEvent_FETCH_COMPLETED,
		} {
			state.Observations = append(state.Observations, providers.Observation{
				Key: fmt.Sprint("bank", i), Type: kind, ConnectionID: "second", Time: time.Now(),
			})
			p.Report(state, nil)
			if _, err := p.Servers.Consent.GetConsent(p.Ctx, &consentv1.GetConsentRequest{
				Name: row.Resource.GetName(), Refresh: true,
			}); err != nil {
				t.Fatal(err)
			}
			// Before the customer authenticated there, and when all is there.
			want := kind == consentv1.ConsentEvent_BANK_SELECTED || kind == consentv1.ConsentEvent_FETCH_COMPLETED
			transactions, err := p.Servers.Banking.ListTransactions(p.Ctx, &bankingv1.ListTransactionsRequest{
				Parent: everything(row),
			})
			if err != nil {
				t.Fatal(err)
			}
			accounts, err := p.Servers.Banking.ListAccounts(p.Ctx, &bankingv1.ListAccountsRequest{
				Parent: row.Resource.GetName(),
			})
			if err != nil {
				t.Fatal(err)
			}
			s := stream{ctx: p.Ctx}
			if err := p.Servers.Banking.StreamTransactions(&bankingv1.StreamTransactionsRequest{
				Parent: row.Resource.GetName(),
			}, &s); err != nil {
				t.Fatal(err)
			}
			end := s.sent[len(s.sent)-1]
			if transactions.GetComplete() != want || accounts.GetComplete() != want || end.GetComplete() != want {
				t.Errorf("after %v: %t, %t, %t, want %t", kind, transactions.GetComplete(), accounts.GetComplete(),
					end.GetComplete(), want)
			}
		}
	})
}
