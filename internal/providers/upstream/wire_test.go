package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
)

// listen serves raw connections on loopback, each by handle in a goroutine of its own, and closes them.
func listen(t testing.TB, handle func(net.Conn)) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// readRequest reads one request to its end.
func readRequest(r io.Reader) ([]byte, error) {
	var raw bytes.Buffer
	request, err := http.ReadRequest(bufio.NewReader(io.TeeReader(r, &raw)))
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, request.Body)
	return raw.Bytes(), err
}

// wired gives the transport with which c sends an operation that is not a read.
func wired(c *Client) *http.Transport { return c.writes.(*http.Transport) }

func TestCutAtEveryByteOfTheRequest(t *testing.T) {
	var effects, connections, length, limit atomic.Int32
	limit.Store(-1) // read the whole request and answer
	base := listen(t, func(c net.Conn) {
		connections.Add(1)
		cut := limit.Load()
		if cut < 0 {
			raw, err := readRequest(c)
			if err == nil {
				effects.Add(1)
				length.Store(int32(len(raw)))
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
			}
			return
		}
		io.CopyN(io.Discard, c, int64(cut))
	})
	c := newTestClient(t, base, func(cfg *Config) { cfg.Policy.BreakerCalls = -1 })
	request := create()
	request.Header = http.Header{"Idempotency-Key": {"k"}} // which makes net/http think that it may resend
	var out any
	if _, err := c.Do(t.Context(), request, &out); err != nil || effects.Load() != 1 {
		t.Fatalf("%v, %d effects", err, effects.Load())
	}
	for cut := range length.Load() + 1 {
		limit.Store(cut)
		connections.Store(0)
		_, err := c.Do(t.Context(), request, &out)
		e := wantKind(t, err, providers.KindUnavailable)
		if connections.Load() != 1 {
			t.Fatalf("cut at byte %d: sent %d times", cut, connections.Load())
		}
		if cut > 0 && !e.MayHaveHappened {
			t.Fatalf("cut at byte %d: the provider had bytes of it, and the error says that it cannot have happened",
				cut)
		}
	}
}

func TestCutAtEveryByteOfTheAnswer(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 201 Created\r\nContent-Length: 14\r\nX-Request-ID: 4711\r\n\r\n{\"id\":\"a1b2\"} ",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"id\":\"a\r\n5\r\n1b2\"}\r\n0\r\n\r\n",
	} {
		var effects, limit atomic.Int32
		var abrupt atomic.Bool
		base := listen(t, func(c net.Conn) {
			if _, err := readRequest(c); err != nil {
				return
			}
			effects.Add(1)
			io.WriteString(c, answer[:limit.Load()])
			if abrupt.Load() {
				c.(*net.TCPConn).SetLinger(0)
			}
		})
		c := newTestClient(t, base, func(cfg *Config) { cfg.Policy.BreakerCalls = -1 })
		request := create()
		request.Header = http.Header{"Idempotency-Key": {"k"}}
		for _, reset := range []bool{false, true} {
			abrupt.Store(reset)
			for cut := range len(answer) + 1 {
				limit.Store(int32(cut))
				effects.Store(0)
				var out struct{ ID string }
				_, err := c.Do(t.Context(), request, &out)
				if effects.Load() != 1 {
					t.Fatalf("cut at byte %d: %d effects", cut, effects.Load())
				}
				if err == nil {
					if out.ID != "a1b2" || cut < len(answer)-2 {
						t.Fatalf("cut at byte %d: taken for whole, id %q", cut, out.ID)
					}
					continue
				}
				if e := asError(t,
					err); !e.MayHaveHappened || (e.Kind != providers.KindUnavailable &&
					e.Kind != providers.KindInvalidResponse) {
					t.Fatalf("cut at byte %d: %+v", cut, e)
				}
				if cut == len(answer) && !reset {
					t.Fatalf("the whole answer: %v", err)
				}
			}
		}
	}
}

