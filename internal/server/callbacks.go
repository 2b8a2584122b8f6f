package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/telemetry"
)

// Callbacks takes what comes back from providers and from customers' browsers. The token in the path is all that
// vouches for it, so a body is read only by who has looked at it, and an error of reading is given back. An error that
// is kerr.ErrUnknownCallback is answered with 404, any other with 503, so that a sender who repeats does so.
type Callbacks interface {
	// Webhook takes a provider's hint that something changed.
	Webhook(ctx context.Context, provider, token string, header http.Header,
		body func() ([]byte, error)) error
	// Redirect takes a browser that a provider sent back, with outcome success, error or exit, and gives the address
	// to send it on to.
	Redirect(ctx context.Context, token, outcome string, query url.Values) (location string, err error)
	// RedirectAddress gives the address to which Redirect would send a browser on. It takes nothing in.
	RedirectAddress(ctx context.Context, token, outcome string, query url.Values) (location string, err error)
	// ShipmentReport takes a provider's report on a shipment.
	ShipmentReport(ctx context.Context, token string, query url.Values, body func() ([]byte, error)) error
}

const (
	// maxCallback is the size of the largest callback body.
	maxCallback = 64 << 10
	// maxToken is the length of the longest token that is looked up.
	maxToken = 200
)

// callbacks routes /callbacks/. Nothing of a request is answered or logged: its path holds a token.
func callbacks(mux *http.ServeMux, c Callbacks, g *guard.Guard, t *telemetry.Telemetry) {
	handle := func(pattern string, take func(w http.ResponseWriter, r *http.Request, token string) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			token := r.PathValue("token")
			if len(token) > maxToken {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			err := take(w, r, token)
			switch {
			case err == nil:
				exchangeOf(r.Context()).vouched()
			case tooLarge(err):
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			case errors.Is(err, kerr.ErrUnknownCallback):
				if r.ContentLength != 0 {
					w.Header().Set("Connection", "close") // or net/http would read the body first
				}
				w.WriteHeader(http.StatusNotFound)
			default:
				t.Logger.WarnContext(r.Context(), "a callback failed", "route", pattern, "cause", guard.CauseText(err))
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
	}
	handle("POST /callbacks/{provider}/webhook/{token}",
		func(w http.ResponseWriter, r *http.Request, token string) error {
			body, done := callbackBody(w, r, g)
			defer done()
			if err := c.Webhook(r.Context(), r.PathValue("provider"), token, r.Header, body); err != nil {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		})
	handle("POST /callbacks/shipments/{token}", func(w http.ResponseWriter, r *http.Request, token string) error {
		body, done := callbackBody(w, r, g)
		defer done()
		if err := c.ShipmentReport(r.Context(), token, r.URL.Query(), body); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	handle("GET /callbacks/redirects/{token}/{outcome}",
		func(w http.ResponseWriter, r *http.Request, token string) error {
			outcome := r.PathValue("outcome")
			if outcome != "success" && outcome != "error" && outcome != "exit" {
				return kerr.ErrUnknownCallback
			}
			var location string
			var err error
			if r.Method == http.MethodHead { // which GET's route takes, too: somebody looks where the address leads
				location, err = c.RedirectAddress(r.Context(), token, outcome, r.URL.Query())
			} else {
				location, err = c.Redirect(r.Context(), token, outcome, r.URL.Query())
			}
			if err != nil {
				return err
			}
			// http.Redirect would write the address into a body, too.
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusSeeOther)
			return nil
		})
}

// callbackBody gives what reads a callback's body, into room that is made for it until done is called.
func callbackBody(w http.ResponseWriter, r *http.Request, g *guard.Guard) (read func() ([]byte, error), done func()) {
	release := func() {}
	return func() ([]byte, error) {
		if r.ContentLength > maxCallback {
			return nil, &http.MaxBytesError{Limit: maxCallback}
		}
		size := r.ContentLength
		if size < 0 { // Its sender does not tell.
			size = maxCallback
		}
		give, err := g.HoldCallback(size)
		if err != nil {
			return nil, err
		}
		release = give
		return io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	}, func() { release() }
}
