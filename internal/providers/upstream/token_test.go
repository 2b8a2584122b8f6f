package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/providers"
)

func TestLoginStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{life: time.Hour, login: func(int32) (*http.Response, error) {
			time.Sleep(time.Second)
			return nil, nil
		}}
		c := b.client(t, nil, func(cfg *Config) { cfg.Policy.MaxConcurrent = 1000 })
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var failed atomic.Int32
		wg.Go(func() {
			_, err := c.Do(first, get("1"), nil)
			wantKind(t, err, providers.KindCanceled)
		})
		synctest.Wait()
		for range 999 {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
					failed.Add(1)
				}
			})
		}
		time.Sleep(100 * ms)
		leave()
		wg.Wait()
		if b.logins.Load() != 1 || failed.Load() != 0 {
			t.Errorf("%d logins, %d failures", b.logins.Load(), failed.Load())
		}
	})
}

func TestWaitersLeaveOnTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{life: time.Hour, login: func(int32) (*http.Response, error) {
			time.Sleep(10 * time.Second)
			return nil, nil
		}}
		c := b.client(t, nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.Do(ctx, create(), nil)
		if e := wantKind(t, err, providers.KindDeadline); e.MayHaveHappened || time.Since(began) != time.Second {
			t.Errorf("error = %+v after %v", e, time.Since(began))
		}
		if err := c.Check(t.Context()); err != nil || b.logins.Load() != 1 {
			t.Errorf("Check: %v, %d logins", err, b.logins.Load())
		}
	})
}

func TestTokensAreRenewedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		var slow atomic.Bool
		b := &bank{life: 100 * time.Second}
		b.login = func(int32) (*http.Response, error) {
			if slow.Load() {
				time.Sleep(5 * time.Second)
			}
			return nil, nil
		}
		c := b.client(t, &seen, nil)
		began := time.Now()
		renewed := time.Duration(0)
		for range 99 {
			called := time.Now()
			if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
				t.Fatal(err)
			}
			if slow.Load() && time.Since(called) > 0 {
				t.Error("a caller waited for the renewal")
			}
			slow.Store(true)
			synctest.Wait()
			if renewed == 0 && b.logins.Load() == 2 {
				renewed = time.Since(began)
			}
			time.Sleep(time.Second)
		}
		if renewed < 75*time.Second || renewed > 86*time.Second {
			t.Errorf("renewed after %v of 100 s", renewed)
		}
		if fmt.Sprint(seen) != "[ token-1]" {
			t.Errorf("logins got the previous tokens %q", seen)
		}
		// After its end an unused token is still what the next login refreshes.
		time.Sleep(time.Hour)
		if err := c.Check(t.Context()); err != nil || fmt.Sprint(seen) != "[ token-1 token-2]" {
			t.Errorf("Check: %v, previous tokens %q", err, seen)
		}
	})
}

func TestRenewalIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shares := map[time.Duration]bool{}
		for range 20 {
			c := (&bank{life: 100 * time.Second}).client(t, nil, nil)
			if err := c.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			shares[time.Until(c.tokens.current.renew)] = true
		}
		if len(shares) < 10 {
			t.Errorf("20 clients renew at only %d different times", len(shares))
		}
	})
}

func TestFailedRenewalKeepsTheOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{life: 100 * time.Second}
		b.login = func(n int32) (*http.Response, error) {
			if n > 1 {
				return reply(503, ""), nil
			}
			return nil, nil
		}
		c := b.client(t, nil, nil)
		for range 99 {
			if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := b.logins.Load(); n < 3 || n > 6 {
			t.Errorf("%d logins in 20 s of failing", n)
		}
	})
}

func TestTokensWithoutAnEndServeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{login: func(int32) (*http.Response, error) {
			time.Sleep(time.Second)
			return nil, nil
		}}
		c := b.client(t, nil, nil)
		for round := range 3 {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if got := b.logins.Load(); got != int32(round+1) {
				t.Errorf("%d logins after %d rounds", got, round+1)
			}
		}
	})
}

func TestRefusedTokenIsReplacedOnceForAll(t *testing.T) {
	for _, request := range []Request{get("1"), put("1"), create()} {
		t.Run(request.Operation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen []string
				var done atomic.Int32
				b := &bank{life: time.Hour, handle: func(*http.Request) (*http.Response, error) {
					done.Add(1)
					return reply(200, `{}`), nil
				}}
				b.login = func(int32) (*http.Response, error) {
					time.Sleep(time.Second)
					return nil, nil
				}
				c := b.client(t, &seen, nil)
				if err := c.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				for round := range 3 {
					b.expire()
					var wg sync.WaitGroup
					for range 100 {
						wg.Go(func() {
							if _, err := c.Do(t.Context(), request, nil); err != nil {
								t.Error(err)
							}
						})
					}
					wg.Wait()
					if b.logins.Load() != int32(round+2) || done.Load() != int32(100*(round+1)) {
						t.Errorf("round %d: %d logins, %d done", round, b.logins.Load(), done.Load())
					}
				}
				if fmt.Sprint(seen) != "[   ]" {
					t.Errorf("a login got a refused token to refresh: %q", seen)
				}
			})
		})
	}
}

