package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
)

// sent is what arrived at a server.
type sent struct {
	mediaType, body, signature, authorization string
	length                                    int64
}

func recordSent(t *testing.T, all *[]sent, statuses ...int) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*all = append(*all, sent{
			r.Header.Get(
				"Content-Type",
			), string(body), r.Header.Get("Signature"), r.Header.Get("Authorization"), r.ContentLength,
		})
		if n := len(*all); n <= len(statuses) {
			w.WriteHeader(statuses[n-1])
		}
	}).URL
}

type grant string

type tokenForm struct {
	GrantType grant    `form:"grant_type"`
	Scope     []string `form:"scope"`
	Code      string   `form:"code,omitempty"`
	Life      int      `form:"life"`
	Offline   bool     `form:"offline"`
	Verifier  *string  `form:"code_verifier"`
}

func TestEncoders(t *testing.T) {
	verifier := "a b&c=d+é"
	for name, test := range map[string]struct {
		config, request Encoder
		body            any
		want            sent
	}{
		"JSON unless told": {
			nil, nil, map[string]string{"a": "<&>"},
			sent{mediaType: "application/json", body: `{"a":"<&>"}`},
		},
		"values as a form": {
			nil, Form, url.Values{"b": {"2", "x y"}, "a": {"1&"}},
			sent{mediaType: "application/x-www-form-urlencoded", body: "a=1%26&b=2&b=x+y"},
		},
		"the client's encoder": {
			Form, nil, url.Values{"a": {"1"}},
			sent{mediaType: "application/x-www-form-urlencoded", body: "a=1"},
		},
		"JSON in a client of forms": {Form, JSON, 1, sent{mediaType: "application/json", body: `1`}},
		"a struct as a form": {
			nil, Form,
			&tokenForm{GrantType: "authorization_code", Scope: []string{"a", "b"}, Life: -5, Verifier: &verifier},
			sent{
				mediaType: "application/x-www-form-urlencoded",
				body:      "code_verifier=a+b%26c%3Dd%2B%C3%A9&grant_type=authorization_code&life=-5&offline=false&scope=a&scope=b",
			},
		},
		"what is nil is left out": {
			nil, Form, tokenForm{Code: "x"},
			sent{mediaType: "application/x-www-form-urlencoded", body: "code=x&grant_type=&life=0&offline=false"},
		},
		"an empty form": {nil, Form, url.Values{}, sent{mediaType: "application/x-www-form-urlencoded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []sent
			c := newTestClient(t, recordSent(t, &all), func(cfg *Config) { cfg.Encoder = test.config })
			r := Request{Operation: "create", Body: test.body, Encoder: test.request}
			if _, err := c.Do(t.Context(), r, nil); err != nil {
				t.Fatal(err)
			}
			test.want.length = int64(len(test.want.body))
			if len(all) != 1 || all[0] != test.want {
				t.Errorf("sent %+v, want %+v", all, test.want)
			}
		})
	}
}

func TestBodiesThatCannotBeWritten(t *testing.T) {
	var all []sent
	c := newTestClient(t, recordSent(t, &all), nil)
	for name, r := range map[string]Request{
		"no JSON": {Body: math.NaN()},
		"no form": {Body: canary, Encoder: Form},
		"no key":  {Body: struct{ A string }{canary}, Encoder: Form},
		"no text": {Body: struct {
			A float64 `form:"a"`
		}{1}, Encoder: Form},
		"nothing": {Body: (*tokenForm)(nil), Encoder: Form},
		"nested list": {Body: struct {
			A [][]map[string]string `form:"a"`
		}{[][]map[string]string{{{canary: canary}}}}, Encoder: Form},
	} {
		r.Operation = "create"
		_, err := c.Do(t.Context(), r, nil)
		if e := wantKind(t, err, providers.KindInternal); e.MayHaveHappened {
			t.Errorf("%s may have happened", name)
		}
	}
	if len(all) != 0 {
		t.Errorf("%d requests were sent", len(all))
	}
}

// Whoever signs sees what is sent: all headers, the token among them, and the bytes of the body; and signs each
// attempt.
func TestSignatures(t *testing.T) {
	var all []sent
	signed := 0
	c := newTestClient(t, recordSent(t, &all, 503, 200), func(cfg *Config) {
		cfg.Policy.MinBackoff = time.Nanosecond
		cfg.Authorize = func(h http.Header, token string) { h.Set("Authorization", token) }
		cfg.Header = http.Header{"X-Fixed": {"1"}}
		cfg.Sign = func(r *http.Request, body []byte) error {
			signed++
			sum := sha256.Sum256(
				fmt.Append(
					body,
					r.Method,
					r.URL.Path,
					r.URL.RawQuery,
					r.Header.Get("X-Fixed"),
					r.Header.Get("Authorization"),
				),
			)
			r.Header.Set("Signature", fmt.Sprint(signed, hex.EncodeToString(sum[:])))
			return nil
		}
		cfg.Login = func(context.Context, *Client, *Token) (Token, error) {
			return Token{Value: "t", Expires: time.Now().Add(time.Hour)}, nil
		}
	})
	r := Request{Operation: "search", Query: url.Values{"q": {"1"}}, Body: url.Values{"a": {"ä"}}, Encoder: Form}
	if _, err := c.Do(t.Context(), r, nil); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("%d attempts", len(all))
	}
	for i, got := range all {
		sum := sha256.Sum256(fmt.Append([]byte(got.body), "POST", "/search", "q=1", "1", "t"))
		if want := fmt.Sprint(i+1, hex.EncodeToString(sum[:])); got.signature != want || got.body != "a=%C3%A4" {
			t.Errorf("attempt %d is %+v, want the signature %s", i+1, got, want)
		}
	}
}

func TestWhatCannotBeSignedIsNotSent(t *testing.T) {
	for name, sign := range map[string]func(*http.Request, []byte) error{
		"an error": func(*http.Request, []byte) error { return errors.New(canary) },
		"no header value": func(r *http.Request,
			_ []byte) error {
			r.Header.Set("Signature", "a\n"+canary)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []sent
			c := newTestClient(t, recordSent(t, &all), func(cfg *Config) { cfg.Sign = sign })
			for _, r := range []Request{create(), get("1")} {
				_, err := c.Do(t.Context(), r, nil)
				if e := wantKind(t, err, providers.KindInternal); e.MayHaveHappened ||
					strings.Contains(e.Error(), canary) {
					t.Errorf("error = %v", e)
				}
			}
			if len(all) != 0 {
				t.Errorf("%d requests were sent", len(all))
			}
			if h := c.Health(); h.LastError != nil {
				t.Errorf("it marks the provider's health: %s", *h.LastError)
			}
		})
	}
}
