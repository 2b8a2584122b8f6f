package e2e

import (
	"context"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// withPerson makes a consent of a person of the population.
func (w *world) withPerson(t *testing.T, c *client, provider, nationalID string) *consentv1.Consent {
	t.Helper()
	consent := w.createConsent(t, c, provider, func(r *consentv1.CreateConsentRequest) {
		if worldtest.Of(provider).TakesPsu {
			r.Psu = &consentv1.Psu{NationalId: nationalID}
		}
	})
	w.secret(nationalID, "a national id")
	if show := providers.Of(provider).showPerson; show != nil {
		show(t, w, consent, w.core(provider).Population.ByNationalID(nationalID))
	}
	w.approve(t, c, consent)
	return ready(t, c, consent.GetName())
}

// owned is what a person has at a provider, as far as the provider shows it.
func (w *world) owned(provider, nationalID string) (balances, movements []string) {
	population := w.core(provider).Population
	for _, login := range providers.Of(provider).logins(population, population.ByNationalID(nationalID)) {
		for _, account := range login.Accounts {
			balances = append(balances, line(account.Number, account.Currency, account.Balance))
			for _, t := range account.Transactions {
				status := "BOOKED"
				if !t.Booked {
					status = "PENDING"
				}
				if providers.Of(provider).pending || t.Booked {
					movements = append(movements, line(
						account.Number, account.Currency, plain(t.Amount), t.Date.Format(time.DateOnly),
						t.Description, status,
					))
				}
			}
		}
	}
	slices.Sort(balances)
	slices.Sort(movements)
	return balances, movements
}

func line(parts ...string) string { return strings.Join(parts, " | ") }

// plain is plain notation. The population has one amount that is written otherwise.
func plain(literal string) string {
	if literal == "1e3" {
		return "1000"
	}
	return literal
}

// TestEverythingArrives: each transaction that a person has arrives once, on the right account and day, with every
// digit of its amount, and so do the balances. The exact-amount person has what floating point would spoil.
func TestEverythingArrives(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, provider := range worldtest.Providers() {
		for _, person := range []string{sandbox.ExactNationalID, sandbox.GoodNationalID, sandbox.BadNationalID} {
			t.Run(provider+"/"+person, func(t *testing.T) {
				t.Parallel()
				c := w.client(t, lending)
				consent := w.withPerson(t, c, provider, person)
				balances, movements := w.owned(provider, person)
				numbers := map[string]string{}
				var gotBalances []string
				for _, account := range must(c.Banking.ListAccounts(
					t.Context(), &bankingv1.ListAccountsRequest{Parent: consent.GetName()},
				))(t).GetAccounts() {
					numbers[account.GetName()] = account.GetAccountNumber()
					gotBalances = append(gotBalances, line(
						account.GetAccountNumber(), account.GetBalance().GetCurrencyCode(),
						account.GetBalance().GetValue(),
					))
				}
				slices.Sort(gotBalances)
				wantLines(t, "balances", gotBalances, balances)
				streamed := streamAll(t, c, consent.GetName())
				wantLines(t, "movements", linesOf(streamed, numbers), movements)
				names := map[string]bool{}
				for _, transaction := range streamed {
					names[transaction.GetName()] = true
				}
				if len(names) != len(streamed) {
					t.Errorf("%d transactions have %d names", len(streamed), len(names))
				}
				var paged []*bankingv1.Transaction
				for token := ""; ; {
					page := must(c.Banking.ListTransactions(t.Context(), &bankingv1.ListTransactionsRequest{
						Parent: consent.GetName() + "/accounts/-", PageSize: 300, PageToken: token,
					}))(t)
					paged = append(paged, page.GetTransactions()...)
					if token = page.GetNextPageToken(); token == "" {
						break
					}
				}
				if len(paged) != len(streamed) {
					t.Fatalf("the pages have %d transactions, the stream has %d", len(paged), len(streamed))
				}
				newest := slices.Clone(streamed)
				slices.SortStableFunc(newest, newestFirst)
				for i := range paged {
					wantSame(t, "a transaction of the pages", paged[i], newest[i])
				}
				w.wantSums(t, c, consent, streamed)
			})
		}
	}
}

func linesOf(transactions []*bankingv1.Transaction, numbers map[string]string) []string {
	all := make([]string, len(transactions))
	for i, t := range transactions {
		all[i] = line(numbers[t.GetAccount()],
			t.GetAmount().GetCurrencyCode(), t.GetAmount().GetValue(), t.GetBookingDate(),
			t.GetRemittanceInformation(), t.GetStatus().String())
	}
	slices.Sort(all)
	return all
}

func wantLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(want) == 0 {
		t.Fatalf("the person has no %s", what)
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got) || i >= len(want):
			t.Fatalf("got %d %s, want %d", len(got), what, len(want))
		case got[i] != want[i]:
			t.Fatalf("%s differ:\n got %s\nwant %s", what, got[i], want[i])
		}
	}
}

