package finoos

import (
	"encoding/json"
	"net/http"
	"slices"
)

// setLogins replaces the user's logins by those of the request.
func (s *Server) setLogins(r *http.Request, u *user) (any, *apiError) {
	given, err := s.givenLogins(r)
	if err != nil {
		return nil, err
	}
	u.setExternal(given)
	return nil, nil
}

// updateLogins merges the request into the user's logins; logins and accounts are matched by their ids.
func (s *Server) updateLogins(r *http.Request, u *user) (any, *apiError) {
	given, err := s.givenLogins(r)
	if err != nil {
		return nil, err
	}
	merged := make([]bankLogin, 0, len(u.logins)+len(given))
	for _, l := range u.logins {
		merged = append(merged, l.bankLogin)
	}
	merged = mergeBy(merged, given, func(l bankLogin) string { return l.ID }, mergeLogin)
	if err := uniqueIDs(merged); err != nil { // an account that the request moved to another login
		return nil, err
	}
	u.setExternal(merged)
	return nil, nil
}

// setExternal gives a user these logins. Those that the Banking UI connected stay what they are.
func (u *user) setExternal(logins []bankLogin) {
	u.connected = true
	before := u.logins
	u.logins = nil
	for _, wire := range logins {
		next := login{bankLogin: wire, external: true}
		for _, have := range before {
			if have.ID == wire.ID && !have.external {
				next = *have
				next.bankLogin = wire
			}
		}
		u.logins = append(u.logins, &next)
	}
}

// givenLogins reads and checks the logins of a request. It keeps of them what the documentation's quickstart shows to
// come back: no logo, no source of a tag, no id of a standing order, and the account's own id in what belongs to it
// except in standing orders, which keep the accountID they came with.
func (s *Server) givenLogins(r *http.Request) ([]bankLogin, *apiError) {
	var body loginsBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	given := *body.Logins
	if err := uniqueIDs(given); err != nil {
		return nil, err
	}
	for i := range given {
		l := &given[i]
		l.Bank.Logo = logo{}
		l.Accounts = notNil(l.Accounts)
		for j := range l.Accounts {
			normalise(&l.Accounts[j])
		}
	}
	return given, nil
}

func normalise(a *account) {
	a.Transactions, a.StandingOrders, a.Securities = notNil(a.Transactions), notNil(a.StandingOrders),
		notNil(a.Securities)
	for i := range a.Transactions {
		t := &a.Transactions[i]
		t.AccountID = a.ID
		t.Tags, t.Codes = notNil(t.Tags), notNil(t.Codes)
		for j := range t.Tags {
			t.Tags[j].Source = ""
		}
	}
	for i := range a.StandingOrders {
		a.StandingOrders[i].ID = ""
	}
	for i := range a.Securities {
		a.Securities[i].AccountID = a.ID
	}
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// uniqueIDs demands an id on every login, account, transaction and security, each of its kind only once.
func uniqueIDs(logins []bankLogin) *apiError {
	seen := map[string]bool{}
	repeated := func(kind, id string) bool {
		again := id == "" || seen[kind+id]
		seen[kind+id] = true
		return again
	}
	for _, l := range logins {
		if repeated("login ", l.ID) {
			return invalidInput("invalid input: bank login ids must be unique")
		}
		for _, a := range l.Accounts {
			if repeated("account ", a.ID) {
				return invalidInput("invalid input: account ids must be unique")
			}
			for _, t := range a.Transactions {
				if repeated("transaction "+a.ID+" ", t.ID) {
					return invalidInput("invalid input: transaction ids must be unique")
				}
			}
			for _, p := range a.Securities {
				if repeated("security "+a.ID+" ", p.ID) {
					return invalidInput("invalid input: security ids must be unique")
				}
			}
		}
	}
	return nil
}

// mergeBy replaces the elements of have that given names again, by what merge makes of both, and appends the rest.
// Neither list is changed.
func mergeBy[T any](have, given []T, id func(T) string, merge func(have, given T) T) []T {
	merged := slices.Clone(have)
	for _, g := range given {
		at := slices.IndexFunc(merged, func(m T) bool { return id(m) == id(g) })
		if at < 0 {
			merged = append(merged, g)
		} else {
			merged[at] = merge(merged[at], g)
		}
	}
	return merged
}

func mergeLogin(have, given bankLogin) bankLogin {
	override(&have.Bank.Name, given.Bank.Name)
	override(&have.Bank.BIC, given.Bank.BIC)
	override(&have.Bank.BankCode, given.Bank.BankCode)
	have.Accounts = mergeBy(have.Accounts, given.Accounts, func(a account) string { return a.ID }, mergeAccount)
	return have
}

func mergeAccount(have, given account) account {
	for _, member := range []struct{ have, given *string }{
		{&have.IBAN, &given.IBAN}, {&have.Number, &given.Number}, {&have.Name, &given.Name},
		{&have.Owner, &given.Owner}, {&have.Type, &given.Type}, {&have.Currency, &given.Currency},
	} {
		override(member.have, *member.given)
	}
	for _, member := range []struct{ have, given *json.Number }{
		{&have.Balance, &given.Balance}, {&have.CreditLine, &given.CreditLine},
		{&have.MonthlySpendingLimit, &given.MonthlySpendingLimit},
	} {
		override(member.have, *member.given)
	}
	second := func(_, given transaction) transaction { return given }
	have.Transactions = mergeBy(have.Transactions, given.Transactions, func(t transaction) string { return t.ID },
		second)
	have.Securities = mergeBy(have.Securities, given.Securities, func(p security) string { return p.ID },
		func(_, given security) security { return given })
	if len(given.StandingOrders) > 0 { // they have no ids to be matched by
		have.StandingOrders = given.StandingOrders
	}
	return have
}

// override sets a member that the request carries.
func override[T ~string](have *T, given T) {
	if given != "" {
		*have = given
	}
}
