package fimento

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/psu"
)

// The codes that get special treatment.
const (
	codeCreated    = "created"
	codeLinkOpened = "consentLinkOpened"
	codeAuthError  = "authError"
	codeApproved   = "customerApprovedConsent"
	codeDenied     = "customerDeniedConsent"
)

// overall is the scope of the statuses of a process, beside those of its banks.
const overall = "overall"

// eventTypes maps the documented codes, those of the process and those of its banks: neither table has a code of the
// other.
var eventTypes = map[text]consentv1.ConsentEvent_Type{
	codeCreated:                     consentv1.ConsentEvent_CREATED,
	codeLinkOpened:                  consentv1.ConsentEvent_LINK_OPENED,
	"bankAddedNotCompletedAuthFlow": consentv1.ConsentEvent_BANK_SELECTED,
	"bankAddedCompletedAuthFlow":    consentv1.ConsentEvent_BANK_AUTHORIZED,
	"fetchingTransactionsStarted":   consentv1.ConsentEvent_FETCH_STARTED,
	"fetchingTransactionsDone":      consentv1.ConsentEvent_FETCH_COMPLETED,
	codeApproved:                    consentv1.ConsentEvent_APPROVED,
	codeDenied:                      consentv1.ConsentEvent_REVOKED,
	"categorisationStarted":         consentv1.ConsentEvent_CATEGORISATION_STARTED,
	"categorisationDone":            consentv1.ConsentEvent_CATEGORISATION_COMPLETED,
	"insightsStarted":               consentv1.ConsentEvent_INSIGHTS_STARTED,
	"completed":                     consentv1.ConsentEvent_COMPLETED,
	codeAuthError:                   consentv1.ConsentEvent_AUTHORIZATION_FAILED,
}

// Our sentences for a failure at the bank.
const (
	authFailed          = "The customer's authentication at the bank failed."
	authFailedExplained = "The customer's authentication at the bank failed; the provider gave a reason in its own " +
		"words, which is not passed on."
)

// failures tell why a customer's way through a bank's pages failed, by what errorMessage holds in lower case and
// without spaces and punctuation. Its values are not documented; the first row that fits wins, and what fits none is
// OTHER. No row has a word that a sentence about something else may hold, such as "denied" alone.
var failures = []struct {
	kind    errorv1.FailureKind_Value
	words   []string
	message string
}{
	{
		errorv1.FailureKind_NO_ACCOUNTS,
		[]string{
			"noaccount", "noeligibleaccount", "noavailableaccount", "noaccessibleaccount", "withoutaccounts",
			"accountsnotfound", "ingakonton", "ingetkonto", "eitilejä",
		},
		"The customer has no account at the bank that can be read.",
	},
	{
		errorv1.FailureKind_TIMED_OUT,
		[]string{
			"timeout", "timedout", "tooktoolong", "sessionexpired", "expiredtransaction", "tidsgräns", "aikakatkais",
		},
		"The authentication at the bank took too long.",
	},
	{
		errorv1.FailureKind_BANK_UNAVAILABLE,
		[]string{
			"unavailable", "maintenance", "notavailable", "notreachable", "unreachable", "couldnotreachbank",
			"bankisdown", "bankdown", "bankerror", "temporarilydown", "serviceerror", "otillgänglig", "huoltokatko",
		},
		"The bank could not be reached, or failed.",
	},
	{
		errorv1.FailureKind_CUSTOMER_DENIED,
		[]string{
			"cancel", "abort", "userdenied", "customerdenied", "deniedbyuser", "deniedbycustomer", "deniedbytheuser",
			"deniedbythecustomer", "userdeclined", "customerdeclined", "declinedby", "userrejected", "customerrejected",
			"rejectedbyuser", "rejectedbycustomer", "userrefused", "customerrefused", "avbröt", "avbruten", "peruutti",
			"keskeytti",
		},
		"The customer refused at the bank, or broke off.",
	},
}

// accessDenied is OAuth's code for a customer who refused. It counts only where it is the whole message.
const accessDenied = "accessdenied"

