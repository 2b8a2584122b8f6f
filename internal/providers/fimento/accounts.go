package fimento

import (
	"context"

	"kontor.dev/kontor/internal/providers"
)

// ListAccounts reads the accounts out of the insights. Their ConnectionID is the NAME of the bank; see accountsOf.
func (a *adapter) ListAccounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	r, err := a.ofConsent(opInsights, ref)
	if err != nil {
		return nil, err
	}
	listed := wireAccounts{asked: ref.ID}
	if err := a.do(ctx, r, &listed); err != nil {
		return nil, err
	}
	return accountsOf(listed.AccountsInfo.list, marketOf(ref)), nil
}
