package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
)

func TestStatuses(t *testing.T) {
	kinds := map[int]providers.ErrorKind{
		300: providers.KindInvalidResponse, 302: providers.KindInvalidResponse, 304: providers.KindInvalidResponse,
		400: providers.KindRejected, 401: providers.KindCredentials, 403: providers.KindNotEnabled,
		404: providers.KindNotFound,
		405: providers.KindRejected, 409: providers.KindConflict, 410: providers.KindNotFound,
		415: providers.KindRejected,
		422: providers.KindRejected, 429: providers.KindRateLimited, 500: providers.KindUnavailable,
		501: providers.KindUnavailable,
		502: providers.KindUnavailable, 503: providers.KindUnavailable, 504: providers.KindUnavailable,
		600: providers.KindInvalidResponse,
	}
	var log bytes.Buffer
	hits, status := 0, 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hits++
		w.Header().Set("X-Request-ID", "their-id")
		w.Header().Set("Location", "/elsewhere/"+canary)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if status != 304 {
			io.WriteString(w, `{"type":"no_such_thing","message":"`+canary+`"}`)
		}
	})
	c := newTestClient(t, s.URL, func(cfg *Config) {
		cfg.RequestIDHeader = "X-Request-ID"
		cfg.Policy.Retries = -1
		cfg.Logger = slog.New(slog.NewJSONHandler(&log, nil))
		cfg.ErrorCode = func(status int, body []byte) string {
			var e struct{ Type string }
			_ = json.Unmarshal(body, &e)
			return e.Type
		}
	})
	requests := map[string]Request{
		"get": get("1"), "put": put("1"), "create": create(), "login": {Operation: "login", NoAuth: true},
	}
	for status = range kinds {
		for name, request := range requests {
			t.Run(fmt.Sprintf("%s %d", name, status), func(t *testing.T) {
				before := hits
				log.Reset()
				_, err := c.Do(t.Context(), request, nil)
				want := kinds[status]
				if name == "login" && (status == 400 || status == 403) {
					want = providers.KindCredentials
				}
				e := wantKind(t, err, want)
				if e.Status != status || e.RequestID != "their-id" || e.Operation != name {
					t.Errorf("error = %+v", e)
				}
				if wantCode := "no_such_thing"; e.Code != wantCode && status != 304 {
					t.Errorf("code = %q, want %q", e.Code, wantCode)
				}
				if want := name == "create" && (status < 400 || status >= 500); e.MayHaveHappened != want {
					t.Errorf("MayHaveHappened = %v, want %v", e.MayHaveHappened, want)
				}
				if hits != before+1 {
					t.Errorf("%d requests were sent", hits-before)
				}
				var line map[string]any
				if err := json.Unmarshal(log.Bytes(), &line); err != nil {
					t.Fatalf("not one log line: %v\n%s", err, &log)
				}
				for key, want := range map[string]any{
					"level": "WARN", "provider": "testbank", "operation": name, "status": float64(status),
					"kind":                e.Kind.String(),
					"provider_request_id": "their-id", "attempt": 1.0,
				} {
					if line[key] != want {
						t.Errorf("log: %s = %v, want %v", key, line[key], want)
					}
				}
				if strings.Contains(log.String(), canary) || strings.Contains(log.String(), "/things") {
					t.Errorf("log quotes the provider or the path: %s", &log)
				}
			})
		}
	}
}

func TestErrorCodesArePlainTokens(t *testing.T) {
	code, size := "", 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, strings.Repeat("x", 100<<10))
	})
	c := newTestClient(t, s.URL, func(cfg *Config) {
		cfg.ErrorCode = func(_ int, body []byte) string {
			size = len(body)
			return code
		}
	})
	for _, code = range []string{"a b", "ä", "quote\"", strings.Repeat("x", 65), "line\nbreak", ""} {
		_, err := c.Do(t.Context(), get("1"), nil)
		if e := wantKind(t, err, providers.KindRejected); e.Code != "" {
			t.Errorf("code %q was taken over", e.Code)
		}
	}
	if size != 64<<10 {
		t.Errorf("ErrorCode got %d bytes", size)
	}
}

func TestAccept(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(409)
		io.WriteString(w, `{"a":1}`)
	})
	c := newTestClient(t, s.URL, nil)
	request := create()
	request.Accept = func(status int) bool { return status == 409 }
	var out struct{ A int }
	response, err := c.Do(t.Context(), request, &out)
	if err != nil || response.Status != 409 || out.A != 1 {
		t.Errorf("Do = %+v, %v, out %+v", response, err, out)
	}
	request.Accept = func(status int) bool { return status == 201 }
	_, err = c.Do(t.Context(), request, &out)
	wantKind(t, err, providers.KindConflict)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for value, want := range map[string]struct {
		wait time.Duration
		told bool
	}{
		"":                                  {0, false},
		"0":                                 {0, true},
		"7":                                 {7 * time.Second, true},
		"-7":                                {0, false},
		"3601":                              {time.Hour, true},
		"9223372036854775807":               {time.Hour, true},
		"99999999999999999999":              {0, false},
		"soon":                              {0, false},
		"Wed, 04 Mar 2026 05:06:17 GMT":     {10 * time.Second, true},
		"Wednesday, 04-Mar-26 05:06:17 GMT": {10 * time.Second, true},
		"Wed, 04 Mar 2026 05:05:17 GMT":     {0, true},
		"Wed, 04 Mar 2037 05:05:17 GMT":     {time.Hour, true},
	} {
		wait, told := retryAfter(http.Header{"Retry-After": {value}}, now)
		if wait != want.wait || told != want.told {
			t.Errorf("retryAfter(%q) = %v, %v, want %v, %v", value, wait, told, want.wait, want.told)
		}
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	status, value := 0, ""
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", value)
		w.WriteHeader(status)
	})
	c := newTestClient(t, s.URL, func(cfg *Config) { cfg.Clock = func() time.Time { return now } })
	for _, status = range []int{429, 503} {
		for _, value = range []string{"90", "Wed, 04 Mar 2026 05:07:37 GMT"} {
			_, err := c.Do(t.Context(), create(), nil)
			if e := asError(t, err); e.RetryAfter != 90*time.Second || e.Status != status {
				t.Errorf("%d with %q: %+v", status, value, e)
			}
		}
	}
}
