package server

import (
	"net/http"
	"testing"
	"time"
)

// ShortenTimeouts sets how long callers may take, for one test.
func ShortenTimeouts(t *testing.T, body, write time.Duration) {
	t.Helper()
	oldBody, oldWrite := bodyTimeout, writeTimeout
	bodyTimeout, writeTimeout = body, write
	t.Cleanup(func() { bodyTimeout, writeTimeout = oldBody, oldWrite })
}

// Handler gives what answers requests of the HTTP listener.
func (s *Server) Handler() http.Handler { return s.http.Handler }
