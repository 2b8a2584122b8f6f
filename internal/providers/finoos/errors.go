package finoos

import (
	"encoding/json"
	"errors"
	"regexp"

	"kontor.dev/kontor/internal/providers"
)

// What is wrong with an answer.
var (
	errScalar   = &providers.ShapeError{Field: "a value", Want: "must be a text, a number, true or false"}
	errNumber   = &providers.ShapeError{Field: "a value", Want: "must be a number within bounds"}
	errLogins   = &providers.ShapeError{Field: "logins.id", Want: "must be there, and no two equal"}
	errAccounts = &providers.ShapeError{Field: "logins.accounts.id", Want: "must be there, and no two equal"}
	errMoved    = &providers.ShapeError{Field: "logins", Want: "must not change while they are read"}
)

// missing says that an answer lacks a field.
func missing(field string) *providers.ShapeError {
	return &providers.ShapeError{Field: field, Want: "must be there"}
}

// What is wrong with a call.
var (
	errPage    = errors.New("no such page of users")
	errStopped = errors.New("the caller wants no more")
)

var codePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// errorCode takes finoOS's own code, such as "notFound", out of an error body. What does not look like a code may hold
// anything and is left.
func errorCode(_ int, body []byte) string {
	var e wireError
	if json.Unmarshal(body, &e) != nil || !codePattern.MatchString(e.Type) {
		return ""
	}
	return e.Type
}

// fieldNames are the request fields by which finoOS's are filled, for each operation whose body or headers come from a
// caller.
var fieldNames = map[string]providers.FieldNames{
	opCreateUser:  {"type": "customer.type", "scopes": "customer.products"},
	opAddScope:    {"name": "customer.products"},
	opRemoveScope: {"name": "customer.products"},
	opConnect: {
		"redirecturl": "consent.redirect_uris.success", "errorurl": "consent.redirect_uris.error",
		"exiturl": "consent.redirect_uris.exit", "recurring": "consent.access", "user-ip": fieldAddress,
	},
	opBankingOverview: {"user-ip": fieldAddress},
	opSynchronize:     {"user-ip": fieldAddress, "bankloginid": "name"},
	opDisconnect:      {"user-ip": fieldAddress},
	opDeleteLogin:     {"user-ip": fieldAddress, "loginid": "name"},
	opSetLogins:       {"logins": fieldConnections},
	opUpdateLogins:    {"logins": fieldConnections},
	opSearchCompanyLogos: {
		"queries": "queries", "exactmatch": "exact_match", "fuzziness": "fuzziness",
	},
	opSendFax:    addressee,
	opSendLetter: addressee,
}

// fieldAddress is the metadata, and the header, in which callers send the end user's address.
const fieldAddress = "psu-ip-address"

// addressee are the fields of faxes and letters.
var addressee = providers.FieldNames{
	"recipient": "shipment.recipient", "subject": "shipment.subject", "pdfcontent": "shipment.pdf",
	"address": "shipment.address", "address.street": "shipment.address.street", "street": "shipment.address.street",
	"address.housenumber": "shipment.address.house_number", "housenumber": "shipment.address.house_number",
	"address.postcode": "shipment.address.postcode", "postcode": "shipment.address.postcode",
	"address.city": "shipment.address.city", "city": "shipment.address.city",
	"address.countrycode": "shipment.address.country_code", "countrycode": "shipment.address.country_code",
	"address.streetadditionalinfo": "shipment.address.street_additional_info",
	"streetadditionalinfo":         "shipment.address.street_additional_info",
}

// refusedFields finds the fields that an error names.
func refusedFields(operation string, body []byte) []string {
	var e wireError
	if json.Unmarshal(body, &e) != nil {
		return nil
	}
	var message string
	_ = json.Unmarshal(e.Message, &message) // what is no text names nothing
	return fieldNames[operation].In(message)
}

// failure is an error that the adapter finds itself.
func (a *adapter) failure(operation string, kind providers.ErrorKind, cause error) *providers.Error {
	return &providers.Error{Kind: kind, Provider: a.id, Operation: operation, Err: cause}
}

// invalidField says that nothing was sent, since fields of the caller's request are missing or bad.
func (a *adapter) invalidField(operation string, fields ...string) *providers.Error {
	return &providers.Error{Kind: providers.KindInvalidField, Provider: a.id, Operation: operation, Fields: fields}
}

// wireError is the body of every error.
type wireError struct {
	Type    string          `json:"type"`
	Message json.RawMessage `json:"message"` // a sentence
}
