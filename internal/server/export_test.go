package server

import (
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"kontor.dev/kontor/internal/server/guard"
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

// ShortenIdle sets how long a connection may be idle, for one test.
func ShortenIdle(t *testing.T, idle time.Duration) {
	t.Helper()
	old := idleTimeout
	idleTimeout = idle
	t.Cleanup(func() { idleTimeout = old })
}

// Usage tells what callers take up now.
func (s *Server) Usage() guard.Usage { return s.guard.Usage() }

// Bounded gives a listener whose connections are bounded.
func Bounded(l net.Listener, most, perAddress int, exempt func(netip.Addr) bool) net.Listener {
	return connections{max: most, perAddress: perAddress, exempt: exempt}.listener(l)
}

// LimitFiles sets how many files the process may have open, for one test.
func LimitFiles(t *testing.T, files uint64) {
	t.Helper()
	old := openFiles
	openFiles = func() uint64 { return files }
	t.Cleanup(func() { openFiles = old })
}

// Within gives the bounds of connections that so many files allow.
func Within(most, perAddress int, files uint64) (int, int) {
	c, _ := connections{max: most, perAddress: perAddress}.within(files)
	return c.max, c.perAddress
}

// ShortenStrangers sets how long a stranger's connection may be silent, for one test.
func ShortenStrangers(t *testing.T, idle time.Duration) {
	t.Helper()
	old := strangerIdle
	strangerIdle = idle
	t.Cleanup(func() { strangerIdle = old })
}
