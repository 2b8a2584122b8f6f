package upstream

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/providers"
)

// scripted answers the first requests by script and all later ones with 200, and counts.
func scripted(sent *atomic.Int32, script ...func() (*http.Response, error)) transport {
	return func(*http.Request) (*http.Response, error) {
		if n := int(sent.Add(1)); n <= len(script) {
			return script[n-1]()
		}
		return reply(200, `{}`), nil
	}
}

func status(code int, header ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) { return reply(code, `{"message":"`+canary+`"}`, header...), nil }
}

func broken() (*http.Response, error) { return nil, errRefused }

func TestRetries(t *testing.T) {
	read, write := get("1"), create()
	for name, test := range map[string]struct {
		request Request
		script  []func() (*http.Response, error)
		sent    int32
		fails   bool
		least   time.Duration // for all pauses together
		most    time.Duration
	}{
		"500":        {read, fs(status(500)), 2, false, 50 * ms, 100 * ms},
		"502":        {read, fs(status(502)), 2, false, 50 * ms, 100 * ms},
		"503":        {read, fs(status(503)), 2, false, 50 * ms, 100 * ms},
		"504":        {read, fs(status(504)), 2, false, 50 * ms, 100 * ms},
		"connection": {read, fs(broken), 2, false, 50 * ms, 100 * ms},
		"a POST that reads": {
			Request{Operation: "search", Body: 1}, fs(status(500)), 2, false, 50 * ms, 100 * ms,
		},
		"twice":                       {read, fs(status(500), broken), 3, false, 150 * ms, 300 * ms},
		"three times is too often":    {read, fs(status(500), broken, status(503)), 3, true, 150 * ms, 300 * ms},
		"501":                         {read, fs(status(501)), 1, true, 0, 0},
		"400":                         {read, fs(status(400)), 1, true, 0, 0},
		"404":                         {read, fs(status(404)), 1, true, 0, 0},
		"429":                         {read, fs(status(429)), 1, true, 0, 0},
		"429 with Retry-After":        {read, fs(status(429, "Retry-After", "3")), 2, false, 3050 * ms, 3100 * ms},
		"429 with a late Retry-After": {read, fs(status(429, "Retry-After", "60")), 1, true, 0, 0},
		"503 with Retry-After":        {read, fs(status(503, "Retry-After", "3")), 2, false, 3050 * ms, 3100 * ms},
		"503 with a late Retry-After": {read, fs(status(503, "Retry-After", "60")), 1, true, 0, 0},
		"malformed": {
			read, fs(func() (*http.Response, error) { return reply(200, `{`), nil }), 1, true, 0, 0,
		},
		"creating, 503":          {write, fs(status(503)), 1, true, 0, 0},
		"creating, connection":   {write, fs(broken), 1, true, 0, 0},
		"creating, 429":          {write, fs(status(429, "Retry-After", "1")), 1, true, 0, 0},
		"idempotent, 503":        {put("1"), fs(status(503)), 1, true, 0, 0},
		"idempotent, connection": {put("1"), fs(broken), 1, true, 0, 0},
		"login": {
			Request{Operation: "get", Path: read.Path, NoAuth: true}, fs(status(503)), 1, true, 0, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int32
				c := newTestClient(t, "http://localhost",
					func(cfg *Config) { cfg.Transport = scripted(&sent, test.script...) })
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				began := time.Now()
				var out any
				_, err := c.Do(ctx, test.request, &out)
				if (err != nil) != test.fails || sent.Load() != test.sent {
					t.Errorf("err = %v after %d requests, want %d requests", err, sent.Load(), test.sent)
				}
				if took := time.Since(began); took < test.least || took > test.most {
					t.Errorf("paused %v, want %v to %v", took, test.least, test.most)
				}
			})
		})
	}
}

const ms = time.Millisecond

func fs(f ...func() (*http.Response, error)) []func() (*http.Response, error) { return f }

func TestRetriesStopWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		c := newTestClient(t, "http://localhost", func(cfg *Config) {
			cfg.Transport = scripted(&sent, status(500), status(500))
			cfg.Policy.MinBackoff = time.Second
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*ms, cancel)
		_, err := c.Do(ctx, get("1"), nil)
		wantKind(t, err, providers.KindCanceled)

		// A pause that does not fit is not begun.
		ctx, cancel = context.WithTimeout(t.Context(), 400*ms)
		defer cancel()
		began := time.Now()
		_, err = c.Do(ctx, get("1"), nil)
		wantKind(t, err, providers.KindUnavailable)
		if sent.Load() != 2 || time.Since(began) != 0 {
			t.Errorf("%d requests, %v", sent.Load(), time.Since(began))
		}
	})
}

