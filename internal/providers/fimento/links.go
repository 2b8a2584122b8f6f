package fimento

import (
	"encoding/json"
	"net/url"
)

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