// A 401 for a token that has been replaced meanwhile must not end the new one.
func TestLateRefusalSparesTheNewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{life: time.Hour}
		c := b.client(t, nil, nil)
		old, err := c.tokens.get(t.Context(), "get")
		if err != nil {
			t.Fatal(err)
		}
		b.expire()
		if _, err := c.Do(t.Context(), get("1"), nil); err != nil {
			t.Fatal(err)
		}
		if !c.tokens.refused(old, "get", false) {
			t.Error("no replay for the late one")
		}
		if _, err := c.Do(t.Context(), get("1"), nil); err != nil || b.logins.Load() != 2 {
			t.Errorf("%v, %d logins", err, b.logins.Load())
		}
	})
}

func TestSecondRefusalIsCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused, good atomic.Int32
		b := &bank{life: time.Hour, handle: func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/v1/others" {
				good.Add(1)
				return reply(200, `{}`), nil
			}
			refused.Add(1)
			return reply(401, canary), nil
		}}
		c := b.client(t, nil, nil)
		_, err := c.Do(t.Context(), create(), nil)
		if e := wantKind(t, err,
			providers.KindCredentials); e.Status != 401 || e.MayHaveHappened || e.Operation != "create" {
			t.Errorf("error = %+v", e)
		}
		if b.logins.Load() != 2 || refused.Load() != 2 {
			t.Errorf("%d logins, %d requests, want one replay after one login", b.logins.Load(), refused.Load())
		}
		// One operation that is never let in must neither make us log in for each call nor stop the others.
		for range 100 {
			_, err := c.Do(t.Context(), create(), nil)
			wantKind(t, err, providers.KindCredentials)
			if _, err := c.Do(t.Context(), Request{Operation: "other"}, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * ms)
		}
		if n := b.logins.Load(); n > 4 || good.Load() != 100 {
			t.Errorf("%d logins in 10 s, %d good calls", n, good.Load())
		}
	})
}

// An error before anybody looked at the token is no acceptance of it.
func TestServerErrorsAcceptNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		b := &bank{life: time.Hour, handle: func(r *http.Request) (*http.Response, error) {
			if n.Add(1)%2 == 0 {
				return reply(503, ""), nil
			}
			return reply(401, ""), nil
		}}
		c := b.client(t, nil, nil)
		for i := range 100 {
			c.Do(t.Context(),
				[]Request{put("1"), create(), {Operation: "delete", Path: map[string]string{"id": "1"}}}[i%3], nil)
			time.Sleep(50 * ms)
		}
		if n := b.logins.Load(); n > 3 {
			t.Errorf("%d logins in 5 s", n)
		}
	})
}

// A provider that lets nobody in although its login works must not be logged in at for each call, whatever the
// operation.
func TestWorthlessTokensAreNotFetchedForEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{life: time.Hour, handle: func(*http.Request) (*http.Response, error) { return reply(401, ""), nil }}
		c := b.client(t, nil, nil)
		for i := range 100 {
			_, err := c.Do(t.Context(), []Request{get("1"), put("1"), create(), {Operation: "other"}}[i%4], nil)
			wantKind(t, err, providers.KindCredentials)
			time.Sleep(100 * ms)
		}
		if n := b.logins.Load(); n > 5 {
			t.Errorf("%d logins in 10 s", n)
		}
	})
}

