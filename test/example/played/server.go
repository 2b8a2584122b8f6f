// Package played plays Skarvholm, the group of banks that does not exist, as far as the example adapter needs it. It is
// a dialect of the sandbox like those below internal/sandbox, but lives in the tests and is never part of the gateway.
// Its wire structs are its own: sharing the adapter's would share its misreading.
//
// A consent takes this way:
//
//	received            until the customer decides on the page
//	valid, or rejected  approving brings a code, which is exchanged for the consent's token; from the first look at it
//	                    then on its data is collected for one Step (dataStatus "collecting", then "complete")
//	expired             once validUntil has passed
//	revokedByPsu        the customer withdrew: Server.Withdraw
//	terminatedByAspsp   the bank ended it: Server.Terminate
//
// A consent that is renewed stays as it is until the customer approves the new one.
package played

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// The account that there is.
const (
	ClientID     = "SKH-000001"
	ClientSecret = "demo-client-secret"
	SigningKey   = "demo-signing-key"
)

// Names of the operations, as calls are counted and faults injected by.
const (
	OpLogin            = "login"
	OpConsentToken     = "consent_token"
	OpCreateConsent    = "create_consent"
	OpRenewConsent     = "renew_consent"
	OpGetConsent       = "get_consent"
	OpDeleteConsent    = "delete_consent"
	OpListAccounts     = "list_accounts"
	OpListTransactions = "list_transactions"
)

// BasePath is above all paths of the API.
const BasePath = "/xs2a"

const (
	loginTTL = time.Hour
	// TokenTTL is how long a consent's token lives; its refresh token lives as long as the consent.
	TokenTTL = 10 * time.Minute
	// defaultReadsPerDay is how often each read may be done in a day without the customer's address.
	defaultReadsPerDay = 4
)

// Config describes one Skarvholm. The zero value is usable.
type Config struct {
	// BaseURL is where browsers reach this server, without a slash at the end; default: as the request did.
	BaseURL string
	// ReadsPerDay is how often each read may be done in a day without the customer's address; 4 when zero.
	ReadsPerDay int
}

// Server plays Skarvholm.
type Server struct {
	core *sandbox.Core
	cfg  Config
	mux  *http.ServeMux

	mu       sync.Mutex           // guards all below
	logins   map[string]time.Time // end by token
	consents map[string]*consent
	pages    map[string]*consent // by the token in the link
	codes    map[string]*consent
	tokens   map[string]*token
	refresh  map[string]*consent
}

// token is a consent's token.
type token struct {
	consent *consent
	expires time.Time
}

// New makes a server.
func New(core *sandbox.Core, cfg Config) *Server {
	cfg.ReadsPerDay = cmp.Or(cfg.ReadsPerDay, defaultReadsPerDay)
	s := &Server{
		core: core, cfg: cfg, mux: http.NewServeMux(), logins: map[string]time.Time{}, consents: map[string]*consent{},
		pages: map[string]*consent{}, codes: map[string]*consent{}, tokens: map[string]*token{},
		refresh: map[string]*consent{},
	}
	core.ErrorBody = func(status int) (string, []byte) {
		return "application/json", encode(refusal(status, "ERROR").body)
	}
	core.ExpireTokens = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		clear(s.logins)
		for _, t := range s.tokens {
			t.expires = s.now()
		}
	}
	for operation, route := range map[string]struct {
		pattern string
		handle  handler
	}{
		OpLogin:         {"POST /oauth/token", s.login},
		OpConsentToken:  {"POST /oauth/consent-token", s.authorized(s.consentToken)},
		OpCreateConsent: {"POST /v1/consents", s.authorized(s.createConsent)},
		OpRenewConsent:  {"POST /v1/consents/{consentId}/renewal", s.authorized(s.forConsent(s.renewConsent))},
		OpGetConsent:    {"GET /v1/consents/{consentId}", s.authorized(s.forConsent(s.getConsent))},
		OpDeleteConsent: {"DELETE /v1/consents/{consentId}", s.authorized(s.forConsent(s.deleteConsent))},
		OpListAccounts:  {"GET /v1/accounts", s.withToken(OpListAccounts, s.listAccounts)},
		OpListTransactions: {
			"GET /v1/accounts/{accountId}/transactions", s.withToken(OpListTransactions, s.listTransactions),
		},
	} {
		method, path, _ := cut(route.pattern)
		core.Handle(s.mux, operation, method+" "+BasePath+path, s.locked(signed(route.handle)))
	}
	core.Handle(s.mux, sandbox.OperationUnknown, "/", s.locked(func(*http.Request) reply {
		return refusal(http.StatusNotFound, "RESOURCE_UNKNOWN")
	}))
	s.pageRoutes()
	core.HandleControls(s.mux)
	return s
}

