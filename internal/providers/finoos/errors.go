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
	errList     = &providers.ShapeError{Field: "a value", Want: "must be a list or an object as documented"}
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

// failure is an error that the adapter finds itself.
func (a *adapter) failure(operation string, kind providers.ErrorKind, cause error) *providers.Error {
	return &providers.Error{Kind: kind, Provider: a.id, Operation: operation, Err: cause}
}

// invalidField says that nothing was sent, since a field of the caller's request is missing or bad.
func (a *adapter) invalidField(operation, field string) *providers.Error {
	return &providers.Error{Kind: providers.KindInvalidField, Provider: a.id, Operation: operation, Field: field}
}
