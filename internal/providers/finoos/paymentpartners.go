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

// wireAnalyses is the payment partner analysis, one entry for each account.
type wireAnalyses = required[[]wireAnalysis]

// wireAnalysis is the payment partner analysis of one account.
type wireAnalysis struct {
	AccountID         text          `json:"accountID"`
	AccountName       text          `json:"accountName"`
	CustomerAll       []wirePartner `json:"customerAll"`
	CustomerLastMonth []wirePartner `json:"customerLastMonth"`
	CustomerPreMonth  []wirePartner `json:"customerPreMonth"`
	CustomerQuarter   []wirePartner `json:"customerQuarter"`
	CustomerYear      []wirePartner `json:"customerYear"`
	SupplierAll       []wirePartner `json:"supplierAll"`
	SupplierLastMonth []wirePartner `json:"supplierLastMonth"`
	SupplierPreMonth  []wirePartner `json:"supplierPreMonth"`
	SupplierQuarter   []wirePartner `json:"supplierQuarter"`
	SupplierYear      []wirePartner `json:"supplierYear"`
}

type wirePartner struct {
	Name                                  text         `json:"name"`
	IBAN                                  text         `json:"iban"`
	CreditorID                            text         `json:"creditorID"`
	Abroad                                bool         `json:"abroad"`
	Tags                                  []wireTag    `json:"tags"`
	FirstTransactionDate                  text         `json:"firstTransactionDate"`
	LastTransactionDate                   text         `json:"lastTransactionDate"`
	ActivitySpan                          measure      `json:"activitySpan"`
	PercentageOfOverallActivitySpan       measure      `json:"percentageOfOverallActivitySpan"`
	TransactionCount                      integer      `json:"transactionCount"`
	TotalAmount                           measure      `json:"totalAmount"`
	MedianAmount                          measure      `json:"medianAmount"`
	OverallAmountRank                     measure      `json:"overallAmountRank"`
	OverallTransactionCountRank           measure      `json:"overallTransactionCountRank"`
	AverageOfRanks                        measure      `json:"averageOfRanks"`
	PercentageOfOverallAmount             measure      `json:"percentageOfOverallAmount"`
	PercentageOfOverallTransactionCount   measure      `json:"percentageOfOverallTransactionCount"`
	DaysBetweenTransactions               []measure    `json:"daysBetweenTransactions"`
	DaysBetweenTransactionsAverage        measure      `json:"daysBetweenTransactionsAverage"`
	DaysBetweenTransactionsDeviation      measure      `json:"daysBetweenTransactionsDeviation"`
	DaysBetweenTransactionsVariance       measure      `json:"daysBetweenTransactionsVariance"`
	TransactionAmountSlope                measure      `json:"transactionAmountSlope"`
	TotalAmountMonthlySlope               measure      `json:"totalAmountMonthlySlope"`
	PercentageOfOverallAmountMonthlySlope measure      `json:"percentageOfOverallAmountMonthlySlope"`
	AverageAmountsMonthly                 []wirePeriod `json:"averageAmountsMonthly"`
	AverageAmountsQuarterly               []wirePeriod `json:"averageAmountsQuarterly"`
	AverageAmountsYearly                  []wirePeriod `json:"averageAmountsYearly"`
	TotalAmountMonthly                    []wirePeriod `json:"totalAmountMonthly"`
	TotalAmountQuarterly                  []wirePeriod `json:"totalAmountQuarterly"`
	TotalAmountYearly                     []wirePeriod `json:"totalAmountYearly"`
	PercentageOfOverallAmountMonthly      []wirePeriod `json:"percentageOfOverallAmountMonthly"`
	PercentageOfOverallAmountQuarterly    []wirePeriod `json:"percentageOfOverallAmountQuarterly"`
	PercentageOfOverallAmountYearly       []wirePeriod `json:"percentageOfOverallAmountYearly"`
}

// wirePeriod is what the analysis says of one month, quarter or year.
type wirePeriod struct {
	Year             text    `json:"year"`
	Quarter          text    `json:"quarter"`
	Month            text    `json:"month"`
	Average          measure `json:"average"`
	Percentage       measure `json:"percentage"`
	TotalAmount      measure `json:"totalAmount"`
	TransactionCount integer `json:"transactionCount"`
}

func analysisOf(wire []wireAnalysis) *insightsv1.PaymentPartnerAnalysis {
	analysis := &insightsv1.PaymentPartnerAnalysis{}
	for _, w := range wire {
		analysis.Accounts = append(analysis.Accounts, &insightsv1.PaymentPartnerAnalysis_AccountAnalysis{
			Account:     told(w.AccountID),
			DisplayName: told(w.AccountName),
			Customers: partnersOf(w.CustomerAll, w.CustomerLastMonth, w.CustomerPreMonth, w.CustomerQuarter,
				w.CustomerYear),
			Suppliers: partnersOf(w.SupplierAll, w.SupplierLastMonth, w.SupplierPreMonth, w.SupplierQuarter,
				w.SupplierYear),
		})
	}
	return analysis
}

