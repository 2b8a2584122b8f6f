package upstream

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/providers"
)

// usually makes a client of a provider that answers in a time, until it hangs, and lets some calls tell how long that
// takes.
func usually(t *testing.T, sent *atomic.Int32, takes time.Duration) (c *Client, hangs *atomic.Bool) {
	t.Helper()
	hangs = &atomic.Bool{}
	c = down(t, sent, func(r *http.Request) (*http.Response, error) {
		if hangs.Load() {
			return hang(r)
		}
		time.Sleep(takes)
		return reply(200, `{}`), nil
	}, nil)
	if takes > 0 {
		for range 5 {
			if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
				t.Fatal(err)
			}
		}
		sent.Store(0)
	}
	return c, hangs
}

// load lets callers come at a rate for a time, each with a deadline, and counts how many are refused at once.
func load(t *testing.T, c *Client, perSecond int, lasts, deadline time.Duration) (refused int32) {
	t.Helper()
	var atOnce atomic.Int32
	var callers sync.WaitGroup
	for range int(lasts/time.Second) * perSecond {
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			began := time.Now()
			if _, err := c.Do(ctx, get("1"), nil); err != nil && time.Since(began) == 0 {
				atOnce.Add(1)
			}
		})
		time.Sleep(time.Second / time.Duration(perSecond))
	}
	callers.Wait()
	return atOnce.Load()
}

// A provider that hangs is cut off although its callers give up before its own limits are over. A caller in a hurry
// cuts off nobody: the provider must have had its fair time.
func TestHangingProvidersAreCutOff(t *testing.T) {
	for name, test := range map[string]struct {
		takes, deadline time.Duration
		opens           bool
	}{
		"fast, callers wait longer":              {20 * ms, 500 * ms, true},
		"fast, callers wait for a little longer": {20 * ms, 260 * ms, true},
		"fast, callers are in a hurry":           {20 * ms, 240 * ms, false},
		"slow, callers wait longer":              {400 * ms, 1700 * ms, true},
		"slow, callers are in a hurry":           {400 * ms, 1500 * ms, false},
		"unknown, callers wait longer":           {0, 1100 * ms, true},
		"unknown, callers are in a hurry":        {0, 900 * ms, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int32
				c, hangs := usually(t, &sent, test.takes)
				hangs.Store(true)
				const rate, lasts = 60, 20
				refused := load(t, c, rate, lasts*time.Second, test.deadline)
				// It takes 100 failures to open; then there are three probes in five seconds.
				most := int32(100+rate*int(test.deadline/time.Second+1)) + 3*(lasts/5)
				switch {
				case test.opens && (sent.Load() > most || refused < rate*lasts/2):
					t.Errorf("%d of %d calls were sent, %d refused; want at most %d to be sent", sent.Load(),
						rate*lasts, refused, most)
				case !test.opens && sent.Load() != rate*lasts:
					t.Errorf("%d of %d calls were sent", sent.Load(), rate*lasts)
				}
			})
		})
	}
}

// One that is well again is asked again, and one that has only become slow is not cut off for good.
func TestProvidersComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		c, hangs := usually(t, &sent, 20*ms)
		hangs.Store(true)
		load(t, c, 100, 5*time.Second, 500*ms)
		if c.breaker.state() != providers.BreakerOpen {
			t.Fatalf("the breaker is %s", c.breaker.state())
		}
		hangs.Store(false)
		time.Sleep(6 * time.Second)
		refused := load(t, c, 100, 2*time.Second, 500*ms)
		if refused > 0 || c.breaker.state() != providers.BreakerClosed {
			t.Errorf("%d are refused, the breaker is %s", refused, c.breaker.state())
		}
	})
}

// Callers over HTTP have no deadline that the gateway knows of: they hang up.
func TestCallersWhoHangUpCountAsThoseWhoseTimeIsUp(t *testing.T) {
	for wait, want := range map[time.Duration]providers.BreakerState{
		100 * ms: providers.BreakerClosed, time.Second: providers.BreakerOpen,
	} {
		synctest.Test(t, func(t *testing.T) {
			var sent atomic.Int32
			c, hangs := usually(t, &sent, 20*ms)
			hangs.Store(true)
			var callers sync.WaitGroup
			for range 150 {
				callers.Go(func() {
					ctx, hangUp := context.WithCancel(t.Context())
					time.AfterFunc(wait, hangUp)
					_, err := c.Do(ctx, get("1"), nil)
					wantKind(t, err, providers.KindCanceled)
				})
			}
			callers.Wait()
			if got := c.breaker.state(); got != want {
				t.Errorf("after callers who waited for %s the breaker is %s", wait, got)
			}
		})
	}
}

