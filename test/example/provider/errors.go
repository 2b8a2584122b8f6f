package example

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"kontor.dev/kontor/internal/providers"
)

// missing says that an answer lacks a field.
func missing(field string) *providers.ShapeError {
	return &providers.ShapeError{Field: field, Want: "must be there"}
}

// What is wrong with a call.
var (
	errNoToken = errors.New("the consent has no token: its customer has not come back")
	errNotKept = errors.New("the consent's new token could not be kept")
)

// errorCode takes Skarvholm's own code, such as "CONSENT_EXPIRED", out of an error body. The text beside it may hold
// anything, and is left.
func errorCode(_ int, body []byte) string {
	var e wireError
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	for _, message := range e.Messages {
		return message.Code
	}
	return e.OAuth
}

// classify finds the answers that are about one consent, and say nothing about Skarvholm or our login.
func classify(operation string, status int, code string) (providers.ErrorKind, bool) {
	switch {
	case status == http.StatusUnauthorized && strings.HasPrefix(code, "CONSENT_"):
		return providers.KindConsentEnded, true // CONSENT_EXPIRED, CONSENT_INVALID
	case operation == opConsentToken && status == http.StatusBadRequest && code == "invalid_grant":
		return providers.KindConsentEnded, true
	case status == http.StatusTooManyRequests && code == "ACCESS_EXCEEDED":
		return providers.KindAccessExceeded, true
	}
	return 0, false
}

// tokenRefused tells whether Skarvholm refused a token, and not the consent that it is for.
func tokenRefused(err error) bool {
	var e *providers.Error
	return errors.As(err, &e) && e.Status == http.StatusUnauthorized && e.Code == "TOKEN_INVALID"
}

// failure is an error that the adapter finds itself.
func (a *adapter) failure(operation string, kind providers.ErrorKind, cause error) *providers.Error {
	return &providers.Error{Kind: kind, Provider: a.id, Operation: operation, Err: cause}
}

// left is the error for a caller whose context ended before there was an answer.
func (a *adapter) left(ctx context.Context, operation string) *providers.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return a.failure(operation, providers.KindDeadline, context.DeadlineExceeded)
	}
	return a.failure(operation, providers.KindCanceled, context.Canceled)
}
