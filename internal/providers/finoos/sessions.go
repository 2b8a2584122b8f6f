package finoos

import (
	"encoding/json"
	"net/url"

	"kontor.dev/kontor/internal/providers"
)

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

func linkOf(w wireLink) *providers.Link { return &providers.Link{URI: string(w.URL), TTL: sessionTTL} }
