package fimento

import (
	"encoding/json"
	"regexp"
	"strings"

	"kontor.dev/kontor/internal/providers"
)

// What is wrong with an answer.
var (
	errScalar  = &providers.ShapeError{Field: "a value", Want: "must be a text, a number, true or false"}
	errNoBody  = missing("the body")
	errNoLink  = missing("consent-link")
	errEndless = &providers.ShapeError{Field: "transactions", Want: "must come to an end"}
	// errRepeated: see Config.TransactionsEnd.
	errRepeated = &providers.ShapeError{Field: "transactions", Want: "must not be those of pages before"}
)

// missing says that an answer lacks a field.
func missing(field string) *providers.ShapeError {
	return &providers.ShapeError{Field: field, Want: "must be there"}
}

// about refuses an answer that names another process than the one that was asked about: it would show one customer's
// permission, or data, under another one's consent. Where it names none, the path of the request is all that there is.
func about(field string, named text, asked string) error {
	if asked == "" || named == "" || strings.EqualFold(string(named), asked) {
		return nil
	}
	return &providers.ShapeError{Field: field, Want: "must name the process that was asked about"}
}

var codePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z_.-]{0,63}$`)

// errorCode takes a code out of an error body. Fimento has none of its own: error is the name of the HTTP status ("Bad
// request"). It is taken over when it is one word without digits; everything else, message above all, is free text that
// may quote the request.
func errorCode(_ int, body []byte) string {
	var e wireError
	if json.Unmarshal(body, &e) != nil || !codePattern.MatchString(string(e.Error)) {
		return ""
	}
	return string(e.Error)
}

// fieldNames are the request fields by which Fimento's are filled, for each operation whose body or headers come from a
// caller. Its refusals begin with the name of a field: "name is required".
var fieldNames = map[string]providers.FieldNames{
	opCreateProcess: {
		"market": "consent.market", "datacollectiontype": "consent.data_collection",
		"socialsecuritynumber": "psu.national_id", "companyid": "psu.company_id", "firstname": "psu.first_name",
		"lastname": "psu.last_name", "redirecturl": "consent.redirect_uris.success", "psutype": "psu.psu_type",
		"brokerbanks": "consent.broker_banks", "partner-bank-id": "consent.partner_bank",
		"idempotency-key": "request_id",
	},
	opCreatePartnerBank: partnerBankFields,
	opUpdatePartnerBank: partnerBankFields,
	opInsights:          {"reference-id": "reference_id"},
	opVisualisationLink: {"reference-id": "reference_id"},
}

var partnerBankFields = providers.FieldNames{
	"name": "partner_bank.display_name", "isbroker": "partner_bank.broker", "logourl": "partner_bank.logo_uri",
}

// refusedFields finds the fields that an error names.
func refusedFields(operation string, body []byte) []string {
	var e wireError
	if json.Unmarshal(body, &e) != nil {
		return nil
	}
	var messages []string
	for _, element := range elements(e.Message) {
		var message string
		if json.Unmarshal(element, &message) == nil {
			messages = append(messages, message)
		}
	}
	return fieldNames[operation].In(messages...)
}

// invalidField says that nothing was sent, since fields of the caller's request are missing or bad.
func (a *adapter) invalidField(operation string, fields ...string) *providers.Error {
	return &providers.Error{Kind: providers.KindInvalidField, Provider: a.id, Operation: operation, Fields: fields}
}

// wireError is the body of every error.
type wireError struct {
	Error   text            `json:"error"`
	Message json.RawMessage `json:"message"` // a list of sentences, or one
}