// A read whose answer breaks before its header is whole is sent again; later, the answer is broken.
func TestReadsSurviveABrokenConnection(t *testing.T) {
	const header, answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	var sent, limit atomic.Int32
	base := listen(t, func(c net.Conn) {
		if _, err := readRequest(c); err != nil {
			return
		}
		if sent.Add(1) == 1 {
			io.WriteString(c, answer[:limit.Load()])
			return
		}
		io.WriteString(c, answer)
	})
	for cut := range len(answer) {
		limit.Store(int32(cut))
		sent.Store(0)
		c := newTestClient(t, base, func(cfg *Config) { cfg.Policy.MinBackoff = time.Microsecond })
		var out any
		_, err := c.Do(t.Context(), get("1"), &out)
		if cut < len(header) {
			if err != nil || sent.Load() != 2 {
				t.Errorf("cut at byte %d: %v after %d requests", cut, err, sent.Load())
			}
			continue
		}
		wantKind(t, err, providers.KindInvalidResponse)
		if sent.Load() != 1 {
			t.Errorf("cut at byte %d: %d requests", cut, sent.Load())
		}
	}
}

func TestNotHTTP(t *testing.T) {
	for name, answer := range map[string]string{
		"banner":         "SSH-2.0-" + canary + "\r\n\r\n",
		"bad status":     "HTTP/1.1 " + canary + " OK\r\n\r\n",
		"bad header":     "HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n",
		"endless header": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
		"endless 1xx": strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-Y: "+strings.Repeat("x", 1000)+"\r\n\r\n",
			2000),
		"two lengths":     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"unknown framing": "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + canary + "\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			base := listen(t, func(c net.Conn) {
				if _, err := readRequest(c); err != nil {
					return
				}
				io.WriteString(c, answer)
				io.Copy(io.Discard, c) // until the client hangs up, so that the answer is not lost by a reset
			})
			c := newTestClient(t, base, nil)
			var out any
			_, err := c.Do(t.Context(), create(), &out)
			if e := wantKind(t, err, providers.KindInvalidResponse); !e.MayHaveHappened {
				t.Errorf("error = %+v", e)
			}
		})
	}
}

func TestNothingWasWritten(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("a request came through")
	}))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	mute := listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	for name, test := range map[string]struct {
		base string
		kind providers.ErrorKind
		text string
	}{
		"refused":             {"http://" + closed.Addr().String(), providers.KindUnavailable, "connection refused"},
		"unknown certificate": {secure.URL, providers.KindUnavailable, "certificate"},
		"not TLS":             {strings.Replace(plain.URL, "http:", "https:", 1), providers.KindUnavailable, "TLS"},
		"no TLS answer":       {strings.Replace(mute, "http:", "https:", 1), providers.KindUnavailable, "in time"},
		"no such host":        {"https://bank.invalid", providers.KindUnavailable, "host not found"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, test.base, func(cfg *Config) {
				if name == "no TLS answer" {
					cfg.Limits.Dial = 100 * time.Millisecond
				}
			})
			if name == "no such host" {
				// The machine's own resolver might say anything.
				wired(c).DialContext = func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{
						Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "bank.invalid", IsNotFound: true},
					}
				}
			}
			_, err := c.Do(t.Context(), create(), nil)
			if e := wantKind(t, err, test.kind); e.MayHaveHappened || !strings.Contains(e.Error(), test.text) {
				t.Errorf("error = %+v", e)
			}
		})
	}
	t.Run("the caller's deadline while connecting", func(t *testing.T) {
		c := newTestClient(t, strings.Replace(mute, "http:", "https:", 1), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := c.Do(ctx, create(), nil)
		if e := wantKind(t, err, providers.KindDeadline); e.MayHaveHappened {
			t.Errorf("error = %+v", e)
		}
	})
}

// failing is a connection on which writing fails after so many bytes.
type failing struct {
	net.Conn
	left int
}

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.left {
		n := f.left
		f.left = 0
		if n > 0 {
			n, _ = f.Conn.Write(p[:n])
		}
		return n, syscall.EPIPE
	}
	f.left -= len(p)
	return f.Conn.Write(p)
}

// TestWriteFails cuts on our side, where it is known exactly what was written.
func TestWriteFails(t *testing.T) {
	base := listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	for left := range 50 {
		c := newTestClient(t, base, func(cfg *Config) { cfg.Limits.Header = 5 * time.Second })
		dials := 0
		wired(c).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials++
			raw, err := new(net.Dialer).DialContext(ctx, network, address)
			return &conn{Conn: &failing{raw, left}, stall: time.Second}, err
		}
		request := create()
		request.Header = http.Header{"Idempotency-Key": {"k"}}
		_, err := c.Do(t.Context(), request, nil)
		if e := wantKind(t, err, providers.KindUnavailable); e.MayHaveHappened != (left > 0) || dials != 1 {
			t.Fatalf("after %d bytes: %+v, %d dials", left, e, dials)
		}
	}
}

