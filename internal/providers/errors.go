package providers

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind classifies a failed provider operation. Adapters classify; what the caller then sees is decided once, in
// the service.
type ErrorKind int

// The kinds of failure.
const (
	// KindInternal is a fault of the adapter itself.
	KindInternal ErrorKind = iota
	// KindUnavailable: no answer, or a 5xx.
	KindUnavailable
	// KindRateLimited: 429. RetryAfter says when to come back, where the provider told.
	KindRateLimited
	// KindCredentials: the provider refuses our credentials, also after a fresh login.
	KindCredentials
	// KindNotEnabled: 403, the account may not do this.
	KindNotEnabled
	// KindNotFound: 404.
	KindNotFound
	// KindConflict: 409.
	KindConflict
	// KindRejected: another 4xx.
	KindRejected
	// KindInvalidResponse: an answer that is not what the provider documents.
	KindInvalidResponse
	// KindPSUIPRequired: the provider demands the end user's address and there is none. Nothing was sent.
	KindPSUIPRequired
	// KindInvalidField: the provider needs Fields, and they are missing or bad. Nothing was sent.
	KindInvalidField
	// KindDeadline: the caller's deadline passed.
	KindDeadline
	// KindCanceled: the caller went away.
	KindCanceled
	// KindConsentEnded: the provider says that this consent is over, or no longer good for what was asked. It says
	// nothing about the provider or our credentials.
	KindConsentEnded
	// KindAccessExceeded: this consent was read too often. RetryAfter says when to come back, where the provider
	// told. Other consents can be read.
	KindAccessExceeded
)

var kindNames = [...]string{
	"internal", "unavailable", "rate_limited", "credentials", "not_enabled", "not_found", "conflict", "rejected",
	"invalid_response",
	"psu_ip_required", "invalid_field", "deadline", "canceled", "consent_ended", "access_exceeded",
}

// String gives a stable name, as metrics and logs use it.
func (k ErrorKind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Error is the one error type that adapters return. It never holds a provider's text, a secret or personal data.
type Error struct {
	// Kind classifies it.
	Kind ErrorKind
	// Provider is the provider's id.
	Provider string
	// Operation is the operation's name in the provider's table.
	Operation string
	// Status is the HTTP status of the answer, 0 when there was none.
	Status int
	// Code is the provider's own error code, such as finoOS's type. Only short plain tokens are taken over.
	Code string
	// RequestID is the provider's id of the request.
	RequestID string
	// RetryAfter is how long the provider asked to wait, 0 when it did not say.
	RetryAfter time.Duration
	// MayHaveHappened says that a write may have taken effect although it failed. Such a write is never sent again.
	MayHaveHappened bool
	// Fields are the paths of the offending request fields, such as `consent.redirect_uris.error`: all that were found
	// missing or bad for KindInvalidField, and for KindRejected those that the provider named, where it named any.
	Fields []string
	// Err is the cause, for logs. It must be free of provider text and addresses with secrets.
	Err error
}

// Error describes the failure for logs.
func (e *Error) Error() string {
	msg := fmt.Sprintf("%s %s: %s", e.Provider, e.Operation, e.Kind)
	if e.Status != 0 {
		msg += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.MayHaveHappened {
		msg += ", may have happened"
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of an adapter's error, KindInternal for any other error.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// Ignore makes a failure of the kind a success, where it says that what is wanted is so already: a deletion of what is
// gone. It must be the operation's own answer: a login that is not found says nothing about what was to be deleted.
func Ignore(err error, operation string, kind ErrorKind) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == kind && e.Operation == operation {
		return nil
	}
	return err
}

// ShapeError says of an answer that arrived whole what it lacks of what its provider documents. It goes to the log:
// both are words of the adapter's own, and never hold a value that the provider sent.
type ShapeError struct {
	// Field is the field's name in the provider's JSON.
	Field string
	// Want says what the adapter expects of it, such as "must be there".
	Want string
}

// NoPage says that a field is no address that a customer may be sent to: see BaseURL.MayShow.
func NoPage(field string) *ShapeError {
	return &ShapeError{Field: field, Want: "must be a plain https address"}
}

// Error describes it.
func (e *ShapeError) Error() string { return e.Field + " " + e.Want }
