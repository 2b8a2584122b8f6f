package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"kontor.dev/kontor/internal/providers"
)

// Config describes one client: one provider with one tenant's credentials.
type Config struct {
	// Provider is the provider's id, for errors, logs and metrics.
	Provider string
	// BaseURL is the absolute http or https URL above all paths of Operations. It may carry a path, but no user, query
	// or fragment.
	BaseURL string
	// Operations is the table in force.
	Operations providers.Table
	// Login gets tokens. Nil means that requests carry none.
	Login LoginFunc
	// Authorize puts a token on a request. It must be set when Login is.
	Authorize func(h http.Header, token string)
	// Encoder writes the bodies of requests that do not name another; nil for JSON.
	Encoder Encoder
	// Sign is called last before each attempt, with the request as it is sent and the exact bytes of its body; it may
	// add headers. When it fails nothing is sent. Nil: nothing is signed.
	Sign func(request *http.Request, body []byte) error
	// TLS is the client certificate and the authorities to trust.
	TLS providers.TLS
	// ErrorCode finds the provider's own error code in an error body of at most Limits.ErrorBytes; "" for none.
	// Anything but a short plain token is dropped. Nil means that there are no codes. Besides RefusedFields nothing
	// else ever sees the body.
	ErrorCode func(status int, body []byte) string
	// RefusedFields finds in an error body which of the request's fields the provider refused, and gives their paths in
	// Kontor's own request; nothing of the body goes on. Nil: the provider names none.
	RefusedFields func(operation string, body []byte) []string
	// Classify has the last word on a status from 400 up that is not accepted, where it says ok: above all, that an
	// answer is about one consent (KindConsentEnded, KindAccessExceeded) and not about the provider or our
	// credentials. Code is ErrorCode's. Such an answer costs no token, marks neither health nor breaker, and is not
	// asked for again. Logins are not classified. Nil: the status decides.
	Classify func(operation string, status int, code string) (kind providers.ErrorKind, ok bool)
	// RequestIDHeader names the header that carries the request's id both ways; "" for none. Requests carry the
	// caller's request id (providers.CallOf), or a fresh UUID.
	RequestIDHeader string
	// Header is sent with every request.
	Header http.Header
	// Limits bounds time and size; zero values stand for the defaults.
	Limits Limits
	// Policy is the resilience; zero values stand for the defaults.
	Policy Policy
	// Observer sees every attempt; it may be nil.
	Observer Observer
	// Logger gets one line per failed attempt and per change of the circuit breaker; it may be nil.
	Logger *slog.Logger
	// Clock tells the time by which tokens end and Retry-After dates are meant; nil for time.Now.
	Clock func() time.Time
	// Proxy is the http proxy to go through; nil for none. The environment's proxy settings are never looked at.
	Proxy *url.URL
	// Transport replaces the client's own transports, for tests. With it, a write counts as possibly sent unless
	// dialling failed.
	Transport http.RoundTripper
}

// What an adapter gets from outside and passes on; package providers explains them.
type (
	// Limits bounds what one call may take, in time and in size.
	Limits = providers.Limits
	// Policy is what a client does about failures.
	Policy = providers.Policy
	// Observer sees what goes over the wire.
	Observer = providers.Observer
)

func (c *Config) setDefaults() {
	l, p := &c.Limits, &c.Policy
	orDefault(&l.Dial, 5*time.Second)
	orDefault(&l.Header, 10*time.Second)
	orDefault(&l.Body, 30*time.Second)
	orDefault(&l.StreamBody, 5*time.Minute)
	orDefault(&l.Stall, 10*time.Second)
	orDefault(&l.Call, time.Minute)
	orDefault(&l.BodyBytes, 64<<20)
	orDefault(&l.StreamBytes, 512<<20)
	orDefault(&l.HeaderBytes, 1<<20)
	orDefault(&l.ErrorBytes, 64<<10)
	orDefault(&l.Depth, 64)
	orDefault(&p.Retries, 2)
	orDefault(&p.MinBackoff, 100*time.Millisecond)
	orDefault(&p.MaxBackoff, 2*time.Second)
	orDefault(&p.MaxConcurrent, 256)
	orDefault(&p.MaxCallers, 2048)
	orDefault(&p.BreakerWindow, 10*time.Second)
	orDefault(&p.BreakerCalls, 100)
	orDefault(&p.BreakerRate, 0.8)
	orDefault(&p.BreakerOpen, 5*time.Second)
	orDefault(&p.LoginBackoff, 5*time.Second)
	if c.Encoder == nil {
		c.Encoder = JSON
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = noObserver{}
	}
}

func orDefault[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

// check finds what is wrong with a configuration and parses the base URL.
func (c *Config) check() (*url.URL, error) {
	base, err := providers.BaseURL(c.BaseURL).Parse()
	switch {
	case err != nil:
		return nil, fmt.Errorf("base_url: %w", err)
	case c.Login != nil && c.Authorize == nil:
		return nil, errors.New("upstream: Login without Authorize")
	case c.Proxy != nil && (c.Proxy.Scheme != "http" || c.Proxy.Hostname() == ""):
		return nil, errors.New("proxy: must be an http URL")
	case c.Policy.MaxConcurrent < 0:
		return nil, errors.New("upstream: MaxConcurrent must not be negative")
	case c.Policy.BreakerRate < 0 || c.Policy.BreakerRate > 1:
		return nil, errors.New("upstream: BreakerRate must be between 0 and 1")
	}
	return base, nil
}

// Token is what a login yields.
type Token struct {
	// Value is what Config.Authorize puts on requests.
	Value string
	// Expires is when it ends. Zero means that it serves the calls that waited for this login and no others.
	Expires time.Time
	// Refresh is whatever the adapter needs to refresh it; the client only keeps it.
	Refresh any
}

// LoginFunc logs in, with c.Do and requests that say NoAuth. previous is the token to refresh; it is nil on the first
// login and after the provider refused a token. When refreshing fails, the function itself logs in anew. Its context is
// not that of any caller.
type LoginFunc func(ctx context.Context, c *Client, previous *Token) (Token, error)
