package worldtest

import (
	"io"
	"log"
	"net/http"
	"regexp"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// Patience bounds how long a test waits for what must come.
const Patience = 30 * time.Second

// Eventually waits until a condition holds.
func Eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	Within(t, what, Patience, condition)
}

// Within waits until a condition holds, for as long as limit.
func Within(t *testing.T, what string, limit time.Duration, condition func() bool) {
	t.Helper()
	if !Holds(limit, condition) {
		t.Fatalf("in vain waited for: %s", what)
	}
}

// Holds waits until a condition holds, for as long as limit, and tells whether it does.
func Holds(limit time.Duration, condition func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Must gives a call's answer, or ends the test.
func Must[T any](answer T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", Reason(err), err)
		}
		return answer
	}
}

// Info is Kontor's own part of an error; nil of one that the gateway did not make.
func Info(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "kontor.dev" {
			return info
		}
	}
	return nil
}

// Reason is Kontor's reason of an error, "" of one that the gateway did not make.
func Reason(err error) string { return Info(err).GetReason() }

// NoRedirects follows none: where one leads to is what tests look at.
var NoRedirects = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 200},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// DiscardLog is where servers of the tests complain to.
var DiscardLog = log.New(io.Discard, "", 0)

// CallbackAddress matches a callback's address that the gateway gave a provider; its group is the unguessable part.
var CallbackAddress = regexp.MustCompile(`/callbacks/[a-z/]+/([A-Za-z0-9_-]{40,})`)
