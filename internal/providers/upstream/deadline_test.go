package upstream

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/providers"
)

// pipes is a listener whose connections are pipes, so that net/http's client and server run on the clock of
// testing/synctest.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// piped makes a client and a server that are joined by pipes.
func piped(t *testing.T, h http.HandlerFunc, change func(*Config)) *Client {
	t.Helper()
	l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: h}
	go server.Serve(l)
	t.Cleanup(func() { server.Shutdown(context.Background()) }) // which waits for the handlers
	c := newTestClient(t, "http://localhost", change)
	for _, transport := range []http.RoundTripper{c.reads, c.writes} {
		transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			select {
			case l.conns <- theirs:
				return &conn{Conn: ours, stall: c.cfg.Limits.Stall}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	return c
}

// trickle writes a byte every pause until the client hangs up.
func trickle(w http.ResponseWriter, text string, pause time.Duration) {
	for i := range len(text) {
		if _, err := io.WriteString(w, text[i:i+1]); err != nil {
			return
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		time.Sleep(pause)
	}
}

func TestSlowBodiesEndWithTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t,
			func(w http.ResponseWriter, r *http.Request) { trickle(w, `"`+strings.Repeat("a", 1000), time.Second) },
			nil)
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				deadline := 5*time.Second + time.Duration(i)*10*ms
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				began := time.Now()
				var out any
				var err error
				if request := []Request{get("1"), create()}[i%2]; i%4 < 2 {
					_, err = c.Do(ctx, request, &out)
				} else {
					_, err = c.Stream(ctx, request, decodeInto(&out))
				}
				e := wantKind(t, err, providers.KindDeadline)
				if took := time.Since(began); took > deadline+100*ms {
					t.Errorf("ended %v after the deadline", took-deadline)
				}
				// Half of them waited for a place until the end.
				if e.MayHaveHappened != (e.Status != 0 && e.Operation == "create") {
					t.Errorf("error = %+v", e)
				}
			})
		}
		wg.Wait()
		c.Close()
		synctest.Wait()
		// The test fails by itself when a goroutine is left at its end; here the server is still there, and the
		// client's must be gone already.
		stacks := make([]byte, 1<<20)
		for one := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(one,
				"synctest bubble") && (strings.Contains(one,
				"persistConn") || strings.Contains(one, "upstream.(*Client)")) {
				t.Errorf("left over:\n%s", one)
			}
		}
	})
}

func TestOurOwnLimits(t *testing.T) {
	for name, test := range map[string]struct {
		handle http.HandlerFunc
		after  time.Duration
		text   string
		stream time.Duration // how long Stream takes, when not the same
	}{
		"no header": {
			func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 10 * time.Second,
			"no answer in time", 0,
		},
		"stalled": {func(w http.ResponseWriter, r *http.Request) {
			trickle(w, `{"a"`, time.Second)
			<-r.Context().Done()
		}, 13 * time.Second, "stalled", 0},
		"slow": {
			func(w http.ResponseWriter, r *http.Request) { trickle(w, `"`+strings.Repeat("a", 1000), 4*time.Second) },
			30 * time.Second, "took too long", 5 * time.Minute,
		},
		"slow and packed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			var text strings.Builder
			for range 500 {
				fmt.Fprintf(&text, "%d,", rand.Uint64())
			}
			trickle(w, gz(t, "["+text.String()), 4*time.Second)
		}, 30 * time.Second, "took too long", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hits atomic.Int32
				c := piped(t, func(w http.ResponseWriter, r *http.Request) {
					hits.Add(1)
					test.handle(w, r)
				}, nil)
				check := func(want time.Duration, do func() error) {
					t.Helper()
					began := time.Now()
					e := wantKind(t, do(), providers.KindUnavailable)
					if took := time.Since(began); took < want || took > want+5*time.Second ||
						!strings.Contains(e.Error(), test.text) {
						t.Errorf("%v after %v, want after %v", e, took, want)
					}
				}
				var out any
				check(test.after, func() error { _, err := c.Do(t.Context(), get("1"), &out); return err })
				if test.stream == 0 {
					test.stream = test.after
				}
				check(test.stream, func() error {
					_, err := c.Stream(t.Context(), get("1"), decodeInto(&out))
					return err
				})
				if hits.Load() != 2 {
					t.Errorf("%d requests: a timeout was retried", hits.Load())
				}
			})
		})
	}
}

func TestUploadsThatStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Hour) }, nil)
		began := time.Now()
		_, err := c.Do(t.Context(), Request{Operation: "create", Body: strings.Repeat("a", 1<<20)}, nil)
		if e := wantKind(t, err, providers.KindUnavailable); !e.MayHaveHappened || time.Since(began) > 11*time.Second {
			t.Errorf("error = %+v after %v", e, time.Since(began))
		}
	})
}

func TestCallsWithoutADeadlineEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "50")
			w.WriteHeader(429)
		}, nil)
		began := time.Now()
		_, err := c.Do(t.Context(), get("1"), nil)
		// One retry after 50 s fits into a minute, a second does not.
		wantKind(t, err, providers.KindRateLimited)
		if took := time.Since(began); took < 50*time.Second || took > 51*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(w http.ResponseWriter, r *http.Request) {
			trickle(w, strings.Repeat(" ", 1000), 4*time.Second)
		}, func(cfg *Config) { cfg.Limits.Body = time.Hour })
		began := time.Now()
		var out any
		_, err := c.Do(t.Context(), create(), &out)
		if e := wantKind(t, err, providers.KindUnavailable); !e.MayHaveHappened || time.Since(began) != time.Minute {
			t.Errorf("error = %+v after %v", e, time.Since(began))
		}
	})
}

// A consumer takes its time; only waiting for the provider is limited.
func TestSlowConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `[0`+strings.Repeat(`,"`+strings.Repeat("a", 1000)+`"`, 100)+`]`)
		}, nil)
		began, values := time.Now(), 0
		_, err := c.Stream(t.Context(), get("1"), func(d *jsonread.Decoder) error {
			d.ReadToken()
			for d.PeekKind() != ']' {
				var v any
				if err := decodeInto(&v)(d); err != nil {
					return err
				}
				values++
				time.Sleep(time.Minute)
			}
			_, err := d.ReadToken()
			return err
		})
		if err != nil || values != 101 || time.Since(began) < 100*time.Minute {
			t.Errorf("%v after %d values and %v", err, values, time.Since(began))
		}
		// The caller's own deadline holds nevertheless.
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		_, err = c.Stream(ctx, get("1"), func(d *jsonread.Decoder) error {
			d.ReadToken()
			for d.PeekKind() != ']' {
				var v any
				if err := decodeInto(&v)(d); err != nil {
					return err
				}
				time.Sleep(time.Minute)
			}
			_, err := d.ReadToken()
			return err
		})
		wantKind(t, err, providers.KindDeadline)
	})
}

func TestCallersLeave(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"before the header": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"in the body": func(w http.ResponseWriter, r *http.Request) { trickle(w, strings.Repeat(" ", 100), 300*ms) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := piped(t, handle, nil)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				began := time.Now()
				var out any
				_, err := c.Do(ctx, create(), &out)
				if e := wantKind(t, err,
					providers.KindCanceled); !e.MayHaveHappened || time.Since(began) != time.Second {
					t.Errorf("error = %+v after %v", e, time.Since(began))
				}
			})
		})
	}
	t.Run("before anything", func(t *testing.T) {
		c := newTestClient(t, "http://127.0.0.1:1", nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Do(ctx, create(), nil)
		if e := wantKind(t, err, providers.KindCanceled); e.MayHaveHappened {
			t.Errorf("error = %+v", e)
		}
	})
}

// A body that is only waited for out of politeness holds nobody up.
func TestSparedBodies(t *testing.T) {
	for _, code := range []int{202, 404} {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(code)
				trickle(w, strings.Repeat("x", 1000), 300*ms)
			}, func(cfg *Config) { cfg.ErrorCode = func(int, []byte) string { return "code" } })
			began := time.Now()
			_, err := c.Do(t.Context(), create(), nil)
			if code == 404 {
				wantKind(t, err, providers.KindNotFound)
			} else if err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%d took %v", code, took)
			}
		})
	}
}

// Some servers stop working when the client hangs up on an answer that it does not read.
func TestUnreadBodiesAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finished := false
		c := piped(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(202)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(time.Second):
				finished = true
			case <-r.Context().Done():
			}
		}, nil)
		if _, err := c.Do(t.Context(), create(), nil); err != nil || !finished {
			t.Errorf("Do: %v, finished %v", err, finished)
		}
	})
}
