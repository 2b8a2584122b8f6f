package fimento

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/cockroachdb/apd/v3"

	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/providers"
)

// The structs of this file are Fimento's JSON, for both directions. They are tolerant: unknown fields are ignored, null
// counts as missing, and the types below take what the documentation's samples show beside what its prose says. Of who
// the customer is (socialSecurityNumber, companyId, firstName, lastName) only the ids of a process are read, to be
// compared. An answer's check says what it must have to mean anything.

// text is a string. A number, or true or false, is taken as its text: account numbers consist of digits.
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

// instant is a point in time. What cannot be read as one counts as not told: a time is never worth losing a status for.
type instant struct{ time.Time }

// UnmarshalJSON reads RFC 3339 in all its forms.
func (i *instant) UnmarshalJSON(data []byte) error {
	var written string
	if json.Unmarshal(data, &written) == nil {
		i.Time, _ = parseInstant(written)
	}
	return nil
}

// parseInstant reads RFC 3339: Z or an offset, with or without a fraction. Years that a protobuf Timestamp cannot carry
// in every zone do not count.
func parseInstant(written string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(written))
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9998 {
		return time.Time{}, false
	}
	return t, true
}

// amount is a decimal. Fimento computes sums in binary floating point, which leaves residues such as
// 2.8421709430404007e-14 where zero is meant; digits beyond the eighteenth after the point are rounded away, since
// Money has no room for them. All others are exact.
type amount struct{ money.Decimal }

const maxAmountText, maxScale = 64, 18

// UnmarshalJSON reads a JSON number, or a string that holds one.
func (a *amount) UnmarshalJSON(data []byte) error {
	if a.Decimal.UnmarshalJSON(data) == nil {
		return nil
	}
	written := strings.Trim(string(data), `"`)
	if len(written) > maxAmountText {
		return money.ErrInvalid
	}
	d, _, err := apd.NewFromString(written)
	if err != nil || d.Exponent >= -maxScale { // nothing to round: the number is too large, or none
		return money.ErrInvalid
	}
	rounding := apd.BaseContext.WithPrecision(2 * maxAmountText)
	rounding.Rounding = apd.RoundHalfEven
	if _, err := rounding.Quantize(d, d, -maxScale); err != nil {
		return money.ErrInvalid
	}
	a.Decimal, err = money.Parse(d.Text('f'))
	return err
}

// wireError is the body of every error.
type wireError struct {
	Error   text            `json:"error"`
	Message json.RawMessage `json:"message"` // a list of sentences, or one
}

type wireCredentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

type wireToken struct {
	AccessToken text `json:"access_token"`
	ValidUntil  text `json:"valid_until"`
}

type wireWebhook struct {
	WebhookURL string `json:"webhookUrl"`
}

// wireNewPartnerBank is a partner bank to make or to change. A LogoURL that is nil is left out.
type wireNewPartnerBank struct {
	Name     string  `json:"name"`
	IsBroker bool    `json:"isBroker"`
	LogoURL  *string `json:"logoUrl,omitempty"`
}

type wirePartnerBank struct {
	ID       text `json:"_id"`
	Name     text `json:"name"`
	IsBroker bool `json:"isBroker"`
	LogoURL  text `json:"logoUrl"`
	LogoURI  text `json:"logoUri"` // the documentation has both spellings
}

func (b *wirePartnerBank) check() error {
	if b.ID == "" {
		return missing("_id")
	}
	return nil
}

// required is a list that an answer must have. Its zero value says that the answer left it out; null is a list without
// entries. An answer without its list must not be taken for an empty list: then everything would seem to be gone.
type required[T any] struct {
	given bool
	list  []T
}

// UnmarshalJSON reads the list.
func (r *required[T]) UnmarshalJSON(data []byte) error {
	r.given = true
	return json.Unmarshal(data, &r.list)
}

// checkAs wants the list, which is the field of an answer.
func (r *required[T]) checkAs(field string) error {
	if !r.given {
		return missing(field)
	}
	return nil
}

// wirePartnerBanks is a page of the list, a bare array.
type wirePartnerBanks struct{ required[wirePartnerBank] }

func (banks *wirePartnerBanks) check() error {
	if err := banks.checkAs("the body"); err != nil {
		return err
	}
	for _, bank := range banks.list {
		if err := bank.check(); err != nil {
			return err
		}
	}
	return nil
}