// ServeHTTP serves the API, the page and the controls.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close does nothing: Skarvholm does nothing by itself.
func (*Server) Close(context.Context) error { return nil }

// reply is an answer; without a body nothing but the status is sent.
type reply struct {
	status int
	body   any
}

// handler answers an operation; it runs under the server's lock.
type handler func(r *http.Request) reply

func (s *Server) locked(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := h(r)
		s.mu.Unlock()
		w.Header().Set("X-Request-ID", r.Header.Get("X-Request-ID"))
		if answer.body == nil {
			w.WriteHeader(answer.status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(answer.status)
		_, _ = w.Write(encode(answer.body))
	}
}

// signed lets only requests through whose digest and signature are right.
func signed(next handler) handler {
	return func(r *http.Request) reply {
		body, err := io.ReadAll(r.Body) // whose size the core has bounded
		if err != nil {
			return refusal(http.StatusBadRequest, "FORMAT_ERROR")
		}
		sum := sha256.Sum256(body)
		digest := "SHA-256=" + base64.StdEncoding.EncodeToString(sum[:])
		mac := hmac.New(sha256.New, []byte(SigningKey))
		_, _ = mac.Write([]byte(r.Method + " " + r.URL.RequestURI() + "\n" + digest))
		signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if r.Header.Get("Digest") != digest || r.Header.Get("Signature") != signature {
			return refusal(http.StatusBadRequest, "SIGNATURE_INVALID")
		}
		return next(withBody(r, body))
	}
}

// authorized lets only requests with the account's token through.
func (s *Server) authorized(next handler) handler {
	return func(r *http.Request) reply {
		if ends, ok := s.logins[bearer(r)]; !ok || !s.now().Before(ends) {
			return refusal(http.StatusUnauthorized, "TOKEN_INVALID")
		}
		return next(r)
	}
}

// withToken finds the consent of a token, and counts the read.
func (s *Server) withToken(operation string, next func(*http.Request, *consent) reply) handler {
	return func(r *http.Request) reply {
		t := s.tokens[bearer(r)]
		switch {
		case t == nil:
			return refusal(http.StatusUnauthorized, "TOKEN_UNKNOWN")
		case t.consent.statusAt(s.now()) == statusExpired:
			return refusal(http.StatusUnauthorized, "CONSENT_EXPIRED")
		case t.consent.status != statusValid:
			return refusal(http.StatusUnauthorized, "CONSENT_INVALID")
		case !s.now().Before(t.expires):
			return refusal(http.StatusUnauthorized, "TOKEN_INVALID")
		case s.exceeded(t.consent, operation+r.PathValue("accountId"), r):
			return refusal(http.StatusTooManyRequests, "ACCESS_EXCEEDED")
		}
		return next(r, t.consent)
	}
}

// exceeded counts a read without the customer, and tells whether it is one too many for the day.
func (s *Server) exceeded(c *consent, read string, r *http.Request) bool {
	if c.exceeded {
		return true
	}
	if r.Header.Get("PSU-IP-Address") != "" || c.dataStatus(s.now()) != dataComplete {
		return false
	}
	key := s.now().Format(time.DateOnly) + read
	c.reads[key]++
	return c.reads[key] > s.cfg.ReadsPerDay
}

func (s *Server) now() time.Time { return s.core.Clock.Now() }

func (s *Server) baseURL(r *http.Request) string { return cmp.Or(s.cfg.BaseURL, "http://"+r.Host) }

// refusal answers with Skarvholm's error body.
func refusal(status int, code string) reply {
	return reply{status, errorWire{Messages: []messageWire{{Category: "ERROR", Code: code, Text: "what went wrong"}}}}
}

func encode(body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // what is written is built here
	}
	return text
}
