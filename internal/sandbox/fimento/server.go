package fimento

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// The defaults of Config.
const (
	DefaultName          = "demo"
	DefaultPassword      = "demo-password"
	DefaultPartnerBankID = "605c6c479691950d359bb0e9"
	defaultTokenTTL      = time.Hour
	defaultPageSize      = 50
)

// LinkTTL is how long a consent link can be opened.
const LinkTTL = 24 * time.Hour

// visualisationTTL is how long a visualisation link shows something.
const visualisationTTL = 15 * time.Minute

// Config describes one Fimento. The zero value is usable.
type Config struct {
	Name, Password string // the API user's; default DefaultName, DefaultPassword
	// where browsers reach this server, without a slash at the end; default: as the request did
	BaseURL       string
	PartnerBankID string        // the partner bank that exists from the start; default DefaultPartnerBankID
	TokenTTL      time.Duration // how long a token is valid; default 1 h
	PageSize      int           // transactions per page; default 50
	// Operations overrides where operations stand: "METHOD /path" by operation name, with the placeholders of the
	// built-in path. A status that the path of test_decision does not hold is read from the query.
	Operations map[string]string
	Behaviour  Behaviour
}

// Server plays Fimento.
type Server struct {
	core     *sandbox.Core
	cfg      Config
	mux      *http.ServeMux
	webhooks *webhooks

	mu             sync.Mutex // guards all below
	behaviour      Behaviour
	tokens         map[string]time.Time // expiry by token
	partnerBanks   []partnerBank
	processes      map[string]*process
	links          map[string]link
	idempotent     map[idempotencyKey]string // process ids
	visualisations map[string]visualisation
}

// link is what a consent link's token opens.
type link struct {
	process *process
	expires time.Time
}

type visualisation struct {
	process string
	expires time.Time
}

type idempotencyKey struct{ partnerBank, key string }

// New makes a server. It panics when cfg.Operations names an operation that does not exist or a pattern that
// http.ServeMux refuses.
func New(core *sandbox.Core, cfg Config) *Server {
	cfg.Name = cmp.Or(cfg.Name, DefaultName)
	cfg.Password = cmp.Or(cfg.Password, DefaultPassword)
	cfg.PartnerBankID = cmp.Or(cfg.PartnerBankID, DefaultPartnerBankID)
	cfg.TokenTTL = cmp.Or(cfg.TokenTTL, defaultTokenTTL)
	cfg.PageSize = cmp.Or(cfg.PageSize, defaultPageSize)
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	if err := cfg.Behaviour.check(); err != nil {
		panic("fimento sandbox: " + err.Error())
	}
	s := &Server{
		core: core, cfg: cfg, mux: http.NewServeMux(), webhooks: newWebhooks(core), behaviour: cfg.Behaviour,
		tokens:         map[string]time.Time{},
		partnerBanks:   []partnerBank{{ID: cfg.PartnerBankID, Name: "Demo partner bank", LogoURL: "www.logoUrl.com"}},
		processes:      map[string]*process{},
		links:          map[string]link{},
		idempotent:     map[idempotencyKey]string{},
		visualisations: map[string]visualisation{},
	}
	core.ErrorBody = errorBody
	core.ExpireTokens = s.expireTokens
	s.routes()
	return s
}

// ServeHTTP serves the API, the consent pages and the controls.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends the delivery of webhooks and waits until none is under way, or for ctx.
func (s *Server) Close(ctx context.Context) error { return s.webhooks.close(ctx) }

func (s *Server) routes() {
	handlers := map[string]handler{
		OpLogin:             s.login,
		OpCreatePartnerBank: s.authorized(s.createPartnerBank),
		OpListPartnerBanks:  s.authorized(s.listPartnerBanks),
		OpUpdatePartnerBank: s.authorized(s.updatePartnerBank),
		OpCreateProcess:     s.authorized(s.createProcess),
		OpNewConsentLink:    s.authorized(s.forProcess(s.newConsentLink)),
		OpNewConsentFlow:    s.authorized(s.forProcess(s.newConsentFlow)),
		OpGetProcess:        s.authorized(s.forProcess(s.getProcess)),
		OpDeleteProcess:     s.authorized(s.forProcess(s.deleteProcess)),
		OpAddWebhook:        s.authorized(s.addWebhook),
		OpTestDecision:      s.authorized(s.forProcess(s.testDecision)),
		OpVisualisationLink: s.authorized(s.forProcess(s.visualisationLink)),
		OpInsights:          s.authorized(s.forProcess(s.insights)),
		OpTransactions:      s.authorized(s.transactions),
	}
	for operation := range s.cfg.Operations {
		if handlers[operation] == nil {
			panic(fmt.Sprintf("fimento sandbox: no operation %q", operation))
		}
	}
	for operation, h := range handlers {
		s.core.Handle(s.mux, operation, cmp.Or(s.cfg.Operations[operation], paths[operation]), s.locked(h))
	}
	s.core.Handle(s.mux, sandbox.OperationUnknown, "/", func(w http.ResponseWriter, r *http.Request) {
		refusal(http.StatusNotFound, "Cannot "+r.Method+" "+r.URL.Path).write(w)
	})
	s.pageRoutes()
	s.controlRoutes()
}

// handler answers an operation; it runs under the server's lock.
type handler func(r *http.Request) reply

func (s *Server) locked(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer := func() reply {
			s.mu.Lock()
			defer s.mu.Unlock()
			return h(r)
		}()
		answer.write(w)
	}
}

// baseURL is where links point to.
func (s *Server) baseURL(r *http.Request) string {
	return cmp.Or(s.cfg.BaseURL, "http://"+r.Host)
}
