package upstream

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/providers"
)

func TestRequestOnTheWire(t *testing.T) {
	var got *http.Request
	var body string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
		w.Header().Set("X-Request-ID", "theirs")
		io.WriteString(w, `{"ok":1.50}`)
	})
	c := newTestClient(t, s.URL+"/api/v1/", func(cfg *Config) {
		cfg.RequestIDHeader = "X-Request-ID"
		cfg.Header = http.Header{"api-version": {"2020-06-16"}}
	})
	ctx := providers.WithCall(context.Background(), providers.Call{RequestID: "ours"})
	var out any
	response, err := c.Do(ctx, Request{
		Operation: "put",
		Path:      map[string]string{"id": "a/b?c#d e%2F..", "unused": "x"},
		Query:     url.Values{"page": {"1 2"}},
		Header:    http.Header{"partner-bank-id": {"7"}},
		Body:      map[string]string{"url": "https://a?b&c<d>"},
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if want := "/api/v1/things/a%2Fb%3Fc%23d%20e%252F..?page=1+2"; got.RequestURI != want {
		t.Errorf("request URI = %s, want %s", got.RequestURI, want)
	}
	if want := `{"url":"https://a?b&c<d>"}`; body != want || got.ContentLength != int64(len(want)) {
		t.Errorf("body = %s (%d bytes announced), want %s", body, got.ContentLength, want)
	}
	for name, want := range map[string]string{
		"Api-Version": "2020-06-16", "Partner-Bank-Id": "7", "Content-Type": "application/json",
		"Accept":       "application/json",
		"X-Request-Id": "ours", "Accept-Encoding": "gzip", "User-Agent": "kontor", "Traceparent": "",
		"Authorization": "",
	} {
		if have := got.Header.Get(name); have != want {
			t.Errorf("%s = %q, want %q", name, have, want)
		}
	}
	if response.RequestID != "theirs" || response.Status != 200 || response.Empty {
		t.Errorf("response = %+v", response)
	}
	if number, ok := out.(map[string]any)["ok"].(json.Number); !ok || number != "1.50" {
		t.Errorf("number = %#v, want the text 1.50", out)
	}
}

func TestRequestIDs(t *testing.T) {
	var got string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("X-Request-ID")
		w.Header().Set("X-Request-ID", "<b>"+canary+"</b>")
	})
	c := newTestClient(t, s.URL, func(cfg *Config) { cfg.RequestIDHeader = "X-Request-ID" })
	for _, id := range []string{"", "evil\r\nX-Admin: 1", strings.Repeat("x", 500), "spaces in it"} {
		ctx := providers.WithCall(context.Background(), providers.Call{RequestID: id})
		response, err := c.Do(ctx, get("1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 36 {
			t.Errorf("request id for %.20q = %q, want a fresh UUID", id, got)
		}
		if response.RequestID != got {
			t.Errorf("an odd id of the provider was taken over: %q", response.RequestID)
		}
	}
}

func TestNothingIsSentForBadRequests(t *testing.T) {
	hits := 0
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits++ })
	c := newTestClient(t, s.URL, nil)
	for name, test := range map[string]struct {
		request Request
		kind    providers.ErrorKind
		field   string
	}{
		"missing parameter": {Request{Operation: "get"}, providers.KindInvalidField, "id"},
		"empty parameter":   {get(""), providers.KindInvalidField, "id"},
		"dot":               {get("."), providers.KindInvalidField, "id"},
		"dot dot":           {get(".."), providers.KindInvalidField, "id"},
		"header injection": {
			Request{Operation: "other", Header: http.Header{"Partner-Bank-Id": {"1\r\nX: 2"}}},
			providers.KindInvalidField, "Partner-Bank-Id",
		},
		"no such operation": {Request{Operation: "nonsense"}, providers.KindInternal, ""},
		"bad body":          {Request{Operation: "create", Body: func() {}}, providers.KindInternal, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Do(t.Context(), test.request, nil)
			if e := wantKind(t, err, test.kind); strings.Join(e.Fields, " ") != test.field || e.MayHaveHappened {
				t.Errorf("error = %+v", e)
			}
		})
	}
	if hits != 0 {
		t.Errorf("%d requests were sent", hits)
	}
}

func TestNewRejectsBadConfigurations(t *testing.T) {
	for _, base := range []string{
		"", "bank.test", "ftp://bank.test", "http://", "https://user:secret@bank.test", "https://bank.test?x=secret",
		"https://bank.test/#secret", "https://bank.test/?",
		"http://[::1", "https://b\u00e4nk.test",
	} {
		if _, err := New(Config{BaseURL: base}); err == nil || strings.Contains(err.Error(),
			"secret") || !strings.HasPrefix(err.Error(), "base_url: ") {
			t.Errorf("New with base %q: %v", base, err)
		}
	}
	login := func(context.Context, *Client, *Token) (Token, error) { return Token{}, nil }
	if _, err := New(Config{BaseURL: "https://a", Login: login}); err == nil {
		t.Error("Login without Authorize was accepted")
	}
	for _, policy := range []Policy{{MaxConcurrent: -1}, {BreakerRate: 1.1}, {BreakerRate: -0.1}} {
		if _, err := New(Config{BaseURL: "https://a", Policy: policy}); err == nil {
			t.Errorf("%+v was accepted", policy)
		}
	}
	if _, err := New(Config{BaseURL: "https://a", Proxy: &url.URL{Scheme: "socks5", Host: "b"}}); err == nil {
		t.Error("a proxy that is not http was accepted")
	}
}