func TestSealedConnectionsWriteNothing(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	c := &conn{Conn: ours, stall: time.Minute}
	if c.seal(0) {
		t.Error("a fresh connection counts as written to")
	}
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write = %d, %v", n, err)
	}
	// What is being written at that moment may get through.
	c = &conn{Conn: ours, stall: time.Minute}
	done := make(chan struct{})
	go func() {
		c.Write([]byte("x"))
		close(done)
	}()
	eventually(t, "the write begins", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.writing == 1
	})
	if !c.seal(0) {
		t.Error("a write under way counts as nothing")
	}
	theirs.Read(make([]byte, 1))
	<-done
}

func TestTransportsOfTheirOwn(t *testing.T) {
	var mu sync.Mutex
	var from []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from = append(from, fmt.Sprintf("%s %s %v", r.Method, r.RemoteAddr, r.Close))
		io.WriteString(w, `{}`)
	})
	c := newTestClient(t, s.URL, nil)
	var out any
	for _, request := range []Request{
		get("1"), {Operation: "search", Body: 1}, get("2"), put("1"), create(), get("3"), create(),
	} {
		if _, err := c.Do(t.Context(), request, &out); err != nil {
			t.Fatal(err)
		}
	}
	reads, writes := map[string]bool{}, map[string]bool{}
	for i, line := range from {
		parts := strings.Fields(line)
		if write := i == 3 || i == 4 || i == 6; write {
			writes[parts[1]] = true
			if parts[2] != "true" {
				t.Errorf("a write keeps its connection: %s", line)
			}
		} else {
			reads[parts[1]] = true
		}
	}
	if len(reads) != 1 || len(writes) != 3 {
		t.Errorf("reads came over %d connections, writes over %d:\n%s", len(reads), len(writes),
			strings.Join(from, "\n"))
	}
	for address := range writes {
		if reads[address] {
			t.Error("a write went over a kept connection")
		}
	}
}

