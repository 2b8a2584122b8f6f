package finoos

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/psu"
)

// Pure functions from finoOS's JSON to Kontor's messages. The way back, for data that the caller brings along, is in
// importer.go.

var market = providers.MarketDE

// scopes are finoOS's names of the products. They are not checked against any list: finoOS has scopes that its own enum
// lacks.
var scopes = map[customerv1.Product_Value]string{
	customerv1.Product_BANKING:                  "banking",
	customerv1.Product_IMPORT:                   "bankingExternal",
	customerv1.Product_PAYMENT_PARTNER_ANALYSIS: "paymentPartnerAnalysis",
	customerv1.Product_DOCUMENT_SHIPMENT:        "documentShipment",
	customerv1.Product_COMPANIES:                "companies",
	customerv1.Product_COMPANY_LOGOS:            "companiesLogo",
	customerv1.Product_CONTRACTS:                "contracts",
}

func splitScopes(joined string) []string {
	return strings.FieldsFunc(joined, func(r rune) bool { return r == ',' || r == ' ' })
}

func userOf(w wireUser) providers.User {
	user := providers.User{
		ID: string(w.ID), Deleted: w.Deleted, CreateTime: instantOf(w.CreatedAt), DeleteTime: instantOf(w.DeletedAt),
	}
	for _, scope := range w.Scopes {
		user.Scopes = append(user.Scopes, string(scope))
	}
	return user
}

func linkOf(w wireLink) *providers.Link { return &providers.Link{URI: string(w.URL), TTL: sessionTTL} }

// connectionsOf joins logins with their statuses. Only a status that says so makes a login inactive.
func connectionsOf(logins []wireLogin, statuses []wireStatus) []providers.ConnectionState {
	byID := make(map[text]wireStatus, len(statuses))
	for _, status := range statuses {
		byID[status.ID] = status
	}
	var connections []providers.ConnectionState
	for _, login := range logins {
		status := byID[login.ID]
		connections = append(connections, providers.ConnectionState{
			ID:       string(login.ID),
			Bank:     bankOf(login.Bank),
			Active:   status.Active == nil || *status.Active,
			SyncTime: instantOf(status.LastSynchronization),
		})
	}
	return connections
}

// ownersOf gives the names that the banks know the owners of the accounts by. Whoever connected a login authenticated
// there; finoOS tells no ids.
func ownersOf(logins []wireLogin) *psu.Identity {
	var who psu.Identity
	for _, login := range logins {
		for _, account := range login.Accounts {
			who.Names = append(who.Names, psu.Names(string(account.Owner))...)
		}
	}
	if len(who.Names) == 0 {
		return nil
	}
	return &who
}

func bankOf(w wireBank) *consentv1.Connection_Bank {
	return &consentv1.Connection_Bank{
		DisplayName: told(w.Name),
		Bic:         told(w.BIC),
		BankCode:    told(w.BankCode),
		CountryCode: optional.Of(market.Code),
		LogoUri:     told(w.Logo.URL),
	}
}

// accountKey is the id of an account under a consent. Accounts are told apart by where they are nested, since the ids
// of two bank logins need not differ. The login's id is escaped, so that two pairs never make one key.
func accountKey(login, account text) string {
	return loginEscaper.Replace(string(login)) + "/" + string(account)
}

var (
	loginEscaper   = strings.NewReplacer("%", "%25", "/", "%2F")
	loginUnescaper = strings.NewReplacer("%25", "%", "%2F", "/")
)

// loginOf gives the login of an account by its key.
func loginOf(accountKey string) string {
	login, _, _ := strings.Cut(accountKey, "/")
	return loginUnescaper.Replace(login)
}

// accountOf maps an account of a bank login. Under a consent whose data the caller handed over, finoOS's id is the
// caller's, as it was sent.
func accountOf(login wireLogin, w wireAccount, imported bool) providers.Account {
	currency := currencyOf(w.Currency)
	account := providers.Account{
		ID:           accountKey(login.ID, w.ID),
		ConnectionID: string(login.ID),
		Account: &bankingv1.Account{
			BankName:             told(login.Bank.Name),
			DisplayName:          told(w.Name),
			OwnerName:            told(w.Owner),
			Iban:                 told(w.IBAN),
			AccountNumber:        told(w.Number),
			Type:                 accountTypeOf(w.Type),
			ProviderType:         told(w.Type),
			CurrencyCode:         optional.Of(currency),
			Balance:              moneyOf(w.Balance, currency),
			CreditLine:           moneyOf(w.CreditLine, currency),
			MonthlySpendingLimit: moneyOf(w.MonthlySpendingLimit, currency),
		},
	}
	if imported {
		account.ImportId = told(w.ID)
	}
	return account
}

