package finoos

import (
	"encoding/json"
	"errors"
	"time"
)

// The structs below spell the documentation's JSON, member by member and in the order of its quickstart answer. They
// are not shared with the gateway's adapter: a misreading there must not be repeated here.
//
// Amounts are json.Number: the text that a caller sent, or that the population holds, is the text that is answered.

type credentials struct {
	Name   string `json:"name" need:"text"`
	Secret string `json:"secret" need:"text"`
}

type refreshRequest struct {
	Name         string `json:"name" need:"text"`
	RefreshToken string `json:"refreshToken" need:"text"`
	Secret       string `json:"secret" need:"text"`
}

type tokenPair struct {
	AccessToken      string `json:"accessToken"`
	ExpiresIn        int64  `json:"expiresIn"`        // seconds
	RefreshExpiresIn int64  `json:"refreshExpiresIn"` // seconds
	RefreshToken     string `json:"refreshToken"`
}

type userList struct {
	Users []userEntry `json:"users"`
}

// userEntry is a user as listings show it. Scopes is one string, although creating takes an array; a user that was not
// deleted has an empty deletedAt.
type userEntry struct {
	CreatedAt  string `json:"createdAt"`
	Deleted    bool   `json:"deleted"`
	DeletedAt  string `json:"deletedAt"`
	ID         string `json:"id"`
	ModifiedAt string `json:"modifiedAt"`
	Scopes     string `json:"scopes"`
}

type newUser struct {
	Scopes *[]string `json:"scopes"`
	Type   string    `json:"type"`
}

type created struct {
	ID string `json:"id"`
}

type scopeName struct {
	Name string `json:"name" need:"text"`
}

// sessionURLs are the three places a browser is sent to when it leaves the Banking UI.
type sessionURLs struct {
	ErrorURL    string `json:"errorURL" need:"url"`
	ExitURL     string `json:"exitURL" need:"url"`
	RedirectURL string `json:"redirectURL" need:"url"`
}

type connectRequest struct {
	ErrorURL    string `json:"errorURL" need:"url"`
	ExitURL     string `json:"exitURL" need:"url"`
	RedirectURL string `json:"redirectURL" need:"url"`
	Recurring   *bool  `json:"recurring"`
}

type synchronizeRequest struct {
	BankLoginID string `json:"bankLoginId" need:"text"`
	ErrorURL    string `json:"errorURL" need:"url"`
	ExitURL     string `json:"exitURL" need:"url"`
	RedirectURL string `json:"redirectURL" need:"url"`
}

type sessionLink struct {
	RedirectURL string `json:"redirectURL"`
}

type loginsBody struct {
	Logins *[]bankLogin `json:"logins" need:"value"`
}

type loginsAnswer struct {
	Logins []bankLogin `json:"logins"`
}

type bankLogin struct {
	ID       string    `json:"id"`
	Bank     bank      `json:"bank"`
	Accounts []account `json:"accounts"`
}

type bank struct {
	Name     string `json:"name"`
	BIC      string `json:"bic"`
	BankCode string `json:"bankCode"`
	Logo     logo   `json:"logo"`
}

type logo struct {
	URL  string `json:"url"`
	Type string `json:"type"`
}

type account struct {
	IBAN                 string          `json:"iban"`
	ID                   string          `json:"id"`
	Number               string          `json:"number"`
	Name                 string          `json:"name"`
	Owner                string          `json:"owner"`
	Type                 string          `json:"type"`
	Balance              json.Number     `json:"balance"`
	CreditLine           json.Number     `json:"creditLine"`
	MonthlySpendingLimit json.Number     `json:"monthlySpendingLimit"`
	Currency             string          `json:"currency"`
	Transactions         []transaction   `json:"transactions"`
	StandingOrders       []standingOrder `json:"standingOrders"`
	Securities           []security      `json:"securities"`
}

type transaction struct {
	ID          string      `json:"id"`
	AccountID   string      `json:"accountID"`
	BookingDate timestamp   `json:"bookingDate,omitempty"`
	ValueDate   timestamp   `json:"valueDate,omitempty"`
	Currency    string      `json:"currency"`
	MRef        string      `json:"mref"`
	Purpose     string      `json:"purpose"`
	Booked      bool        `json:"booked"`
	Amount      json.Number `json:"amount"`
	CounterPart counterPart `json:"counterPart"`
	Tags        []tag       `json:"tags"`
	Codes       []code      `json:"codes"`
}

