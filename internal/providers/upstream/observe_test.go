package upstream

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/providers"
)

type attemptKey struct{}

// recorder keeps what an observer is told.
type recorder struct {
	noObserver
	mu    sync.Mutex
	log   []string
	acted []bool
}

func (r *recorder) Start(ctx context.Context, call providers.CallInfo) (context.Context, func(providers.CallOutcome)) {
	return context.WithValue(ctx, attemptKey{}, call.Attempt), func(o providers.CallOutcome) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.acted = append(r.acted, o.Acted)
		kind := "ok"
		if !o.OK {
			kind = o.Kind.String()
		}
		r.log = append(r.log, fmt.Sprintf("%s %s %s #%d: %d %s, %d bytes, id %q, timed %v",
			call.Provider, call.Method, call.Operation, call.Attempt, o.Status, kind, o.Bytes, o.RequestID,
			o.Duration >= time.Millisecond))
	}
}

func TestObserverSeesEachAttempt(t *testing.T) {
	r := &recorder{}
	attempts := []any{}
	script := []func() (*http.Response, error){status(503), broken, func() (*http.Response, error) {
		return reply(200, `{"a": 1}`, "X-Request-Id", "theirs"), nil
	}}
	c := newTestClient(t, "http://localhost", func(cfg *Config) {
		cfg.Observer = r
		cfg.RequestIDHeader = "X-Request-ID"
		cfg.Policy.MinBackoff = time.Millisecond
		cfg.Transport = transport(func(request *http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Millisecond)
			attempts = append(attempts, request.Context().Value(attemptKey{}))
			next := script[0]
			script = script[1:]
			return next()
		})
	})
	ctx := providers.WithCall(t.Context(), providers.Call{RequestID: "ours"})
	var out any
	if _, err := c.Do(ctx, get("1"), &out); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`testbank GET get #1: 503 unavailable, 0 bytes, id "ours", timed true`,
		`testbank GET get #2: 0 unavailable, 0 bytes, id "ours", timed true`,
		`testbank GET get #3: 200 ok, 8 bytes, id "theirs", timed true`,
	}
	if fmt.Sprint(r.log) != fmt.Sprint(want) {
		t.Errorf("observed\n%q, want\n%q", r.log, want)
	}
	if fmt.Sprint(attempts) != "[1 2 3]" {
		t.Errorf("attempts ran under the contexts of attempts %v", attempts)
	}
}

// TestObserverSeesWhatMayHaveChanged has requests of every effect answered well, refused, and not at all.
func TestObserverSeesWhatMayHaveChanged(t *testing.T) {
	login := Request{Operation: "login", NoAuth: true, Body: map[string]string{}}
	for name, test := range map[string]struct {
		request Request
		answer  func() (*http.Response, error)
		want    bool
	}{
		"read":                  {get("1"), status(200), false},
		"read by POST":          {Request{Operation: "search", Body: map[string]string{}}, status(200), false},
		"failed read":           {get("1"), status(500), false},
		"login":                 {login, status(200), false},
		"write":                 {put("1"), status(200), true},
		"write of no answer":    {create(), status(500), true},
		"idempotent, no answer": {put("1"), status(500), true},
		"idempotent, refused":   {put("1"), status(404), false},
		"write that is refused": {create(), status(404), false},
	} {
		r := &recorder{}
		c := newTestClient(t, "http://localhost", func(cfg *Config) {
			cfg.Observer = r
			cfg.Policy.Retries = -1
			cfg.Transport = transport(func(*http.Request) (*http.Response, error) { return test.answer() })
		})
		_, _ = c.Do(t.Context(), test.request, nil)
		if fmt.Sprint(r.acted) != fmt.Sprint([]bool{test.want}) {
			t.Errorf("%s: observed %v, want %t", name, r.acted, test.want)
		}
	}
}

func TestHealth(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	answer := status(200)
	quota := ""
	c := newTestClient(t, "http://localhost", func(cfg *Config) {
		cfg.Clock = func() time.Time { return now }
		cfg.Policy.Retries = -1
		cfg.Transport = transport(func(*http.Request) (*http.Response, error) {
			response, err := answer()
			if err == nil && quota != "" {
				response.Header.Set("X-RateLimit-Remaining", quota)
			}
			return response, err
		})
	})
	if h := c.Health(); h.State != providerv1.Provider_Health_UNKNOWN || !h.Since.IsZero() || h.LastError != nil ||
		h.RemainingQuota != nil ||
		h.Breaker != providerv1.Breaker_CLOSED {
		t.Errorf("at first: %+v", h)
	}
	since := now
	for i, step := range []struct {
		answer func() (*http.Response, error)
		state  providerv1.Provider_Health_State
		last   providers.ErrorKind // -1: none
		quota  string
		want   int64
	}{
		{broken, providerv1.Provider_Health_UNAVAILABLE, providers.KindUnavailable, "", -1},
		{status(200), providerv1.Provider_Health_HEALTHY, providers.KindUnavailable, "7", 7},
		{status(404), providerv1.Provider_Health_HEALTHY, providers.KindNotFound, "0", 0},
		{status(503), providerv1.Provider_Health_DEGRADED, providers.KindUnavailable, "", 0},
		{status(503), providerv1.Provider_Health_DEGRADED, providers.KindUnavailable, "lots", 0},
		{status(503), providerv1.Provider_Health_UNAVAILABLE, providers.KindUnavailable, "", 0},
		{status(200), providerv1.Provider_Health_DEGRADED, providers.KindUnavailable, "12", 12},
		{status(401), providerv1.Provider_Health_UNAVAILABLE, providers.KindCredentials, "", 12},
		{status(429), providerv1.Provider_Health_DEGRADED, providers.KindRateLimited, "", 12},
	} {
		now = now.Add(time.Minute)
		answer, quota = step.answer, step.quota
		before := c.Health().State
		c.Do(t.Context(), get("1"), nil)
		h := c.Health()
		if h.State != before {
			since = now
		}
		if h.State != step.state || h.LastError == nil || *h.LastError != step.last || !h.Since.Equal(since) {
			t.Errorf("step %d: %v since %v, last error %v; want %v since %v, %v", i, h.State, h.Since, h.LastError,
				step.state, since, step.last)
		}
		if (h.RemainingQuota == nil) != (step.want < 0) || (h.RemainingQuota != nil && *h.RemainingQuota != step.want) {
			t.Errorf("step %d: quota %v, want %d", i, h.RemainingQuota, step.want)
		}
	}
	// A blip among good calls is none, and callers that leave say nothing.
	answer = status(200)
	for range 10 {
		c.Do(t.Context(), get("1"), nil)
	}
	answer = status(500)
	c.Do(t.Context(), get("1"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		c.Do(ctx, get("1"), nil)
		c.Do(t.Context(), get(""), nil)
	}
	if h := c.Health(); h.State != providerv1.Provider_Health_HEALTHY || *h.LastError != providers.KindUnavailable {
		t.Errorf("after a blip: %+v", h)
	}
}

func TestHealthShowsTheBreaker(t *testing.T) {
	c := newTestClient(t, "http://localhost", nil)
	for state, want := range map[providers.BreakerState]providerv1.Breaker_Value{
		providers.BreakerOpen:     providerv1.Breaker_OPEN,
		providers.BreakerHalfOpen: providerv1.Breaker_HALF_OPEN,
		providers.BreakerClosed:   providerv1.Breaker_CLOSED,
	} {
		setState(c.breaker, state)
		if got := c.Health().Breaker; got != want {
			t.Errorf("%s shows as %v", state, got)
		}
	}
}
