package finoos

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/cockroachdb/apd/v3"

	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/providers"
)

// The structs of this file are finoOS's JSON, for both directions. They are tolerant: unknown fields are ignored, null
// counts as missing, and the scalar types below take what the documentation's samples show beside what its tables say.
// Fields that are missing in an answer are zero, or nil where zero means something.

// text is a string. A number, or true or false, is taken as its text: finoOS writes month, quarter and year as strings
// of digits, and account numbers and bank codes consist of digits too.
type text string

// UnmarshalJSON reads any scalar.
func (t *text) UnmarshalJSON(data []byte) error {
	switch {
	case string(data) == "null":
		return nil
	case data[0] == '{' || data[0] == '[':
		return errScalar
	case data[0] == '"':
		return json.Unmarshal(data, (*string)(t))
	}
	*t = text(data)
	return nil
}

// measure is a number other than an amount of money, in plain notation; "" is none. Measures are computed by finoOS, so
// they come with as many digits as a double has, and with exponents that an amount never has.
type measure string

// Bounds of measure: those of a double, so that a hostile exponent cannot fill the memory.
const (
	maxMeasureText     = 64
	maxMeasureExponent = 400
)

func parseNumber(number string) (*apd.Decimal, error) {
	if len(number) > maxMeasureText {
		return nil, errNumber
	}
	d, _, err := apd.NewFromString(number)
	if err != nil || d.Form != apd.Finite || d.Exponent > maxMeasureExponent || d.Exponent < -maxMeasureExponent {
		return nil, errNumber // apd's own error would quote the number
	}
	return d, nil
}

// UnmarshalJSON reads a number, or a string that holds one.
func (m *measure) UnmarshalJSON(data []byte) error {
	data = bytes.Trim(data, `"`)
	if string(data) == "null" || len(data) == 0 {
		return nil
	}
	d, err := parseNumber(string(data))
	if err != nil {
		return err
	}
	*m = measure(d.Text('f'))
	return nil
}

// MarshalJSON writes a number.
func (m measure) MarshalJSON() ([]byte, error) {
	if m == "" {
		return []byte("null"), nil
	}
	return []byte(m), nil
}

// integer is a whole number, however it is written: 300, 3e2, 300.0 or "300".
type integer int64

// UnmarshalJSON reads a whole number.
func (i *integer) UnmarshalJSON(data []byte) error {
	data = bytes.Trim(data, `"`)
	if string(data) == "null" || len(data) == 0 {
		return nil
	}
	d, err := parseNumber(string(data))
	if err != nil {
		return err
	}
	n, err := d.Int64()
	if err != nil {
		return errNumber
	}
	*i = integer(n)
	return nil
}

// MarshalJSON writes a whole number.
func (i integer) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, int64(i), 10), nil }

// required is a value that an answer must have. Its zero value says that the answer left it out; null is a value, since
// a list without entries may be written so. An answer without its list must not be taken for an empty list: then
// everything would seem to be gone.
type required[T any] struct {
	given bool
	value T
}

// UnmarshalJSON reads the value.
func (r *required[T]) UnmarshalJSON(data []byte) error {
	r.given = true
	return json.Unmarshal(data, &r.value)
}

// check looks at a whole body.
func (r *required[T]) check() error { return r.checkAs("the body") }

// checkAs looks at the value of a field.
func (r *required[T]) checkAs(field string) error {
	if !r.given {
		return missing(field)
	}
	return nil
}

// wireError is the body of every error.
type wireError struct {
	Type    string          `json:"type"`
	Message json.RawMessage `json:"message"` // a sentence
}

// wireCredentials asks for tokens.
type wireCredentials struct {
	Name         string `json:"name"`
	Secret       string `json:"secret"`
	RefreshToken string `json:"refreshToken,omitempty"`
}

// wireTokens are tokens with their lives in seconds.
type wireTokens struct {
	AccessToken      text    `json:"accessToken"`
	RefreshToken     text    `json:"refreshToken"`
	ExpiresIn        integer `json:"expiresIn"`
	RefreshExpiresIn integer `json:"refreshExpiresIn"`
}

func (w *wireTokens) check() error {
	if w.AccessToken == "" {
		return missing("accessToken")
	}
	return nil
}

type wireNewUser struct {
	Type   string   `json:"type"`
	Scopes []string `json:"scopes"`
}

type wireID struct {
	ID text `json:"id"`
}

func (w *wireID) check() error {
	if w.ID == "" {
		return missing("id")
	}
	return nil
}

type wireScope struct {
	Name string `json:"name"`
}

type wireUsers struct {
	Users required[[]wireUser] `json:"users"`
}