type wireNewProcess struct {
	Market               string           `json:"market"`
	DataCollectionType   string           `json:"dataCollectionType"`
	SocialSecurityNumber string           `json:"socialSecurityNumber,omitempty"`
	CompanyID            string           `json:"companyId,omitempty"`
	FirstName            string           `json:"firstName,omitempty"`
	LastName             string           `json:"lastName,omitempty"`
	RedirectURL          string           `json:"redirectUrl,omitempty"`
	PsuType              string           `json:"psuType,omitempty"`
	BrokerBanks          []wireBrokerBank `json:"brokerBanks,omitempty"`
}

type wireBrokerBank struct {
	Name    string `json:"name,omitempty"`
	ID      string `json:"id,omitempty"`
	LogoURI string `json:"logoUri,omitempty"`
}

// wireProcess is a process. brokerBanks and psuType are left out: they come back in other shapes than they are sent,
// and nobody needs them.
type wireProcess struct {
	ID                  text             `json:"_id"`
	ConsentFlowStatus   wireStatuses     `json:"consentFlowStatus"`
	CustomerBankConsent wireBankConsents `json:"customerBankConsent"`
	ConsentFlowStatuses wireBankConsents `json:"consentFlowStatuses"`
	Consent             wireDecision     `json:"consent"`
	NationalID          text             `json:"socialSecurityNumber"`
	CompanyID           text             `json:"companyId"`

	asked string // which process was asked about, empty for a new one
}

func (p *wireProcess) check() error {
	if p.ID == "" {
		return missing("_id")
	}
	return about("_id", p.ID, p.asked)
}

// wireCreatedProcess is the answer to create_process: the process with the consent link beside its fields.
type wireCreatedProcess struct {
	wireProcess
	Link string
}

// UnmarshalJSON reads both.
func (p *wireCreatedProcess) UnmarshalJSON(data []byte) error {
	p.Link = namedLink(data)
	return json.Unmarshal(data, &p.wireProcess)
}

func (p *wireCreatedProcess) check() error {
	if err := p.wireProcess.check(); err != nil {
		return err
	}
	if p.Link == "" {
		return errNoLink
	}
	return nil
}

func (p *wireCreatedProcess) page() (field, address string) { return errNoLink.Field, p.Link }

// wireLink is the answer to new_consent_link and new_consent_flow.
type wireLink struct{ URI string }

// UnmarshalJSON reads a named link, else the one http(s) address that the answer holds.
func (l *wireLink) UnmarshalJSON(data []byte) error {
	if l.URI = namedLink(data); l.URI == "" {
		l.URI = soleLink(data)
	}
	return nil
}

func (l *wireLink) check() error {
	if l.URI == "" {
		return errNoLink
	}
	return nil
}

func (l *wireLink) page() (field, address string) { return errNoLink.Field, l.URI }

// The names under which a consent link may stand: the prose's first, then what its samples' spelling of other fields
// suggests.
var linkNames = []string{"consent-link", "consentLink", "consent_link", "consentUrl", "link", "url"}

// namedLink finds the link under one of linkNames at the top level, "" when there is none.
func namedLink(data []byte) string {
	var members map[string]json.RawMessage // not a struct: encoding/json would match names in any case
	if json.Unmarshal(data, &members) != nil {
		return ""
	}
	for _, name := range linkNames {
		var link string
		if json.Unmarshal(members[name], &link) == nil && isWebAddress(link) {
			return link
		}
	}
	return ""
}

// soleLink finds the only http(s) address in an answer that documents nothing but "the link". With two different ones
// there is none.
func soleLink(data []byte) string {
	var answer any
	if json.Unmarshal(data, &answer) != nil {
		return ""
	}
	found := map[string]bool{}
	collectLinks(answer, found)
	if len(found) != 1 {
		return ""
	}
	for link := range found {
		return link
	}
	return ""
}

func collectLinks(value any, found map[string]bool) {
	switch value := value.(type) {
	case string:
		if isWebAddress(value) {
			found[value] = true
		}
	case []any:
		for _, element := range value {
			collectLinks(element, found)
		}
	case map[string]any:
		for _, member := range value {
			collectLinks(member, found)
		}
	}
}

