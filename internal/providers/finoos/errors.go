package finoos

import (
	"encoding/json"
	"errors"
	"regexp"

	"kontor.dev/kontor/internal/providers"
)

// What is wrong with an answer. The texts are ours: they never quote the answer.
var (
	errShape = errors.New("the answer does not have the documented shape")
	errIDs   = errors.New("ids are missing or not unique")
	errMoved = errors.New("bank logins changed while they were read")
	errLink  = errors.New("the session has no address of a page")
)

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