func (w *wireUsers) check() error { return w.Users.checkAs("users") }

type wireUser struct {
	ID        text       `json:"id"`
	Scopes    wireScopes `json:"scopes"`
	Deleted   bool       `json:"deleted"`
	CreatedAt text       `json:"createdAt"`
	DeletedAt text       `json:"deletedAt"`
}

// wireScopes is an array of strings as it is sent, and a string in the sample of the listing.
type wireScopes []text

// UnmarshalJSON reads an array, or a string in which commas or blanks separate the scopes.
func (s *wireScopes) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		return json.Unmarshal(data, (*[]text)(s))
	}
	var joined text
	if err := joined.UnmarshalJSON(data); err != nil {
		return err
	}
	*s = nil
	for _, scope := range splitScopes(string(joined)) {
		*s = append(*s, text(scope))
	}
	return nil
}

// wireSession asks for a session of the Banking UI.
type wireSession struct {
	RedirectURL string `json:"redirectURL"`
	ErrorURL    string `json:"errorURL"`
	ExitURL     string `json:"exitURL"`
	Recurring   *bool  `json:"recurring,omitempty"`
	BankLoginID string `json:"bankLoginId,omitempty"`
}

// wireLink is the answer to wireSession. Only connect's field is documented; the others are said to answer with "a
// URL".
type wireLink struct{ URL text }

