package guard

import (
	"testing"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
)

func TestRemediesForLargeAnswers(t *testing.T) {
	t.Parallel()
	for want, request := range map[string]any{
		"ask with view SUMMARY, or ask over REST": &insightsv1.GetInsightsRequest{},
		"ask for smaller pages, or ask over REST": &bankingv1.ListTransactionsRequest{},
		"ask over REST": &insightsv1.GetPaymentPartnerAnalysisRequest{},
	} {
		if got := remedy(request); got != want {
			t.Errorf("%T: %s", request, got)
		}
	}
}