// accountTypes maps finoOS's words for kinds of accounts. The documentation shows GIRO alone; the others are the words
// that German banks and their interfaces use.
var accountTypes = map[string]bankingv1.Account_Type{
	"GIRO":            bankingv1.Account_CURRENT,
	"GIROKONTO":       bankingv1.Account_CURRENT,
	"CURRENT":         bankingv1.Account_CURRENT,
	"CHECKING":        bankingv1.Account_CURRENT,
	"SAVINGS":         bankingv1.Account_SAVINGS,
	"SAVING":          bankingv1.Account_SAVINGS,
	"SPARKONTO":       bankingv1.Account_SAVINGS,
	"SPARBUCH":        bankingv1.Account_SAVINGS,
	"TAGESGELD":       bankingv1.Account_SAVINGS,
	"TAGESGELDKONTO":  bankingv1.Account_SAVINGS,
	"FESTGELD":        bankingv1.Account_SAVINGS,
	"FESTGELDKONTO":   bankingv1.Account_SAVINGS,
	"FIXEDTERM":       bankingv1.Account_SAVINGS,
	"BAUSPAREN":       bankingv1.Account_SAVINGS,
	"CARD":            bankingv1.Account_CARD,
	"CREDITCARD":      bankingv1.Account_CARD,
	"KREDITKARTE":     bankingv1.Account_CARD,
	"LOAN":            bankingv1.Account_LOAN,
	"KREDIT":          bankingv1.Account_LOAN,
	"DARLEHEN":        bankingv1.Account_LOAN,
	"DEPOT":           bankingv1.Account_SECURITIES,
	"SECURITIES":      bankingv1.Account_SECURITIES,
	"SECURITY":        bankingv1.Account_SECURITIES,
	"WERTPAPIERDEPOT": bankingv1.Account_SECURITIES,
}

var plainType = strings.NewReplacer("_", "", "-", "", " ", "")

func accountTypeOf(providerType text) bankingv1.Account_Type {
	if strings.TrimSpace(string(providerType)) == "" {
		return bankingv1.Account_OTHER
	}
	if known, ok := accountTypes[strings.ToUpper(plainType.Replace(string(providerType)))]; ok {
		return known
	}
	return bankingv1.Account_OTHER
}

// transactionOf maps a transaction on an account of that currency. The transaction's own accountID is not looked at:
// the documentation shows some that match no account.
func transactionOf(w wireTransaction, accountCurrency text) *bankingv1.Transaction {
	t := &bankingv1.Transaction{
		Status:                bankingv1.Transaction_BOOKED,
		Amount:                moneyOf(w.Amount, currencyOf(w.Currency, accountCurrency)),
		BookingDate:           optional.Of(dateOf(w.BookingDate)),
		ValueDate:             optional.Of(dateOf(w.ValueDate)),
		RemittanceInformation: told(w.Purpose),
		MandateId:             told(w.MandateRef),
	}
	if w.Booked != nil && !*w.Booked {
		t.Status = bankingv1.Transaction_PENDING
	}
	if c := w.CounterPart; c != nil && *c != (wireCounterPart{}) {
		t.Counterparty = &bankingv1.Transaction_Counterparty{
			Name: told(c.Name), Iban: told(c.IBAN), Bic: told(c.BIC), CreditorId: told(c.CreditorID),
		}
	}
	for _, code := range w.Codes {
		if code.Value == "" {
			continue
		}
		t.BankTransactionCodes = append(t.BankTransactionCodes, &bankingv1.Transaction_BankTransactionCode{
			Type: told(code.Type), Value: string(code.Value),
		})
		if t.GetEndToEndId() == "" && isEndToEnd(string(code.Type)) {
			t.EndToEndId = told(code.Value)
		}
	}
	if tags := tagsOf(w.Tags); len(tags) > 0 {
		purpose := purposeOf(tags, w.Amount == nil || w.Amount.Sign() >= 0)
		t.Tags, t.ProviderCategory = tags, &tags[0].Name
		t.Category, t.Subcategory = purpose.Category.Enum(), optional.Of(purpose.Subcategory)
	}
	return t
}

func isEndToEnd(codeType string) bool { return strings.Contains(strings.ToLower(codeType), "endtoend") }

func tagsOf(wire []wireTag) []*bankingv1.Transaction_Tag {
	var tags []*bankingv1.Transaction_Tag
	for _, tag := range wire {
		if tag.Name != "" {
			tags = append(tags, &bankingv1.Transaction_Tag{Name: string(tag.Name), Source: told(tag.Source)})
		}
	}
	return tags
}

