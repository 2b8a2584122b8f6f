// Package consent holds the rule by which a consent's status follows from its history, and the rule by which a
// provider's report becomes history. Both are pure: no clock, no store, no network.
//
// The history is a list of events that only grows. Providers report statuses repeatedly, late and out of order, so the
// status never depends on the order in which they arrive: Derive looks at the events as a set, ordered by the
// provider's own clock where order matters, and never compares a provider's clock with Kontor's. What Kontor itself
// adds is ordered by the flow: each link that is issued opens the next one.
package consent

import (
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
)

// Event is one entry of a consent's history, as it is stored.
type Event struct {
	// Sequence counts up by one from 1.
	Sequence int64 `json:"sequence"`
	// Flow is the number of links that had been issued when Kontor learnt of the event.
	Flow int `json:"flow"`
	// Key identifies the event within the consent: no two have the same.
	Key string `json:"key"`
	// Type tells what happened.
	Type consentv1.ConsentEvent_Type `json:"type"`
	// ConnectionID is the provider's id of the bank that it concerns; empty for the consent as a whole.
	ConnectionID string `json:"connectionId,omitempty"`
	// Bank is that bank.
	Bank *Bank `json:"bank,omitempty"`
	// ProviderCode is the provider's code, as it is.
	ProviderCode string `json:"providerCode,omitempty"`
	// Description is one sentence for people: Kontor's own, or the provider's for a code that its adapter does not
	// know.
	Description string `json:"description,omitempty"`
	// EventTime is when it happened by the provider's clock, or Kontor's for its own events. Zero when a provider does
	// not tell.
	EventTime time.Time `json:"eventTime,omitzero"`
	// ReceiveTime is when Kontor learnt of it.
	ReceiveTime time.Time `json:"receiveTime"`
	// Error tells what failed.
	Error *Error `json:"error,omitempty"`
	// Link is the link that was issued, for LINK_ISSUED.
	Link *Link `json:"link,omitempty"`
	// SyncTime is when the provider last fetched data, for events of connections whose provider tells.
	SyncTime time.Time `json:"syncTime,omitzero"`
	// Stage is how far the data of the connection had come when the provider told of it; unspecified where the type
	// of the event says it all.
	Stage consentv1.DataStage_Value `json:"stage,omitempty"`
	// Authorized is when customers authenticated at banks, by the banks' ids, as far as the provider told when Kontor
	// learnt of the event, and had not told the same before.
	Authorized map[string]time.Time `json:"authorized,omitempty"`
	// Asked says that the bank asked for a new authentication when newer data was wanted, whatever the provider's
	// status of the connection says.
	Asked bool `json:"asked,omitempty"`
	// Lapsed says that the permission ended by itself, at a time that the provider had told.
	Lapsed bool `json:"lapsed,omitempty"`
	// Final says that the consent no longer exists at the provider: the caller ended it.
	Final bool `json:"final,omitempty"`
}

// Bank is a bank as an event names it.
type Bank struct {
	DisplayName string `json:"displayName,omitempty"`
	BIC         string `json:"bic,omitempty"`
	BankCode    string `json:"bankCode,omitempty"`
	CountryCode string `json:"countryCode,omitempty"`
	LogoURI     string `json:"logoUri,omitempty"`
}

// Error is a failure in the history.
type Error struct {
	Reason       errorv1.Error_Reason `json:"reason"`
	Message      string               `json:"message,omitempty"`
	ProviderCode string               `json:"providerCode,omitempty"`
	// Kind tells why a customer's way through the bank's pages failed.
	Kind errorv1.FailureKind_Value `json:"kind,omitempty"`
}

// Link is a hosted page for the customer.
type Link struct {
	URI        string    `json:"uri"`
	ExpireTime time.Time `json:"expireTime"`
}