// failureOf says what failed for one status, in our words.
func failureOf(status wireStatus) *errorv1.Error {
	failed := &errorv1.Error{
		Reason: errorv1.Error_AUTHORIZATION_FAILED, ProviderCode: told(status.Code),
		FailureKind: errorv1.FailureKind_OTHER.Enum(), Message: optional.Of(authFailed),
	}
	if status.explained() {
		failed.Message = optional.Of(authFailedExplained)
	}
	message := status.message()
	for _, row := range failures {
		if slices.ContainsFunc(row.words, func(word string) bool { return strings.Contains(message, word) }) ||
			row.kind == errorv1.FailureKind_CUSTOMER_DENIED && message == accessDenied {
			failed.FailureKind, failed.Message = row.kind.Enum(), optional.Of(row.message)
			break
		}
	}
	return failed
}

// reportOf turns a process into what Kontor knows of it: its statuses, each once, and the decision that stands.
//
// customerBankConsent and consentFlowStatuses are the same list under two names, so only one is read.
func reportOf(process *wireProcess, received time.Time) providers.ConsentState {
	found := statusesOf(overall, providers.Observation{}, process.ConsentFlowStatus, received)
	banks := process.CustomerBankConsent
	if len(banks) == 0 {
		banks = process.ConsentFlowStatuses
	}
	for _, bank := range banks {
		id := connectionKey(bank)
		found = append(found, statusesOf("bank/"+id, providers.Observation{
			ConnectionID: id,
			Bank: &consentv1.Connection_Bank{
				DisplayName: told(bank.CustomerBank.Name), CountryCode: told(bank.CustomerBank.Country),
			},
			AuthorizeTime: providers.Credible(bank.ConsentGivenAt.Time, received),
		}, bank.Status, received)...)
	}
	for _, decision := range []wireDecision{process.Consent, process.ConsentFlowStatus.Consent} {
		if !decision.known() {
			// An unknown word is passed on as it is.
			found = append(found, providers.Observation{
				Key: "consent/" + string(decision), Type: consentv1.ConsentEvent_PROVIDER_STATUS,
				ProviderCode: string(decision),
			})
		}
	}
	state := providers.ConsentState{Observations: unique(found), Decision: consentv1.Decision_UNDECIDED}
	state.Withdrawn = withdrawnAt(process, state.Observations, received)
	switch approved := []wireDecision{process.Consent, process.ConsentFlowStatus.Consent}; {
	case len(state.Withdrawn) > 0:
		state.Decision, state.DecisionCode = consentv1.Decision_REVOKED, string(decisionRevoked)
	case slices.Contains(approved, decisionApproved):
		state.Decision, state.DecisionCode = consentv1.Decision_APPROVED, string(decisionApproved)
	}
	return state
}

// identityOf gives the ids that a process carries, once the customer approved: before, they can only be those that were
// asked with.
func identityOf(process *wireProcess, state providers.ConsentState, market string) *psu.Identity {
	approved := state.Decision == consentv1.Decision_APPROVED ||
		slices.ContainsFunc(state.Observations, func(o providers.Observation) bool {
			return o.Type == consentv1.ConsentEvent_APPROVED
		})
	who := psu.Identity{
		NationalID: psu.NationalID(market, string(process.NationalID)),
		CompanyID:  psu.CompanyID(market, string(process.CompanyID)),
	}
	if !approved || who.NationalID == "" && who.CompanyID == "" {
		return nil
	}
	return &who
}

// withdrawnAt names the places at which a process states a withdrawal without a time: its two consent fields, the
// overall status that is current, and entries of its histories. Where the fields differ the withdrawal stands: the
// customer may have said so in a place that the others do not know of yet.
func withdrawnAt(process *wireProcess, found []providers.Observation, received time.Time) []string {
	var places []string
	if process.Consent == decisionRevoked {
		places = append(places, "consent")
	}
	if process.ConsentFlowStatus.Consent == decisionRevoked {
		places = append(places, "consentFlowStatus.consent")
	}
	if current := process.ConsentFlowStatus.Current; current != nil && current.denied() &&
		providers.Credible(current.Timestamp.Time, received).IsZero() {
		places = append(places, "consentFlowStatus.current")
	}
	for _, o := range found {
		if o.Type == consentv1.ConsentEvent_REVOKED && o.Time.IsZero() {
			places = append(places, o.Key)
		}
	}
	return places
}

