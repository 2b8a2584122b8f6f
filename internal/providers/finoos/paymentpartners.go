package finoos

import (
	"context"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/providers"
)

// PaymentPartnerAnalysis reads the analysis of all accounts. AccountAnalysis.account is finoOS's accountID as it is:
// whether it matches an account can only be told with the accounts at hand.
func (a *adapter) PaymentPartnerAnalysis(ctx context.Context,
	ref providers.ConsentRef) (*insightsv1.PaymentPartnerAnalysis, error) {
	var wire wireAnalyses
	if err := a.do(ctx, request{Operation: opPaymentPartnerAnalysis, Path: ofUser(ref.ID)}, &wire); err != nil {
		return nil, err
	}
	return analysisOf(wire.value), nil
}
