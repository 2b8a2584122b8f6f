package fimento

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
)

// wireStatuses is a history of statuses: {current, history[]} in the samples, an array in the prose; a single status is
// taken too, and a code alone. What is none of these tells nothing: the decision beside it still counts.
type wireStatuses struct {
	Current *wireStatus
	History []wireStatus
	Consent wireDecision
}

// UnmarshalJSON reads any value.
func (s *wireStatuses) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		s.History = statuses(data)
		return nil
	}
	var object struct {
		Current json.RawMessage `json:"current"`
		History json.RawMessage `json:"history"`
		Consent wireDecision    `json:"consent"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	s.History, s.Consent = statuses(object.History), object.Consent
	if current := statuses(object.Current); len(current) > 0 {
		s.Current = &current[len(current)-1]
		s.History = append(s.History, current[:len(current)-1]...)
	}
	if own := statuses(data); s.Current == nil && len(own) > 0 && (own[0].Code != "" || own[0].IsError) {
		s.Current = &own[0]
	}
	return nil
}

// statuses reads a list of statuses, or a single one. What is none is left out.
func statuses(data []byte) []wireStatus {
	var found []wireStatus
	for _, element := range elements(data) {
		var status wireStatus
		if json.Unmarshal(element, &status) == nil {
			found = append(found, status)
		}
	}
	return found
}

// elements gives the elements of a list; any other value is the only one, and null is none.
func elements(data []byte) []json.RawMessage {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil { // null as well
		return list
	}
	if len(data) == 0 {
		return nil
	}
	return []json.RawMessage{data}
}

// wireStatus is one status. Desc words the code; it matters for a code that is not known.
type wireStatus struct {
	Code         text
	Desc         text
	Timestamp    instant
	IsError      bool
	ErrorMessage json.RawMessage
}

// UnmarshalJSON reads an object, or a code alone.
func (s *wireStatus) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		return s.Code.UnmarshalJSON(data)
	}
	var object struct {
		Code         text            `json:"code"`
		Desc         json.RawMessage `json:"desc"`
		Timestamp    instant         `json:"timestamp"`
		IsError      text            `json:"isError"` // true, or "true"
		ErrorMessage json.RawMessage `json:"errorMessage"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	s.Code, s.Timestamp, s.ErrorMessage = object.Code, object.Timestamp, object.ErrorMessage
	s.IsError = strings.EqualFold(string(object.IsError), "true")
	if len(object.Desc) > 0 && object.Desc[0] == '"' {
		_ = json.Unmarshal(object.Desc, &s.Desc) // what is no text is none: it only words the code
	}
	return nil
}

// denied tells whether the customer refused or withdrew. The code is taken in any casing, as wireDecision is, and with
// the asterisk that marks it in the documentation's table.
func (s *wireStatus) denied() bool {
	return strings.EqualFold(strings.Trim(string(s.Code), " *"), codeDenied)
}

// explained tells whether an error came with a message. The message itself is free text about a customer and goes
// nowhere.
func (s *wireStatus) explained() bool {
	switch string(s.ErrorMessage) {
	case "", "null", `""`:
		return false
	}
	return true
}

// message is the text of an error's message as failures has its words: letters and digits in lower case.
func (s *wireStatus) message() string {
	var message string
	_ = json.Unmarshal(s.ErrorMessage, &message) // what is no text says nothing
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, message)
}

// The codes that get special treatment.
const (
	codeCreated    = "created"
	codeLinkOpened = "consentLinkOpened"
	codeAuthError  = "authError"
	codeApproved   = "customerApprovedConsent"
	codeDenied     = "customerDeniedConsent"
)

// overall is the scope of the statuses of a process, beside those of its banks.
const overall = "overall"