// streamAll reads all transactions under a consent.
func streamAll(t *testing.T, c *client, consent string) []*bankingv1.Transaction {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream := must(c.Banking.StreamTransactions(ctx, &bankingv1.StreamTransactionsRequest{Parent: consent}))(t)
	var all []*bankingv1.Transaction
	for {
		message, err := stream.Recv()
		if err != nil {
			t.Fatal(failed(err))
		}
		switch message.GetKind() {
		case bankingv1.StreamTransactionsResponse_TRANSACTION:
			all = append(all, message.GetTransaction())
		case bankingv1.StreamTransactionsResponse_END:
			if got := int(message.GetCount()); got != len(all) {
				t.Errorf("the end counts %d transactions, %d came", got, len(all))
			}
			return all
		default:
		}
	}
}

// wantSums holds the insights against the transactions: not a cent is lost in any sum.
func (w *world) wantSums(t *testing.T, c *client, consent *consentv1.Consent, transactions []*bankingv1.Transaction) {
	t.Helper()
	insights := must(c.Insights.GetInsights(t.Context(), &insightsv1.GetInsightsRequest{
		Name: consent.GetName() + "/insights",
	}))(t)
	want := map[string]*big.Rat{"income": new(big.Rat), "expense": new(big.Rat)}
	count := 0
	for _, transaction := range transactions {
		if transaction.GetStatus() != bankingv1.Transaction_BOOKED {
			continue
		}
		count++
		if amount := rat(t, transaction.GetAmount()); amount.Sign() < 0 {
			want["expense"].Add(want["expense"], amount)
		} else {
			want["income"].Add(want["income"], amount)
		}
	}
	byDay := map[string]*big.Rat{"income": new(big.Rat), "expense": new(big.Rat)}
	byCategory := map[string]*big.Rat{"income": new(big.Rat), "expense": new(big.Rat)}
	entries, counted := 0, 0
	for _, movement := range insights.GetMovements() {
		byDay["income"].Add(byDay["income"], rat(t, movement.GetIncome()))
		byDay["expense"].Add(byDay["expense"], rat(t, movement.GetExpense()))
		entries += len(movement.GetEntries())
	}
	for _, category := range insights.GetCategories() {
		byCategory["income"].Add(byCategory["income"], rat(t, category.GetIncome()))
		byCategory["expense"].Add(byCategory["expense"], rat(t, category.GetExpense()))
		counted += int(category.GetTransactionCount())
	}
	for side := range want {
		if want[side].Cmp(byDay[side]) != 0 || want[side].Cmp(byCategory[side]) != 0 {
			t.Errorf("%s: the transactions add up to %s, the days to %s, the categories to %s",
				side, want[side].FloatString(2), byDay[side].FloatString(2),
				byCategory[side].FloatString(2))
		}
	}
	if entries != count || counted != count {
		t.Errorf("%d booked transactions are %d entries and %d counted by category", count, entries, counted)
	}
	total := new(big.Rat)
	for _, account := range insights.GetAccounts() {
		total.Add(total, rat(t, account.GetBalance()))
	}
	if len(insights.GetTotalBalances()) != 1 || rat(t, insights.GetTotalBalances()[0]).Cmp(total) != 0 {
		t.Errorf("the balances add up to %s, the total is %v", total.FloatString(2), insights.GetTotalBalances())
	}
	if last := insights.GetMovements()[len(insights.GetMovements())-1].GetBalance(); rat(t, last).Cmp(total) != 0 {
		t.Errorf("the last day ends with %v, the accounts have %s", last, total.FloatString(2))
	}
}

