package fimento

import (
	"encoding/json"
	"regexp"

	"kontor.dev/kontor/internal/providers"
)

// What is wrong with an answer.
var (
	errScalar  = &providers.ShapeError{Field: "a value", Want: "must be a text, a number, true or false"}
	errNoBody  = missing("the body")
	errNoLink  = missing("consent-link")
	errEndless = &providers.ShapeError{Field: "transactions", Want: "must come to an end"}
)

// missing says that an answer lacks a field.
func missing(field string) *providers.ShapeError {
	return &providers.ShapeError{Field: field, Want: "must be there"}
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

// invalidField says that nothing was sent, since a field of the caller's request is missing or bad.
func (a *adapter) invalidField(operation, field string) *providers.Error {
	return &providers.Error{Kind: providers.KindInvalidField, Provider: a.id, Operation: operation, Field: field}
}
