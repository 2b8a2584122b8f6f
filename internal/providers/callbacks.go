package providers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// Outcome is how a customer's visit to the provider's pages ended: which of Redirects the customer came back to.
type Outcome string

// The outcomes of a visit.
const (
	OutcomeSuccess Outcome = "success"
	OutcomeError   Outcome = "error"
	OutcomeExit    Outcome = "exit"
)

// Callbacks read what comes back from a provider: each verifies what can be verified and translates the provider's
// fields. Which consent or shipment a return or a report is about is known before, by the unguessable token in the
// address; a webhook's token stands for the account alone. A nil func: the provider sends no such thing.
//
// ErrForeign says that the call is about something else, or forged. It is answered as an unknown address, and changes
// nothing; so is any other error of Webhook and Report. Another error of Redirect is a failure on the way: the customer
// is led on, and what they did is read from the provider.
type Callbacks struct {
	// Redirect reads the query with which the provider's page returned the customer. It is called for the first
	// outcome of a visit, and again when it failed and the browser comes again with the same. Its context does not end
	// when the browser leaves. When nil, every query is taken.
	Redirect func(ctx context.Context, ref ConsentRef, outcome Outcome, query url.Values) (Return, error)
	// Outcome reads from the query how the visit ended, for a provider that returns customers to one address whatever
	// they did; the adapter gives it Redirects.Success. "" where the query does not tell: then the address says. When
	// nil, it always does.
	Outcome func(query url.Values) Outcome
	// Webhook gives the provider's ids of the consents that may have changed, as in ConsentRef.ID. They are hints: each
	// is read again.
	Webhook func(ctx context.Context, header http.Header, body []byte) (ids []string, err error)
	// Report reads a report on a shipment: delivered or not.
	Report func(ctx context.Context, shipmentID string, query url.Values, body []byte) (delivered bool, err error)
}

// Return is what a customer's return told.
type Return struct {
	// Ref is set when the return gave the consent a new state or id.
	Ref *ConsentRef
}

// ErrForeign is the error of a callback that is about something else, or forged.
var ErrForeign = errors.New("the callback is not about what its address stands for")