// Bodies that do not come count like headers that do not; the time that a consumer takes does not.
func TestBodiesHaveTheirFairTime(t *testing.T) {
	for name, test := range map[string]struct {
		call  func(context.Context, *Client) error
		opens bool
	}{
		"a body that trickles": {func(ctx context.Context, c *Client) error {
			var out any
			_, err := c.Do(ctx, get("1"), &out)
			return err
		}, true},
		"a consumer that takes its time": {func(ctx context.Context, c *Client) error {
			_, err := c.Stream(ctx, get("1"), func(*jsonread.Decoder) error {
				<-ctx.Done()
				return ctx.Err()
			})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := piped(t, func(w http.ResponseWriter, _ *http.Request) {
					trickle(w, `"`+strings.Repeat("a", 1000), time.Second)
				}, nil)
				var callers sync.WaitGroup
				for range 150 {
					callers.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
						defer cancel()
						wantKind(t, test.call(ctx, c), providers.KindDeadline)
					})
				}
				callers.Wait()
				if opened := c.breaker.state() == providers.BreakerOpen; opened != test.opens {
					t.Errorf("the breaker is %s", c.breaker.state())
				}
			})
		})
	}
}

// Refusals are fast, and tell nothing of how long answers take.
func TestPaceIsThatOfAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := true
		c := newTestClient(t, "http://localhost", func(cfg *Config) {
			cfg.Transport = transport(func(*http.Request) (*http.Response, error) {
				if well {
					time.Sleep(time.Second)
					return reply(200, `{}`), nil
				}
				return reply(404, ""), nil
			})
		})
		for _, well = range []bool{true, false, false, false} {
			_, _ = c.Do(t.Context(), get("1"), nil)
		}
		if fair := c.pace.fair("get", 10*time.Second); fair != 4*time.Second {
			t.Errorf("the fair time is %s", fair)
		}
		if fair := c.pace.fair("other", 10*time.Second); fair != time.Second {
			t.Errorf("that of another operation is %s", fair)
		}
	})
}

// Whoever finds too many callers fails at once, and nothing is sent; a login is not held up by them.
func TestTooManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{life: time.Hour, handle: hang}
		c := b.client(t, nil, func(cfg *Config) { cfg.Policy.MaxConcurrent, cfg.Policy.MaxCallers = 2, 5 })
		ctx, leave := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 5 {
			callers.Go(func() { _, _ = c.Do(ctx, get("1"), nil) })
		}
		synctest.Wait()
		began := time.Now()
		for _, request := range []Request{get("1"), create()} {
			_, err := c.Do(t.Context(), request, nil)
			e := wantKind(t, err, providers.KindUnavailable)
			if e.MayHaveHappened || e.RetryAfter != time.Second || time.Since(began) != 0 {
				t.Errorf("error = %+v after %v", e, time.Since(began))
			}
		}
		if _, err := c.Do(t.Context(), Request{Operation: "login", NoAuth: true}, nil); err != nil {
			t.Errorf("a login: %v", err)
		}
		leave()
		callers.Wait()
		b.handle = nil
		if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
			t.Errorf("once they have left: %v", err)
		}
	})
}

// What is asked in the background and told to wait fails at once: its caller holds back all else that it would ask.
func TestBackgroundCallsDoNotSleepOutAWait(t *testing.T) {
	for _, code := range []int{429, 503} {
		synctest.Test(t, func(t *testing.T) {
			var sent atomic.Int32
			c := newTestClient(t, "http://localhost", func(cfg *Config) {
				cfg.Transport = scripted(&sent, status(code, "Retry-After", "1"), status(500))
			})
			background := providers.WithCall(t.Context(), providers.Call{Background: true})
			began := time.Now()
			_, err := c.Do(background, get("1"), nil)
			if e := asError(t, err); e.RetryAfter != time.Second || sent.Load() != 1 || time.Since(began) != 0 {
				t.Errorf("error = %+v after %d requests and %v", e, sent.Load(), time.Since(began))
			}
			// A blip is retried all the same.
			if _, err := c.Do(background, get("1"), nil); err != nil || sent.Load() != 3 {
				t.Errorf("after a blip: %v, %d requests", err, sent.Load())
			}
		})
	}
}
