package inproc_test

import (
	"context"
	"strconv"
	"testing"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server/inproc"
)

// banking answers with one page.
type banking struct {
	bankingv1.UnimplementedBankingServiceServer

	page *bankingv1.ListTransactionsResponse
}

func (b banking) ListTransactions(
	context.Context, *bankingv1.ListTransactionsRequest,
) (*bankingv1.ListTransactionsResponse, error) {
	return b.page, nil
}

// BenchmarkPage calls for a page of 1,000 transactions.
func BenchmarkPage(b *testing.B) {
	page := &bankingv1.ListTransactionsResponse{}
	for i := range 1000 {
		page.Transactions = append(page.Transactions, &bankingv1.Transaction{
			Name:                  "consents/1/accounts/1/transactions/" + strconv.Itoa(i),
			Account:               optional.Of("consents/1/accounts/1"),
			Amount:                &typev1.Money{Value: "-1.50", CurrencyCode: "EUR"},
			BookingDate:           optional.Of("2026-10-01"),
			RemittanceInformation: optional.Of("Rent"),
			Counterparty:          &bankingv1.Transaction_Counterparty{Name: optional.Of("Landlord")},
			Tags:                  []*bankingv1.Transaction_Tag{{Name: "housing"}},
		})
	}
	channel := inproc.New(nil)
	bankingv1.RegisterBankingServiceServer(channel, banking{page: page})
	client := bankingv1.NewBankingServiceClient(channel)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.ListTransactions(b.Context(), &bankingv1.ListTransactionsRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}
