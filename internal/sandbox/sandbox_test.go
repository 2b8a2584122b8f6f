package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"
)

const goodBody = `{"answer": "this is what the provider says when all is well"}`

// faulty is a server with one operation, one page and the controls.
type faulty struct {
	*Core
	url     string
	effects atomic.Int64 // how often the operation's handler ran to its end
	expired atomic.Int64
}

func newFaulty(t *testing.T, o Options) *faulty {
	t.Helper()
	if o.Clock == nil {
		o.Clock = NewManualClock(start)
	}
	f := &faulty{Core: NewCore(o)}
	f.ErrorBody = func(status int) (string, []byte) {
		return "application/json", fmt.Appendf(nil, `{"provider":%d}`, status)
	}
	f.ExpireTokens = func() { f.expired.Add(1) }
	mux := http.NewServeMux()
	f.Handle(mux, "greet", "POST /greet/{name}", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		f.effects.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, goodBody)
	})
	f.Handle(mux, "empty", "POST /empty", func(http.ResponseWriter, *http.Request) {})
	f.Handle(mux, "gone", "POST /gone",
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	f.Handle(mux, OperationPage, "GET /page",
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	f.HandleControls(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// send makes one request on a connection of its own, so that a closed one concerns no other request.
func (f *faulty) send(t *testing.T, method, path, body string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return res, string(raw), err
}

func TestFaultsByKind(t *testing.T) {
	tests := []struct {
		name    string
		fault   Fault
		effects int64
		check   func(t *testing.T, res *http.Response, body string, err error)
	}{
		{"status", Fault{Status: 503, RetryAfter: "7"}, 0,
			func(t *testing.T, res *http.Response, body string, err error) {
				if err != nil || res.StatusCode != 503 || body != `{"provider":503}` ||
					res.Header.Get("Retry-After") != "7" {
					t.Errorf("got %v, %v, %q", res, err, body)
				}
			}},
		{"status with a body", Fault{Status: 400, Body: `{"mine":1}`}, 0,
			func(t *testing.T, res *http.Response, body string, err error) {
				if err != nil || res.StatusCode != 400 || body != `{"mine":1}` {
					t.Errorf("got %v, %v, %q", res, err, body)
				}
			}},
		{"hang up before", Fault{HangUp: HangUpBefore}, 0, func(t *testing.T, _ *http.Response, _ string, err error) {
			if err == nil {
				t.Error("there was an answer")
			}
		}},
		{"hang up after", Fault{HangUp: HangUpAfter}, 1, func(t *testing.T, _ *http.Response, _ string, err error) {
			if err == nil {
				t.Error("there was an answer")
			}
		}},
		{"truncated", Fault{Truncate: true}, 1, func(t *testing.T, res *http.Response, body string, err error) {
			if !errors.Is(err, io.ErrUnexpectedEOF) || res.StatusCode != 201 || body != goodBody[:len(goodBody)/2] {
				t.Errorf("got %v, %q", err, body)
			}
		}},
		{"malformed", Fault{Malformed: true}, 1, func(t *testing.T, res *http.Response, body string, err error) {
			if err != nil || res.StatusCode != 201 || json.Valid([]byte(body)) || len(body) == 0 {
				t.Errorf("got %v, %q", err, body)
			}
		}},
		{"slow to start", Fault{Delay: 50 * time.Millisecond}, 1,
			func(t *testing.T, _ *http.Response, body string, err error) {
				if err != nil || body != goodBody {
					t.Errorf("got %v, %q", err, body)
				}
			}},
		{"trickling", Fault{BytesPerSecond: 300}, 1, func(t *testing.T, _ *http.Response, body string, err error) {
			if err != nil || body != goodBody {
				t.Errorf("got %v, %q", err, body)
			}
		}},
		{"expired tokens", Fault{ExpireTokens: true}, 1, func(t *testing.T, res *http.Response, _ string, err error) {
			if err != nil || res.StatusCode != 201 {
				t.Errorf("got %v, %v", res, err)
			}
		}},
		{"gzip bomb", Fault{GzipBomb: 3 << 20}, 0, func(t *testing.T, res *http.Response, body string, err error) {
			if err != nil || res.Header.Get("Content-Encoding") != "gzip" || len(body) > 1<<20 {
				t.Fatalf("got %v, %d bytes", err, len(body))
			}
			unzip, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(unzip)
			if err != nil || len(plain) != 3<<20 || !json.Valid(plain) {
				t.Errorf("unpacked %d bytes, %v", len(plain), err)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFaulty(t, Options{})
			test.fault.Times = 1
			f.Faults.Add(test.fault)

			began := time.Now()
			res, body, err := f.send(t, "POST", "/greet/anna", "hello")
			took := time.Since(began)
			test.check(t, res, body, err)
			if got := f.effects.Load(); got != test.effects {
				t.Errorf("%d effects, want %d", got, test.effects)
			}
			if test.fault.Delay > 0 && took < test.fault.Delay {
				t.Errorf("took %v, want at least %v", took, test.fault.Delay)
			}
			if test.fault.BytesPerSecond > 0 && took < 150*time.Millisecond {
				t.Errorf("%d bytes took %v", len(body), took)
			}
			if test.fault.ExpireTokens != (f.expired.Load() == 1) {
				t.Errorf("tokens expired %d times", f.expired.Load())
			}
			if f.Calls.Count("greet") != 1 {
				t.Errorf("%d calls counted", f.Calls.Count("greet"))
			}

			// The fault was for one request only.
			res, body, err = f.send(t, "POST", "/greet/anna", "hello")
			if err != nil || res.StatusCode != 201 || body != goodBody {
				t.Errorf("afterwards: %v, %q", err, body)
			}
		})
	}
}

func TestFaultsOnRepliesWithoutABody(t *testing.T) {
	f := newFaulty(t, Options{})
	f.Faults.Add(Fault{Truncate: true, Operation: "empty"})
	if _, body, err := f.send(t, "POST", "/empty", ""); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %q, %v", body, err)
	}
	f.Faults.Add(Fault{Truncate: true, Malformed: true, Operation: "gone"})
	if res, _, err := f.send(t, "POST", "/gone",
		""); err != nil || res.StatusCode != 204 || res.Header.Get("Content-Length") != "" {
		t.Errorf("no content: %v, %v", res, err)
	}
}

func TestFaultsChooseTheirRequests(t *testing.T) {
	f := newFaulty(t, Options{})
	status := func(method, path string) int {
		res, _, err := f.send(t, method, path, "")
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}

	f.Faults.Add(Fault{Operation: "empty", Status: 500})
	id := f.Faults.Add(Fault{Status: 502, Times: 2})
	if got := status("POST", "/empty"); got != 500 {
		t.Errorf("the first fault that applies must act: %d", got)
	}
	if got := status("POST", "/greet/anna"); got != 502 {
		t.Errorf("a fault without operation must act on each: %d", got)
	}
	if got := status("GET", "/page"); got != 200 {
		t.Errorf("a fault without operation must leave pages alone: %d", got)
	}
	f.Faults.Remove(id)
	if got := status("POST", "/greet/anna"); got != 201 {
		t.Errorf("a removed fault acts: %d", got)
	}
	f.Faults.Clear()
	if got := status("POST", "/empty"); got != 200 {
		t.Errorf("a cleared fault acts: %d", got)
	}
	f.Faults.Add(Fault{Operation: OperationPage, Status: 500})
	if got := status("GET", "/page"); got != 500 {
		t.Errorf("a fault for pages must act on pages: %d", got)
	}
	if got := status("DELETE", "/_sandbox/faults"); got != 204 {
		t.Errorf("controls must be out of reach of faults: %d", got)
	}
}

func TestFaultProbabilityIsDecidedByTheSeed(t *testing.T) {
	draw := func(seed int64) (pattern string, hits int) {
		f := newFaulty(t, Options{Seed: seed})
		f.Faults.Add(Fault{Status: 500, Probability: 0.3})
		for range 60 {
			rec := httptest.NewRecorder()
			f.Faults.Wrap("greet", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).
				ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
			pattern += fmt.Sprint(rec.Code / 100)
			if rec.Code == 500 {
				hits++
			}
		}
		return pattern, hits
	}
	one, hits := draw(1)
	again, _ := draw(1)
	other, _ := draw(2)
	if one != again || one == other {
		t.Errorf("patterns %s, %s, and %s for another seed", one, again, other)
	}
	if hits < 6 || hits > 36 {
		t.Errorf("%d of 60 failed at a probability of 0.3", hits)
	}
}

func TestFaultCheck(t *testing.T) {
	for _, fault := range []Fault{
		{HangUp: "never"}, {Status: 99}, {Status: 600}, {Probability: 1.1}, {Probability: -0.1}, {Delay: -1},
		{BytesPerSecond: -1}, {GzipBomb: -1}, {Times: -1},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was accepted", fault)
				}
			}()
			new(Faults).Add(fault)
		}()
	}
}