func rat(t *testing.T, m *typev1.Money) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(m.GetValue())
	if !ok || !decimalPattern.MatchString(m.GetValue()) {
		t.Fatalf("%q is not a decimal in plain notation", m.GetValue())
	}
	return r
}

// TestExactAmounts: the exact-amount person's literals come out as decimals in plain notation, over both transports,
// with scale and sign.
func TestExactAmounts(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, provider := range worldtest.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			c := w.client(t, lending)
			consent := w.withPerson(t, c, provider, sandbox.ExactNationalID)
			status, body := c.rest(
				t, http.MethodGet, "/v1/"+consent.GetName()+"/accounts/-/transactions?pageSize=1000", nil, nil,
			)
			if status != http.StatusOK {
				t.Fatalf("got %d %v", status, body)
			}
			found := map[any]bool{}
			for _, transaction := range body["transactions"].([]any) {
				found[transaction.(object)["amount"].(object)["value"]] = true
			}
			for _, want := range []string{"0.1", "1000", "12345678901234.56", "-0.00"} {
				if !found[want] {
					t.Errorf("there is no amount of %s, but %v", want, found)
				}
			}
		})
	}
}

// TestImportedAmounts: what a caller brings along can be read back digit by digit.
func TestImportedAmounts(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	amounts := []string{
		"0.1", "1000", "12345678901234.56", "-0.00", "-0.000000000000000001", "99999999999999999999999999999999.99",
		"0",
	}
	account := object{"id": "a", "balance": object{"value": "-99999999999999999999.01", "currencyCode": "EUR"}}
	var transactions []any
	for i, amount := range amounts {
		transactions = append(transactions, object{"id": itoa(int32(i)), "transaction": object{
			"amount": object{"value": amount, "currencyCode": "EUR"}, "bookingDate": "2026-03-29",
			"remittanceInformation": amount,
		}})
	}
	account["transactions"] = transactions
	for _, transport := range transports {
		customer := w.createCustomer(
			t, c, customerv1.Customer_PERSON, customerv1.Product_BANKING, customerv1.Product_IMPORT,
		)
		method := methods()["kontor.banking.v1.BankingService/ImportConnections"]
		got, err := c.call(t.Context(), transport, method, object{
			"name":        customer.GetName(),
			"connections": []any{object{"id": "l", "bank": object{"displayName": "B"}, "accounts": []any{account}}},
		}, nil, 0)
		if err != nil || got.failure != nil {
			t.Fatal(err, got.failure)
		}
		name := got.messages[0].(*bankingv1.ImportConnectionsResponse).GetConsent().GetName()
		for i, transaction := range streamAll(t, c, name) {
			if transaction.GetAmount().GetValue() != amounts[i] || transaction.GetBookingDate() != "2026-03-29" {
				t.Errorf("%s: brought %s, read back %v", transport, amounts[i], transaction)
			}
		}
		listed := must(c.Banking.ListAccounts(
			t.Context(), &bankingv1.ListAccountsRequest{Parent: name},
		))(t).GetAccounts()
		if len(listed) != 1 || listed[0].GetBalance().GetValue() != "-99999999999999999999.01" {
			t.Errorf("%s: the accounts are %v", transport, listed)
		}
	}
}
