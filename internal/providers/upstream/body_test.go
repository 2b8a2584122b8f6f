package upstream

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/providers"
)

// bothWays sends a read through Do and through Stream.
func bothWays(t *testing.T, c *Client, check func(t *testing.T, response *Response, out any, err error)) {
	t.Helper()
	var whole any
	response, err := c.Do(t.Context(), get("1"), &whole)
	t.Run("Do", func(t *testing.T) { check(t, response, whole, err) })
	var streamed any
	response, err = c.Stream(t.Context(), get("1"), decodeInto(&streamed))
	t.Run("Stream", func(t *testing.T) { check(t, response, streamed, err) })
}

func gz(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func nest(n int) string { return strings.Repeat(`{"a":[`, n/2) + strings.Repeat(`]}`, n/2) }

func TestBodies(t *testing.T) {
	type answer struct {
		body     string
		encoding string
		length   int // announced, when not 0
		status   int
	}
	invalid := providers.KindInvalidResponse
	fine := providers.ErrorKind(-1)
	for name, test := range map[string]struct {
		answer answer
		kind   providers.ErrorKind
		empty  bool
	}{
		"object":                   {answer{body: `{"a":1}`}, fine, false},
		"white space around":       {answer{body: " \r\n\t{\"a\":1}\n "}, fine, false},
		"gzip":                     {answer{body: gz(t, `{"a":1}`), encoding: "gzip"}, fine, false},
		"identity":                 {answer{body: `{"a":1}`, encoding: "identity"}, fine, false},
		"deep enough":              {answer{body: nest(64)}, fine, false},
		"brackets in strings":      {answer{body: `{"a":"` + strings.Repeat(`[{\"`, 100) + `"}`}, fine, false},
		"no body":                  {answer{}, fine, true},
		"only white space":         {answer{body: " \n"}, fine, true},
		"packed nothing":           {answer{body: gz(t, ""), encoding: "gzip"}, fine, true},
		"204":                      {answer{status: 204}, fine, true},
		"too deep":                 {answer{body: nest(66)}, invalid, false},
		"not JSON":                 {answer{body: "<html>" + canary}, invalid, false},
		"malformed":                {answer{body: `{"a":` + canary + `}`}, invalid, false},
		"half":                     {answer{body: `{"a":`}, invalid, false},
		"cut off":                  {answer{body: `{"a":`, length: 100}, invalid, false},
		"cut off before the start": {answer{body: ``, length: 100}, invalid, false},
		"cut off after the value":  {answer{body: `{"a":1}`, length: 100}, invalid, false},
		"a second value":           {answer{body: `{"a":1} {"a":2}`}, invalid, false},
		"garbage behind":           {answer{body: `{"a":1}]` + canary}, invalid, false},
		"byte order mark":          {answer{body: "\ufeff{}"}, invalid, false},
		"closing bracket":          {answer{body: "]"}, invalid, false},
		"not gzip":                 {answer{body: `{"a":1}`, encoding: "gzip"}, invalid, false},
		"cut off gzip":             {answer{body: gz(t, `{"a":1}`)[:20], encoding: "gzip"}, invalid, false},
		"gzip with a bad checksum": {
			answer{body: gz(t, `{"a":1}`)[:27] + "12345678", encoding: "gzip"}, invalid, false,
		},
		"encoding nobody asked for": {answer{body: `{"a":1}`, encoding: "br"}, invalid, false},
		"too large":                 {answer{body: `"` + strings.Repeat("a", 2000) + `"`}, invalid, false},
		"too large, packed": {
			answer{body: gz(t, `"`+strings.Repeat("a", 2000)+`"`), encoding: "gzip"}, invalid, false,
		},
		"too much white space": {answer{body: strings.Repeat(" ", 2000) + `{}`}, invalid, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if test.answer.encoding != "" {
					w.Header().Set("Content-Encoding", test.answer.encoding)
				}
				if test.answer.length > 0 {
					w.Header().Set("Content-Length", fmt.Sprint(test.answer.length))
				}
				if test.answer.status != 0 {
					w.WriteHeader(test.answer.status)
				}
				io.WriteString(w, test.answer.body)
			})
			c := newTestClient(t, s.URL, func(cfg *Config) {
				cfg.Limits.BodyBytes, cfg.Limits.StreamBytes = 1000, 1000
			})
			bothWays(t, c, func(t *testing.T, response *Response, out any, err error) {
				if test.kind != fine {
					if e := wantKind(t, err, test.kind); e.Status != 200 {
						t.Errorf("error = %+v", e)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if response.Empty != test.empty || (out == nil) != test.empty {
					t.Errorf("empty = %v with %v, want %v", response.Empty, out, test.empty)
				}
			})
		})
	}
}

