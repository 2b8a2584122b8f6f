package example

import (
	"time"

	"kontor.dev/kontor/internal/money"
)

// The forms of /oauth.
type (
	wireLogin struct {
		GrantType    string `form:"grant_type"`
		ClientID     string `form:"client_id"`
		ClientSecret string `form:"client_secret"`
	}
	wireGrant struct {
		GrantType    string `form:"grant_type"`
		Code         string `form:"code,omitempty"`
		RefreshToken string `form:"refresh_token,omitempty"`
	}
)

type wireToken struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
}

func (t *wireToken) check() error {
	if t.AccessToken == "" || t.ExpiresIn <= 0 {
		return missing("access_token, expires_in")
	}
	return nil
}

type wireNewConsent struct {
	Recurring bool   `json:"recurringIndicator"`
	ValidDays int    `json:"validDays"`
	ReturnURI string `json:"returnUri"`
}

// wireConsent is a consent. A link comes only with one that was just made.
type wireConsent struct {
	ID         string    `json:"consentId"`
	Status     string    `json:"consentStatus"`
	DataStatus string    `json:"dataStatus"`
	ValidUntil time.Time `json:"validUntil"`
	Bank       *wireBank `json:"bank"`
	Links      struct {
		Redirect struct {
			Href string `json:"href"`
		} `json:"scaRedirect"`
	} `json:"_links"`
}

type wireBank struct {
	Name string `json:"name"`
	BIC  string `json:"bic"`
}

func (c *wireConsent) check() error {
	if c.ID == "" || c.Status == "" {
		return missing("consentId, consentStatus")
	}
	return nil
}

// wireAmount is a decimal in a string, which is never a float64 on its way.
type wireAmount struct {
	Currency string        `json:"currency"`
	Amount   money.Decimal `json:"amount"`
}

type wireAccounts struct {
	Accounts []wireAccount `json:"accounts"`
}

type wireAccount struct {
	ID       string        `json:"resourceId"`
	IBAN     string        `json:"iban"`
	BBAN     string        `json:"bban"`
	Name     string        `json:"name"`
	Owner    string        `json:"ownerName"`
	Type     string        `json:"cashAccountType"` // as ISO 20022 has it
	Currency string        `json:"currency"`
	Balances []wireBalance `json:"balances"`
}

type wireBalance struct {
	Type   string     `json:"balanceType"`
	Amount wireAmount `json:"balanceAmount"`
}

func (a *wireAccounts) check() error {
	for _, account := range a.Accounts {
		if account.ID == "" {
			return missing("accounts.resourceId")
		}
	}
	return nil
}

type wireTransactions struct {
	Transactions struct {
		Booked  []wireTransaction `json:"booked"`
		Pending []wireTransaction `json:"pending"`
	} `json:"transactions"`
}

type wireTransaction struct {
	ID           string     `json:"transactionId"`
	BookingDate  string     `json:"bookingDate"`
	ValueDate    string     `json:"valueDate"`
	Amount       wireAmount `json:"transactionAmount"`
	Counterparty struct {
		Name string `json:"name"`
		IBAN string `json:"iban"`
	} `json:"counterparty"`
	Remittance string `json:"remittanceInformationUnstructured"`
	MandateID  string `json:"mandateId"`
	EndToEndID string `json:"endToEndId"`
	Category   string `json:"category"`
}

func (t *wireTransactions) check() error {
	for _, list := range [][]wireTransaction{t.Transactions.Booked, t.Transactions.Pending} {
		for _, transaction := range list {
			if transaction.ID == "" {
				return missing("transactions.transactionId")
			}
		}
	}
	return nil
}

// wireError is the body of an error.
type wireError struct {
	Messages []struct {
		Code string `json:"code"`
	} `json:"tppMessages"`
	OAuth string `json:"error"` // of /oauth
}
