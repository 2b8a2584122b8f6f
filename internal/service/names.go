package service

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// Resource names. A segment that is a provider's id, and might hold bank data, is replaced by a hash of it: names stand in URLs.

func customerName(id string) string    { return "customers/" + id }
func consentName(id string) string     { return "consents/" + id }
func shipmentName(id string) string    { return "shipments/" + id }
func partnerBankName(id string) string { return "partnerBanks/" + id }
func providerName(id string) string    { return "providers/" + id }

func connectionName(consentID, providerID string) string {
	return consentName(consentID) + "/connections/" + opaque(consentID, "connection", providerID)
}

func accountName(consentID, providerID string) string {
	return consentName(consentID) + "/accounts/" + opaque(consentID, "account", providerID)
}

// childName names something on an account.
func childName(account, collection, providerID string) string {
	return account + "/" + collection + "/" + opaque(account, collection, providerID)
}

var opaqueEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// opaque hashes a provider's id into a segment of a name: the same id under the same parent always gives the same segment.
func opaque(parent, collection, id string) string {
	sum := sha256.Sum256([]byte(parent + "\x00" + collection + "\x00" + id))
	return opaqueEncoding.EncodeToString(sum[:15])
}

// lastSegment gives what stands behind the collection in a name of two segments. Requests are validated before: it never fails.
func lastSegment(name string) string {
	return name[strings.LastIndexByte(name, '/')+1:]
}

// consentSegment gives the consent's id in a name such as consents/{consent}/accounts/{account}.
func consentSegment(name string) string {
	segments := strings.SplitN(name, "/", 3)
	return segments[1]
}

// providerID gives the id of a provider from its name or its bare id.
func providerID(name string) string { return strings.TrimPrefix(name, "providers/") }

// partnerBankID gives the id of a partner bank from its name or its bare id.
func partnerBankID(name string) string { return strings.TrimPrefix(name, "partnerBanks/") }

// notFound builds the error for a resource that does not exist for the tenant.
func notFound(reason errorv1.Error_Reason, kind string) error {
	return kerr.New(reason, "there is no such "+kind)
}