// connectionKey identifies a bank within its process, so that a bank that is listed twice is one. consentFlowStatusId
// alone would not do: it is likely the flow's, and a flow can hold several banks.
func connectionKey(bank wireBankConsent) string {
	id := string(bank.ConsentFlowStatusID) + "|" + string(bank.CustomerBank.Name)
	if bank.CustomerBank.Country != "" {
		id += "|" + string(bank.CustomerBank.Country)
	}
	return id
}

// statusesOf turns one history into observations, each a copy of about. What may happen several times is numbered in
// its key: a link is opened as often as the history says so, and a customer may withdraw again, in a later flow,
// without a time to tell it from the first withdrawal.
func statusesOf(
	scope string, about providers.Observation, reported wireStatuses, received time.Time,
) []providers.Observation {
	history := reported.History
	if current := reported.Current; current != nil && !slices.ContainsFunc(history,
		func(s wireStatus) bool { return sameStatus(s, *current) }) {
		history = append(slices.Clone(history), *current)
	}
	times := map[string]int{}
	found := make([]providers.Observation, 0, len(history))
	for _, status := range history {
		if status.Code == "" && !status.IsError {
			continue // null, or nothing that means anything
		}
		o := about
		o.Key, o.Type, o.ProviderCode = statusKey(scope, status), eventTypeOf(status), string(status.Code)
		o.Time = providers.Credible(status.Timestamp.Time, received)
		if repeats := status.Code == codeLinkOpened || status.denied() && o.Time.IsZero(); repeats {
			times[o.Key]++
			o.Key = fmt.Sprintf("%s#%d", o.Key, times[o.Key])
		}
		if o.Type == consentv1.ConsentEvent_AUTHORIZATION_FAILED {
			o.Error = failureOf(status)
		}
		if o.Type == consentv1.ConsentEvent_PROVIDER_STATUS {
			o.Description = string(status.Desc)
		}
		found = append(found, o)
	}
	return found
}

// sameStatus tells whether current is an entry of the history. A time that one of them lacks makes no difference, but
// for a withdrawal: without a time it may be another one than that of the history.
func sameStatus(entry, current wireStatus) bool {
	a, b := entry.Timestamp.Time, current.Timestamp.Time
	if entry.Code != current.Code || entry.IsError != current.IsError {
		return false
	}
	untimed := a.IsZero() || b.IsZero()
	if untimed && current.denied() {
		return a.Equal(b)
	}
	return untimed || a.Truncate(time.Second).Equal(b.Truncate(time.Second))
}

// statusKey identifies a status by its scope, its code and its second: the same code with the same time is the same
// status, reported again. A process is created once, whenever that is said to have been. A failure is a status of its
// own beside the one that it strikes, since Fimento marks a status that it may have reported before.
func statusKey(scope string, status wireStatus) string {
	key := scope + "/" + string(status.Code)
	switch {
	case scope == overall && status.Code == codeCreated:
		key = providers.KeyCreated
	case !status.Timestamp.IsZero():
		key += "/" + status.Timestamp.UTC().Format(time.RFC3339) // to the second
	}
	if status.IsError && status.Code != codeAuthError {
		key += "/error"
	}
	return key
}

func eventTypeOf(status wireStatus) consentv1.ConsentEvent_Type {
	switch {
	case status.denied(): // also one that is marked as an error
		return consentv1.ConsentEvent_REVOKED
	case status.IsError:
		return consentv1.ConsentEvent_AUTHORIZATION_FAILED
	}
	if known, ok := eventTypes[status.Code]; ok {
		return known
	}
	return consentv1.ConsentEvent_PROVIDER_STATUS
}

// unique drops observations whose key came before.
func unique(found []providers.Observation) []providers.Observation {
	seen := make(map[string]bool, len(found))
	return slices.DeleteFunc(found, func(o providers.Observation) bool {
		repeated := seen[o.Key]
		seen[o.Key] = true
		return repeated
	})
}

// marketOf gives the market of a consent; the first one when it is not known.
func marketOf(ref providers.ConsentRef) providers.Market {
	for _, market := range markets {
		if market.Code == ref.Market {
			return market
		}
	}
	return markets[0]
}

