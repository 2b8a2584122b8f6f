package played

type errorWire struct {
	Messages []messageWire `json:"tppMessages"`
}

type messageWire struct {
	Category string `json:"category"`
	Code     string `json:"code"`
	Text     string `json:"text"`
}

type oauthErrorWire struct {
	Error string `json:"error"`
}

type tokenWire struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
}

type newConsentWire struct {
	Recurring bool   `json:"recurringIndicator"`
	ValidDays int    `json:"validDays"`
	ReturnURI string `json:"returnUri"`
}

type consentWire struct {
	ID         string     `json:"consentId"`
	Status     string     `json:"consentStatus"`
	DataStatus string     `json:"dataStatus"`
	ValidUntil *string    `json:"validUntil,omitempty"`
	Bank       *bankWire  `json:"bank,omitempty"`
	Links      *linksWire `json:"_links,omitempty"`
}

type bankWire struct {
	Name string `json:"name"`
	BIC  string `json:"bic"`
}

type linksWire struct {
	Redirect hrefWire `json:"scaRedirect"`
}

type hrefWire struct {
	Href string `json:"href"`
}

type accountsWire struct {
	Accounts []accountWire `json:"accounts"`
}

type accountWire struct {
	ID       string        `json:"resourceId"`
	IBAN     string        `json:"iban,omitempty"`
	BBAN     string        `json:"bban"`
	Name     string        `json:"name"`
	Owner    string        `json:"ownerName"`
	Type     string        `json:"cashAccountType"`
	Currency string        `json:"currency"`
	Balances []balanceWire `json:"balances"`
}

type balanceWire struct {
	Type   string     `json:"balanceType"`
	Amount amountWire `json:"balanceAmount"`
}

type amountWire struct {
	Currency string `json:"currency"`
	Amount   string `json:"amount"`
}

type transactionsWire struct {
	Transactions struct {
		Booked  []transactionWire `json:"booked"`
		Pending []transactionWire `json:"pending"`
	} `json:"transactions"`
}

type transactionWire struct {
	ID           string     `json:"transactionId"`
	BookingDate  string     `json:"bookingDate"`
	ValueDate    string     `json:"valueDate"`
	Amount       amountWire `json:"transactionAmount"`
	Counterparty partyWire  `json:"counterparty"`
	Remittance   string     `json:"remittanceInformationUnstructured"`
	MandateID    string     `json:"mandateId,omitempty"`
	EndToEndID   string     `json:"endToEndId,omitempty"`
	Category     string     `json:"category"`
}

type partyWire struct {
	Name string `json:"name,omitempty"`
	IBAN string `json:"iban,omitempty"`
}
