package fimento

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

type loginWire struct {
	AccessToken string `json:"access_token"`
	ValidUntil  int64  `json:"valid_until"`
}

func (s *Server) login(r *http.Request) reply {
	b := readBody(r)
	name, password := b.required("name"), b.required("password")
	if faults := b.done(); faults != nil {
		return invalid(faults...)
	}
	if name != s.cfg.Name || password != s.cfg.Password {
		return refusal(http.StatusUnauthorized, "Wrong name or password")
	}
	now := s.core.Clock.Now()
	maps.DeleteFunc(s.tokens, func(_ string, expires time.Time) bool { return !now.Before(expires) })
	token, expires := s.core.Rand.Hex(64), now.Add(s.cfg.TokenTTL)
	s.tokens[token] = expires
	return reply{
		http.StatusOK, loginWire{AccessToken: token, ValidUntil: s.behaviour.ValidUntil.of(expires, s.cfg.TokenTTL)},
	}
}

// of says until when a token is valid, in the chosen unit.
func (v ValidUntil) of(expires time.Time, ttl time.Duration) int64 {
	switch v {
	case ValidUntilSeconds:
		return expires.Unix()
	case ValidUntilDuration:
		return int64(ttl / time.Second)
	case ValidUntilZero:
		return 0
	default:
		return expires.UnixMilli()
	}
}

// authorized lets only requests with a valid token through.
func (s *Server) authorized(next handler) handler {
	return func(r *http.Request) reply {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		expires, known := s.tokens[token]
		if !ok || !known || !s.core.Clock.Now().Before(expires) {
			return refusal(http.StatusUnauthorized, "Unauthorized")
		}
		return next(r)
	}
}

func (s *Server) expireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}