func partnerBankOf(w wirePartnerBank) providers.PartnerBank {
	return providers.PartnerBank{
		ID: string(w.ID), DisplayName: string(w.Name), LogoURI: string(cmp.Or(w.LogoURL, w.LogoURI)),
		Broker: w.IsBroker,
	}
}

// accountKey normalises an account number: without the spaces, dashes, dots, commas and slashes that make it easier to
// read, and in upper case. Everything else tells numbers apart, a leading zero and the asterisks of a masked card
// included: a transaction on the wrong account is worse than one on none.
func accountKey(number text) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || strings.ContainsRune(".,/", r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, string(number))
}

// attribution finds the account that a transaction is on: by the normalised number, the account's id; "" where several
// accounts have the number.
type attribution map[string]string

func attributionOf(accounts []providers.Account) attribution {
	byNumber := attribution{}
	for _, account := range accounts {
		number := accountKey(text(cmp.Or(account.GetIban(), account.GetAccountNumber())))
		if _, several := byNumber[number]; several {
			byNumber[number] = ""
		} else {
			byNumber[number] = account.ID
		}
	}
	delete(byNumber, "")
	return byNumber
}

// of gives the id of the account whose number a transaction's accountId is, "" when it is no listed account's. What an
// accountId is, the documentation does not say.
func (byNumber attribution) of(accountID text) string { return byNumber[accountKey(accountID)] }

// accountsOf maps accountsInfo. An account without a number, and a second one whose number is taken, is told by bank,
// name and type as well; one that agrees in all of that is the same account listed twice.
//
// ConnectionID holds the bank's NAME, since accountsInfo knows no other: who matches it to a connection compares names.
func accountsOf(listed []wireAccount, market providers.Market) []providers.Account {
	taken, seen := map[string]bool{}, map[string]bool{}
	found := make([]providers.Account, 0, len(listed))
	for _, w := range listed {
		id := accountKey(w.AccountNumber)
		whole := strings.Join([]string{id, string(w.Bank), string(w.Name), string(w.Type)}, "|")
		if seen[whole] {
			continue
		}
		seen[whole] = true
		account := &bankingv1.Account{
			BankName:     told(w.Bank),
			DisplayName:  told(w.Name),
			Type:         accountTypeOf(string(w.Type)),
			ProviderType: told(w.Type),
			CurrencyCode: optional.Of(market.CurrencyCode),
			Balance:      w.Balance.money(market),
		}
		if isIBAN(id) {
			account.Iban = told(w.AccountNumber)
		} else {
			account.AccountNumber = told(w.AccountNumber)
		}
		if id == "" || taken[id] {
			id = whole
		}
		taken[id] = true
		found = append(found, providers.Account{ID: id, ConnectionID: string(w.Bank), Account: account})
	}
	return found
}

// isIBAN tells an IBAN by its form; check digits are nobody's business here.
func isIBAN(number string) bool {
	if len(number) < 15 || len(number) > 34 {
		return false
	}
	for i, r := range number {
		letter, digit := r >= 'A' && r <= 'Z', r >= '0' && r <= '9'
		if i < 2 && !letter || (i == 2 || i == 3) && !digit || !letter && !digit {
			return false
		}
	}
	return true
}

// accountCodes are types that count only when they stand alone: "isk" is in "risk", too.
var accountCodes = map[string]bankingv1.Account_Type{
	"isk": bankingv1.Account_SECURITIES, "kf": bankingv1.Account_SECURITIES, // Swedish wrappers of investments
	"cacc": bankingv1.Account_CURRENT, "slry": bankingv1.Account_CURRENT,
	"svgs": bankingv1.Account_SAVINGS, // ISO 20022
}

