package providertest

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
)

func TestWhatSaysNothingIsFound(t *testing.T) {
	nothing, one := "", &typev1.Money{Value: "1", CurrencyCode: "EUR"}
	for want, message := range map[string]proto.Message{
		"": &bankingv1.Transaction{
			Status: bankingv1.Transaction_BOOKED, Amount: one, Counterparty: &bankingv1.Transaction_Counterparty{Name: proto.String("x")},
		},
		"Transaction.booking_date": &bankingv1.Transaction{
			Status: bankingv1.Transaction_BOOKED, Amount: one, BookingDate: &nothing,
		},
		"Transaction.status": &bankingv1.Transaction{Amount: one},
		"Transaction.category": &bankingv1.Transaction{
			Status: bankingv1.Transaction_BOOKED, Category: bankingv1.Category_VALUE_UNSPECIFIED.Enum(),
		},
		"Transaction.counterparty": &bankingv1.Transaction{
			Status: bankingv1.Transaction_BOOKED, Counterparty: &bankingv1.Transaction_Counterparty{},
		},
		"Money.currency_code": &bankingv1.Transaction{
			Status: bankingv1.Transaction_BOOKED, Amount: &typev1.Money{Value: "1"},
		},
		"Tag.name": &bankingv1.Transaction{
			Status: bankingv1.Transaction_BOOKED, Tags: []*bankingv1.Transaction_Tag{{}},
		},
		"Insights.fetch_interval": &insightsv1.Insights{
			Origin: insightsv1.InsightsOrigin_NATIVE, FetchInterval: &insightsv1.Insights_Interval{},
			TotalBalance: &structpb.Struct{},
		},
		"PaymentPartner.days_between_transactions": &insightsv1.PaymentPartner{DaysBetweenTransactions: []string{""}},
	} {
		if got := strings.Join(untold(message.ProtoReflect()), " "); got != want {
			t.Errorf("%v: found %q, want %q", message, got, want)
		}
	}
}
