package service

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Resource names. A segment that is a provider's id, and might hold bank data, is replaced by a hash of it: names
// stand in URLs.

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

// ConnectionName names a connection under a consent by its id at the provider.
func ConnectionName(consentID, providerID string) string {
	return ConsentName(consentID) + "/connections/" + opaque(consentID, "connection", providerID)
}

// AccountName names an account under a consent by its id at the provider.
func AccountName(consentID, providerID string) string {
	return ConsentName(consentID) + "/accounts/" + opaque(consentID, "account", providerID)
}

// ChildName names something on an account.
func ChildName(account, collection, providerID string) string {
	return account + "/" + collection + "/" + opaque(account, collection, providerID)
}

var opaqueEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// opaque hashes a provider's id into a segment of a name: the same id under the same parent always gives the
// same segment.
func opaque(parent, collection, id string) string {
	sum := sha256.Sum256([]byte(parent + "\x00" + collection + "\x00" + id))
	return opaqueEncoding.EncodeToString(sum[:15])
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
