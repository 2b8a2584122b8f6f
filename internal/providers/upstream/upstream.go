// Package upstream is the one HTTP client under the adapters: it sends an operation of a provider's table and decodes
// the answer, with the token, the limits and the one resilience policy that every provider call gets.
//
// What lives here: transports, deadlines, sizes, encodings, tokens, retries with their budget, circuit breaker,
// bulkhead, the table from HTTP statuses to kinds, and what is noted for logs, metrics and health. What does not:
// paths and bodies of a provider (its adapter), mapping to neutral resources (its adapter), statuses that callers see
// (the service), and retries of anything but reads (the service, which stores the intent first).
//
// Three rules shape it:
//
//   - A write is sent once. Every operation that is not a read gets a connection of its own, so that net/http never
//     resends it and a dropped idle connection never hits it. A failed Creating operation says whether it may have
//     happened; only 4xx, or not a byte written, say no.
//   - Nothing that a provider sends goes into an error or a log, except a status, a short code and a request id, each
//     of a checked form.
//   - Everything ends: by the caller's deadline, and by limits of our own for connecting, for the header and for the
//     body.
//
// The circuit breaker and the bulkhead are failsafe-go's. The retry loop is not: failsafe's replaces the result of an
// attempt by the context's error when both end together, which would lose MayHaveHappened, and its budget limits how
// many retries run at once, not how many are sent.
package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/providers"
)

// Client sends the operations of one provider with one tenant's credentials. It is safe for concurrent use.
type Client struct {
	cfg      Config
	base     *url.URL
	routes   map[string]*route
	header   http.Header       // of every request
	reads    http.RoundTripper // keeps connections
	writes   http.RoundTripper // a connection for each request
	tokens   *tokens
	breaker  *breaker
	bulkhead bulkhead.Bulkhead[any]
	inside   atomic.Int64 // callers, under way or waiting
	budget   *budget
	pace     pace
	health   health
}

// New makes a client. Its errors name the key that is wrong, never the value.
func New(cfg Config) (*Client, error) {
	base, err := cfg.check()
	if err != nil {
		return nil, err
	}
	cfg.setDefaults()
	header, bad := newHeader(cfg.Header)
	if bad != "" {
		return nil, fmt.Errorf("upstream: no request can carry the header %q", bad)
	}
	c := &Client{
		cfg:      cfg,
		base:     base,
		routes:   newRoutes(base, cfg.Operations),
		header:   header,
		bulkhead: bulkhead.New[any](uint(cfg.Policy.MaxConcurrent)),
		budget:   newBudget(),
	}
	c.breaker = newBreaker(cfg.Policy, c.breakerChanged)
	c.tokens = newTokens(c)
	c.reads, c.writes = cfg.Transport, cfg.Transport
	if cfg.Transport == nil {
		if c.reads, c.writes, err = newTransports(&cfg, base); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close ends a login under way and closes idle connections. Calls under way are not ended; no new ones may be started.
func (c *Client) Close() {
	c.tokens.close()
	for _, transport := range []http.RoundTripper{c.reads, c.writes} {
		if idle, ok := transport.(interface{ CloseIdleConnections() }); ok {
			idle.CloseIdleConnections()
		}
	}
}

// Check makes sure that there is a valid token, logging in when needed.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.tokens.get(ctx, "login")
	if err != nil {
		return err
	}
	return nil
}

// Do sends a request and decodes the body of the answer into out: by itself where it is a jsonread.Reader, else by
// encoding/json, with numbers as json.Number where out leaves the type open. On 204 and on an empty body out is
// untouched and Response.Empty is set. With a nil out the body does not matter, broken or not. After an error out may
// be half filled and must not be used. Every error is a *providers.Error.
func (c *Client) Do(ctx context.Context, r Request, out any) (*Response, error) {
	if out == nil {
		return c.call(ctx, r, consumer{})
	}
	return c.call(ctx, r, consumer{
		decode: decodeInto(out),
		whole:  true,
		bytes:  c.cfg.Limits.BodyBytes,
		wait:   c.cfg.Limits.Body,
	})
}

// Stream sends a request and lets decode read the body as it arrives, through a jsonread decoder. Decode may
// stop early by returning nil; it must not call the client. There is no retry once it has begun. Its error is the
// outcome if it is a *providers.Error, and otherwise means that the answer is not what the provider documents. On 204
// and on an empty body it is not called. The time that decode takes itself counts towards none of the limits, only
// towards the caller's deadline. Every error is a *providers.Error.
func (c *Client) Stream(ctx context.Context, r Request, decode func(*jsonread.Decoder) error) (*Response, error) {
	return c.call(ctx, r, consumer{
		decode: decode,
		bytes:  c.cfg.Limits.StreamBytes,
		wait:   c.cfg.Limits.StreamBody,
	})
}

// consumer takes the body of an accepted answer.
type consumer struct {
	// decode reads it; nil when nobody cares.
	decode func(*jsonread.Decoder) error
	// whole says that decode reads all of it.
	whole bool
	// bytes is its limit, after decompression.
	bytes int64
	// wait is how long to wait for its bytes in sum.
	wait time.Duration
}

// call makes a request ready, sends it, and notes how it went.
func (c *Client) call(ctx context.Context, r Request, take consumer) (*Response, error) {
	x, err := c.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.bound(ctx, x)
	defer cancel()
	response, failed := c.send(ctx, x, take)
	if failed != nil {
		c.health.note(c.cfg.Clock(), failed)
		return nil, failed
	}
	c.health.note(c.cfg.Clock(), nil)
	return response, nil
}

// send sends a request until it is answered, refused for good, or out of retries.
func (c *Client) send(ctx context.Context, x *exchange, take consumer) (*Response, *providers.Error) {
	for attempt, retries, replayed := 1, 0, false; ; attempt++ {
		response, failed := c.attempt(ctx, x, attempt, take)
		if failed == nil {
			return response, nil
		}
		if failed.lease != nil && failed.err.Status == http.StatusUnauthorized &&
			failed.err.Kind == providers.KindCredentials {
			// A 401 means that nothing was done, so this goes for writes as well.
			if c.tokens.refused(failed.lease, x.op.Name, replayed) {
				replayed = true
				continue
			}
			return nil, failed.err
		}
		wait, again := c.retry(ctx, x, failed, retries)
		if !again {
			return nil, failed.err
		}
		retries++
		if !sleep(ctx, wait) {
			return nil, c.contextError(ctx, x.op.Name)
		}
	}
}

// bound gives a call whose caller has no deadline the default one, and notes until when the call may go on.
func (c *Client) bound(ctx context.Context, x *exchange) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		x.until = deadline
		return ctx, func() {}
	}
	x.until = time.Now().Add(c.cfg.Limits.Call)
	ctx, cancel := context.WithCancelCause(ctx)
	x.timer = time.AfterFunc(c.cfg.Limits.Call, func() { cancel(errCallTooLong) })
	return ctx, func() {
		x.timer.Stop()
		cancel(nil)
	}
}
