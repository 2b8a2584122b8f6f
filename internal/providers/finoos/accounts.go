package finoos

import (
	"context"
	"net/url"
	"slices"
	"strconv"

	"kontor.dev/kontor/internal/providers"
)

// ListAccounts reads all accounts of all bank logins.
func (a *adapter) ListAccounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	logins, err := a.logins(ctx, ref)
	if err != nil {
		return nil, err
	}
	var accounts []providers.Account
	for _, login := range logins {
		for _, account := range login.Accounts {
			accounts = append(accounts, accountOf(login, account, ref.Imported))
		}
	}
	return accounts, nil
}

// logins reads the bank logins of a consent without transactions.
func (a *adapter) logins(ctx context.Context, ref providers.ConsentRef) ([]wireLogin, error) {
	logins, err := a.allLogins(ctx, ref)
	return slices.DeleteFunc(logins, func(l wireLogin) bool { return !ref.Share.Covers(string(l.ID)) }), err
}

// allLogins reads the bank logins of a user without transactions.
func (a *adapter) allLogins(ctx context.Context, ref providers.ConsentRef) ([]wireLogin, error) {
	var wire wireLogins
	if err := a.do(ctx, loginsRequest(ref, false), &wire); err != nil {
		return nil, err
	}
	return wire.Logins.value, nil
}

// loginsRequest always says whether transactions are wanted: the parameter is documented as required, and its default
// is not told.
func loginsRequest(ref providers.ConsentRef, transactions bool) request {
	return request{
		Operation: opGetLogins,
		Path:      ofUser(ref.ID),
		Query:     url.Values{"includeTransactions": {strconv.FormatBool(transactions)}},
	}
}