// UnmarshalJSON reads an object with redirectURL or url, or the bare address. An object without either leaves the
// address empty.
func (l *wireLink) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		return l.URL.UnmarshalJSON(data)
	}
	var object struct {
		RedirectURL text `json:"redirectURL"` // encoding/json takes redirectUrl too
		URL         text `json:"url"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	l.URL = object.RedirectURL
	if l.URL == "" {
		l.URL = object.URL
	}
	return nil
}

// check wants an address that a browser can be sent to.
func (l *wireLink) check() error {
	address, err := url.Parse(string(l.URL))
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		return providers.NoPage(linkField)
	}
	return nil
}

func (l *wireLink) page() string { return string(l.URL) }

// linkField is where a link stands.
const linkField = "redirectURL"

// wireOptionalLink is the answer to synchronize, which needs no session when no authentication is needed.
type wireOptionalLink struct{ wireLink }

func (l *wireOptionalLink) check() error {
	if l.URL == "" {
		return nil
	}
	return l.wireLink.check()
}

// wireLogins are bank logins without transactions. Transactions are only ever read one by one: see transactions.go.
type wireLogins struct {
	Logins required[[]wireLogin] `json:"logins"`
}

// check wants an id for every login and every account, and none twice in its place: else nothing could be told apart.
func (w *wireLogins) check() error {
	logins := map[text]bool{"": true}
	for _, login := range w.Logins.value {
		if logins[login.ID] {
			return errLogins
		}
		logins[login.ID] = true
		accounts := map[text]bool{"": true}
		for _, account := range login.Accounts {
			if accounts[account.ID] {
				return errAccounts
			}
			accounts[account.ID] = true
		}
	}
	return w.Logins.checkAs("logins")
}

type wireLogin struct {
	ID       text          `json:"id"`
	Bank     wireBank      `json:"bank"`
	Accounts []wireAccount `json:"accounts"`
}

type wireBank struct {
	Name     text     `json:"name"`
	BIC      text     `json:"bic"`
	BankCode text     `json:"bankCode"`
	Logo     wireLogo `json:"logo"`
}

type wireLogo struct {
	URL  text `json:"url"`
	Type text `json:"type"`
}

type wireAccount struct {
	ID                   text                `json:"id"`
	IBAN                 text                `json:"iban,omitempty"`
	Number               text                `json:"number,omitempty"`
	Name                 text                `json:"name,omitempty"`
	Owner                text                `json:"owner,omitempty"`
	Type                 text                `json:"type,omitempty"`
	Currency             text                `json:"currency,omitempty"`
	Balance              *money.Decimal      `json:"balance,omitempty"`
	CreditLine           *money.Decimal      `json:"creditLine,omitempty"`
	MonthlySpendingLimit *money.Decimal      `json:"monthlySpendingLimit,omitempty"`
	StandingOrders       []wireStandingOrder `json:"standingOrders,omitempty"`
	Securities           []wireSecurity      `json:"securities,omitempty"`
}

type wireTransaction struct {
	ID          text             `json:"id"`
	AccountID   text             `json:"accountID,omitempty"`
	Amount      *money.Decimal   `json:"amount"`
	Currency    text             `json:"currency,omitempty"`
	Booked      *bool            `json:"booked,omitempty"`
	BookingDate text             `json:"bookingDate,omitempty"`
	ValueDate   text             `json:"valueDate,omitempty"`
	Purpose     text             `json:"purpose,omitempty"`
	MandateRef  text             `json:"mref,omitempty"`
	CounterPart *wireCounterPart `json:"counterPart,omitempty"`
	Codes       []wireCode       `json:"codes,omitempty"`
	Tags        []wireTag        `json:"tags,omitempty"`
}

type wireCounterPart struct {
	Name       text `json:"name,omitempty"`
	IBAN       text `json:"iban,omitempty"`
	BIC        text `json:"bic,omitempty"`
	CreditorID text `json:"creditorId,omitempty"`
}

type wireCode struct {
	Type  text `json:"type"`
	Value text `json:"value"`
}

type wireTag struct {
	Name   text `json:"name"`
	Source text `json:"source,omitempty"`
}

type wireStandingOrder struct {
	ID                 text           `json:"id"`
	AccountID          text           `json:"accountID,omitempty"`
	Amount             *money.Decimal `json:"amount"`
	Currency           text           `json:"currency,omitempty"`
	Interval           text           `json:"interval,omitempty"`
	ExecutionDay       integer        `json:"executionDay,omitempty"`
	CreationDate       text           `json:"creationDate,omitempty"`
	FirstExecutionDate text           `json:"firstExecutionDate,omitempty"`
	LastExecutionDate  text           `json:"lastExecutionDate,omitempty"`
	Purpose            text           `json:"purpose,omitempty"`
}

type wireSecurity struct {
	ID                    text           `json:"id"`
	AccountID             text           `json:"accountID,omitempty"`
	Name                  text           `json:"name,omitempty"`
	ISIN                  text           `json:"isin,omitempty"`
	Market                text           `json:"market,omitempty"`
	Quantity              measure        `json:"quantity,omitempty"`
	ExchangeRate          measure        `json:"exchangeRate,omitempty"`
	Amount                *money.Decimal `json:"amount,omitempty"`
	Currency              text           `json:"currency,omitempty"`
	PriceAmount           *money.Decimal `json:"priceAmount,omitempty"`
	PriceCurrency         text           `json:"priceCurrency,omitempty"`
	PurchasePriceAmount   *money.Decimal `json:"purchasePriceAmount,omitempty"`
	PurchasePriceCurrency text           `json:"purchasePriceCurrency,omitempty"`
}

// wireNewLogins are bank logins that the caller brings along.
type wireNewLogins struct {
	Logins []wireNewLogin `json:"logins"`
}

type wireNewLogin struct {
	ID       text             `json:"id"`
	Bank     wireBank         `json:"bank"`
	Accounts []wireNewAccount `json:"accounts"`
}

type wireNewAccount struct {
	wireAccount
	Transactions []wireTransaction `json:"transactions"`
}

type wireStatuses struct {
	Statuses required[[]wireStatus] `json:"loginsStatuses"`
}

func (w *wireStatuses) check() error { return w.Statuses.checkAs("loginsStatuses") }

type wireStatus struct {
	ID                  text  `json:"id"`
	Active              *bool `json:"active"`
	LastSynchronization text  `json:"lastSynchronization"`
}

type wireLogoQueries struct {
	Queries []wireLogoQuery `json:"queries"`
}

type wireLogoQuery struct {
	QueryID    string `json:"queryID"`
	Name       string `json:"name,omitempty"`
	Domain     string `json:"domain,omitempty"`
	IBAN       string `json:"iban,omitempty"`
	BIC        string `json:"bic,omitempty"`
	BankCode   string `json:"bankCode,omitempty"`
	CreditorID string `json:"creditorID,omitempty"`
}

type wireLogoResults struct {
	Results required[[]wireLogoResult] `json:"results"`
}

func (w *wireLogoResults) check() error { return w.Results.checkAs("results") }

type wireLogoResult struct {
	QueryID text `json:"queryID"`
	Company text `json:"company"`
	Status  text `json:"status"`
	URL     text `json:"url"`
}

type wireShipment struct {
	ProcessID   string      `json:"processID"`
	CallbackURL string      `json:"callbackURL"`
	Recipient   string      `json:"recipient"`
	Subject     string      `json:"subject"`
	Address     wireAddress `json:"address"`
	PDFContent  []byte      `json:"pdfContent"` // encoding/json writes base64
}

type wireAddress struct {
	Street               string `json:"street"`
	HouseNumber          string `json:"houseNumber"`
	Postcode             string `json:"postcode"`
	City                 string `json:"city"`
	CountryCode          string `json:"countryCode"`
	StreetAdditionalInfo string `json:"streetAdditionalInfo,omitempty"`
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