func TestScalarsMayNotBeFollowed(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `12 34`) })
	c := newTestClient(t, s.URL, nil)
	var out any
	_, err := c.Do(t.Context(), get("1"), &out)
	wantKind(t, err, providers.KindInvalidResponse)
}

func TestWrongTypesNameTheFieldAndNotTheValue(t *testing.T) {
	s := serve(t,
		func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"users":[{"id":19950309.6316}]}`) })
	c := newTestClient(t, s.URL, nil)
	var out struct {
		Users []struct {
			ID int `json:"id"`
		} `json:"users"`
	}
	_, err := c.Do(t.Context(), get("1"), &out)
	e := wantKind(t, err, providers.KindInvalidResponse)
	if text := e.Error(); strings.Contains(text, "19950309") || !strings.Contains(text, "users.id") {
		t.Errorf("error = %v", e)
	}
}

func TestUnreadBodiesDoNotMatter(t *testing.T) {
	for name, body := range map[string]string{"malformed": "{", "large": strings.Repeat("x", 1<<20), "cut off": ""} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if name == "cut off" {
					w.Header().Set("Content-Length", "10")
				}
				w.WriteHeader(202)
				io.WriteString(w, body)
			})
			response, err := newTestClient(t, s.URL, nil).Do(t.Context(), create(), nil)
			if err != nil || response.Status != 202 {
				t.Errorf("Do = %+v, %v", response, err)
			}
		})
	}
}

// A write whose answer has come and is no good may have happened.
func TestBadAnswersToWrites(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{") })
	c := newTestClient(t, s.URL, nil)
	var out any
	_, err := c.Do(t.Context(), create(), &out)
	if e := wantKind(t, err, providers.KindInvalidResponse); !e.MayHaveHappened {
		t.Errorf("error = %+v", e)
	}
	_, err = c.Stream(t.Context(), create(), func(*jsonread.Decoder) error {
		return &providers.Error{Kind: providers.KindInvalidResponse, Code: "odd"}
	})
	if e := wantKind(t, err, providers.KindInvalidResponse); !e.MayHaveHappened || e.Code != "odd" || e.Status != 200 {
		t.Errorf("error = %+v", e)
	}
	_, err = c.Do(t.Context(), put("1"), &out)
	if e := wantKind(t, err, providers.KindInvalidResponse); e.MayHaveHappened {
		t.Errorf("error = %+v", e)
	}
}

func TestGzipBombs(t *testing.T) {
	for name, bomb := range map[string][3]string{
		"string":      {`{"a":"`, "aaaaaaaa", `"}`},
		"numbers":     {`{"a":[1`, `,1,1,1,1`, `]}`},
		"objects":     {`[{}`, `,{"id":1111111}`, `]`},
		"white space": {``, "        ", `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			// 1 GiB, packed a MiB at a time.
			mib := gz(t, strings.Repeat(bomb[1], 1<<20/len(bomb[1])))
			packed := gz(t, bomb[0]) + strings.Repeat(mib, 1<<10) + gz(t, bomb[2])
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				io.WriteString(w, packed)
			})
			c := newTestClient(t, s.URL, nil)
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			before := m.TotalAlloc
			var out struct{ A any }
			_, err := c.Do(t.Context(), get("1"), &out)
			runtime.ReadMemStats(&m)
			wantKind(t, err, providers.KindInvalidResponse)
			// All that was allocated meanwhile, by the server as well, freed or not.
			if used := m.TotalAlloc - before; used > 64<<20 {
				t.Errorf("Do allocated %d MiB", used>>20)
			}
			// Tokens are garbage as soon as they are read, so here what counts is how far it got.
			read := int64(0)
			_, err = c.Stream(t.Context(), get("1"), func(d *jsonread.Decoder) error {
				for {
					if _, err := d.ReadToken(); err != nil {
						return err
					}
					read = d.InputOffset()
				}
			})
			wantKind(t, err, providers.KindInvalidResponse)
			if read > 4<<20 {
				t.Errorf("Stream read %d MiB", read>>20)
			}
		})
	}
}

