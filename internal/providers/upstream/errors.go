package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/providers"
)

// cause is what went wrong, in words of our own: the errors of net/http and encoding/json quote what the provider sent.
type cause string

func (c cause) Error() string { return string(c) }

const (
	errNoOperation  cause = "the operation table has no such operation"
	errBadPath      cause = "the operation's path is no URL path"
	errBadBody      cause = "the request body cannot be encoded"
	errBadToken     cause = "the token cannot be put into a header"
	errNoAuthorize  cause = "nothing says how a token is put on a request"
	errSign         cause = "the request cannot be signed"
	errForeignHost  cause = "refused to dial another host"
	errHost         cause = "host not found"
	errTLS          cause = "TLS handshake failed"
	errCertificate  cause = "certificate not accepted"
	errDialTimeout  cause = "no connection in time"
	errDial         cause = "no connection"
	errNoAnswer     cause = "no answer in time"
	errBroken       cause = "connection broken"
	errNotHTTP      cause = "the answer is not HTTP, or its header is too large"
	errStatus       cause = "unexpected status"
	errStalled      cause = "the body stalled"
	errBodyTooLong  cause = "the body took too long"
	errCallTooLong  cause = "the call took too long"
	errCutOff       cause = "the body was cut off or cannot be unpacked"
	errTooLarge     cause = "the body is too large"
	errTooDeep      cause = "the body nests too deeply"
	errEncoding     cause = "the body has an unknown encoding"
	errTrailing     cause = "something follows the JSON value"
	errMalformed    cause = "the body is not the JSON that is documented"
	errUndocumented cause = "the answer is not what is documented"
	errBreakerOpen  cause = "circuit breaker open"
	errCrowded      cause = "too many callers wait for the provider"
	errClosed       cause = "the client is closed"
	errLoginFailed  cause = "login failed"
	errLoginPanic   cause = "login panicked"
	errNoTokenValue cause = "login gave no token"
)

// failure is a failed attempt.
type failure struct {
	err *providers.Error
	// retryable says that a read may be sent again.
	retryable bool
	// acted says of a request that is no read that the provider may have done what it asked for.
	acted bool
	// told says that the provider sent a Retry-After.
	told bool
	// lease is the token of the attempt.
	lease *lease
}

func (f *failure) cause() string {
	if c, ok := errors.AsType[cause](f.err.Err); ok {
		return string(c)
	}
	return ""
}

func (c *Client) internalError(operation string, err error) *providers.Error {
	return &providers.Error{Kind: providers.KindInternal, Provider: c.cfg.Provider, Operation: operation, Err: err}
}

// contextError is for a call whose context ended before anything was sent.
func (c *Client) contextError(ctx context.Context, operation string) *providers.Error {
	kind, err := contextKind(ctx)
	return &providers.Error{Kind: kind, Provider: c.cfg.Provider, Operation: operation, Err: err}
}

