package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kontor.dev/kontor/internal/providers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary stands for what a provider says in bodies; it must never come back out.
const canary = "canary-199503096316"

func testTable(t testing.TB) providers.Table {
	t.Helper()
	table, err := providers.NewTable([]providers.Operation{
		{Name: "get", Method: "GET", Path: "/things/{id}", Effect: providers.Read},
		{Name: "other", Method: "GET", Path: "/others", Effect: providers.Read},
		{Name: "search", Method: "POST", Path: "/search", Effect: providers.Read},
		{Name: "put", Method: "PUT", Path: "/things/{id}", Effect: providers.Idempotent},
		{Name: "delete", Method: "DELETE", Path: "/things/{id}", Effect: providers.Idempotent},
		{Name: "create", Method: "POST", Path: "/things", Effect: providers.Creating},
		{Name: "login", Method: "POST", Path: "/login", Effect: providers.Idempotent},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// newTestClient makes a client for a base URL, without a login unless change says otherwise.
func newTestClient(t testing.TB, base string, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{Provider: "testbank", BaseURL: base, Operations: testTable(t)}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve starts a server on loopback.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func get(id string) Request { return Request{Operation: "get", Path: map[string]string{"id": id}} }

func put(id string) Request { return Request{Operation: "put", Path: map[string]string{"id": id}} }

func create() Request {
	return Request{Operation: "create", Body: map[string]string{"name": "a"}}
}

// asError checks that err is the one error type and carries what every error must.
func asError(t testing.TB, err error) *providers.Error {
	t.Helper()
	var e *providers.Error
	if !errors.As(err, &e) {
		t.Fatalf("err = %v (%T), want a *providers.Error", err, err)
	}
	if e.Provider != "testbank" || e.Operation == "" {
		t.Errorf("error without provider or operation: %+v", e)
	}
	if text := fmt.Sprintf("%v %+v", e, e); strings.Contains(text, canary) {
		t.Errorf("error quotes the provider: %s", text)
	}
	return e
}

func wantKind(t testing.TB, err error, kind providers.ErrorKind) *providers.Error {
	t.Helper()
	e := asError(t, err)
	if e.Kind != kind {
		t.Fatalf("kind = %v, want %v: %v", e.Kind, kind, err)
	}
	return e
}

// transport is a provider without a network, for tests on the clock of testing/synctest.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return f(r)
}

func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// hang answers nothing until the request ends.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

var errRefused = errors.New("connection reset by " + canary)

// seeded gives a source of randomness whose seed is printed.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// eventually polls until a condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// bank is a provider with a login, without a network.
type bank struct {
	mu      sync.Mutex
	valid   map[string]bool
	next    int
	life    time.Duration
	logins  atomic.Int32
	refused atomic.Int32
	login   func(n int32) (*http.Response, error) // in place of the login, when set
	handle  func(*http.Request) (*http.Response, error)
}

func (b *bank) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.URL.Path, "/login") {
		n := b.logins.Add(1)
		if b.login != nil {
			if response, err := b.login(n); response != nil || err != nil {
				return response, err
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.next++
		token := fmt.Sprintf("token-%d", b.next)
		if b.valid == nil {
			b.valid = map[string]bool{}
		}
		b.valid[token] = true
		return reply(200, fmt.Sprintf(`{"token":%q}`, token)), nil
	}
	b.mu.Lock()
	ok := b.valid[r.Header.Get("Authorization")]
	b.mu.Unlock()
	if !ok {
		b.refused.Add(1)
		return reply(401, `{"message":"`+canary+`"}`), nil
	}
	if b.handle != nil {
		return b.handle(r)
	}
	return reply(200, `{}`), nil
}

// expire makes all tokens so far invalid.
func (b *bank) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.valid = nil
}

// client makes a client that logs in at b. Each login's previous token is appended to seen, if seen is not nil.
func (b *bank) client(t testing.TB, seen *[]string, change func(*Config)) *Client {
	t.Helper()
	return newTestClient(t, "http://localhost/v1", func(cfg *Config) {
		cfg.Transport = b
		cfg.Authorize = func(h http.Header, token string) { h.Set("Authorization", token) }
		cfg.Login = func(ctx context.Context, c *Client, previous *Token) (Token, error) {
			if seen != nil {
				value := ""
				if previous != nil {
					value = previous.Value
				}
				*seen = append(*seen, value)
			}
			var out struct{ Token string }
			if _, err := c.Do(ctx, Request{Operation: "login", NoAuth: true}, &out); err != nil {
				return Token{}, err
			}
			token := Token{Value: out.Token}
			if b.life > 0 {
				token.Expires = time.Now().Add(b.life)
			}
			return token, nil
		}
		if change != nil {
			change(cfg)
		}
	})
}