func TestCallsRecordWhatArrived(t *testing.T) {
	f := newFaulty(t, Options{})
	if _, _, err := f.send(t, "POST", "/greet/anna?x=1&x=2", "hello"); err != nil {
		t.Fatal(err)
	}
	f.Faults.Add(Fault{HangUp: HangUpBefore, Times: 1})
	if _, _, err := f.send(t, "POST", "/empty", ""); err == nil {
		t.Fatal("there was an answer")
	}
	if _, _, err := f.send(t, "POST", "/empty", ""); err != nil {
		t.Fatal(err)
	}
	calls := f.Calls.All()
	if len(calls) != 3 {
		t.Fatalf("%d calls", len(calls))
	}
	c := calls[0]
	if c.Operation != "greet" || c.Method != "POST" || c.Path != "/greet/anna" || len(c.Query["x"]) != 2 ||
		string(c.Body) != "hello" || c.Status != 201 || !c.Time.Equal(start) {
		t.Errorf("recorded %+v", c)
	}
	if calls[1].Status != 0 || calls[2].Status != 200 {
		t.Errorf("statuses %d and %d, want 0 and 200", calls[1].Status, calls[2].Status)
	}
	if f.Calls.Count("empty") != 2 || len(f.Calls.Of("empty")) != 2 {
		t.Error("wrong count")
	}
	f.Calls.Reset()
	if f.Calls.Count("empty") != 0 || len(f.Calls.All()) != 0 {
		t.Error("Reset left something")
	}
}

