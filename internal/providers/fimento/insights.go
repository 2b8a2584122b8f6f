package fimento

import (
	"context"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/providers"
)

// GetInsights reads the evaluation.
func (a *adapter) GetInsights(ctx context.Context, ref providers.ConsentRef,
	referenceID string) (*insightsv1.Insights, []providers.Account, error) {
	r, err := a.ofConsent(opInsights, ref)
	if err != nil {
		return nil, nil, err
	}
	if err := a.addReference(r, referenceID); err != nil {
		return nil, nil, err
	}
	evaluated := wireInsights{wireAccounts: wireAccounts{asked: ref.ID}}
	if err := a.do(ctx, r, &evaluated); err != nil {
		return nil, nil, err
	}
	market := marketOf(ref)
	accounts := accountsOf(evaluated.AccountsInfo.list, market)
	insights, err := insightsOf(evaluated, accounts, market)
	if err != nil {
		return nil, nil, a.client.Refuse(ctx, opInsights, nil, err)
	}
	return insights, accounts, nil
}
