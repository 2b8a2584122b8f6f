package sandbox

import "time"

// The quality of a person's data.
const (
	Good = "good"
	Bad  = "bad" // falling balance, overdrafts, gambling, reminder fees, debt collection
)

// The types of accounts.
const (
	AccountCurrent    = "CURRENT"
	AccountSavings    = "SAVINGS"
	AccountCard       = "CARD"
	AccountLoan       = "LOAN"
	AccountSecurities = "SECURITIES"
)

// Person is a person, or a company, with all that their banks hold. What a Person points to is shared and must not
// be changed.
type Person struct {
	ID         string // stable, the same in every market
	FirstName  string // "" for companies
	LastName   string // "" for companies
	Name       string // the full name, or the company's
	NationalID string // "" for companies and for Germans, whose provider asks for none
	CompanyID  string // "" for persons
	Company    bool
	Quality    string // Good or Bad
	Country    string // the market that the logins belong to
	Logins     []BankLogin
}

// BankLogin is one bank at which a person has accounts.
type BankLogin struct {
	Bank     Bank
	Accounts []Account
}

// Bank is an invented bank.
type Bank struct {
	ID       string // 24 hexadecimal digits
	Name     string
	BIC      string
	BankCode string // the national clearing code; in Germany the Bankleitzahl
	Country  string
}

// Account is an account with its whole history. Decimals are exact strings in the account's currency.
type Account struct {
	ID                   string // 24 hexadecimal digits
	IBAN                 string // "" for cards and depots; with a right checksum, but for SampleInvalidIBAN
	Number               string // national account number, or a card's masked one
	Name                 string
	Owner                string
	Type                 string        // one of the Account constants
	Currency             string        // ISO 4217
	OpeningBalance       string        // before the first transaction
	Balance              string        // OpeningBalance and all booked transactions; pending ones are not in it
	CreditLine           string        // "0" when there is none
	MonthlySpendingLimit string        // "0" when there is none
	Transactions         []Transaction // oldest first
	StandingOrders       []StandingOrder
	Securities           []Security
}

// Transaction is one movement.
type Transaction struct {
	ID           string    // 24 hexadecimal digits
	Date         time.Time // booking date: midnight UTC of the bank's own calendar day; for a pending one its entry
	ValueDate    time.Time // same
	Amount       string    // exact decimal; negative leaves the account
	Description  string
	Counterparty Counterparty
	MandateRef   string // of a direct debit, else ""
	EndToEndID   string // "" when the payer gave none
	Category     string // one of the Category constants
	Booked       bool   // false while pending
}

// Counterparty is the other side of a transaction; what is unknown is "".
type Counterparty struct {
	Name       string
	IBAN       string
	BIC        string
	CreditorID string // SEPA creditor identifier of who collects direct debits
}

// StandingOrder is a payment that the bank makes every month.
type StandingOrder struct {
	ID                 string // "" on some, as in finoOS's samples
	Amount             string // exact decimal, positive
	Currency           string
	Purpose            string
	Counterparty       Counterparty
	Interval           string // MONTHLY
	ExecutionDay       int    // day of the month
	CreationDate       time.Time
	FirstExecutionDate time.Time
	LastExecutionDate  time.Time // the last execution so far
}

// Security is a holding in a depot.
type Security struct {
	ID                    string
	ISIN                  string
	Name                  string
	Market                string
	Quantity              string // exact decimal
	Amount                string // value in Currency
	Currency              string
	Price                 string // per piece, in PriceCurrency
	PriceCurrency         string
	PurchasePrice         string // per piece, in PurchasePriceCurrency
	PurchasePriceCurrency string
	ExchangeRate          string // Currency for one PriceCurrency
}

// The neutral categories; each dialect has its own labels for them.
const (
	CategorySalary         = "salary"
	CategoryBenefits       = "benefits"
	CategorySales          = "sales" // a company's customers
	CategoryInterest       = "interest"
	CategoryRent           = "rent"
	CategoryUtilities      = "utilities"
	CategoryGroceries      = "groceries"
	CategoryRestaurants    = "restaurants"
	CategoryTransport      = "transport"
	CategoryInsurance      = "insurance"
	CategoryTelecom        = "telecom"
	CategorySubscriptions  = "subscriptions"
	CategoryShopping       = "shopping"
	CategoryHealth         = "health"
	CategoryLeisure        = "leisure"
	CategoryCash           = "cash"
	CategoryTransfer       = "transfer" // between own accounts, or to friends
	CategoryCardBill       = "cardBill"
	CategoryInvestment     = "investment"
	CategoryLoan           = "loan"
	CategoryGambling       = "gambling"
	CategoryFees           = "fees"
	CategoryDebtCollection = "debtCollection"
	CategoryTaxes          = "taxes"
	CategoryWages          = "wages"     // what a company pays its staff
	CategorySuppliers      = "suppliers" // what a company buys
	CategoryOther          = "other"
)
