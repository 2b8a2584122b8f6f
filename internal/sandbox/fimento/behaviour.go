package fimento

import (
	"fmt"
	"net/http"

	"kontor.dev/kontor/internal/sandbox"
)

// ValidUntil is what valid_until of a login means; the documentation does not say.
type ValidUntil string

// The meanings of valid_until.
const (
	ValidUntilMillis   ValidUntil = ""         // milliseconds since the epoch
	ValidUntilSeconds  ValidUntil = "seconds"  // seconds since the epoch
	ValidUntilDuration ValidUntil = "duration" // seconds from now
	ValidUntilZero     ValidUntil = "zero"     // always 0
)

// Paging is how the pages of transactions misbehave.
type Paging string

// The ways of paging.
const (
	PagingPlain      Paging = ""           // an empty page after the last
	PagingRepeatLast Paging = "repeatLast" // the last page again after the last
	PagingOverlap    Paging = "overlap"    // each page begins with the last few of the page before
)

// AuthErrors is where a failed bank login shows.
type AuthErrors string

// The places of a failed bank login.
const (
	AuthErrorsBoth    AuthErrors = ""        // overall and at the bank
	AuthErrorsOverall AuthErrors = "overall" // as the status authError only
	AuthErrorsBank    AuthErrors = "bank"    // as isError and errorMessage on the bank's status only
)

// Behaviour chooses among readings of the documentation. The zero value is the most likely one.
type Behaviour struct {
	// PlainStatuses answers statuses as plain arrays instead of {current, history}.
	PlainStatuses bool `json:"plainStatuses"`
	// ContinueFlow lets a new consent flow go on with the status history of the previous one instead of a fresh one.
	ContinueFlow bool `json:"continueFlow"`
	// OpaqueAccountIDs gives transactions an accountId that stands nowhere else, instead of the account number.
	OpaqueAccountIDs bool       `json:"opaqueAccountIds"`
	ValidUntil       ValidUntil `json:"validUntil"`
	Paging           Paging     `json:"paging"`
	AuthErrors       AuthErrors `json:"authErrors"`
	Webhooks         Webhooks   `json:"webhooks"`
}

// Webhooks is how webhooks misbehave.
type Webhooks struct {
	Drop       bool `json:"drop"`       // none is sent
	Duplicates int  `json:"duplicates"` // each is sent so many times more
	OutOfOrder bool `json:"outOfOrder"` // every other one comes after its successor, or late when there is none
}

func (b Behaviour) check() error {
	switch b.ValidUntil {
	case ValidUntilMillis, ValidUntilSeconds, ValidUntilDuration, ValidUntilZero:
	default:
		return fmt.Errorf("no such validUntil: %q", b.ValidUntil)
	}
	switch b.Paging {
	case PagingPlain, PagingRepeatLast, PagingOverlap:
	default:
		return fmt.Errorf("no such paging: %q", b.Paging)
	}
	switch b.AuthErrors {
	case AuthErrorsBoth, AuthErrorsOverall, AuthErrorsBank:
	default:
		return fmt.Errorf("no such authErrors: %q", b.AuthErrors)
	}
	if b.Webhooks.Duplicates < 0 {
		return fmt.Errorf("webhooks.duplicates must not be negative")
	}
	return nil
}

// Behaviour is what the server does at present.
func (s *Server) Behaviour() Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behaviour
}

// SetBehaviour changes what the server does from now on. It panics on a value that does not exist.
func (s *Server) SetBehaviour(b Behaviour) {
	if err := b.check(); err != nil {
		panic("fimento sandbox: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

func (s *Server) controlRoutes() {
	s.core.HandleControls(s.mux)
	s.core.HandleControl(s.mux, "GET /_sandbox/behaviour", func(w http.ResponseWriter, _ *http.Request) {
		sandbox.WriteControl(w, http.StatusOK, s.Behaviour())
	})
	s.core.HandleControl(s.mux, "PATCH /_sandbox/behaviour", func(w http.ResponseWriter, r *http.Request) {
		b := s.Behaviour() // what the body does not name stays
		if !sandbox.ReadControl(w, r, &b) {
			return
		}
		if err := b.check(); err != nil {
			sandbox.WriteControl(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		s.SetBehaviour(b)
		sandbox.WriteControl(w, http.StatusOK, b)
	})
}