func TestCallsCountWhileUnanswered(t *testing.T) {
	f := newFaulty(t, Options{})
	inside := make(chan int)
	mux := http.NewServeMux()
	f.Handle(mux, "slow", "GET /slow", func(http.ResponseWriter, *http.Request) { inside <- f.Calls.Count("slow") })
	go mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/slow", nil))
	if got := <-inside; got != 1 {
		t.Errorf("counted %d while unanswered", got)
	}
}

func TestCallsForgetTheOldest(t *testing.T) {
	var c Calls
	for range 3 {
		c.Record(Call{Operation: "big", Body: make([]byte, maxCallBytes/2)})
	}
	if len(c.All()) != 2 || c.Count("big") != 3 {
		t.Errorf("%d remembered, %d counted; want 2 and 3", len(c.All()), c.Count("big"))
	}
	for range maxCalls + 5 {
		c.Record(Call{Operation: "small"})
	}
	if len(c.All()) != maxCalls || c.Count("small") != maxCalls+5 {
		t.Errorf("%d remembered, %d counted", len(c.All()), c.Count("small"))
	}
}

func TestBodiesAreBounded(t *testing.T) {
	f := newFaulty(t, Options{})
	res, body, err := f.send(t, "POST", "/greet/anna", strings.Repeat("x", maxBody+1))
	if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge || body != `{"provider":413}` {
		t.Errorf("got %v, %v, %q", res, err, body)
	}
	if f.effects.Load() != 0 {
		t.Error("the handler ran")
	}
}

// A request that ends in the middle is no request.
func TestIncompleteRequests(t *testing.T) {
	f := newFaulty(t, Options{})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn,
		"POST /greet/anna HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || len(answer) > 0 || f.effects.Load() != 0 {
		t.Errorf("answered %q, %v; %d effects", answer, err, f.effects.Load())
	}
}

