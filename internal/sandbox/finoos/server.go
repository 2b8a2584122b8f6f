package finoos

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// LatestVersion is the newest API version that the documentation knows.
const LatestVersion = "2020-06-16"

// BasePath is where the real API has its endpoints. They are served there and, for short URLs, at the root as well.
const BasePath = "/api/v1"

// The demo account, unless the Config names another.
const (
	DemoName   = "demo"
	DemoSecret = "3bdfef4d-e122-4c8d-a3cf-01ac776eca17"
)

// The life of tokens, as documented.
const (
	AccessTTL  = 300 * time.Second
	RefreshTTL = 1800 * time.Second
)

// Config is the account that the sandbox has, and where it is reached. The zero value is usable.
type Config struct {
	Name   string // default DemoName
	Secret string // default DemoSecret
	// BaseURL is the public URL of this server without a trailing slash, for the links it hands out. When empty, links
	// use the Host of the request.
	BaseURL string
	// APIVersion is the account's version; default LatestVersion.
	APIVersion string
	// Scopes are those activated for the account; default all, with bankingExternal.
	Scopes []string
	// Operations overrides routes: operation name to "METHOD /path", with the placeholders of the default.
	Operations map[string]string
}

//go:embed pages/*.html
var pageFiles embed.FS

// Server plays finoOS. It is an http.Handler for the API, the Banking UI and the controls.
type Server struct {
	core  *sandbox.Core
	cfg   Config
	mux   *http.ServeMux
	pages *sandbox.Pages
	banks []uiBank
	salt  string // decided by the seed; all ids come from it

	mu        sync.Mutex // guards all below; handlers run while it is held
	version   string
	issued    map[string]int // how many ids of each kind were made
	access    map[string]time.Time
	refresh   map[string]time.Time // both: when the token expires
	users     []*user              // in order of creation, deleted ones too
	sessions  map[string]*session
	shipments []*Shipment
	callbacks Callbacks
	held      *Shipment      // with CallbacksReorder: the one that waits for its successor
	closed    bool           // no shipment is called back any more
	calling   sync.WaitGroup // counts callbacks under way; added to while mu is held and closed is false
}

// New makes the server. Like http.ServeMux it panics on a route that cannot be served: an unknown operation name, a
// malformed pattern, other placeholders than the default's.
func New(core *sandbox.Core, cfg Config) *Server {
	if cfg.Name == "" {
		cfg.Name = DemoName
	}
	if cfg.Secret == "" {
		cfg.Secret = DemoSecret
	}
	if cfg.APIVersion == "" {
		cfg.APIVersion = LatestVersion
	}
	if cfg.Scopes == nil {
		cfg.Scopes = slices.Clone(knownScopes)
	}
	s := &Server{
		core:      core,
		cfg:       cfg,
		mux:       http.NewServeMux(),
		pages:     sandbox.MustPages("fino Banking UI", pageFiles),
		banks:     banksOf(core.Population),
		salt:      core.Rand.Hex(32),
		version:   cfg.APIVersion,
		issued:    map[string]int{},
		access:    map[string]time.Time{},
		refresh:   map[string]time.Time{},
		sessions:  map[string]*session{},
		callbacks: Callbacks{Mode: CallbacksOnce},
	}
	core.ErrorBody = errorBody
	core.ExpireTokens = s.ExpireTokens
	for _, op := range routes(cfg.Operations) {
		handler := s.operation(op)
		core.Handle(s.mux, op.name, op.method+" "+op.path, handler)
		core.Handle(s.mux, op.name, op.method+" "+BasePath+op.path, handler)
	}
	core.Handle(s.mux, sandbox.OperationUnknown, "/", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, nil, notFound())
	})
	core.Handle(s.mux, sandbox.OperationPage, "GET /ui/{session}", s.showPage)
	core.Handle(s.mux, sandbox.OperationPage, "POST /ui/{session}/{action}", s.submitPage)
	core.Handle(s.mux, sandbox.OperationPage, "GET /logos/{file}", s.serveLogo)
	s.handleControls()
	return s
}

// ServeHTTP serves the API under BasePath and at the root, the Banking UI under /ui/ and the controls under /_sandbox/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := r.Header.Get("X-Request-ID")
	s.mu.Lock()
	if requestID == "" {
		requestID = s.uuid("request")
	}
	w.Header().Set("API-Version", s.version)
	s.mu.Unlock()
	w.Header().Set("X-Request-ID", requestID)
	s.mux.ServeHTTP(w, r)
}

// operation turns an entry of the operation table into a handler that checks, in this order: the version asked for,
// the token, the user, the scope, the end user's address; then the operation itself runs.
func (s *Server) operation(op operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		body, err := s.serve(w, r, op)
		s.mu.Unlock()
		reply(w, body, err)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, op operation) (any, *apiError) {
	if asked := r.Header.Get("API-Version"); asked != "" {
		if asked != s.version && asked != LatestVersion {
			return nil, badRequest("unknown API-Version")
		}
		w.Header().Set("API-Version", asked)
	}
	if !op.open && !s.authorized(r.Header.Get("Authorization")) {
		return nil, unauthorized()
	}
	var u *user
	if op.ofUser() {
		if u = s.user(r.PathValue("userID")); u == nil {
			return nil, notFound()
		}
	}
	switch {
	case op.scope == "":
	case u == nil && !slices.Contains(s.cfg.Scopes, op.scope),
		u != nil && !slices.Contains(u.scopes, op.scope):
		return nil, forbidden()
	}
	if op.userIP {
		if err := userIP(r); err != nil {
			return nil, err
		}
	}
	return op.run(s, r, u)
}

// baseURL is how the caller reaches this server.
func (s *Server) baseURL(r *http.Request) string {
	if s.cfg.BaseURL != "" {
		return s.cfg.BaseURL
	}
	return "http://" + r.Host
}

// id makes the next id of a kind: 24 hexadecimal digits, as in the documentation.
func (s *Server) id(kind string) string { return s.next(kind)[:24] }

// uuid makes the next id of a kind in the shape of a UUID.
func (s *Server) uuid(kind string) string {
	h := s.next(kind)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

func (s *Server) next(kind string) string {
	s.issued[kind]++
	return s.hash(kind, strconv.Itoa(s.issued[kind]))
}

// hash is 64 hexadecimal digits that the seed and the parts decide.
func (s *Server) hash(parts ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q", s.salt, parts))
	return hex.EncodeToString(sum[:])
}

// errorBody is the provider's error body where the core answers by itself.
func errorBody(status int) (contentType string, body []byte) {
	kinds := map[int]string{
		http.StatusBadRequest:      "badRequest",
		http.StatusUnauthorized:    "unauthorized",
		http.StatusForbidden:       "forbidden",
		http.StatusNotFound:        "notFound",
		http.StatusConflict:        "conflict",
		http.StatusTooManyRequests: "tooManyRequests",
	}
	kind, ok := kinds[status]
	switch {
	case ok:
	case status < http.StatusInternalServerError:
		kind = "badRequest"
	default:
		kind = "internalServerError"
	}
	body, err := json.Marshal(&apiError{Type: kind, Message: http.StatusText(status)})
	if err != nil {
		panic(err) // two strings
	}
	return "application/json; charset=utf-8", body
}
