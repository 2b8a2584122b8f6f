package service

import (
	"encoding/base32"
	"regexp"
	"strings"
	"unicode"

	"kontor.dev/kontor/internal/keys"
)

// Resource names. They stand in URLs, so a segment that would be a provider's id, which might be an account number, is
// a keyed hash of it: see Names.

// CustomerName names a customer.
func CustomerName(id string) string { return "customers/" + id }

// ConsentName names a consent.
func ConsentName(id string) string { return "consents/" + id }

// ShipmentName names a shipment.
func ShipmentName(id string) string { return "shipments/" + id }

// PartnerBankName names a partner bank.
func PartnerBankName(id string) string { return "partnerBanks/" + id }

// ProviderName names a provider.
func ProviderName(id string) string { return "providers/" + id }

// Names names what is under a tenant's consents by its id at the provider: the same thing always has the same name,
// from which nobody without the store's keys can guess the id.
type Names struct{ Keys *keys.Keys }

// Connection names a connection under a consent.
func (n Names) Connection(tenant, consentID, providerID string) string {
	return ConsentName(consentID) + "/connections/" + n.segment(tenant, consentID, "connection", providerID)
}

// Account names an account under a consent.
func (n Names) Account(tenant, consentID, providerID string) string {
	return ConsentName(consentID) + "/accounts/" + n.segment(tenant, consentID, "account", providerID)
}

// Child names something on an account.
func (n Names) Child(tenant, account, collection, providerID string) string {
	return account + "/" + collection + "/" + n.segment(tenant, account, collection, providerID)
}

// Fingerprint recognises an account under every consent of a tenant: a keyed hash of its IBAN or, without one, of bank
// and account number, however they are spaced and written. It is empty where neither is known.
func (n Names) Fingerprint(tenant, iban, bank, number string) string {
	iban, number, bank = alphanumeric(iban), alphanumeric(number), alphanumeric(bank)
	if iban == "" && ibanForm.MatchString(number) {
		iban = number
	}
	var sum []byte
	switch {
	case iban != "":
		sum = n.Keys.MAC(keys.Fingerprints, tenant, []byte("iban"), []byte(iban))
	case number != "" && bank != "":
		sum = n.Keys.MAC(keys.Fingerprints, tenant, []byte("number"), []byte(bank), []byte(number))
	default:
		return ""
	}
	return segmentEncoding.EncodeToString(sum[:15])
}

// ibanForm tells an IBAN by its form: some providers give it as an account number.
var ibanForm = regexp.MustCompile("^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$")

// alphanumeric gives the letters and digits of a text, in capitals.
func alphanumeric(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return -1
	}, text)
}

var segmentEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// segment hashes a provider's id under a parent to 120 bits.
func (n Names) segment(tenant, parent, collection, id string) string {
	sum := n.Keys.MAC(keys.Names, tenant, []byte(parent), []byte(collection), []byte(id))
	return segmentEncoding.EncodeToString(sum[:15])
}

// LastSegment gives what stands behind the collection in a name of two segments. Requests are validated
// before: it never fails.
func LastSegment(name string) string {
	return name[strings.LastIndexByte(name, '/')+1:]
}

// consentSegment gives the consent's id in a name such as consents/{consent}/accounts/{account}.
func consentSegment(name string) string {
	segments := strings.SplitN(name, "/", 3)
	return segments[1]
}

// providerID gives the id of a provider from its name or its bare id.
func providerID(name string) string { return strings.TrimPrefix(name, "providers/") }

// PartnerBankID gives the id of a partner bank from its name or its bare id.
func PartnerBankID(name string) string { return strings.TrimPrefix(name, "partnerBanks/") }