// isWebAddress tells whether a text is an address that means a page. Whether a customer may be sent there is
// providers.BaseURL's to say.
func isWebAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// wireBankConsent is one bank of a process.
type wireBankConsent struct {
	CustomerBank        wireBank     `json:"customerBank"`
	Status              wireStatuses `json:"status"`
	ConsentGivenAt      instant      `json:"consentGivenAt"`
	ConsentFlowStatusID text         `json:"consentFlowStatusId"`
}

// wireBankConsents are the banks of a process. What is no list of banks holds none, or the one: nothing about banks may
// keep a withdrawal that stands beside them from being heard.
type wireBankConsents []wireBankConsent

// UnmarshalJSON reads any value.
func (banks *wireBankConsents) UnmarshalJSON(data []byte) error {
	for _, element := range elements(data) {
		var bank wireBankConsent
		if json.Unmarshal(element, &bank) == nil {
			*banks = append(*banks, bank)
		}
	}
	return nil
}

// wireBank is a bank: its name and country, or its name alone.
type wireBank struct{ Name, Country text }

// UnmarshalJSON reads any value.
func (b *wireBank) UnmarshalJSON(data []byte) error {
	var bank struct {
		Name    text `json:"name"`
		Country text `json:"country"`
	}
	if json.Unmarshal(data, &bank) == nil {
		b.Name, b.Country = bank.Name, bank.Country
	} else if data[0] == '"' {
		_ = json.Unmarshal(data, &b.Name)
	}
	return nil
}

// wireStatuses is a history of statuses: {current, history[]} in the samples, an array in the prose; a single status is
// taken too, and a code alone. What is none of these tells nothing: the decision beside it still counts.
type wireStatuses struct {
	Current *wireStatus
	History []wireStatus
	Consent wireDecision
}

// UnmarshalJSON reads any value.
func (s *wireStatuses) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		s.History = statuses(data)
		return nil
	}
	var object struct {
		Current json.RawMessage `json:"current"`
		History json.RawMessage `json:"history"`
		Consent wireDecision    `json:"consent"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	s.History, s.Consent = statuses(object.History), object.Consent
	if current := statuses(object.Current); len(current) > 0 {
		s.Current = &current[len(current)-1]
		s.History = append(s.History, current[:len(current)-1]...)
	}
	if own := statuses(data); s.Current == nil && len(own) > 0 && (own[0].Code != "" || own[0].IsError) {
		s.Current = &own[0]
	}
	return nil
}

// statuses reads a list of statuses, or a single one. What is none is left out.
func statuses(data []byte) []wireStatus {
	var found []wireStatus
	for _, element := range elements(data) {
		var status wireStatus
		if json.Unmarshal(element, &status) == nil {
			found = append(found, status)
		}
	}
	return found
}

// elements gives the elements of a list; any other value is the only one, and null is none.
func elements(data []byte) []json.RawMessage {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil { // null as well
		return list
	}
	if len(data) == 0 {
		return nil
	}
	return []json.RawMessage{data}
}

// wireStatus is one status. Desc words the code; it matters for a code that is not known.
type wireStatus struct {
	Code         text
	Desc         text
	Timestamp    instant
	IsError      bool
	ErrorMessage json.RawMessage
}

// UnmarshalJSON reads an object, or a code alone.
func (s *wireStatus) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		return s.Code.UnmarshalJSON(data)
	}
	var object struct {
		Code         text            `json:"code"`
		Desc         json.RawMessage `json:"desc"`
		Timestamp    instant         `json:"timestamp"`
		IsError      text            `json:"isError"` // true, or "true"
		ErrorMessage json.RawMessage `json:"errorMessage"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	s.Code, s.Timestamp, s.ErrorMessage = object.Code, object.Timestamp, object.ErrorMessage
	s.IsError = strings.EqualFold(string(object.IsError), "true")
	if len(object.Desc) > 0 && object.Desc[0] == '"' {
		_ = json.Unmarshal(object.Desc, &s.Desc) // what is no text is none: it only words the code
	}
	return nil
}

// denied tells whether the customer refused or withdrew. The code is taken in any casing, as wireDecision is, and with
// the asterisk that marks it in the documentation's table.
func (s *wireStatus) denied() bool {
	return strings.EqualFold(strings.Trim(string(s.Code), " *"), codeDenied)
}

// explained tells whether an error came with a message. The message itself is free text about a customer and goes
// nowhere.
func (s *wireStatus) explained() bool {
	switch string(s.ErrorMessage) {
	case "", "null", `""`:
		return false
	}
	return true
}

