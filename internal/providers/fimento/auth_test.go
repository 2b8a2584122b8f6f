package fimento

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
)

var noon = time.Date(2024, 1, 12, 12, 0, 0, 0, time.UTC)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestOddity8ValidUntil(t *testing.T) {
	hour := noon.Add(time.Hour)
	for written, want := range map[string]time.Time{
		fmt.Sprint(hour.UnixMilli()):            hour,
		fmt.Sprint(hour.Unix()):                 hour,
		fmt.Sprint(hour.Unix()) + ".0":          hour,
		"1.7050644e9":                           time.Unix(1705064400, 0),
		"3600":                                  hour,
		"0.5":                                   noon.Add(500 * time.Millisecond),
		"1000000000":                            noon.Add(1e9 * time.Second), // not over 1e9
		"2024-01-12T13:00:00Z":                  hour,
		"2024-01-12T14:00:00.000+01:00":         hour,
		"0":                                     {},
		"-1":                                    {},
		fmt.Sprint(noon.Add(-time.Hour).Unix()): {}, // past
		fmt.Sprint(noon.UnixMilli()):            {}, // now
		"":                                      {},
		"soon":                                  {},
		"NaN":                                   {},
		"1e300":                                 time.UnixMilli(1e15),
	} {
		if got := expiryOf(text(written), noon); !got.Equal(want) {
			t.Errorf("%q ends %s, want %s", written, got, want)
		}
	}
}

func TestOneLoginForMany(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := operations["get_process"](t.Context(), p); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	f.only("login")
}

func TestTokensExpire(t *testing.T) {
	for validUntil, lives := range map[string]time.Duration{
		"3600":                              time.Hour,
		fmt.Sprint(noon.Unix() + 1800):      30 * time.Minute,
		fmt.Sprint(noon.UnixMilli() + 60e3): time.Minute,
		`"2024-01-12T12:10:00.000+00:00"`:   10 * time.Minute,
	} {
		f := newFake(t)
		f.validUntil = validUntil
		c := &clock{now: noon}
		p := f.provider(func(_ *Config, d *providers.Deps) { d.Clock = c.Now })
		call := func() {
			t.Helper()
			if err := operations["get_process"](t.Context(), p); err != nil {
				t.Error(err)
			}
		}
		call()
		c.advance(lives / 2)
		call()
		if got := len(f.seen("login")); got != 1 {
			t.Errorf("valid_until %s: %d logins before the end", validUntil, got)
		}
		c.advance(lives / 2)
		call()
		if got := len(f.seen("login")); got != 2 {
			t.Errorf("valid_until %s: %d logins after the end", validUntil, got)
		}
	}
}

func TestOddity8ATokenThatIsNotToBeCached(t *testing.T) {
	for _, validUntil := range []string{"0", "-5", "null", fmt.Sprint(time.Now().Add(-time.Hour).Unix())} {
		f := newFake(t)
		f.validUntil = validUntil
		p := f.provider()
		for range 3 {
			if err := operations["get_process"](t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(f.seen("login")); got != 3 {
			t.Errorf("valid_until %s: %d logins for 3 calls", validUntil, got)
		}
	}
}

// A 401 means one fresh login and one replay, also for a write: it says that nothing was done.
func TestOddity8ARefusedToken(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	if err := p.Session.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.expire()
	if err := operations["create_process"](t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if logins, calls := len(f.seen("login")), f.seen("create_process"); logins != 2 || len(calls) != 2 ||
		calls[0].Raw != calls[1].Raw {
		t.Errorf("there were %d logins and %d calls", logins, len(calls))
	}

	f = newFake(t)
	f.fail("create_process", 401)
	got := errorOf(t, operations["create_process"](t.Context(), f.provider()))
	if got.Kind != providers.KindCredentials || got.MayHaveHappened {
		t.Errorf("the error is %+v", got)
	}
	if logins, calls := len(f.seen("login")), len(f.seen("create_process")); logins != 2 || calls != 2 {
		t.Errorf("there were %d logins and %d calls, want two each", logins, calls)
	}
}

func TestCheckAsksOnce(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	for range 3 {
		if err := p.Session.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.only("login")
	if state := p.Session.Health().State.String(); state != "HEALTHY" {
		t.Errorf("it is %s", state)
	}
}

func TestACallerWhoLeaves(t *testing.T) {
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := errorOf(t, operations["get_process"](ctx, f.provider())); got.Kind != providers.KindCanceled {
		t.Errorf("the error is %+v", got)
	}
}
