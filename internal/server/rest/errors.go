package rest

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
)

// own gives an error with a reason. One without comes from the gateway, whose texts quote what callers sent.
func own(err error) error {
	if kerr.Reason(err) != errorv1.Error_REASON_UNSPECIFIED {
		return err
	}
	st := status.Convert(err)
	if field, ok := parseFieldError(st.Message()); ok {
		return kerr.InvalidField(field.path, field.description)
	}
	switch st.Code() {
	case codes.InvalidArgument:
		return kerr.New(errorv1.Error_INVALID_FIELD, "the request does not fit the method")
	case codes.NotFound, codes.Unimplemented:
		return kerr.New(errorv1.Error_ROUTE_NOT_FOUND, "there is no such path")
	}
	return err
}

// writeError implements runtime.ErrorHandlerFunc: the body is the google.rpc.Status itself.
func writeError(
	ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error,
) {
	if md, ok := runtime.ServerMetadataFromContext(ctx); ok {
		if id := md.HeaderMD.Get("x-request-id"); len(id) > 0 {
			w.Header().Set("X-Request-Id", id[0])
		}
	}
	WriteError(w, r, err)
}

// WriteError answers a request with an error: its google.rpc.Status as JSON, and the HTTP status that belongs to its
// code.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	id := w.Header().Get("X-Request-Id")
	if id == "" {
		id = identity.RequestID(r.Context())
	}
	err = own(err)
	if admission, ok := r.Context().Value(admittedKey{}).(Admission); ok {
		err = admission.Refuse(err)
	}
	finished, _ := kerr.Finish(err, id)
	st := status.Convert(finished)
	body, err := newJSON().Marshal(st.Proto())
	if err != nil {
		body = []byte(`{"code":13,"message":"internal error","details":[]}`)
	}
	w.Header().Del("Transfer-Encoding")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if wait := kerr.Retry(finished); wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	}
	if st.Code() == codes.Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(httpStatus(st.Code(), finished))
	_, _ = w.Write(body) //nolint:gosec // protojson of a Status, as JSON and with nosniff
}

// httpStatus is grpc-gateway's mapping, but where HTTP has a word of its own.
func httpStatus(code codes.Code, err error) int {
	switch {
	case kerr.Reason(err) == errorv1.Error_TOO_LARGE:
		return http.StatusRequestEntityTooLarge
	case kerr.Reason(err) == errorv1.Error_METHOD_NOT_FOUND:
		return http.StatusMethodNotAllowed
	}
	return runtime.HTTPStatusFromCode(code)
}

// streamError gives the error with which a stream ends.
func streamError(_ context.Context, err error) *status.Status {
	return status.Convert(own(err))
}

// routingError answers a path or method that does not exist.
func routingError(
	ctx context.Context, mux *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int,
) {
	if ctx.Value(probeKey{}) != nil {
		return
	}
	if code == http.StatusMethodNotAllowed {
		notAllowed(w, r, allowed(ctx, mux, r))
		return
	}
	WriteError(w, r, kerr.New(errorv1.Error_ROUTE_NOT_FOUND, "there is no such path"))
}

// notAllowed answers a method that a path does not take.
func notAllowed(w http.ResponseWriter, r *http.Request, verbs []string) {
	w.Header().Set("Allow", strings.Join(verbs, ", "))
	WriteError(w, r, kerr.New(errorv1.Error_METHOD_NOT_FOUND, "the path does not take this method"))
}

// probeKey is the key of a request that only asks whether its path takes its method: a *bool, for the answer.
type probeKey struct{}

// allowed lists the methods that a request's path takes.
func allowed(ctx context.Context, mux *runtime.ServeMux, r *http.Request) []string {
	var verbs []string
	for _, verb := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		var taken bool
		probe := r.Clone(context.WithValue(ctx, probeKey{}, &taken))
		probe.Method, probe.Body = verb, http.NoBody
		if mux.ServeHTTP(nobody{}, probe); taken {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

// nobody is who a probe is answered to.
type nobody struct{}

func (nobody) Header() http.Header         { return http.Header{} }
func (nobody) Write(b []byte) (int, error) { return len(b), nil }
func (nobody) WriteHeader(int)             {}
