// Package rest is the JSON front of Kontor's API: grpc-gateway's mapping, made strict. Requests go through the
// channel that New is given, so whatever guards that channel guards REST as well.
//
// What is stricter here than in grpc-gateway: a body or query that does not fit is refused with the name of the first
// offending field and never a word of its value, unknown fields and parameters included; no header becomes metadata
// but those of a short list; Server-Sent Events are spoken where the caller accepts them.
//
// What is more lenient, all in forms.go: creating requests also take the bare resource, and updating requests the
// wrapped one.
package rest

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/server/inproc"
	"kontor.dev/kontor/internal/server/rest/answer"
)

// Options tune the front.
type Options struct {
	// MaxBody is the size of the largest request body in bytes where Admit is nil.
	MaxBody int64
	// Admit decides, once a route is found and before anything of the body is read, whether a request goes on. Method
	// is the full name of the method that it calls. Nil admits all; the guard behind the channel then authenticates by
	// what the call carries.
	Admit func(r *http.Request, method string) (Admission, error)
}

// Admission is a request that was let in.
type Admission interface {
	// Context is the context in which the request's call is made.
	Context() context.Context
	// MaxBody is the size of the largest body in bytes.
	MaxBody() int64
	// Hold makes room for so many more bytes of the body. An error is the answer to the request.
	Hold(bytes int64) error
	// Sparse tells whether the answer must show nothing but what there is: no empty fields either.
	Sparse() bool
	// Refuse takes a failure with which the request is to be answered, and gives the one that it is answered with.
	Refuse(failure error) error
	// Done says that the request was answered.
	Done()
}

// everybody is the admission where nobody decides.
type everybody struct {
	ctx context.Context //nolint:containedctx // of the one request that it is for
	max int64
}

func (e everybody) Context() context.Context { return e.ctx }
func (e everybody) MaxBody() int64           { return e.max }
func (everybody) Hold(int64) error           { return nil }
func (everybody) Sparse() bool               { return false }
func (everybody) Refuse(failure error) error { return failure }
func (everybody) Done()                      {}

// forwarded are the headers that become metadata, by their canonical names. Anything else, Grpc-Metadata-* included,
// stays outside; but for Authorization, which the gateway itself hands on.
var forwarded = map[string]string{
	"Psu-Ip-Address":  "psu-ip-address",
	"Idempotency-Key": "idempotency-key",
	"X-Request-Id":    "x-request-id",
	"Last-Event-Id":   "last-event-id",
	"Traceparent":     "traceparent",
	"Tracestate":      "tracestate",
}

// sparse stands before the media type that is asked for where an answer must show nothing but what there is. It is
// only ever set here: what callers accept is known before.
const sparse = "sparse "

// New builds the handler of everything below /v1/.
func New(ctx context.Context, channel grpc.ClientConnInterface, o Options) (http.Handler, error) {
	routes, err := newRoutes()
	if err != nil {
		return nil, err
	}
	customs, err := newCustomMethods()
	if err != nil {
		return nil, err
	}
	plain, bare := newJSON(), &plainJSON{form: answer.Sparse}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, sharing{plain, broadcast.Lines}),
		runtime.WithMarshalerOption(eventStream, sharing{&events{plain}, broadcast.Events}),
		runtime.WithMarshalerOption(sparse, sharing{bare, broadcast.SparseLines}),
		runtime.WithMarshalerOption(sparse+eventStream, sharing{&events{bare}, broadcast.SparseEvents}),
		runtime.WithForwardResponseRewriter(manys),
		runtime.WithIncomingHeaderMatcher(func(header string) (string, bool) {
			key, ok := forwarded[http.CanonicalHeaderKey(header)]
			return key, ok
		}),
		runtime.WithOutgoingHeaderMatcher(func(key string) (string, bool) {
			return "X-Request-Id", strings.EqualFold(key, "x-request-id")
		}),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(writeError),
		runtime.WithStreamErrorHandler(streamError),
		runtime.WithRoutingErrorHandler(routingError),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptReserved),
		runtime.WithForwardResponseOption(streamHeaders),
		runtime.WithMiddlewares(admit(routes, o)),
	)
	for _, service := range api.Services() {
		if err := service.RouteREST(ctx, mux, channel); err != nil {
			return nil, fmt.Errorf("rest: %w", err)
		}
	}
	return customOnly(customs, prepare(mux)), nil
}

// customOnly keeps the path of a custom method from being taken for the name of a resource: it takes the verbs of the
// method, and no others.
func customOnly(customs []customMethod, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if verbs := customVerbs(customs, r.URL); len(verbs) > 0 && !slices.Contains(verbs, r.Method) {
			notAllowed(w, r, verbs)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admittedKey is the key of a request's admission.
type admittedKey struct{}

// admit lets a request in and reads its body, in this order.
func admit(routes map[string]route, o Options) runtime.Middleware {
	if o.Admit == nil {
		o.Admit = func(r *http.Request, _ string) (Admission, error) { return everybody{r.Context(), o.MaxBody}, nil }
	}
	return func(next runtime.HandlerFunc) runtime.HandlerFunc {
		// The mux makes a handler for each mapping, but tells which it is with a request only.
		var found atomic.Pointer[route]
		return func(w http.ResponseWriter, r *http.Request, parameters map[string]string) {
			if taken, ok := r.Context().Value(probeKey{}).(*bool); ok {
				*taken = true
				return
			}
			at := found.Load()
			if at == nil {
				pattern, _ := runtime.HTTPPattern(r.Context())
				mapping := routes[r.Method+" "+pattern.String()]
				at = &mapping
				found.Store(at)
			}
			admission, err := o.Admit(r, at.method)
			if err != nil {
				WriteError(w, r, err)
				return
			}
			defer admission.Done()
			ctx := inproc.WithShared(admission.Context())
			r = r.WithContext(context.WithValue(ctx, admittedKey{}, admission))
			if admission.Sparse() {
				r.Header.Set("Accept", sparse+r.Header.Get("Accept"))
			}
			if err := bareQuery(r, at); err != nil {
				WriteError(w, r, err)
				return
			}
			if err := readBody(w, r, at, admission); err != nil {
				WriteError(w, r, err)
				return
			}
			next(w, r, parameters)
		}
	}
}

// prepare makes a request's headers what the mux expects.
func prepare(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Grpc-Timeout")
		if accepts(r, eventStream) {
			r.Header.Set("Accept", eventStream)
		} else {
			r.Header.Del("Accept")
		}
		next.ServeHTTP(w, r)
	})
}

// accepts tells whether a request names a media type among those that it accepts.
func accepts(r *http.Request, want string) bool {
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			if media, _, err := mime.ParseMediaType(part); err == nil && media == want {
				return true
			}
		}
	}
	return false
}
