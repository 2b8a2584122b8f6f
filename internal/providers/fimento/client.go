package fimento

import (
	"context"
	"net/http"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
)

// Headers of Fimento.
const (
	headerPartnerBank = "Partner-Bank-Id"
	headerReference   = "Reference-Id"
	headerIdempotency = "Idempotency-Key"
)

// request is one call of an operation.
type request = upstream.Request

// newClient makes the one HTTP client of the adapter. Fimento documents no header for the request's id.
func newClient(
	cfg Config, deps providers.Deps, table providers.Table, login upstream.LoginFunc,
) (*upstream.Client, error) {
	return upstream.New(upstream.Config{
		Provider:      deps.ID,
		BaseURL:       string(cfg.BaseURL),
		Operations:    table,
		Login:         login,
		Authorize:     authorize,
		ErrorCode:     errorCode,
		RefusedFields: refusedFields,
		Limits:        deps.Limits,
		Policy:        deps.Policy,
		Observer:      deps.Observer,
		Logger:        deps.Logger,
		Clock:         deps.Clock,
		Transport:     deps.Transport,
	})
}

func authorize(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) }

// Check makes sure that there is a valid token.
func (a *adapter) Check(ctx context.Context) error { return a.client.Check(ctx) }

// Health tells how calls to Fimento went lately.
func (a *adapter) Health() providers.Health { return a.client.Health() }

// Close lets go of connections.
func (a *adapter) Close() { a.client.Close() }

// answer is a body that has parts without which it means nothing.
type answer interface{ check() error }

// do sends a request and reads the answer into out; nil when the answer does not matter. An operation that leaves
// something behind has done so even when its answer is of no use.
func (a *adapter) do(ctx context.Context, r request, out answer) error {
	if out == nil {
		_, err := a.client.Do(ctx, r, nil)
		return err
	}
	response, err := a.client.Do(ctx, r, out)
	if err != nil {
		return err
	}
	var why error
	if response.Empty {
		why = errNoBody
	} else {
		why = out.check()
	}
	if shown, ok := out.(interface {
		page() (field, address string)
	}); ok && why == nil {
		if field, address := shown.page(); a.cfg.BaseURL.MayShow(address) != nil {
			why = providers.NoPage(field)
		}
	}
	if why != nil {
		return a.client.Refuse(ctx, r.Operation, response, why)
	}
	return nil
}

func ofProcess(id string) map[string]string { return map[string]string{paramProcess: id} }

// ofConsent begins a request about a consent. The partner bank must be the one that its process was made for.
func (a *adapter) ofConsent(operation string, ref providers.ConsentRef) (request, error) {
	header, err := a.withPartnerBank(operation, ref.PartnerBank)
	return request{Operation: operation, Path: ofProcess(ref.ID), Header: header}, err
}

// withPartnerBank gives the header with the partner bank: the caller's choice, or else the configured one.
func (a *adapter) withPartnerBank(operation, chosen string) (http.Header, error) {
	if chosen == "" {
		chosen = string(a.cfg.PartnerBank)
	}
	if chosen == "" || !isHeaderValue(chosen) {
		return nil, a.invalidField(operation, "consent.partner_bank")
	}
	return http.Header{headerPartnerBank: {chosen}}, nil
}

// addReference says who asks, which Fimento's AI features need.
func (a *adapter) addReference(r request, referenceID string) error {
	if !isHeaderValue(referenceID) {
		return a.invalidField(r.Operation, "reference_id")
	}
	if referenceID != "" {
		r.Header.Set(headerReference, referenceID)
	}
	return nil
}

// isHeaderValue tells whether a text passes unchanged as the value of a header.
func isHeaderValue(value string) bool { return providers.HeaderText(value).Check() == nil }