// purposeOf takes the first label that Kontor knows, and what a further one says more exactly within its category.
func purposeOf(tags []*bankingv1.Transaction_Tag, received bool) providers.Purpose {
	found := providers.Purpose{Category: bankingv1.Category_OTHER}
	for _, tag := range tags {
		purpose := providers.PurposeOf(tag.GetName(), received)
		switch {
		case purpose.Category == bankingv1.Category_OTHER || purpose.Category == bankingv1.Category_VALUE_UNSPECIFIED:
		case found.Category == bankingv1.Category_OTHER, found.Category == purpose.Category &&
			found.Subcategory == bankingv1.Subcategory_VALUE_UNSPECIFIED:
			found = purpose
		}
	}
	return found
}

func standingOrderOf(w wireStandingOrder, accountCurrency text) *bankingv1.StandingOrder {
	return &bankingv1.StandingOrder{
		Amount:                moneyOf(w.Amount, currencyOf(w.Currency, accountCurrency)),
		Interval:              told(w.Interval),
		ExecutionDay:          optional.Of(int32(min(max(w.ExecutionDay, math.MinInt32), math.MaxInt32))),
		CreationDate:          optional.Of(dateOf(w.CreationDate)),
		FirstExecutionDate:    optional.Of(dateOf(w.FirstExecutionDate)),
		LastExecutionDate:     optional.Of(dateOf(w.LastExecutionDate)),
		RemittanceInformation: told(w.Purpose),
	}
}

func securityOf(w wireSecurity, accountCurrency text) *bankingv1.Security {
	return &bankingv1.Security{
		DisplayName: told(w.Name),
		Isin:        told(w.ISIN),
		Market:      told(w.Market),
		Quantity:    told(w.Quantity),
		Amount:      moneyOf(w.Amount, currencyOf(w.Currency, accountCurrency)),
		Price:       moneyOf(w.PriceAmount, currencyOf(w.PriceCurrency, w.Currency, accountCurrency)),
		PurchasePrice: moneyOf(w.PurchasePriceAmount,
			currencyOf(w.PurchasePriceCurrency, w.PriceCurrency, w.Currency, accountCurrency)),
		ExchangeRate: told(w.ExchangeRate),
	}
}

// identities gives an id to each transaction, standing order or security of one account that finoOS left without one.
// It follows from what does not change while a thing stays the same, and from how many alike came before it, so it
// stays the same when others come and go.
type identities map[string]int

func (seen identities) of(id text, content ...string) string {
	if id != "" {
		return string(id)
	}
	hash := sha256.New()
	for _, part := range content {
		hash.Write(binary.AppendUvarint(nil, uint64(len(part)))) // so that no two contents run together alike
		hash.Write([]byte(part))
	}
	made := hex.EncodeToString(hash.Sum(nil)[:12]) // as long as finoOS's own
	seen[made]++
	if n := seen[made]; n > 1 {
		return made + "-" + strconv.Itoa(n)
	}
	return made
}

// ofTransaction leaves out what changes when a transaction is booked or categorised.
func (seen identities) ofTransaction(id text, t *bankingv1.Transaction) string {
	return seen.of(id, t.GetAmount().GetValue(), t.GetAmount().GetCurrencyCode(), t.GetBookingDate(), t.GetValueDate(),
		t.GetRemittanceInformation(), t.GetCounterparty().GetName(), t.GetCounterparty().GetIban(), t.GetMandateId(),
		t.GetEndToEndId())
}

func (seen identities) ofStandingOrder(id text, o *bankingv1.StandingOrder) string {
	return seen.of(id, o.GetAmount().GetValue(), o.GetAmount().GetCurrencyCode(), o.GetInterval(),
		strconv.Itoa(int(o.GetExecutionDay())),
		o.GetCreationDate(), o.GetFirstExecutionDate(), o.GetRemittanceInformation())
}

func (seen identities) ofSecurity(id text, s *bankingv1.Security) string {
	return seen.of(id, s.GetIsin(), s.GetDisplayName(), s.GetMarket())
}

// currencyOf takes the first currency that is known, and the market's when none is.
func currencyOf(candidates ...text) string {
	for _, candidate := range candidates {
		if candidate != "" {
			return string(candidate)
		}
	}
	return market.CurrencyCode
}

func moneyOf(amount *money.Decimal, currency string) *typev1.Money {
	if amount == nil {
		return nil
	}
	return amount.Money(currency)
}

