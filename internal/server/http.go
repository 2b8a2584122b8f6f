package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/server/origin"
	"kontor.dev/kontor/internal/server/rest"
	"kontor.dev/kontor/internal/telemetry"
)

// Bounds of HTTP that nobody needs to set.
const (
	headerTimeout = 10 * time.Second
	maxHeader     = 32 << 10
	// maxAdminConnections bounds those of probes and of whoever collects metrics.
	maxAdminConnections = 200
)

// Bounds of how long callers may take. Tests shorten them.
var (
	bodyTimeout  = time.Minute      // of a body, from the end of the header to its last byte
	writeTimeout = 30 * time.Second // of one write to a stream, and of an answer beyond the time to make it
	idleTimeout  = 2 * time.Minute  // of a connection without a request
	// strangerIdle is how long a connection may be silent that no known caller has used. It is longer than it takes to
	// answer what strangers may ask.
	strangerIdle = 20 * time.Second
)

// exchange is one HTTP request and its answer.
type exchange struct {
	http.ResponseWriter
	controller *http.ResponseController
	status     int
	// rpc says that the guard has the request and writes its line in the access log; streaming, that the answer is a
	// stream; known, that its sender shows a token of a callback that there is.
	rpc, streaming, known bool
}

type exchangeKey struct{}

// exchangeOf finds the exchange that a context belongs to.
func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

// admitted notes that the guard decides on the request, and writes its line in the access log.
func (e *exchange) admitted() {
	if e != nil {
		e.rpc = true
	}
}

// handled notes that the request's call begins. A stream has no end to wait for, so no deadline for it either.
func (e *exchange) handled(stream bool) {
	if e == nil {
		return
	}
	if stream {
		e.streaming = true
		_ = e.controller.SetWriteDeadline(time.Time{})
	}
}

// vouched notes that the token in the path was one that there is.
func (e *exchange) vouched() {
	if e != nil {
		e.known = true
	}
}

// WriteHeader implements http.ResponseWriter.
func (e *exchange) WriteHeader(status int) {
	if e.status == 0 {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (e *exchange) Write(data []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	return bounded(e, func() (int, error) { return e.ResponseWriter.Write(data) })
}

// FlushError lets http.ResponseController flush.
func (e *exchange) FlushError() error {
	_, err := bounded(e, func() (int, error) { return 0, e.controller.Flush() })
	return err
}

// Unwrap lets http.ResponseController find what is below.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// bounded gives each write of a stream a deadline of its own, so that a reader who stopped reading is let go.
func bounded(e *exchange, write func() (int, error)) (int, error) {
	if !e.streaming {
		return write()
	}
	_ = e.controller.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := write()
	_ = e.controller.SetWriteDeadline(time.Time{})
	return n, err
}

// entrance stands before everything on the HTTP listener: recover, request id, where the request came from, security
// headers, deadlines, and the access log of whatever is no call. Routes are logged as patterns, since a path may hold a
// token.
type entrance struct {
	telemetry *telemetry.Telemetry
	answer    time.Duration // the longest that it takes to make an answer
	proxies   origin.Proxies
	strangers *guard.Sampler
}

func (d entrance) before(next http.Handler) http.Handler {
	t := d.telemetry
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		id := guard.RequestID(r.Header.Values("X-Request-Id"))
		e := &exchange{ResponseWriter: w, controller: http.NewResponseController(w)}
		_ = e.controller.SetWriteDeadline(begun.Add(d.answer + writeTimeout))
		if r.ContentLength != 0 {
			// Also for a body that nobody reads here: net/http reads it before it answers. It takes the deadline away
			// at the body's end.
			_ = e.controller.SetReadDeadline(begun.Add(bodyTimeout))
		}

		header := w.Header()
		header.Set("X-Request-Id", id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}

		from := d.proxies.Of(r.RemoteAddr, r.Header.Values(origin.Header), r.TLS)
		ctx := identity.WithCall(context.WithValue(r.Context(), exchangeKey{}, e),
			identity.Call{RequestID: id, Peer: from.String()})
		ctx = origin.With(ctx, from)
		r = r.WithContext(ctx)
		defer func() {
			panicked := recover()
			if panicked == http.ErrAbortHandler { //nolint:errorlint,err113 // compared by identity, as net/http does
				panic(panicked)
			}
			if panicked != nil {
				t.Logger.ErrorContext(ctx, "a request panicked", "request_id", id, "route", route(r),
					"panic", guard.PanicText(panicked), "stack", string(debug.Stack()))
				if e.status == 0 {
					rest.WriteError(e, r, kerr.New(errorv1.Error_INTERNAL, "internal error"))
				}
			}
			if !e.rpc {
				t.HTTP.Done(route(r), e.status)
				d.log(r, e, begun)
			}
		}()
		next.ServeHTTP(e, r)
	})
}

// log writes a request's line in the access log, while there are not too many of those whose senders nobody knows.
func (d entrance) log(r *http.Request, e *exchange, begun time.Time) {
	if !e.known && !d.strangers.Take() {
		return
	}
	attrs := []slog.Attr{
		slog.String("route", route(r)), slog.Int("status", e.status),
		slog.Float64("duration_ms", guard.Milliseconds(time.Since(begun))),
		slog.String("request_id", identity.RequestID(r.Context())), slog.String("peer", identity.Peer(r.Context())),
	}
	d.telemetry.Logger.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
}

// route names what a request matched. http.ServeMux notes it in the request that it was given.
func route(r *http.Request) string {
	if r.Pattern != "" {
		return r.Pattern
	}
	return "none"
}

// exactPaths answers a path with empty, "." or ".." segments as one that does not exist. http.ServeMux would send the
// caller on to the cleaned path, and quote the address in doing so.
func exactPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.EscapedPath()
		if clean := path.Clean(asked); clean != asked && clean+"/" != asked || asked == "//" {
			notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// notFound answers a path that does not exist.
func notFound(w http.ResponseWriter, r *http.Request) {
	rest.WriteError(w, r, kerr.New(errorv1.Error_ROUTE_NOT_FOUND, "there is no such path"))
}

// tooLarge tells whether reading a body failed because of its size.
func tooLarge(err error) bool {
	var exceeded *http.MaxBytesError
	return errors.As(err, &exceeded)
}