// accountWords tell the type of an account by what its free string contains, in English, Swedish and Finnish. The first
// row that matches wins: a "luottokortti" is a card, an "investeringssparkonto" holds securities although it says
// "spar".
var accountWords = []struct {
	kind  bankingv1.Account_Type
	words []string
}{
	{bankingv1.Account_CARD, []string{"card", "kort"}},
	{bankingv1.Account_LOAN, []string{"loan", "mortgage", "lån", "laina", "luotto"}},
	{bankingv1.Account_SECURITIES, []string{
		"securit", "invest", "depot", "custody", "brokerage", "fund", "depå", "värdepapper", "aktie", "fond",
		"kapitalförsäkring", "arvopaperi",
		"arvo-osuus", "osake", "rahasto", "sijoitus",
	}},
	{bankingv1.Account_SAVINGS, []string{"saving", "deposit", "spar", "säästö", "talletus"}},
	{bankingv1.Account_CURRENT, []string{
		"current", "checking", "transaction", "salary", "giro", "payment", "business", "transaktion", "lön", "privat",
		"personkonto", "betal", "allkonto",
		"företag", "käyttö", "palkka", "yritys",
	}},
}

// accountTypeOf maps a type's free string.
func accountTypeOf(written string) bankingv1.Account_Type {
	lower := strings.ToLower(strings.TrimSpace(written))
	if lower == "" {
		return bankingv1.Account_OTHER
	}
	for _, row := range accountWords {
		if slices.ContainsFunc(row.words, func(word string) bool { return strings.Contains(lower, word) }) {
			return row.kind
		}
	}
	if kind, ok := accountCodes[lower]; ok {
		return kind
	}
	return bankingv1.Account_OTHER
}

// money gives the amount in the market's currency, since Fimento names none; nil for one that is missing.
func (a *amount) money(market providers.Market) *typev1.Money {
	if a == nil {
		return nil
	}
	return a.Money(market.CurrencyCode)
}

// outflow gives the amount as one that leaves the account, whichever sign the provider gave it: the list or sum that it
// stands in says so.
func (a *amount) outflow() *amount {
	if a == nil || a.Sign() <= 0 {
		return a
	}
	return &amount{a.Neg()}
}