func TestWellPackedBodiesPass(t *testing.T) {
	var text strings.Builder
	text.WriteString(`{"transactions":[`)
	for i := range 20000 {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text,
			`{"_id":"64f0c0ffee%08d","amount":-24.99,"date":"2026-03-%02dT00:00:00.000Z","description":"ICA MAXI","accountId":"acc-1","category":"Groceries","cBankId":"b1"}`, i, i%28+1)
	}
	text.WriteString(`]}`)
	packed := gz(t, text.String())
	t.Logf("%d bytes packed %d to 1", text.Len(), text.Len()/len(packed))
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, packed)
	})
	bothWays(t, newTestClient(t, s.URL, nil), func(t *testing.T, _ *Response, out any, err error) {
		if err != nil || len(out.(map[string]any)["transactions"].([]any)) != 20000 {
			t.Error(err)
		}
	})
}

// endless writes parts until the client hangs up.
func endless(t *testing.T, start, part string, limit int64) *Client {
	t.Helper()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.WriteString(w, start)
		for chunk := strings.Repeat(part, 1000); err == nil; {
			_, err = io.WriteString(w, chunk)
		}
	})
	return newTestClient(t, s.URL, func(cfg *Config) {
		cfg.Limits.BodyBytes, cfg.Limits.StreamBytes = 1<<20, limit
	})
}

func TestStreamHoldsOneValueAtATime(t *testing.T) {
	c := endless(t, `[0`, `,{"id":"x"}`, 4<<20)
	values := 0
	_, err := c.Stream(t.Context(), get("1"), func(d *jsonread.Decoder) error {
		d.ReadToken()
		for d.PeekKind() != ']' {
			var v any
			if err := decodeInto(&v)(d); err != nil {
				return err
			}
			values++
		}
		_, err := d.ReadToken()
		return err
	})
	wantKind(t, err, providers.KindInvalidResponse)
	if want := 4 << 20 / 11; values < want-10000 || values > want {
		t.Errorf("%d values within 4 MiB, want about %d", values, want)
	}

	c = endless(t, `["`, `a`, 64<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = c.Stream(t.Context(), get("1"), func(d *jsonread.Decoder) error {
		d.ReadToken()
		_, err := d.ReadToken()
		return err
	})
	runtime.ReadMemStats(&after)
	wantKind(t, err, providers.KindInvalidResponse)
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("one value took %d MiB with a limit of 1 MiB for one", used>>20)
	}
}