type counterPart struct {
	BIC        string `json:"bic"`
	IBAN       string `json:"iban"`
	CreditorID string `json:"creditorId"`
	Name       string `json:"name"`
}

type tag struct {
	Name   string `json:"name"`
	Source string `json:"source,omitempty"`
}

type code struct {
	Value string `json:"value"`
	Type  string `json:"type"`
}

type standingOrder struct {
	ID                 string      `json:"id"`
	AccountID          string      `json:"accountID"`
	CreationDate       timestamp   `json:"creationDate,omitempty"`
	FirstExecutionDate timestamp   `json:"firstExecutionDate,omitempty"`
	LastExecutionDate  timestamp   `json:"lastExecutionDate,omitempty"`
	ExecutionDay       int         `json:"executionDay"`
	Interval           string      `json:"interval"`
	Amount             json.Number `json:"amount"`
	Currency           string      `json:"currency"`
	Purpose            string      `json:"purpose"`
}

type security struct {
	ID                    string      `json:"id"`
	AccountID             string      `json:"accountID"`
	Amount                json.Number `json:"amount"`
	PriceAmount           json.Number `json:"priceAmount"`
	PurchasePriceAmount   json.Number `json:"purchasePriceAmount"`
	Currency              string      `json:"currency"`
	PriceCurrency         string      `json:"priceCurrency"`
	PurchasePriceCurrency string      `json:"purchasePriceCurrency"`
	ExchangeRate          json.Number `json:"exchangeRate"`
	Quantity              json.Number `json:"quantity"`
	ISIN                  string      `json:"isin"`
	Name                  string      `json:"name"`
	Market                string      `json:"market"`
}

// timestamp is an RFC 3339 instant, kept as the text it came in.
type timestamp string

func timestampOf(t time.Time) timestamp { return timestamp(t.UTC().Format(time.RFC3339)) }

// time reads the instant; the zero time when there is none.
func (t timestamp) time() time.Time {
	at, _ := time.Parse(time.RFC3339, string(t))
	return at
}

// UnmarshalJSON refuses what is not RFC 3339.
func (t *timestamp) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return errors.New("not an RFC 3339 date")
	}
	*t = timestamp(text)
	return nil
}

type statusAnswer struct {
	LoginsStatuses []loginStatus `json:"loginsStatuses"`
}

type loginStatus struct {
	Active              bool      `json:"active"`
	ID                  string    `json:"id"`
	LastSynchronization timestamp `json:"lastSynchronization"`
}

type logoRequest struct {
	Queries *[]logoQuery `json:"queries" need:"value"`
}

type logoQuery struct {
	BankCode   string `json:"bankCode"`
	BIC        string `json:"bic"`
	CreditorID string `json:"creditorID"`
	Domain     string `json:"domain"`
	IBAN       string `json:"iban"`
	Name       string `json:"name"`
	QueryID    string `json:"queryID"`
}

type logoAnswer struct {
	Results []logoResult `json:"results"`
}

type logoResult struct {
	Company string `json:"company"`
	QueryID string `json:"queryID"`
	Status  string `json:"status"`
	URL     string `json:"url"`
}

type shipmentRequest struct {
	Address     *shipmentAddress `json:"address" need:"value"`
	CallbackURL string           `json:"callbackURL" need:"url"`
	PDFContent  string           `json:"pdfContent" need:"text"`
	ProcessID   string           `json:"processID" need:"text"`
	Recipient   string           `json:"recipient" need:"text"`
	Subject     string           `json:"subject" need:"text"`
}

type shipmentAddress struct {
	City                 string `json:"city"`
	CountryCode          string `json:"countryCode"`
	HouseNumber          string `json:"houseNumber"`
	Postcode             string `json:"postcode"`
	Street               string `json:"street"`
	StreetAdditionalInfo string `json:"streetAdditionalInfo"`
}