func partnersOf(
	all, lastMonth, previousMonth, quarter, year []wirePartner,
) *insightsv1.PaymentPartnerAnalysis_Partners {
	return &insightsv1.PaymentPartnerAnalysis_Partners{
		All:           mapped(all, partnerOf),
		LastMonth:     mapped(lastMonth, partnerOf),
		PreviousMonth: mapped(previousMonth, partnerOf),
		Quarter:       mapped(quarter, partnerOf),
		Year:          mapped(year, partnerOf),
	}
}

func partnerOf(w wirePartner) *insightsv1.PaymentPartner {
	return &insightsv1.PaymentPartner{
		Name:                                told(w.Name),
		Iban:                                told(w.IBAN),
		CreditorId:                          told(w.CreditorID),
		Abroad:                              w.Abroad,
		Tags:                                tagsOf(w.Tags),
		FirstTransactionDate:                told(w.FirstTransactionDate),
		LastTransactionDate:                 told(w.LastTransactionDate),
		ActivitySpan:                        told(w.ActivitySpan),
		PercentageOfOverallActivitySpan:     told(w.PercentageOfOverallActivitySpan),
		TransactionCount:                    int32(w.TransactionCount),
		TotalAmount:                         amountOf(w.TotalAmount),
		MedianAmount:                        amountOf(w.MedianAmount),
		OverallAmountRank:                   told(w.OverallAmountRank),
		OverallTransactionCountRank:         told(w.OverallTransactionCountRank),
		AverageOfRanks:                      told(w.AverageOfRanks),
		PercentageOfOverallAmount:           told(w.PercentageOfOverallAmount),
		PercentageOfOverallTransactionCount: told(w.PercentageOfOverallTransactionCount),
		DaysBetweenTransactions: mapped(w.DaysBetweenTransactions,
			func(m measure) string { return string(m) }),
		DaysBetweenTransactionsAverage:        told(w.DaysBetweenTransactionsAverage),
		DaysBetweenTransactionsDeviation:      told(w.DaysBetweenTransactionsDeviation),
		DaysBetweenTransactionsVariance:       told(w.DaysBetweenTransactionsVariance),
		TransactionAmountSlope:                told(w.TransactionAmountSlope),
		TotalAmountMonthlySlope:               told(w.TotalAmountMonthlySlope),
		PercentageOfOverallAmountMonthlySlope: told(w.PercentageOfOverallAmountMonthlySlope),
		AverageAmountsMonthly:                 mapped(w.AverageAmountsMonthly, averageOf),
		AverageAmountsQuarterly:               mapped(w.AverageAmountsQuarterly, averageOf),
		AverageAmountsYearly:                  mapped(w.AverageAmountsYearly, averageOf),
		TotalAmountMonthly:                    mapped(w.TotalAmountMonthly, totalOf),
		TotalAmountQuarterly:                  mapped(w.TotalAmountQuarterly, totalOf),
		TotalAmountYearly:                     mapped(w.TotalAmountYearly, totalOf),
		PercentageOfOverallAmountMonthly:      mapped(w.PercentageOfOverallAmountMonthly, monthlyPercentageOf),
		PercentageOfOverallAmountQuarterly:    mapped(w.PercentageOfOverallAmountQuarterly, percentageOf),
		PercentageOfOverallAmountYearly:       mapped(w.PercentageOfOverallAmountYearly, percentageOf),
	}
}

func averageOf(w wirePeriod) *insightsv1.PaymentPartner_Average {
	return &insightsv1.PaymentPartner_Average{
		Year: told(w.Year), Quarter: told(w.Quarter), Month: told(w.Month), Average: amountOf(w.Average),
	}
}

func totalOf(w wirePeriod) *insightsv1.PaymentPartner_Total {
	return &insightsv1.PaymentPartner_Total{
		Year: told(w.Year), Quarter: told(w.Quarter), Month: told(w.Month),
		TotalAmount: amountOf(w.TotalAmount), TransactionCount: int32(w.TransactionCount),
	}
}

func percentageOf(w wirePeriod) *insightsv1.PaymentPartner_Percentage {
	return &insightsv1.PaymentPartner_Percentage{
		Year: told(w.Year), Quarter: told(w.Quarter), Month: told(w.Month), Percentage: told(w.Percentage),
	}
}

// monthlyPercentageOf puts right that the documentation names the month of a monthly share "quarter".
func monthlyPercentageOf(w wirePeriod) *insightsv1.PaymentPartner_Percentage {
	if w.Month == "" {
		w.Month, w.Quarter = w.Quarter, ""
	}
	return percentageOf(w)
}
