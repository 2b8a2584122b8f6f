package providertest

import (
	"regexp"
	"testing"
	"time"

	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/providers"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var isoDate = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

func wantMoney(t *testing.T, what string, m *typev1.Money) {
	t.Helper()
	if _, err := money.Parse(m.GetValue()); err != nil || len(m.GetCurrencyCode()) != 3 {
		t.Errorf("%s is %v", what, m)
	}
}

func (h Harness) accounts(t *testing.T, ref providers.ConsentRef) map[string]providers.Account {
	t.Helper()
	accounts, err := h.Provider.Accounts.ListAccounts(call(t), ref)
	if err != nil {
		t.Fatalf("list accounts: %v", err)
	}
	byID := make(map[string]providers.Account)
	for _, a := range accounts {
		if _, twice := byID[a.ID]; twice || a.ID == "" {
			t.Errorf("the account id %q is empty or there twice", a.ID)
		}
		byID[a.ID] = a
	}
	return byID
}

func testAccounts(t *testing.T, h Harness) {
	ref := h.approved(t)
	first, second := h.accounts(t, ref), h.accounts(t, ref)
	if len(first) < 3 {
		t.Fatalf("%d accounts", len(first))
	}
	for id, a := range first {
		if _, ok := second[id]; !ok {
			t.Errorf("account %s has another id when read again", id)
		}
		wantMoney(t, "a balance", a.GetBalance())
		if a.Name != "" || a.Connection != "" {
			t.Errorf("account %s has a name: names are the service's", id)
		}
		if a.GetType() == 0 || a.GetCurrencyCode() == "" {
			t.Errorf("account %s has type %s, currency %q", id, a.GetType(), a.GetCurrencyCode())
		}
	}
}

func testTransactions(t *testing.T, h Harness) {
	ref := h.approved(t)
	accounts := h.accounts(t, ref)
	seen := make(map[[2]string]bool)
	for tx, err := range h.Provider.Accounts.Transactions(call(t), ref, providers.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		key := [2]string{tx.AccountID, tx.ID}
		if seen[key] || tx.ID == "" {
			t.Fatalf("transaction %v is there twice, or has no id", key)
		}
		seen[key] = true
		if _, ok := accounts[tx.AccountID]; !ok {
			t.Errorf("transaction %v is on an account that is not listed", key)
		}
		wantMoney(t, "an amount", tx.GetAmount())
		if !isoDate.MatchString(tx.GetBookingDate()) || tx.GetStatus() == 0 {
			t.Errorf("transaction %v is booked %q, status %s", key, tx.GetBookingDate(), tx.GetStatus())
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d transactions", len(seen))
	}
}

func testStopEarly(t *testing.T, h Harness) {
	ref := h.approved(t)
	count := 0
	for _, err := range h.Provider.Accounts.Transactions(call(t), ref, providers.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count == 5 {
			break
		}
	}
	// What was left must not have been taken for a failure of the provider.
	if h := h.Provider.Session.Health(); h.LastError != nil {
		t.Errorf("stopping early counts as %s", *h.LastError)
	}
}

func testHoldings(t *testing.T, h Harness) {
	if h.Provider.Holdings == nil {
		unsupported(t, h.Provider, "ListStandingOrders", "ListSecurities")
		return
	}
	ref := h.approved(t)
	accounts := h.accounts(t, ref)
	orders, err := h.Provider.Holdings.ListStandingOrders(call(t), ref)
	if err != nil || len(orders) == 0 {
		t.Fatalf("%d standing orders, %v", len(orders), err)
	}
	for _, o := range orders {
		if _, ok := accounts[o.AccountID]; !ok || o.ID == "" {
			t.Errorf("standing order %q is on account %q", o.ID, o.AccountID)
		}
		wantMoney(t, "a standing order", o.GetAmount())
	}
	if _, err := h.Provider.Holdings.ListSecurities(call(t), ref); err != nil {
		t.Error(err)
	}
}
