package server

import (
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