// brownout sends reads from many callers at a provider that answers a share of them with 503 and lets a share hang. It
// gives how many requests were sent, how many of them were answered well, and how many calls succeeded.
func brownout(t *testing.T, calls, callers int, failing, hanging float64) (sent, well, succeeded int) {
	random := seeded(t)
	var mu sync.Mutex
	c := newTestClient(t, "http://localhost", func(cfg *Config) {
		cfg.Transport = transport(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			sent++
			dice := random.Float64()
			if dice >= failing+hanging {
				well++
			}
			mu.Unlock()
			time.Sleep(20 * ms)
			switch {
			case dice < failing:
				return reply(503, ""), nil
			case dice < failing+hanging:
				return hang(r)
			default:
				return reply(200, `{}`), nil
			}
		})
	})
	var wg sync.WaitGroup
	todo := atomic.Int32{}
	for range callers {
		wg.Go(func() {
			for int(todo.Add(1)) <= calls {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				var out any
				_, err := c.Do(ctx, get("1"), &out)
				cancel()
				if err == nil {
					mu.Lock()
					succeeded++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return sent, well, succeeded
}

func TestBrownout(t *testing.T) {
	t.Run("5% fail", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const calls = 5000
			sent, _, succeeded := brownout(t, calls, 20, 0.05, 0)
			if float64(succeeded) < 0.995*calls || float64(sent) > 1.10*calls {
				t.Errorf("%d of %d calls succeeded with %d requests", succeeded, calls, sent)
			}
			if sent == calls {
				t.Error("nothing was retried, so this proves nothing")
			}
		})
	})
	for _, calls := range []int{100, 1000, 5000} {
		t.Run(fmt.Sprintf("30%% fail and 10%% hang, %d calls", calls), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent, well, succeeded := brownout(t, calls, 20, 0.30, 0.10)
				if float64(sent) > 1.10*float64(calls) {
					t.Errorf("%d calls made %d requests", calls, sent)
				}
				if sent < calls || succeeded != well {
					t.Errorf("%d calls made %d requests, %d succeeded of which %d were answered well: the circuit "+
						"breaker has no business in a brownout", calls, sent, succeeded, well)
				}
			})
		})
	}
}

func TestBudgetSparesALoneBlipAndSavesNoStorm(t *testing.T) {
	b := newBudget()
	if !b.take() {
		t.Error("the first blip was not retried")
	}
	for range 100_000 {
		b.earn()
	}
	spent := 0
	for b.take() {
		spent++
	}
	if spent != budgetCap {
		t.Errorf("%d retries after a quiet time, want %d", spent, budgetCap)
	}
	b.spend()
	for range 20 {
		b.earn() // 0.6 of them pay for what was spent
	}
	if b.take() {
		t.Error("what net/http resent was not counted")
	}
}

// down makes a client whose provider answers whatever answer says, and counts.
func down(t *testing.T, sent *atomic.Int32, answer func(*http.Request) (*http.Response, error),
	change func(*Config)) *Client {
	return newTestClient(t, "http://localhost", func(cfg *Config) {
		cfg.Policy = Policy{Retries: -1}
		cfg.Transport = transport(func(r *http.Request) (*http.Response, error) {
			sent.Add(1)
			return answer(r)
		})
		if change != nil {
			change(cfg)
		}
	})
}

// trip opens the breaker of a client whose provider fails.
func trip(t *testing.T, c *Client) {
	t.Helper()
	for range 100 {
		if c.breaker.state() != providers.BreakerClosed {
			t.Fatal("the breaker opened too early")
		}
		c.Do(t.Context(), get("1"), nil)
	}
	if c.breaker.state() != providers.BreakerOpen {
		t.Fatal("the breaker did not open")
	}
}

type stateLog struct {
	noObserver
	mu  sync.Mutex
	log []providers.BreakerState
	c   *Client
}

func (l *stateLog) BreakerChanged(_ string, from, to providers.BreakerState) {
	l.c.Health() // a listener may ask
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = append(l.log, to)
}