// When the provider closes kept connections, net/http resends reads by itself. That must cost the budget as much as a
// retry of ours.
func TestResentReadsCostTheBudget(t *testing.T) {
	var requests atomic.Int32
	base := listen(t, func(c net.Conn) {
		// One good answer, then the connection dies with the next request in it.
		r := bufio.NewReader(c)
		for range 2 {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if n := requests.Add(1); n%3 == 2 {
				return
			}
			io.Copy(io.Discard, request.Body)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
		}
	})
	c := newTestClient(t, base, func(cfg *Config) { cfg.Policy.Retries = -1 })
	var out any
	for i := range 2 {
		if _, err := c.Do(t.Context(), get("1"), &out); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if requests.Load() != 3 {
		t.Fatalf("%d requests, so net/http resent none", requests.Load())
	}
	if want := budgetStart + 2*budgetEarn - 1; math.Abs(c.budget.balance-want) > 1e-9 {
		t.Errorf("balance %v, want %v", c.budget.balance, want)
	}
}

// When nothing had been written, the provider has seen nothing of it.
func TestOnlyWhatWasWrittenIsResent(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	go io.Copy(io.Discard, theirs)
	resent := 0
	w := &wire{resent: func() { resent++ }}
	trace := httptrace.ContextClientTrace(w.trace(t.Context()))
	kept := &conn{Conn: ours, stall: time.Minute}
	kept.Write([]byte("an earlier request"))
	trace.GotConn(httptrace.GotConnInfo{Conn: kept})
	trace.GotConn(httptrace.GotConnInfo{Conn: kept})
	if resent != 0 {
		t.Error("a request of which nothing was written counts as resent")
	}
	kept.Write([]byte("this request"))
	trace.GotConn(httptrace.GotConnInfo{Conn: kept})
	if resent != 1 {
		t.Error("a request that was written counts as not resent")
	}
}

// A transport that is not ours cannot tell what was written.
func TestForeignTransports(t *testing.T) {
	for name, test := range map[string]struct {
		err      error
		happened bool
	}{
		"dial":    {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false},
		"unknown": {errRefused, true},
	} {
		c := newTestClient(t, "http://localhost", func(cfg *Config) {
			cfg.Transport = transport(func(*http.Request) (*http.Response, error) { return nil, test.err })
		})
		_, err := c.Do(t.Context(), create(), nil)
		if e := wantKind(t, err, providers.KindUnavailable); e.MayHaveHappened != test.happened {
			t.Errorf("%s: error = %+v", name, e)
		}
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	c := newTestClient(t, s.URL, func(cfg *Config) { cfg.Transport = &http.Transport{DisableKeepAlives: true} })
	_, err := c.Do(t.Context(), create(), nil)
	if e := wantKind(t, err, providers.KindUnavailable); !e.MayHaveHappened {
		t.Errorf("error = %+v", e)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var hits atomic.Int32
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { hits.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/"+canary, code) })
		c := newTestClient(t, s.URL, nil)
		for _, request := range []Request{get("1"), create()} {
			_, err := c.Do(t.Context(), request, nil)
			if e := wantKind(t, err,
				providers.KindInvalidResponse); e.Status != code ||
				e.MayHaveHappened != (request.Operation == "create") {
				t.Errorf("error = %+v", e)
			}
		}
	}
	if hits.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestOnlyTheBaseIsDialled(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("another host was called") })
	t.Setenv("HTTP_PROXY", other.URL)
	t.Setenv("http_proxy", other.URL)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{}`) })
	// The environment's proxy is never used for loopback, so the transport is asked.
	c := newTestClient(t, s.URL, nil)
	for _, transport := range []http.RoundTripper{c.reads, c.writes} {
		if transport.(*http.Transport).Proxy != nil {
			t.Error("the environment's proxy is looked at")
		}
	}
	if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
		t.Fatal(err)
	}
	elsewhere, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.base = elsewhere
	_, err = c.Do(t.Context(), create(), nil)
	if e := wantKind(t, err, providers.KindInternal); e.MayHaveHappened {
		t.Errorf("error = %+v", e)
	}
}

func TestProxy(t *testing.T) {
	var asked string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.RequestURI
		io.WriteString(w, `{}`)
	})
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, "http://127.0.0.1:1/v1", func(cfg *Config) { cfg.Proxy = address })
	if _, err := c.Do(t.Context(), create(), nil); err != nil || asked != "http://127.0.0.1:1/v1/things" {
		t.Errorf("Do: %v, the proxy was asked for %q", err, asked)
	}
}

func TestTLS(t *testing.T) {
	var effects atomic.Int32
	cut := false
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		effects.Add(1)
		if r.ProtoMajor != 1 {
			t.Errorf("protocol %s", r.Proto)
		}
		if cut {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, `{}`)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	c := newTestClient(t, s.URL, nil)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for _, transport := range []http.RoundTripper{c.reads, c.writes} {
		transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	var out any
	for _, request := range []Request{get("1"), create()} {
		if _, err := c.Do(t.Context(), request, &out); err != nil {
			t.Fatal(err)
		}
	}
	cut = true
	effects.Store(0)
	_, err := c.Do(t.Context(), create(), &out)
	if e := wantKind(t, err, providers.KindUnavailable); !e.MayHaveHappened || effects.Load() != 1 {
		t.Errorf("error = %+v, %d effects", e, effects.Load())
	}
	// Cut on our side after the handshake: nothing of the request was written.
	var shaken atomic.Bool
	wired(c).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := new(net.Dialer).DialContext(ctx, network, address)
		return &conn{Conn: &gate{raw, &shaken}, stall: time.Second}, err
	}
	c.cfg.Observer = watcher{start: func(ctx context.Context) context.Context {
		return httptrace.WithClientTrace(ctx,
			&httptrace.ClientTrace{TLSHandshakeDone: func(tls.ConnectionState, error) { shaken.Store(true) }})
	}}
	effects.Store(0)
	_, err = c.Do(t.Context(), create(), &out)
	if e := wantKind(t, err, providers.KindUnavailable); e.MayHaveHappened || effects.Load() != 0 || !shaken.Load() {
		t.Errorf("error = %+v, %d effects", e, effects.Load())
	}
}

// gate is a connection on which nothing can be written once it is shut.
type gate struct {
	net.Conn
	shut *atomic.Bool
}

func (g *gate) Write(p []byte) (int, error) {
	if g.shut.Load() {
		return 0, syscall.EPIPE
	}
	return g.Conn.Write(p)
}

// watcher is an observer made of functions.
type watcher struct {
	noObserver
	start func(context.Context) context.Context
}

func (w watcher) Start(ctx context.Context, _ providers.CallInfo) (context.Context, func(providers.CallOutcome)) {
	return w.start(ctx), func(providers.CallOutcome) {}
}
