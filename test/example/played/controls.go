package played

import (
	"fmt"
	"net/url"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// What tests let customers and the bank do.

// Approve lets a consent's customer approve, for their main bank, and gives the address to which their browser is sent.
func (s *Server) Approve(id string) (location string, err error) { return s.visit(id, approve) }

// Deny lets a consent's customer refuse, and gives the address to which their browser is sent.
func (s *Server) Deny(id string) (location string, err error) { return s.visit(id, deny) }

// FailLogin lets a consent's customer fail to log in, and gives the address to which their browser is sent.
func (s *Server) FailLogin(id string) (location string, err error) { return s.visit(id, fail) }

func (s *Server) visit(id, decision string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.consents[id]
	if c == nil || s.pages[c.page] == nil {
		return "", fmt.Errorf("consent %s has no page that can be visited", id)
	}
	return s.decide(c, decision, 0), nil
}

// SetPerson decides whose accounts a consent shows, dressed for Norway. Without it the consent's id decides.
func (s *Server) SetPerson(id string, person sandbox.Person) error {
	return s.change(id, func(c *consent) { c.person = s.core.Population.Dress(person, sandbox.Norway) })
}

// Withdraw lets a consent's customer withdraw it at their bank.
func (s *Server) Withdraw(id string) error { return s.end(id, statusRevoked) }

// Terminate lets the bank end a consent.
func (s *Server) Terminate(id string) error { return s.end(id, statusTerminated) }

func (s *Server) end(id, status string) error {
	return s.change(id, func(c *consent) { c.status = status })
}

// SetExceeded makes the bank refuse all reads of a consent's data as too many, or lets it answer again.
func (s *Server) SetExceeded(id string, exceeded bool) error {
	return s.change(id, func(c *consent) { c.exceeded = exceeded })
}

// Shorten has a consent that the customer approved end after so long.
func (s *Server) Shorten(id string, validFor time.Duration) error {
	return s.change(id, func(c *consent) { c.validUntil = s.now().Add(validFor) })
}

// Replaced gives the id of the consent that a consent's renewal made, "" for none.
func (s *Server) Replaced(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.consents {
		if c.replaces != nil && c.replaces.id == id {
			return c.id
		}
	}
	return ""
}

func (s *Server) change(id string, change func(*consent)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.consents[id]
	if c == nil {
		return fmt.Errorf("there is no consent %s", id)
	}
	change(c)
	return nil
}

// Tokens are all texts that open a consent's data: its tokens and refresh tokens so far.
func (s *Server) Tokens(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for text, t := range s.tokens {
		if t.consent.id == id {
			all = append(all, text)
		}
	}
	for text, c := range s.refresh {
		if c.id == id {
			all = append(all, text)
		}
	}
	return all
}

// QueryOf gives the query of an address to which a browser is sent.
func QueryOf(location string) url.Values {
	u, err := url.Parse(location)
	if err != nil {
		panic(err) // it was made here
	}
	return u.Query()
}