func TestBreaker(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"503":        func(*http.Request) (*http.Response, error) { return reply(503, ""), nil },
		"connection": func(*http.Request) (*http.Response, error) { return nil, errRefused },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int32
				var well atomic.Bool
				log := &stateLog{}
				c := down(t, &sent, func(r *http.Request) (*http.Response, error) {
					if well.Load() {
						return reply(200, `{}`), nil
					}
					return answer(r)
				}, func(cfg *Config) { cfg.Observer = log })
				log.c = c
				trip(t, c)

				// Open: nothing is sent, of writes neither.
				before := sent.Load()
				c.budget.balance = 0
				for _, request := range []Request{get("1"), put("1"), create(), {Operation: "login", NoAuth: true}} {
					_, err := c.Do(t.Context(), request, nil)
					e := wantKind(t, err, providers.KindUnavailable)
					if e.MayHaveHappened || e.RetryAfter <= 0 || e.RetryAfter > 6*time.Second {
						t.Errorf("error = %+v", e)
					}
				}
				if sent.Load() != before {
					t.Error("an open breaker let a request through")
				}
				if c.budget.balance != 0 {
					t.Error("calls that were not sent earned retries")
				}

				// Half-open: failing probes open it again.
				time.Sleep(6 * time.Second)
				for range 10 {
					c.Do(t.Context(), get("1"), nil)
				}
				if got := sent.Load() - before; got != 2 || c.breaker.state() != providers.BreakerOpen {
					t.Errorf("%d probes, state %s", got, c.breaker.state())
				}

				// Good probes close it.
				well.Store(true)
				time.Sleep(6 * time.Second)
				for range 2 {
					if _, err := c.Do(t.Context(), create(), nil); err != nil {
						t.Error(err)
					}
				}
				if c.breaker.state() != providers.BreakerClosed {
					t.Errorf("state %s", c.breaker.state())
				}
				want := []providers.BreakerState{
					providers.BreakerOpen, providers.BreakerHalfOpen, providers.BreakerOpen, providers.BreakerHalfOpen,
					providers.BreakerClosed,
				}
				if fmt.Sprint(log.log) != fmt.Sprint(want) {
					t.Errorf("changes %v, want %v", log.log, want)
				}
			})
		})
	}
}

func TestBreakerCountsOurTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		c := down(t, &sent, hang, func(cfg *Config) { cfg.Limits.Call = 50 * ms })
		trip(t, c)
	})
}

func TestBreakerStaysClosed(t *testing.T) {
	for name, answer := range map[string]func(*http.Request, int32) (*http.Response, error){
		"4xx": func(*http.Request, int32) (*http.Response, error) { return reply(400, ""), nil },
		"429": func(*http.Request,
			int32) (*http.Response, error) {
			return reply(429, "", "Retry-After", "60"), nil
		},
		"malformed": func(*http.Request, int32) (*http.Response, error) { return reply(200, "<html>"), nil },
		// Single faults, one operation after the other, as a test harness injects them: each status in turn, with a
		// good call between.
		"single faults": func(_ *http.Request, n int32) (*http.Response, error) {
			if n%2 == 0 {
				return reply(200, `{}`), nil
			}
			return reply([]int{500, 502, 503, 504}[n/2%4], ""), nil
		},
		"a row of faults": func(_ *http.Request, n int32) (*http.Response, error) {
			if n%90 < 30 {
				return reply(200, `{}`), nil
			}
			return reply(503, ""), nil
		},
		"callers in a hurry": func(r *http.Request, _ int32) (*http.Response, error) { return hang(r) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int32
				c := down(t, &sent, func(r *http.Request) (*http.Response, error) { return answer(r, sent.Load()) },
					nil)
				const calls = 1000
				for range calls {
					ctx, cancel := context.WithTimeout(t.Context(), ms)
					var out any
					c.Do(ctx, get("1"), &out)
					cancel()
				}
				if sent.Load() != calls || c.breaker.state() != providers.BreakerClosed {
					t.Errorf("%d of %d sent, breaker %s", sent.Load(), calls, c.breaker.state())
				}
			})
		})
	}
	t.Run("an outage at low traffic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var sent atomic.Int32
			c := down(t, &sent, func(*http.Request) (*http.Response, error) { return reply(503, ""), nil }, nil)
			for range 1000 {
				c.Do(t.Context(), get("1"), nil)
				time.Sleep(115 * ms)
			}
			if sent.Load() != 1000 {
				t.Errorf("%d sent", sent.Load())
			}
		})
	})
	t.Run("switched off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var sent atomic.Int32
			c := down(t, &sent, func(*http.Request) (*http.Response, error) { return nil, errRefused },
				func(cfg *Config) { cfg.Policy.BreakerCalls = -1 })
			for range 1000 {
				c.Do(t.Context(), get("1"), nil)
			}
			if sent.Load() != 1000 {
				t.Errorf("%d sent", sent.Load())
			}
		})
	})
}

func TestBreakerForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		c := down(t, &sent, func(*http.Request) (*http.Response, error) { return reply(503, ""), nil }, nil)
		for range 99 {
			c.Do(t.Context(), get("1"), nil)
		}
		time.Sleep(15 * time.Second)
		c.Do(t.Context(), get("1"), nil)
		if c.breaker.state() != providers.BreakerClosed {
			t.Error("the breaker counted what is long past")
		}
	})
}

func TestBreakerLetsFewProbesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		c := down(t, &sent, func(r *http.Request) (*http.Response, error) { return hang(r) }, nil)
		setState(c.breaker, providers.BreakerHalfOpen)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { c.Do(ctx, get("1"), nil) })
		}
		synctest.Wait()
		if sent.Load() != probes {
			t.Errorf("%d probes at once", sent.Load())
		}
		cancel()
		wg.Wait()
	})
}

// An open breaker answers at once, whatever there is to wait for.
func TestOpenBreakerWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{life: time.Hour}
		c := b.client(t, nil, func(cfg *Config) { cfg.Policy.MaxConcurrent = 1 })
		if err := c.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.bulkhead.TryAcquirePermit()
		setState(c.breaker, providers.BreakerOpen)
		began := time.Now()
		_, err := c.Do(t.Context(), get("1"), nil)
		wantKind(t, err, providers.KindUnavailable)
		if took := time.Since(began); took != 0 {
			t.Errorf("answered after %v", took)
		}
	})
}

// A probe whose caller leaves, or whose consumer panics, must not keep its permit.
func TestBreakerProbesReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		answer := func(*http.Request) (*http.Response, error) { return reply(503, ""), nil }
		c := down(t, &sent, func(r *http.Request) (*http.Response, error) { return answer(r) }, nil)
		trip(t, c)
		answer = hang
		for range 5 {
			time.Sleep(6 * time.Second)
			for range probes {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(ms, cancel)
				c.Do(ctx, get("1"), nil)
			}
		}
		answer = func(*http.Request) (*http.Response, error) { return reply(200, `{}`), nil }
		time.Sleep(6 * time.Second)
		for range probes {
			func() {
				defer func() { recover() }()
				c.Stream(t.Context(), get("1"), func(*jsonread.Decoder) error { panic("consumer") })
			}()
		}
		time.Sleep(6 * time.Second)
		for range 2 {
			if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
				t.Error(err)
			}
		}
		if c.breaker.state() != providers.BreakerClosed {
			t.Errorf("state %s", c.breaker.state())
		}
	})
}

// Results of requests from before the breaker opened tell nothing about recovery.
func TestBreakerDropsLateResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		release := make(chan struct{})
		answer := func(*http.Request) (*http.Response, error) {
			<-release
			return reply(503, ""), nil
		}
		c := down(t, &sent, func(r *http.Request) (*http.Response, error) { return answer(r) }, nil)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { c.Do(t.Context(), get("1"), nil) })
		}
		synctest.Wait()
		answer = func(*http.Request) (*http.Response, error) { return reply(503, ""), nil }
		trip(t, c)
		time.Sleep(6 * time.Second)
		answer = func(*http.Request) (*http.Response, error) { return reply(200, `{}`), nil }
		c.Do(t.Context(), get("1"), nil)
		close(release)
		wg.Wait()
		if c.breaker.state() != providers.BreakerHalfOpen {
			t.Errorf("state %s: late failures were taken for probes", c.breaker.state())
		}
		c.Do(t.Context(), get("1"), nil)
		if c.breaker.state() != providers.BreakerClosed {
			t.Errorf("state %s", c.breaker.state())
		}
	})
}

func TestBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, sent atomic.Int32
		b := &bank{life: time.Hour, handle: func(*http.Request) (*http.Response, error) {
			sent.Add(1)
			if now := running.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			return reply(200, `{}`), nil
		}}
		c := b.client(t, nil, func(cfg *Config) { cfg.Policy.MaxConcurrent = 5 })
		var wg sync.WaitGroup
		var late atomic.Int32
		for i := range 20 {
			wg.Go(func() {
				patience := time.Minute
				if i >= 15 {
					patience = 500 * ms
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				began := time.Now()
				if _, err := c.Do(ctx, create(), nil); err != nil {
					if e := wantKind(t, err, providers.KindDeadline); e.MayHaveHappened && sent.Load() == 0 {
						t.Errorf("error = %+v", e)
					}
					late.Add(1)
					if time.Since(began) > patience {
						t.Errorf("left after %v", time.Since(began))
					}
				}
			})
		}
		wg.Wait()
		if most.Load() != 5 || sent.Load()+late.Load() != 20 {
			t.Errorf("%d at once, %d sent, %d late", most.Load(), sent.Load(), late.Load())
		}

		// A login finds a place when all are taken by callers that wait for it.
		b.expire()
		for range 20 {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
