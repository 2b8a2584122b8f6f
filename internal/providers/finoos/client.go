package finoos

import (
	"context"
	"net/http"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
)

// Headers of finoOS.
const (
	headerUserIP     = "User-IP"
	headerRequestID  = "X-Request-ID"
	headerAPIVersion = "API-Version"
)

// request is one call of an operation.
type request = upstream.Request

// newClient makes the one HTTP client of the adapter.
func newClient(
	cfg Config, deps providers.Deps, table providers.Table, login upstream.LoginFunc,
) (*upstream.Client, error) {
	fixed := http.Header{}
	if cfg.APIVersion != "" {
		fixed.Set(headerAPIVersion, string(cfg.APIVersion))
	}
	return upstream.New(upstream.Config{
		Provider:        deps.ID,
		BaseURL:         string(cfg.BaseURL),
		Operations:      table,
		Login:           login,
		Authorize:       authorizer(string(cfg.TokenPrefix)),
		ErrorCode:       errorCode,
		RefusedFields:   refusedFields,
		RequestIDHeader: headerRequestID,
		Header:          fixed,
		Limits:          deps.Limits,
		Policy:          deps.Policy,
		Observer:        deps.Observer,
		Logger:          deps.Logger,
		Clock:           deps.Clock,
		Transport:       deps.Transport,
	})
}

func authorizer(prefix string) func(http.Header, string) {
	if prefix != "" {
		prefix += " "
	}
	return func(h http.Header, token string) { h.Set("Authorization", prefix+token) }
}

// Check makes sure that there is a valid token.
func (a *adapter) Check(ctx context.Context) error { return a.client.Check(ctx) }

// Health tells how calls to finoOS went lately.
func (a *adapter) Health() providers.Health { return a.client.Health() }

// Close lets go of connections.
func (a *adapter) Close() { a.client.Close() }

// answer is a body that can be told from one that means nothing.
type answer interface {
	// check says what is wrong with it.
	check() error
}

// do sends a request and reads the answer into out; nil when the answer does not matter.
func (a *adapter) do(ctx context.Context, r request, out answer) error {
	if out == nil {
		_, err := a.client.Do(ctx, r, nil)
		return err
	}
	response, err := a.client.Do(ctx, r, out)
	if err != nil {
		return err
	}
	why := out.check()
	if shown, ok := out.(interface{ page() string }); ok && why == nil && shown.page() != "" &&
		a.cfg.BaseURL.MayShow(shown.page()) != nil {
		why = providers.NoPage(linkField)
	}
	if why != nil {
		return a.client.Refuse(ctx, r.Operation, response, why)
	}
	return nil
}

func ofUser(id string) map[string]string { return map[string]string{paramUser: id} }

// withUserIP gives the header with the end user's address. finoOS refuses these operations without it, so none is sent.
func (a *adapter) withUserIP(ctx context.Context, operation string) (http.Header, error) {
	header := withKnownUserIP(ctx)
	if header == nil {
		return nil, a.failure(operation, providers.KindPSUIPRequired, nil)
	}
	return header, nil
}

// withKnownUserIP gives the header with the end user's address, nil when it is not known.
func withKnownUserIP(ctx context.Context) http.Header {
	ip := providers.CallOf(ctx).PSUIP
	if ip == "" {
		return nil
	}
	return http.Header{http.CanonicalHeaderKey(headerUserIP): {ip}}
}