func TestStreamMayStopEarly(t *testing.T) {
	c := endless(t, `[0`, `,1`, 4<<20)
	response, err := c.Stream(t.Context(), get("1"), func(d *jsonread.Decoder) error {
		for range 10 {
			if _, err := d.ReadToken(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || response.Status != 200 {
		t.Errorf("Stream = %+v, %v", response, err)
	}
}

func TestStreamErrors(t *testing.T) {
	text, cut := `[{"id":1}]`, false
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if cut {
			w.Header().Set("Content-Length", "100")
		}
		io.WriteString(w, text)
	})
	c := newTestClient(t, s.URL, nil)
	_, err := c.Stream(t.Context(), get("1"), func(*jsonread.Decoder) error { return errors.New(canary) })
	wantKind(t, err, providers.KindInvalidResponse)
	_, err = c.Stream(t.Context(), get("1"), func(*jsonread.Decoder) error {
		return fmt.Errorf("wrapped: %w", &providers.Error{Kind: providers.KindNotFound, Code: "gone"})
	})
	if e := wantKind(t, err, providers.KindNotFound); e.Code != "gone" {
		t.Errorf("error = %+v", e)
	}
	// A decoder that hides a broken connection does not make it good.
	cut = true
	for _, text = range []string{`[{"id":1}]`, `[{"id":1},`} {
		_, err = c.Stream(t.Context(), get("1"), func(d *jsonread.Decoder) error {
			for {
				if _, err := d.ReadToken(); err != nil {
					return nil
				}
			}
		})
		wantKind(t, err, providers.KindInvalidResponse)
	}
}

func TestStreamIsNotRetriedOnceBegun(t *testing.T) {
	hits, begun := 0, 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if hits++; hits == 1 {
			w.WriteHeader(503)
			return
		}
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `[1,`)
	})
	c := newTestClient(t, s.URL, func(cfg *Config) { cfg.Policy.MinBackoff = time.Millisecond })
	_, err := c.Stream(t.Context(), get("1"), func(d *jsonread.Decoder) error {
		begun++
		var v any
		return decodeInto(&v)(d)
	})
	wantKind(t, err, providers.KindInvalidResponse)
	if hits != 2 || begun != 1 {
		t.Errorf("%d requests, decode begun %d times", hits, begun)
	}
}

// FuzzBody feeds any bytes to Do: there is a result or an invalid response, never a panic, and depth is counted as JSON
// has it.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[[[]]]`, `{"a":"\"]"}`, `"`, `]`, "\x1f\x8b", ` 1 `, `{"a":[{"b":[{}]}]}`, `[1,2`, "{}\x00",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(gz(f, seed)), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, packed bool) {
		c := newTestClient(t, "http://localhost", func(cfg *Config) {
			cfg.Limits.Depth = 4
			cfg.Transport = transport(func(*http.Request) (*http.Response, error) {
				if packed {
					return reply(200, string(text), "Content-Encoding", "gzip"), nil
				}
				return reply(200, string(text)), nil
			})
		})
		var out any
		response, err := c.Do(t.Context(), get("1"), &out)
		if err != nil {
			wantKind(t, err, providers.KindInvalidResponse)
		}
		if packed {
			return
		}
		valid := json.Valid(text) && depthOf(text) <= 4
		if empty := len(bytes.Trim(text, " \t\r\n")) == 0; valid != (err == nil && !empty) {
			t.Errorf("%q: valid %v, err %v", text, valid, err)
		} else if empty && (err != nil || !response.Empty) {
			t.Errorf("%q: response %+v, err %v", text, response, err)
		}
	})
}

// depthOf gives the depth of valid JSON, by way of encoding/json.
func depthOf(text []byte) (deepest int) {
	d := json.NewDecoder(bytes.NewReader(text))
	depth := 0
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			if depth++; depth > deepest {
				deepest = depth
			}
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
}

// However a text is cut into pieces, its shape is the same.
func TestShapeOfPieces(t *testing.T) {
	for _, text := range []string{
		`{"a\\":["\"]",{"b":"\\\\\"[["}]}`, `["\\\"\\",[[]]]`, `"\"" `, `[["a\\\\"],"]\\\"["]`, ` {"":[1,{}]} x`,
	} {
		var whole shape
		fits := whole.scan([]byte(text), 3)
		for cut := range len(text) {
			for further := cut; further < len(text); further++ {
				var s shape
				ok := s.scan([]byte(text[:cut]), 3) && s.scan([]byte(text[cut:further]), 3) &&
					s.scan([]byte(text[further:]), 3)
				if ok != fits || s != whole {
					t.Fatalf("%s cut at %d and %d: %+v, %v, want %+v, %v", text, cut, further, s, ok, whole, fits)
				}
			}
		}
		if fits && json.Valid([]byte(text)) && depthOf([]byte(text)) > 0 && whole.end != int64(len(text)) {
			t.Errorf("%s ends at %d", text, whole.end)
		}
	}
}