// accountAnalysis is one account's payment partners: ten lists, customers pay the account and suppliers are paid by it.
type accountAnalysis struct {
	AccountID         string    `json:"accountID"`
	AccountName       string    `json:"accountName"`
	CustomerAll       []partner `json:"customerAll"`
	CustomerLastMonth []partner `json:"customerLastMonth"`
	CustomerPreMonth  []partner `json:"customerPreMonth"`
	CustomerQuarter   []partner `json:"customerQuarter"`
	CustomerYear      []partner `json:"customerYear"`
	SupplierAll       []partner `json:"supplierAll"`
	SupplierLastMonth []partner `json:"supplierLastMonth"`
	SupplierPreMonth  []partner `json:"supplierPreMonth"`
	SupplierQuarter   []partner `json:"supplierQuarter"`
	SupplierYear      []partner `json:"supplierYear"`
}

type partner struct {
	Abroad                                bool               `json:"abroad"`
	ActivitySpan                          int                `json:"activitySpan"` // days
	AverageAmountsMonthly                 []periodAverage    `json:"averageAmountsMonthly"`
	AverageAmountsQuarterly               []periodAverage    `json:"averageAmountsQuarterly"`
	AverageAmountsYearly                  []periodAverage    `json:"averageAmountsYearly"`
	AverageOfRanks                        json.Number        `json:"averageOfRanks"`
	CreditorID                            string             `json:"creditorID"`
	DaysBetweenTransactions               []int              `json:"daysBetweenTransactions"`
	DaysBetweenTransactionsAverage        json.Number        `json:"daysBetweenTransactionsAverage"`
	DaysBetweenTransactionsDeviation      json.Number        `json:"daysBetweenTransactionsDeviation"`
	DaysBetweenTransactionsVariance       json.Number        `json:"daysBetweenTransactionsVariance"`
	FirstTransactionDate                  string             `json:"firstTransactionDate"`
	IBAN                                  string             `json:"iban"`
	LastTransactionDate                   string             `json:"lastTransactionDate"`
	MedianAmount                          json.Number        `json:"medianAmount"`
	Name                                  string             `json:"name"`
	OverallAmountRank                     int                `json:"overallAmountRank"`
	OverallTransactionCountRank           int                `json:"overallTransactionCountRank"`
	PercentageOfOverallActivitySpan       json.Number        `json:"percentageOfOverallActivitySpan"`
	PercentageOfOverallAmount             json.Number        `json:"percentageOfOverallAmount"`
	PercentageOfOverallAmountMonthly      []periodPercentage `json:"percentageOfOverallAmountMonthly"`
	PercentageOfOverallAmountMonthlySlope json.Number        `json:"percentageOfOverallAmountMonthlySlope"`
	PercentageOfOverallAmountQuarterly    []periodPercentage `json:"percentageOfOverallAmountQuarterly"`
	PercentageOfOverallAmountYearly       []periodPercentage `json:"percentageOfOverallAmountYearly"`
	PercentageOfOverallTransactionCount   json.Number        `json:"percentageOfOverallTransactionCount"`
	Tags                                  []tag              `json:"tags"`
	TotalAmount                           json.Number        `json:"totalAmount"`
	TotalAmountMonthly                    []periodTotal      `json:"totalAmountMonthly"`
	TotalAmountMonthlySlope               json.Number        `json:"totalAmountMonthlySlope"`
	TotalAmountQuarterly                  []periodTotal      `json:"totalAmountQuarterly"`
	TotalAmountYearly                     []periodTotal      `json:"totalAmountYearly"`
	TransactionAmountSlope                json.Number        `json:"transactionAmountSlope"`
	TransactionCount                      int                `json:"transactionCount"`
}

// Month, quarter and year are strings in the documentation.
type periodAverage struct {
	Average json.Number `json:"average"`
	Month   string      `json:"month,omitempty"`
	Quarter string      `json:"quarter,omitempty"`
	Year    string      `json:"year"`
}

// periodPercentage has no month: the documentation's monthly list carries the month's number as "quarter".
type periodPercentage struct {
	Percentage json.Number `json:"percentage"`
	Quarter    string      `json:"quarter,omitempty"`
	Year       string      `json:"year"`
}

type periodTotal struct {
	Month            string      `json:"month,omitempty"`
	Quarter          string      `json:"quarter,omitempty"`
	TotalAmount      json.Number `json:"totalAmount"`
	TransactionCount int         `json:"transactionCount"`
	Year             string      `json:"year"`
}