// dateOf gives the date at the banks of the market. A date without a time passes as it is; what is no date, and the
// zero time that some encoders write for none, is none.
func dateOf(t text) string {
	const date = "2006-01-02"
	if instant := instantOf(t); !instant.IsZero() {
		return instant.In(market.Location).Format(date)
	}
	if len(t) > len(date) && (t[len(date)] == 'T' || t[len(date)] == ' ') {
		if _, err := time.Parse(time.RFC3339, string(t)); err == nil {
			return "" // the zero time
		}
		t = t[:len(date)] // a time without a zone is the bank's own
	}
	if parsed, err := time.Parse(date, string(t)); err != nil || parsed.Year() <= 1 {
		return ""
	}
	return string(t)
}

// instantOf reads a timestamp. What is none is the zero time.
func instantOf(t text) time.Time {
	instant, err := time.Parse(time.RFC3339, string(t))
	if err != nil || instant.Year() <= 1 {
		return time.Time{}
	}
	return instant
}

func shipmentBody(s providers.Shipment) wireShipment {
	return wireShipment{
		ProcessID:   s.ID,
		CallbackURL: s.CallbackURL,
		Recipient:   s.GetRecipient(),
		Subject:     s.GetSubject(),
		Address:     addressBody(s.GetAddress()),
		PDFContent:  s.GetPdf(),
	}
}

func addressBody(a *documentsv1.Shipment_Address) wireAddress {
	return wireAddress{
		Street:               a.GetStreet(),
		HouseNumber:          a.GetHouseNumber(),
		Postcode:             a.GetPostcode(),
		City:                 a.GetCity(),
		CountryCode:          a.GetCountryCode(),
		StreetAdditionalInfo: a.GetStreetAdditionalInfo(),
	}
}

func logoQueries(queries []*insightsv1.SearchCompanyLogosRequest_Query) wireLogoQueries {
	body := wireLogoQueries{Queries: make([]wireLogoQuery, len(queries))}
	for i, q := range queries {
		body.Queries[i] = wireLogoQuery{
			QueryID: q.GetQueryId(), Name: q.GetName(), Domain: q.GetDomain(), IBAN: q.GetIban(), BIC: q.GetBic(),
			BankCode: q.GetBankCode(), CreditorID: q.GetCreditorId(),
		}
	}
	return body
}

// logosOf joins results to queries by id, since their order means nothing. Of several results for one query the first
// counts.
func logosOf(queries []*insightsv1.SearchCompanyLogosRequest_Query,
	results []wireLogoResult) []*insightsv1.CompanyLogo {
	byID := make(map[string]wireLogoResult, len(results))
	for _, result := range results {
		if _, ok := byID[string(result.QueryID)]; !ok {
			byID[string(result.QueryID)] = result
		}
	}
	var logos []*insightsv1.CompanyLogo
	for _, query := range queries {
		if result, ok := byID[query.GetQueryId()]; ok {
			logos = append(logos, &insightsv1.CompanyLogo{
				QueryId: query.GetQueryId(), Company: told(result.Company), LogoUri: told(result.URL),
				Status: logoStatus(result), ProviderCode: told(result.Status),
			})
		}
	}
	return logos
}

// logoStatus reads finoOS's word, in whatever case and with or without separators: the documentation shows none. A
// result without a word speaks for itself.
func logoStatus(result wireLogoResult) insightsv1.CompanyLogo_Status {
	switch strings.ToLower(plainType.Replace(string(result.Status))) {
	case "ok", "found", "success":
		return insightsv1.CompanyLogo_OK
	case "notfound", "nomatch", "none":
		return insightsv1.CompanyLogo_NOT_FOUND
	case "":
		if result.Company == "" && result.URL == "" {
			return insightsv1.CompanyLogo_NOT_FOUND
		}
		return insightsv1.CompanyLogo_OK
	default:
		return insightsv1.CompanyLogo_OTHER
	}
}

// amountOf gives an amount of the analysis, which tells no currency: that of the market.
func amountOf(amount measure) *typev1.Money {
	if amount == "" {
		return nil
	}
	return &typev1.Money{Value: string(amount), CurrencyCode: market.CurrencyCode}
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

// told gives a text for an optional field: absent when finoOS does not tell it.
func told[T ~string](t T) *string { return optional.Of(string(t)) }

func mapped[W, M any](wire []W, one func(W) M) []M {
	if len(wire) == 0 {
		return nil
	}
	messages := make([]M, len(wire))
	for i, w := range wire {
		messages[i] = one(w)
	}
	return messages
}