func TestLoginFailures(t *testing.T) {
	for name, test := range map[string]struct {
		answer func() (*http.Response, error)
		kind   providers.ErrorKind
		status int
		logins int32
	}{
		"400":        {status(400), providers.KindCredentials, 400, 4},
		"401":        {status(401), providers.KindCredentials, 401, 4},
		"403":        {status(403), providers.KindCredentials, 403, 4},
		"404":        {status(404), providers.KindUnavailable, 404, 4}, // it is not what was asked for that is missing
		"429":        {status(429, "Retry-After", "7"), providers.KindRateLimited, 429, 3},
		"503":        {status(503), providers.KindUnavailable, 503, 4},
		"connection": {broken, providers.KindUnavailable, 0, 4},
		"malformed": {
			func() (*http.Response, error) { return reply(200, canary), nil }, providers.KindInvalidResponse, 200, 4,
		},
		"no token": {
			func() (*http.Response, error) { return reply(200, `{}`), nil }, providers.KindInvalidResponse, 0, 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bank{life: time.Hour, login: func(int32) (*http.Response, error) { return test.answer() }}
				c := b.client(t, nil, nil)
				// Twenty callers a second for 20 s, all told at once.
				for range 400 {
					began := time.Now()
					_, err := c.Do(t.Context(), create(), nil)
					e := wantKind(t, err, test.kind)
					if e.Status != test.status || e.MayHaveHappened || time.Since(began) != 0 {
						t.Fatalf("error = %+v after %v", e, time.Since(began))
					}
					time.Sleep(50 * ms)
				}
				if n := b.logins.Load(); n != test.logins {
					t.Errorf("%d logins in 20 s, want %d", n, test.logins)
				}
				if c.budget.balance != budgetStart {
					t.Error("logins earned retries")
				}
				// It works again at the first login after the trouble.
				b.login = nil
				time.Sleep(8 * time.Second)
				if _, err := c.Do(t.Context(), create(), nil); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestHangingLoginIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, "http://localhost", func(cfg *Config) {
			cfg.Transport = transport(hang)
			cfg.Authorize = func(http.Header, string) {}
			cfg.Login = func(ctx context.Context, c *Client, _ *Token) (Token, error) {
				_, err := c.Do(ctx, Request{Operation: "login", NoAuth: true}, nil)
				return Token{}, err
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		_, err := c.Do(ctx, get("1"), nil)
		wantKind(t, err, providers.KindUnavailable)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("gave up after %v", took)
		}
	})
}

func TestLoginFuncMisbehaves(t *testing.T) {
	fails := func(kind providers.ErrorKind) LoginFunc {
		return func(context.Context, *Client, *Token) (Token, error) {
			return Token{}, &providers.Error{
				Kind: kind, Provider: "testbank", Operation: "login", MayHaveHappened: true,
			}
		}
	}
	for name, test := range map[string]struct {
		login LoginFunc
		kind  providers.ErrorKind
	}{
		"panics": {
			func(context.Context, *Client, *Token) (Token, error) { panic(canary) }, providers.KindInternal,
		},
		"returns an error": {
			func(context.Context, *Client, *Token) (Token, error) { return Token{}, errors.New(canary) },
			providers.KindInternal,
		},
		"bad header": {
			func(context.Context, *Client, *Token) (Token, error) { return Token{Value: canary + "\n"}, nil },
			providers.KindInternal,
		},
		// Nothing was sent for the caller, and it was not the caller's deadline.
		"may have happened": {fails(providers.KindUnavailable), providers.KindUnavailable},
		"deadline":          {fails(providers.KindDeadline), providers.KindUnavailable},
		"canceled":          {fails(providers.KindCanceled), providers.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int32
			c := down(t, &sent, func(*http.Request) (*http.Response, error) { return reply(200, `{}`), nil },
				func(cfg *Config) {
					cfg.Login = test.login
					cfg.Authorize = func(h http.Header, token string) { h.Set("Authorization", token) }
				})
			_, err := c.Do(t.Context(), create(), nil)
			if e := wantKind(t, err, test.kind); e.MayHaveHappened || sent.Load() != 0 {
				t.Errorf("error = %+v, %d sent", e, sent.Load())
			}
		})
	}
}

func TestCloseEndsTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bank{
			life: time.Hour, handle: func(*http.Request) (*http.Response, error) { return reply(200, `{}`), nil },
		}
		started := make(chan struct{})
		c := b.client(t, nil, func(cfg *Config) {
			cfg.Login = func(ctx context.Context, _ *Client, _ *Token) (Token, error) {
				close(started)
				<-ctx.Done()
				return Token{}, ctx.Err()
			}
		})
		done := make(chan error)
		go func() { done <- c.Check(t.Context()) }()
		<-started
		began := time.Now()
		c.Close()
		if err := <-done; err == nil || time.Since(began) != 0 {
			t.Errorf("Check: %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		wantKind(t, c.Check(t.Context()), providers.KindUnavailable)
	})
}

func TestNoLoginNoToken(t *testing.T) {
	var sent atomic.Int32
	c := down(t, &sent, func(r *http.Request) (*http.Response, error) { return reply(401, ""), nil }, nil)
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	_, err := c.Do(t.Context(), get("1"), nil)
	wantKind(t, err, providers.KindCredentials)
	if sent.Load() != 1 {
		t.Errorf("%d sent", sent.Load())
	}
}

func TestTokensStayOutOfLogsAndErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := &bank{
			life: time.Hour, handle: func(*http.Request) (*http.Response, error) { return reply(401, "token-1"), nil },
		}
		c := b.client(t, nil, func(cfg *Config) {
			cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		_, err := c.Do(t.Context(), get("1"), nil)
		if text := log.String() + fmt.Sprintf("%+v",
			asError(t, err)); strings.Contains(text, "token-") || !strings.Contains(text, "status=401") {
			t.Error(text)
		}
	})
}
