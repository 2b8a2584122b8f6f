package example

import (
	"context"

	"kontor.dev/kontor/internal/providers"
)

// ListAccounts reads all accounts under a consent. Which one is meant, its token says.
func (a *adapter) ListAccounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	var listed wireAccounts
	consent, err := a.doAs(ctx, ref, request{Operation: opListAccounts, Header: withUserIP(ctx)}, &listed)
	if err != nil {
		return nil, err
	}
	accounts := make([]providers.Account, 0, len(listed.Accounts))
	for _, account := range listed.Accounts {
		accounts = append(accounts, accountOf(consent, account))
	}
	return accounts, nil
}