// eventTypes maps the documented codes, those of the process and those of its banks: neither table has a code of the
// other.
var eventTypes = map[text]consentv1.ConsentEvent_Type{
	codeCreated:                     consentv1.ConsentEvent_CREATED,
	codeLinkOpened:                  consentv1.ConsentEvent_LINK_OPENED,
	"bankAddedNotCompletedAuthFlow": consentv1.ConsentEvent_BANK_SELECTED,
	"bankAddedCompletedAuthFlow":    consentv1.ConsentEvent_BANK_AUTHORIZED,
	"fetchingTransactionsStarted":   consentv1.ConsentEvent_FETCH_STARTED,
	"fetchingTransactionsDone":      consentv1.ConsentEvent_FETCH_COMPLETED,
	codeApproved:                    consentv1.ConsentEvent_APPROVED,
	codeDenied:                      consentv1.ConsentEvent_REVOKED,
	"categorisationStarted":         consentv1.ConsentEvent_CATEGORISATION_STARTED,
	"categorisationDone":            consentv1.ConsentEvent_CATEGORISATION_COMPLETED,
	"insightsStarted":               consentv1.ConsentEvent_INSIGHTS_STARTED,
	"completed":                     consentv1.ConsentEvent_COMPLETED,
	codeAuthError:                   consentv1.ConsentEvent_AUTHORIZATION_FAILED,
}

// statusesOf turns one history into observations, each a copy of about. What may happen several times is numbered in
// its key: a link is opened as often as the history says so, and a customer may withdraw again, in a later flow,
// without a time to tell it from the first withdrawal.
func statusesOf(
	scope string, about providers.Observation, reported wireStatuses, received time.Time,
) []providers.Observation {
	history := reported.History
	if current := reported.Current; current != nil && !slices.ContainsFunc(history,
		func(s wireStatus) bool { return sameStatus(s, *current) }) {
		history = append(slices.Clone(history), *current)
	}
	times := map[string]int{}
	found := make([]providers.Observation, 0, len(history))
	for _, status := range history {
		if status.Code == "" && !status.IsError {
			continue // null, or nothing that means anything
		}
		o := about
		o.Key, o.Type, o.ProviderCode = statusKey(scope, status), eventTypeOf(status), string(status.Code)
		o.Time = providers.Credible(status.Timestamp.Time, received)
		if repeats := status.Code == codeLinkOpened || status.denied() && o.Time.IsZero(); repeats {
			times[o.Key]++
			o.Key = fmt.Sprintf("%s#%d", o.Key, times[o.Key])
		}
		if o.Type == consentv1.ConsentEvent_AUTHORIZATION_FAILED {
			o.Error = failureOf(status)
		}
		if o.Type == consentv1.ConsentEvent_PROVIDER_STATUS {
			o.Description = string(status.Desc)
		}
		found = append(found, o)
	}
	return found
}

// sameStatus tells whether current is an entry of the history. A time that one of them lacks makes no difference, but
// for a withdrawal: without a time it may be another one than that of the history.
func sameStatus(entry, current wireStatus) bool {
	a, b := entry.Timestamp.Time, current.Timestamp.Time
	if entry.Code != current.Code || entry.IsError != current.IsError {
		return false
	}
	untimed := a.IsZero() || b.IsZero()
	if untimed && current.denied() {
		return a.Equal(b)
	}
	return untimed || a.Truncate(time.Second).Equal(b.Truncate(time.Second))
}

// statusKey identifies a status by its scope, its code and its second: the same code with the same time is the same
// status, reported again. A process is created once, whenever that is said to have been. A failure is a status of its
// own beside the one that it strikes, since Fimento marks a status that it may have reported before.
func statusKey(scope string, status wireStatus) string {
	key := scope + "/" + string(status.Code)
	switch {
	case scope == overall && status.Code == codeCreated:
		key = providers.KeyCreated
	case !status.Timestamp.IsZero():
		key += "/" + status.Timestamp.UTC().Format(time.RFC3339) // to the second
	}
	if status.IsError && status.Code != codeAuthError {
		key += "/error"
	}
	return key
}

func eventTypeOf(status wireStatus) consentv1.ConsentEvent_Type {
	switch {
	case status.denied(): // also one that is marked as an error
		return consentv1.ConsentEvent_REVOKED
	case status.IsError:
		return consentv1.ConsentEvent_AUTHORIZATION_FAILED
	}
	if known, ok := eventTypes[status.Code]; ok {
		return known
	}
	return consentv1.ConsentEvent_PROVIDER_STATUS
}