// localPattern is a plain date, or a time without a zone.
var localPattern = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}\S*)?$`)

// dateOf gives the date of an instant in the market's zone. A plain date, and a time that names no zone, are the
// market's already. Anything else is "".
func dateOf(written text, market providers.Market) string {
	if t, ok := parseInstant(string(written)); ok {
		return t.In(market.Location).Format(time.DateOnly)
	}
	match := localPattern.FindStringSubmatch(strings.TrimSpace(string(written)))
	if match == nil {
		return ""
	}
	if _, err := time.Parse(time.DateOnly, match[1]); err != nil {
		return ""
	}
	return match[1]
}

// transactionOf maps one transaction on an account. Its amount must be there.
func transactionOf(t wireTransaction, account string, market providers.Market) providers.Transaction {
	purpose := purposeOf(t.Category, t.Amount)
	return providers.Transaction{
		ID:        string(t.ID),
		AccountID: account,
		Transaction: &bankingv1.Transaction{
			Status:                bankingv1.Transaction_BOOKED,
			Amount:                t.Amount.money(market),
			BookingDate:           optional.Of(dateOf(t.Date, market)),
			RemittanceInformation: told(t.Description),
			Category:              optional.Of(purpose.Category),
			Subcategory:           optional.Of(purpose.Subcategory),
			ProviderCategory:      told(t.Category),
		},
	}
}

func purposeOf(label text, a *amount) providers.Purpose {
	return providers.PurposeOf(string(label), a == nil || a.Sign() >= 0)
}

// insightsOf maps the insights, without the accounts, which stand beside them.
func insightsOf(i wireInsights, found []providers.Account, market providers.Market) (*insightsv1.Insights, error) {
	insights := &insightsv1.Insights{
		Origin:        insightsv1.InsightsOrigin_NATIVE,
		TotalBalances: totalBalancesOf(found, market),
	}
	if fetched := i.FetchedAtInterval; !fetched.Min.IsZero() || !fetched.Max.IsZero() {
		insights.FetchInterval = &insightsv1.Insights_Interval{
			StartTime: timestampOf(fetched.Min), EndTime: timestampOf(fetched.Max),
		}
	}
	for _, m := range i.TransactionGraph {
		insights.Movements = append(insights.Movements, movementOf(m, market))
	}
	insights.Categories = categoriesOf(insights.GetMovements(), market)
	for _, open := range []struct {
		field string
		raw   json.RawMessage
		to    **structpb.Struct
	}{
		{"totalBalance", i.TotalBalance, &insights.TotalBalance},
		{"categorisation", i.Categorisation, &insights.Categorisation},
		{"computationAutomation", i.ComputationAutomation, &insights.ComputationAutomation},
	} {
		object, err := providers.OpenObject(open.raw)
		if err != nil {
			return nil, &providers.ShapeError{Field: open.field, Want: "must be an object"}
		}
		*open.to = object
	}
	return insights, nil
}

func timestampOf(i instant) *timestamppb.Timestamp {
	if i.IsZero() {
		return nil
	}
	return timestamppb.New(i.Time)
}

// movementOf maps one point of the graph. Its date is a free string: what is no date passes as it is.
func movementOf(m wireMovement, market providers.Market) *insightsv1.Insights_Movement {
	mapped := &insightsv1.Insights_Movement{
		Date:    optional.Of(cmp.Or(dateOf(m.Date, market), string(m.Date))),
		Balance: m.Info.Balance.money(market),
		Income:  m.Info.PositiveSum.money(market),
		Expense: m.Info.NegativeSum.outflow().money(market),
	}
	for _, e := range m.Info.NegativeTransactions {
		e.Amount = e.Amount.outflow()
		mapped.Entries = append(mapped.Entries, entryOf(e, market))
	}
	for _, e := range m.Info.PositiveTransactions {
		mapped.Entries = append(mapped.Entries, entryOf(e, market))
	}
	return mapped
}

func entryOf(e wireEntry, market providers.Market) *insightsv1.Insights_Entry {
	return &insightsv1.Insights_Entry{
		RemittanceInformation: told(e.Description),
		Amount:                e.Amount.money(market),
		Category:              optional.Of(purposeOf(e.Category, e.Amount).Category),
		ProviderCategory:      told(e.Category),
	}
}

// categoriesOf sums the movements up, one row for each of the provider's labels and what it means, in the order of
// Kontor's list and then of the labels.
func categoriesOf(movements []*insightsv1.Insights_Movement,
	market providers.Market) []*insightsv1.Insights_CategorySum {
	type sum struct {
		income, expense money.Decimal
		count           int32
	}
	type purpose struct {
		label    string
		category bankingv1.Category_Value
	}
	sums := map[purpose]*sum{}
	for _, m := range movements {
		for _, e := range m.GetEntries() {
			key := purpose{e.GetProviderCategory(), e.GetCategory()}
			s := sums[key]
			if s == nil {
				s = &sum{}
				sums[key] = s
			}
			s.count++
			if value := decimal(e.GetAmount()); value.Sign() < 0 {
				s.expense = s.expense.Add(value)
			} else {
				s.income = s.income.Add(value)
			}
		}
	}
	rows := make([]*insightsv1.Insights_CategorySum, 0, len(sums))
	for key, s := range sums {
		rows = append(rows, &insightsv1.Insights_CategorySum{
			Category: optional.Of(key.category), ProviderCategory: optional.Of(key.label), TransactionCount: s.count,
			Income: s.income.Money(market.CurrencyCode), Expense: s.expense.Money(market.CurrencyCode),
		})
	}
	slices.SortFunc(rows, func(a, b *insightsv1.Insights_CategorySum) int {
		return cmp.Or(cmp.Compare(a.GetCategory(), b.GetCategory()),
			strings.Compare(a.GetProviderCategory(), b.GetProviderCategory()))
	})
	return rows
}

// totalBalancesOf sums the accounts' balances, which are all in the market's currency; nil when none has a balance.
func totalBalancesOf(found []providers.Account, market providers.Market) []*typev1.Money {
	var total money.Decimal
	known := false
	for _, account := range found {
		if account.Balance != nil {
			total, known = total.Add(decimal(account.Balance)), true
		}
	}
	if !known {
		return nil
	}
	return []*typev1.Money{total.Money(market.CurrencyCode)}
}

// decimal reads back an amount that this file wrote; a missing one is 0.
func decimal(amount *typev1.Money) money.Decimal {
	d, _ := money.Parse(amount.GetValue())
	return d
}

// told gives a text for an optional field: absent when Fimento does not tell it.
func told[T ~string](t T) *string { return optional.Of(string(t)) }