// message is the text of an error's message as failures has its words: letters and digits in lower case.
func (s *wireStatus) message() string {
	var message string
	_ = json.Unmarshal(s.ErrorMessage, &message) // what is no text says nothing
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, message)
}

// wireDecision is what the customer decided. null, "null" and what is no string are "", no decision.
type wireDecision string

// The documented decisions.
const (
	decisionApproved wireDecision = "approved"
	decisionRevoked  wireDecision = "revoked"
)

// known tells a documented decision, or none, from any other word.
func (d wireDecision) known() bool {
	return d == "" || d == decisionApproved || d == decisionRevoked
}

// UnmarshalJSON reads any value. A documented word is taken in any casing: a withdrawal that is written "Revoked" must
// not go unheard.
func (d *wireDecision) UnmarshalJSON(data []byte) error {
	var decision string
	_ = json.Unmarshal(data, &decision) // what is no string is no decision
	decision = strings.TrimSpace(decision)
	switch {
	case strings.EqualFold(decision, "null"):
	case strings.EqualFold(decision, string(decisionApproved)):
		*d = decisionApproved
	case strings.EqualFold(decision, string(decisionRevoked)):
		*d = decisionRevoked
	default:
		*d = wireDecision(decision)
	}
	return nil
}

type wireVisualisation struct {
	URL text `json:"visualisationUrl"`
}

func (v *wireVisualisation) check() error {
	if !isWebAddress(string(v.URL)) {
		return &providers.ShapeError{Field: "visualisationUrl", Want: "must be the address of a page"}
	}
	return nil
}

func (v *wireVisualisation) page() (field, address string) { return "visualisationUrl", string(v.URL) }

// wireAccounts is the part of the insights that tells the accounts.
type wireAccounts struct {
	AccountsInfo required[wireAccount] `json:"accountsInfo"`
	ProcessID    text                  `json:"processId"`

	asked string // which process was asked about
}

// check wants the list, which may be empty: an answer without it is not one that says "no accounts".
func (a *wireAccounts) check() error {
	if err := a.AccountsInfo.checkAs("accountsInfo"); err != nil {
		return err
	}
	return about("processId", a.ProcessID, a.asked)
}

type wireAccount struct {
	AccountNumber text    `json:"accountNumber"`
	Name          text    `json:"name"`
	Balance       *amount `json:"balance"`
	Type          text    `json:"type"`
	Bank          text    `json:"bank"`
}

// wireInsights is the evaluation. The three raw members are open objects.
type wireInsights struct {
	wireAccounts
	TransactionGraph  []wireMovement `json:"transactionGraph"`
	FetchedAtInterval struct {
		Min instant `json:"min"`
		Max instant `json:"max"`
	} `json:"fetchedAtInterval"`
	TotalBalance          json.RawMessage `json:"totalBalance"`
	Categorisation        json.RawMessage `json:"categorisation"`
	ComputationAutomation json.RawMessage `json:"computationAutomation"`
}

type wireMovement struct {
	Date text `json:"date"`
	Info struct {
		Balance              *amount     `json:"balance"`
		NegativeSum          *amount     `json:"negativeSum"`
		PositiveSum          *amount     `json:"positiveSum"`
		NegativeTransactions []wireEntry `json:"negativeTransactions"`
		PositiveTransactions []wireEntry `json:"positiveTransactions"`
	} `json:"info"`
}

type wireEntry struct {
	Description text    `json:"description"`
	Amount      *amount `json:"amount"`
	Category    text    `json:"category"`
}

type wireTransactions struct {
	Transactions required[wireTransaction] `json:"transactions"`
}

// check wants the list, which is empty after the last page, and ids and amounts in it: without an id nothing could be
// told from its repetition.
func (t *wireTransactions) check() error {
	if err := t.Transactions.checkAs("transactions"); err != nil {
		return err
	}
	for _, transaction := range t.Transactions.list {
		switch {
		case transaction.ID == "":
			return missing("transactions._id")
		case transaction.Amount == nil:
			return missing("transactions.amount")
		}
	}
	return nil
}

// wireTransaction is one transaction. cBankId is left out: it is an id of Fimento's own that nothing else refers to.
type wireTransaction struct {
	ID          text    `json:"_id"`
	Amount      *amount `json:"amount"`
	Date        text    `json:"date"`
	Description text    `json:"description"`
	AccountID   text    `json:"accountId"`
	Category    text    `json:"category"`
}
