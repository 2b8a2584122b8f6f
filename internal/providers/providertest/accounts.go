package providertest

import (
	"regexp"
	"slices"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/providers"
)

var isoDate = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

func (s *suite) wantMoney(what string, m *typev1.Money) {
	s.Helper()
	if _, err := money.Parse(m.GetValue()); err != nil || len(m.GetCurrencyCode()) != 3 {
		s.Errorf("%s is %v", what, m)
	}
}

// accounts reads the accounts of a consent, by id.
func (s *suite) accounts(ref providers.ConsentRef) map[string]providers.Account {
	s.Helper()
	accounts, err := s.provider.Accounts.ListAccounts(s.ctx(), ref)
	if err != nil {
		s.Fatalf("list accounts: %v", s.hear(err))
	}
	byID := make(map[string]providers.Account)
	for _, a := range accounts {
		if _, twice := byID[a.ID]; twice || a.ID == "" {
			s.Errorf("the account id %q is empty or there twice", a.ID)
		}
		byID[a.ID] = a
	}
	return byID
}

// txKey identifies a transaction under a consent.
type txKey struct{ account, id string }

// transactions reads transactions of a consent, each of which must be there once.
func (s *suite) transactions(ref providers.ConsentRef, query providers.Query) map[txKey]providers.Transaction {
	s.Helper()
	found := make(map[txKey]providers.Transaction)
	for tx, err := range s.provider.Accounts.Transactions(s.ctx(), ref, query) {
		if err != nil {
			s.Fatalf("read transactions: %v", s.hear(err))
		}
		key := txKey{tx.AccountID, tx.ID}
		if _, twice := found[key]; twice || tx.ID == "" {
			s.Fatalf("transaction %v is there twice, or has no id", key)
		}
		found[key] = tx
	}
	return found
}

func testAccounts(s *suite) {
	ref := s.approved()
	first, second := s.accounts(ref), s.accounts(ref)
	if len(first) < max(s.has.Accounts, 1) {
		s.Errorf("%d accounts", len(first))
	}
	for id, a := range first {
		if _, ok := second[id]; !ok {
			s.Errorf("account %s has another id when read again", id)
		}
		s.wantMoney("a balance", a.GetBalance())
		if a.Name != "" || a.Connection != nil {
			s.Errorf("account %s has a name: names are the service's", id)
		}
		if a.GetType() == 0 || a.GetCurrencyCode() == "" {
			s.Errorf("account %s has type %s, currency %q", id, a.GetType(), a.GetCurrencyCode())
		}
	}
}

func testTransactions(s *suite) {
	ref := s.approved()
	accounts := s.accounts(ref)
	found := s.transactions(ref, providers.Query{})
	pending, attributed := 0, 0
	for key, tx := range found {
		if _, ok := accounts[key.account]; ok {
			attributed++
		} else if key.account != "" {
			s.Errorf("transaction %v is on an account that is not listed", key)
		}
		s.wantMoney("an amount", tx.GetAmount())
		if !isoDate.MatchString(tx.GetBookingDate()) || tx.GetStatus() == 0 {
			s.Errorf("transaction %v is booked %q, status %s", key, tx.GetBookingDate(), tx.GetStatus())
		}
		if tx.GetStatus() == bankingv1.Transaction_PENDING {
			pending++
		}
		if tx.Name != "" || tx.Account != nil {
			s.Errorf("transaction %v has a name: names are the service's", key)
		}
	}
	if s.h.Has != nil && attributed == 0 {
		s.Error("no transaction can be told to be on a listed account")
	}
	if len(found) < max(s.has.Transactions, 1) {
		s.Errorf("%d transactions", len(found))
	}
	if s.h.Has != nil && s.has.Pending != (pending > 0) {
		s.Errorf("%d transactions are pending", pending)
	}
	for key := range s.transactions(ref, providers.Query{}) {
		if _, ok := found[key]; !ok {
			s.Errorf("transaction %v has another id when read again", key)
		}
	}
}

// testQuery: a narrowed read leaves out nothing that was asked for.
func testQuery(s *suite) {
	ref := s.approved()
	all := s.transactions(ref, providers.Query{})
	var dates []string
	for _, tx := range all {
		dates = append(dates, tx.GetBookingDate())
	}
	slices.Sort(dates)
	from, to := dates[len(dates)/3], dates[len(dates)*2/3]
	for account := range s.accounts(ref) {
		for _, query := range []providers.Query{
			{AccountID: account}, {From: from}, {To: to}, {From: from, To: to},
			{AccountID: account, From: from, To: to},
		} {
			s.wantNarrowed(all, s.transactions(ref, query), query)
		}
	}
}

func (s *suite) wantNarrowed(all, got map[txKey]providers.Transaction, query providers.Query) {
	s.Helper()
	for key, tx := range all {
		date := tx.GetBookingDate()
		asked := (query.AccountID == "" || key.account == query.AccountID) &&
			(query.From == "" || date >= query.From) && (query.To == "" || date <= query.To)
		if _, ok := got[key]; asked && !ok {
			s.Errorf("%+v leaves out transaction %v of %s", query, key, date)
		}
	}
	for key := range got {
		if _, ok := all[key]; !ok {
			s.Errorf("%+v has transaction %v, which the whole list has not", query, key)
		}
		if s.provider.ReadsOneAccount && query.AccountID != "" && key.account != query.AccountID {
			s.Errorf("%+v has transaction %v of another account, and ReadsOneAccount is said", query, key)
		}
	}
}

func testStopEarly(s *suite) {
	ref := s.approved()
	count := 0
	for _, err := range s.provider.Accounts.Transactions(s.ctx(), ref, providers.Query{}) {
		if err != nil {
			s.Fatal(s.hear(err))
		}
		if count++; count == 5 {
			break
		}
	}
	// What was left must not have been taken for a failure of the provider.
	if h := s.provider.Session.Health(); h.LastError != nil {
		s.Errorf("stopping early counts as %s", *h.LastError)
	}
}

func testHoldings(s *suite) {
	if s.provider.Holdings == nil {
		return
	}
	ref := s.approved()
	accounts := s.accounts(ref)
	orders, err := s.provider.Holdings.ListStandingOrders(s.ctx(), ref)
	if err != nil || len(orders) == 0 {
		s.Fatalf("%d standing orders, %v", len(orders), s.hear(err))
	}
	for _, o := range orders {
		if _, ok := accounts[o.AccountID]; !ok || o.ID == "" {
			s.Errorf("standing order %q is on account %q", o.ID, o.AccountID)
		}
		s.wantMoney("a standing order", o.GetAmount())
	}
	if _, err := s.provider.Holdings.ListSecurities(s.ctx(), ref); err != nil {
		s.Error(s.hear(err))
	}
}