// over tells whether the caller's time is up. The deadline is looked at as well as Err, since a dialler with the same
// deadline can be first.
func over(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// contextKind classifies an ended context. The default deadline is ours, so that its passing means that the provider is
// slow.
func contextKind(ctx context.Context) (providers.ErrorKind, error) {
	switch {
	case errors.Is(context.Cause(ctx), errCallTooLong):
		return providers.KindUnavailable, errCallTooLong
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		// Of the context, or of the last caller who shared the call (coalesce.Group).
		return providers.KindDeadline, context.DeadlineExceeded
	case errors.Is(ctx.Err(), context.Canceled):
		return providers.KindCanceled, context.Canceled
	default:
		return providers.KindDeadline, context.DeadlineExceeded
	}
}

// statusKind is the one table from statuses to kinds.
func statusKind(status int, login bool) providers.ErrorKind {
	switch {
	case status >= 500 && status <= 599:
		return providers.KindUnavailable
	case status < 400 || status > 599:
		return providers.KindInvalidResponse
	case status == http.StatusTooManyRequests:
		return providers.KindRateLimited
	case status == http.StatusUnauthorized,
		login && (status == http.StatusBadRequest || status == http.StatusForbidden):
		return providers.KindCredentials
	case status == http.StatusForbidden:
		return providers.KindNotEnabled
	case status == http.StatusNotFound, status == http.StatusGone:
		return providers.KindNotFound
	case status == http.StatusConflict:
		return providers.KindConflict
	default:
		return providers.KindRejected
	}
}

// retryableStatus tells whether a read may be sent again after a status. 429 is treated apart.
func retryableStatus(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// netFailure classifies the error of a round trip in which the caller's context did not end. answered says that an
// answer began and was not cut off.
func netFailure(err error, connected, answered bool) (kind providers.ErrorKind, why error, retryable bool) {
	var (
		dns       *net.DNSError
		unknown   x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		errno     syscall.Errno
		operation *net.OpError
		timeout   net.Error
	)
	timedOut := errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
	if !connected {
		switch {
		case errors.Is(err, errForeignHost):
			return providers.KindInternal, errForeignHost, false
		case errors.As(err, &dns):
			return providers.KindUnavailable, errHost, true
		case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify):
			return providers.KindUnavailable, errCertificate, false
		case errors.As(err, &record), errors.As(err, &alert):
			return providers.KindUnavailable, errTLS, true
		case timedOut:
			return providers.KindUnavailable, errDialTimeout, true
		case errors.As(err, &errno):
			return providers.KindUnavailable, cause(string(errDial) + ": " + errno.Error()), true
		default:
			return providers.KindUnavailable, errDial, true
		}
	}
	switch {
	case timedOut:
		return providers.KindUnavailable, errNoAnswer, false
	case answered && !errors.Is(err,
		io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &operation) && !errors.As(err, &errno):
		return providers.KindInvalidResponse, errNotHTTP, false
	default:
		return providers.KindUnavailable, errBroken, true
	}
}

// bodyFailure classifies what went wrong with a body. Our own limits of time say that the provider is slow, everything
// else that what it sent is not what it documents.
func bodyFailure(ctx, attempt context.Context, b *body, err error) (providers.ErrorKind, error) {
	ours := context.Cause(attempt)
	switch {
	case b.err == nil:
		return providers.KindInvalidResponse, jsonCause(err)
	case errors.Is(b.err, errTooLarge), errors.Is(b.err, errTooDeep), errors.Is(b.err, errEncoding):
		return providers.KindInvalidResponse, b.err
	case errors.Is(ours, errStalled), errors.Is(ours, errBodyTooLong):
		return providers.KindUnavailable, ours
	case over(ctx):
		return contextKind(ctx)
	default:
		return providers.KindInvalidResponse, errCutOff
	}
}

// jsonCause says where a body has the wrong shape; its words come from our types alone.
func jsonCause(err error) error {
	var c cause
	var wrong *json.UnmarshalTypeError
	var wrongKind *jsonread.TypeError
	var shape *providers.ShapeError
	switch {
	case errors.As(err, &c):
		return c
	case errors.As(err, &shape):
		return cause(shape.Error())
	case errors.As(err, &wrong) && wrong.Field != "":
		return cause("the body has the wrong type at " + wrong.Field)
	case errors.As(err, &wrongKind) && wrongKind.Field != "":
		return cause("the body has the wrong type at " + wrongKind.Field)
	default:
		return errMalformed
	}
}

var plainCode = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// errorBody reads an error's body, as far as somebody may look at it.
func (c *Client) errorBody(r io.Reader) []byte {
	if c.cfg.ErrorCode == nil && c.cfg.RefusedFields == nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(r, c.cfg.Limits.ErrorBytes))
	if err != nil {
		return nil
	}
	return text
}

// errorCode finds the provider's own code in an error body. What is not a short plain token is dropped.
func (c *Client) errorCode(status int, text []byte) string {
	if c.cfg.ErrorCode == nil || len(text) == 0 {
		return ""
	}
	if code := c.cfg.ErrorCode(status, text); plainCode.MatchString(code) {
		return code
	}
	return ""
}

// maxRetryAfter caps what a provider may ask for.
const maxRetryAfter = time.Hour

// retryAfter reads the header of that name, in seconds or as a date. told is false when it is missing or makes no
// sense.
func retryAfter(header http.Header, now time.Time) (wait time.Duration, told bool) {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds < 0 {
			return 0, false
		}
		return min(time.Duration(min(seconds, int64(maxRetryAfter/time.Second)))*time.Second, maxRetryAfter), true
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter), true
	}
	return 0, false
}
