package upstream

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

// Request is one call of an operation.
type Request struct {
	// Operation is the operation's name in Config.Operations.
	Operation string
	// Path has the values of the {parameters}, each one segment however it is spelled. An empty value, "." and ".." are
	// errors of KindInvalidField. Values without a parameter in the path are ignored, since an override may leave it
	// out.
	Path map[string]string
	// Query is the query string.
	Query url.Values
	// Header is added to Config.Header. A value that no header can carry is an error of KindInvalidField.
	Header http.Header
	// Body is written by Encoder; nil for no body.
	Body any
	// Encoder writes the body; nil for Config.Encoder.
	Encoder Encoder
	// Token is put on the request in place of the client's own, for providers that give a token for each consent. A
	// 401 is then about this token: KindConsentEnded, unless Config.Classify knows better.
	Token secret.String
	// NoAuth sends no token. It marks the requests of a login: they are never retried, and 400, 401 and 403 mean bad
	// credentials.
	NoAuth bool
	// Accept tells which statuses are no failure; nil for any 2xx.
	Accept func(status int) bool
}

// Response is an accepted answer without its body.
type Response struct {
	// Status is the HTTP status.
	Status int
	// Header is the answer's header.
	Header http.Header
	// RequestID is the provider's id of the request.
	RequestID string
	// Empty says that there was no body.
	Empty bool
}

// exchange is a request made ready: what all its attempts have in common.
type exchange struct {
	op        providers.Operation
	url       *url.URL
	header    http.Header // beside Client.header
	body      []byte
	hasBody   bool
	login     bool
	token     secret.String // in place of the client's
	accept    func(status int) bool
	requestID string
	until     time.Time   // the end of the call
	timer     *time.Timer // ends it, when the caller has no deadline; else nil
}

// prepare makes a request ready. Nothing has been sent when it fails.
func (c *Client) prepare(ctx context.Context, r Request) (*exchange, error) {
	to, ok := c.routes[r.Operation]
	if !ok {
		return nil, c.internalError(r.Operation, errNoOperation)
	}
	op := to.op
	x := &exchange{op: op, header: http.Header{}, login: r.NoAuth, token: r.Token, accept: r.Accept}
	if x.accept == nil {
		x.accept = func(status int) bool { return status >= 200 && status <= 299 }
	}

	if !r.Token.IsZero() && c.cfg.Authorize == nil {
		return nil, c.internalError(op.Name, errNoAuthorize)
	}
	target, bad, err := to.target(c.base, r.Path)
	if err != nil {
		return nil, c.internalError(op.Name, errBadPath)
	}
	if bad != "" {
		return nil, c.invalidField(op.Name, bad)
	}
	target.RawQuery = r.Query.Encode()
	x.url = target

	if r.Body != nil {
		encoder := r.Encoder
		if encoder == nil {
			encoder = c.cfg.Encoder
		}
		body, mediaType, err := encoder.Encode(r.Body)
		if err != nil {
			return nil, c.internalError(op.Name, errBadBody) // the error could quote values
		}
		x.body, x.hasBody = body, true
		if c.header.Get("Content-Type") == "" {
			x.header.Set("Content-Type", mediaType)
		}
	}
	if bad := addHeader(x.header, r.Header); bad != "" {
		return nil, c.invalidField(op.Name, bad)
	}
	if c.cfg.RequestIDHeader != "" {
		x.requestID = providers.CallOf(ctx).RequestID
		if !plainID(x.requestID) {
			x.requestID = uuid.NewString()
		}
		x.header.Set(c.cfg.RequestIDHeader, x.requestID)
	}
	return x, nil
}

// invalidField refuses a request because of one of its values.
func (c *Client) invalidField(operation, field string) *providers.Error {
	return &providers.Error{
		Kind: providers.KindInvalidField, Provider: c.cfg.Provider, Operation: operation, Fields: []string{field},
	}
}

// newRequest makes the HTTP request of one attempt.
func (c *Client) newRequest(ctx context.Context, x *exchange, l *lease) (*http.Request, error) {
	request := (&http.Request{
		Method:     x.op.Method,
		URL:        x.url,
		Host:       x.url.Host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     c.headerOf(x),
	}).WithContext(ctx)
	if x.hasBody && len(x.body) == 0 {
		request.Body = http.NoBody // else net/http takes the length for unknown
	} else if x.hasBody {
		// There is no GetBody, so that net/http has nothing to resend.
		request.Body = io.NopCloser(bytes.NewReader(x.body))
		request.ContentLength = int64(len(x.body))
	}
	switch {
	case !x.token.IsZero():
		c.cfg.Authorize(request.Header, x.token.Reveal())
	case l != nil:
		c.cfg.Authorize(request.Header, l.Value)
	}
	if !validHeaders(request.Header) {
		return nil, errBadToken
	}
	if c.cfg.Sign != nil {
		if c.cfg.Sign(request, x.body) != nil || !validHeaders(request.Header) {
			return nil, errSign // the error could quote values
		}
	}
	return request, nil
}