func TestControls(t *testing.T) {
	clock := NewManualClock(start)
	f := newFaulty(t, Options{Clock: clock})
	expect := func(method, path, body string, status int) string {
		t.Helper()
		res, answer, err := f.send(t, method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status {
			t.Errorf("%s %s %s: %d, want %d", method, path, body, res.StatusCode, status)
		}
		return answer
	}

	answer := expect("POST", "/_sandbox/faults",
		`{"operation":"greet","status":429,"retryAfter":"3","delay":"1ms","times":1}`, 201)
	var added struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &added); err != nil || added.ID == "" {
		t.Fatalf("%v in %s", err, answer)
	}
	expect("POST", "/greet/anna", "", 429)
	expect("POST", "/greet/anna", "", 201)
	expect("POST", "/_sandbox/faults", `{"stutus":429}`, 400)
	expect("POST", "/_sandbox/faults", `{"status":42}`, 400)
	expect("POST", "/_sandbox/faults", `{"delay":"soon"}`, 400)
	expect("POST", "/_sandbox/faults", `{`, 400)
	if err := json.Unmarshal([]byte(expect("POST", "/_sandbox/faults", `{"status":500}`, 201)), &added); err != nil {
		t.Fatal(err)
	}
	expect("DELETE", "/_sandbox/faults/"+added.ID, "", 204)
	expect("POST", "/greet/anna", "", 201)

	var calls struct{ Calls []callJSON }
	if err := json.Unmarshal([]byte(expect("GET", "/_sandbox/calls?operation=greet", "", 200)), &calls); err != nil {
		t.Fatal(err)
	}
	if len(calls.Calls) != 3 || calls.Calls[0].Status != 429 || calls.Calls[0].Path != "/greet/anna" {
		t.Errorf("calls %+v", calls.Calls)
	}
	expect("DELETE", "/_sandbox/calls", "", 204)
	if f.Calls.Count("greet") != 0 {
		t.Error("the calls are still counted")
	}

	expect("POST", "/_sandbox/clock", `{"advance":"90m"}`, 200)
	if want := start.Add(90 * time.Minute); !clock.Now().Equal(want) {
		t.Errorf("the clock shows %v", clock.Now())
	}
	expect("POST", "/_sandbox/clock", `{"advance":"-1s"}`, 400)
	expect("POST", "/_sandbox/clock", `{"advance":"later"}`, 400)
	if answer := expect("GET", "/_sandbox/clock", "", 200); !strings.Contains(answer, "2026-05-20T11:30:00Z") {
		t.Errorf("clock answers %s", answer)
	}
	expect("POST", "/_sandbox/tokens:expire", "", 204)
	if f.expired.Load() != 1 {
		t.Error("the tokens did not expire")
	}

	f = newFaulty(t, Options{Clock: RealClock()})
	expect("POST", "/_sandbox/clock", `{"advance":"1h"}`, 409)
}

func TestRandIsDecidedByTheSeed(t *testing.T) {
	a, b, c := NewRand(1), NewRand(1), NewRand(2)
	one, two, other := a.Hex(24), b.Hex(24), c.Hex(24)
	if one != two || one == other || len(one) != 24 || len(a.Hex(7)) != 7 {
		t.Errorf("%s, %s, and %s for another seed", one, two, other)
	}
	if n := a.IntN(10); n < 0 || n > 9 {
		t.Errorf("IntN(10) is %d", n)
	}
}

func TestMinor(t *testing.T) {
	for text, want := range map[string]string{
		"0.1": "0.10", "1e3": "1000.00", "12345678901234.56": "12345678901234.56", "-0.00": "0.00", "-24.99": "-24.99",
		"-0.05": "-0.05", "7": "7.00",
	} {
		if got := MustMinor(text).String(); got != want {
			t.Errorf("%s is read as %s", text, got)
		}
	}
	for _, bad := range []string{"", "x", "0.001", "1e30"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was accepted", bad)
				}
			}()
			MustMinor(bad)
		}()
	}
}

var testPages = fstest.MapFS{"pages/hello.html": {Data: []byte(
	`{{define "title"}}Hello{{end}}{{define "content"}}{{template "alert" .Alert}}<h1>Hello {{.Name}}</h1>{{end}}`,
)}}

func TestPagesSayThatTheyAreASandbox(t *testing.T) {
	pages := MustPages("Some Provider", testPages)
	rec := httptest.NewRecorder()
	pages.Render(rec, http.StatusTeapot, "hello", map[string]string{"Name": `<script>"`, "Alert": "Careful"})
	body := rec.Body.String()
	for _, want := range []string{
		"Some Provider", "Sandbox", "&lt;script&gt;", `role="alert"`, `<html lang="en">`, `name="viewport"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in the page", want)
		}
	}
	if rec.Code != http.StatusTeapot || bytes.Contains(rec.Body.Bytes(), []byte("<script")) {
		t.Errorf("status %d, or a script in the page", rec.Code)
	}
	if csp := rec.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
}
