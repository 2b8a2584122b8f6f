package fimento

import (
	"encoding/json"
	"errors"
	"regexp"

	"kontor.dev/kontor/internal/providers"
)

// What is wrong with an answer. The texts are ours: they never quote the answer.
var (
	errShape     = errors.New("the answer does not have the documented shape")
	errNoBody    = errors.New("the answer has no body")
	errNoID      = errors.New("the answer lacks an id")
	errNoLink    = errors.New("the answer has no consent link")
	errNoAddress = errors.New("the visualisation link is no address of a page")
	errNoAmount  = errors.New("a transaction has no amount")
	errEndless   = errors.New("the transactions do not end")
)

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

// failure is an error that the adapter finds itself.
func (a *adapter) failure(operation string, kind providers.ErrorKind, cause error) *providers.Error {
	return &providers.Error{Kind: kind, Provider: a.id, Operation: operation, Err: cause}
}

// invalidField says that nothing was sent, since a field of the caller's request is missing or bad.
func (a *adapter) invalidField(operation, field string) *providers.Error {
	return &providers.Error{Kind: providers.KindInvalidField, Provider: a.id, Operation: operation, Field: field}
}
