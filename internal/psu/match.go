package psu

import (
	"bytes"
	"encoding/json"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
)

// Hash makes of a text what it can be compared by and not guessed from: equal texts of one kind have equal hashes.
type Hash func(kind, text string) []byte

// Asked is whom a consent was asked of, as hashes.
type Asked struct {
	NationalID []byte `json:"nationalId,omitempty"`
	CompanyID  []byte `json:"companyId,omitempty"`
	Name       []byte `json:"name,omitempty"`
}

// The kinds of texts that are hashed.
const (
	kindNationalID = "national-id"
	kindCompanyID  = "company-id"
	kindName       = "name"
)

// Ask gives whom a consent in a market is asked of. It is empty when nothing is known of them.
func Ask(market string, who *consentv1.Psu, hash Hash) Asked {
	of := func(kind, text string) []byte {
		if text == "" {
			return nil
		}
		return hash(kind, text)
	}
	return Asked{
		NationalID: of(kindNationalID, NationalID(market, who.GetNationalId())),
		CompanyID:  of(kindCompanyID, CompanyID(market, who.GetCompanyId())),
		Name:       of(kindName, Name(who.GetFirstName(), who.GetLastName())),
	}
}

// Empty tells whether there is nothing to compare with.
func (a Asked) Empty() bool { return len(a.NationalID)+len(a.CompanyID)+len(a.Name) == 0 }

// Bytes gives the form in which the store keeps it, nil when it is empty. ParseAsked reads it.
func (a Asked) Bytes() []byte {
	if a.Empty() {
		return nil
	}
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // cannot be: there are only bytes in it
	}
	return text
}

// ParseAsked reads what Bytes gave.
func ParseAsked(text []byte) (asked Asked, err error) {
	if len(text) == 0 {
		return asked, nil
	}
	err = json.Unmarshal(text, &asked)
	return asked, err
}

// Compare tells whether who approved is who was asked. Ids that differ are of different people or companies. Ids that
// are equal say so only of who authenticated; a name that the bank knows its customer by does, too. A name that differs
// says nothing: people have several.
func (a Asked) Compare(told Identity, hash Hash) consentv1.IdentityMatch_Value {
	equal := false
	for _, id := range []struct {
		asked      []byte
		kind, told string
	}{{a.NationalID, kindNationalID, told.NationalID}, {a.CompanyID, kindCompanyID, told.CompanyID}} {
		if len(id.asked) == 0 || id.told == "" {
			continue
		}
		if !bytes.Equal(id.asked, hash(id.kind, id.told)) {
			return consentv1.IdentityMatch_DIFFERENT
		}
		equal = told.Authenticated
	}
	for _, name := range told.Names {
		equal = equal || len(a.Name) > 0 && bytes.Equal(a.Name, hash(kindName, name))
	}
	if equal {
		return consentv1.IdentityMatch_MATCHED
	}
	return consentv1.IdentityMatch_UNKNOWN
}
