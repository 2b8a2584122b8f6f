package finoos

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
)

func timed(c *clock) func(*Config, *providers.Deps) {
	return func(_ *Config, d *providers.Deps) { d.Clock = c.Now }
}

func TestOneLoginForMany(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := p.Accounts.ListAccounts(testContext(), testRef); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if sent := f.only("authenticate"); !sameJSON(t, sent.body, `{"name": "`+testName+`", "secret": "`+testSecret+`"}`) {
		t.Errorf("sent %s", sent.body)
	}
	if err := p.Session.Check(context.Background()); err != nil {
		t.Error(err)
	}
	f.only("authenticate")
}

// How long tokens live, by the clock: the access token 300 seconds, the refresh token 1800 less the skew.
func TestTokensAreRefreshedWhileTheyCan(t *testing.T) {
	for _, c := range []struct {
		name                   string
		pass                   time.Duration
		authenticated, renewed int
	}{
		{"alive", 200 * time.Second, 1, 0},
		{"ended", 301 * time.Second, 1, 1},
		{"just before the refresh token ends", 1769 * time.Second, 1, 1},
		{"the refresh token is too old", 1771 * time.Second, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, now := newFake(t), newClock()
			p := f.provider(timed(now))
			if err := p.Users.DeleteUser(testContext(), testUser); err != nil {
				t.Fatal(err)
			}
			now.advance(c.pass)
			if err := p.Users.DeleteUser(testContext(), testUser); err != nil {
				t.Fatal(err)
			}
			if a, r := len(f.asked("authenticate")), len(f.asked("refresh")); a != c.authenticated || r != c.renewed {
				t.Errorf("authenticated %d times, refreshed %d times", a, r)
			}
			for _, sent := range f.asked("refresh") {
				if !sameJSON(t, sent.body,
					`{"name": "`+testName+`", "secret": "`+testSecret+`", "refreshToken": "refresh-1"}`) {
					t.Errorf("sent %s", sent.body)
				}
			}
		})
	}
}

func TestAFailedRefreshLeadsToAuthenticating(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 409, 429, 500, 503, 200} {
		f, now := newFake(t), newClock()
		p := f.provider(timed(now))
		if err := p.Session.Check(testContext()); err != nil {
			t.Fatal(err)
		}
		f.answer("refresh", status, `{}`) // 200 without a token is no token either
		now.advance(301 * time.Second)
		if err := p.Users.DeleteUser(testContext(), testUser); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		if a, r := len(f.asked("authenticate")), len(f.asked("refresh")); a != 2 || r != 1 {
			t.Errorf("%d: authenticated %d times, refreshed %d times", status, a, r)
		}
	}
}

// When the client is closed, a refresh that fails for it is not followed by another request.
func TestAnEndedRefreshIsTheEnd(t *testing.T) {
	f, now := newFake(t), newClock()
	p := f.provider(timed(now))
	if err := p.Session.Check(testContext()); err != nil {
		t.Fatal(err)
	}
	asked, left := make(chan struct{}), make(chan struct{})
	f.handle("refresh", func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(left)
	})
	now.advance(301 * time.Second)
	failed := make(chan error)
	go func() { failed <- p.Session.Check(testContext()) }()
	<-asked
	p.Session.(*adapter).Close()
	var ended *providers.Error
	if err := <-failed; !errors.As(err, &ended) || ended.Operation != "refresh" {
		t.Errorf("%v", err)
	}
	<-left
	f.only("authenticate")
}

func TestTokensWithoutALifeAreUsedOnce(t *testing.T) {
	for _, life := range []string{
		`"expiresIn": 0, "refreshExpiresIn": 0`, `"other": 1`, `"expiresIn": null`, `"expiresIn": -5`,
	} {
		f := newFake(t)
		f.life = life
		p := f.provider()
		for range 3 {
			if err := p.Users.DeleteUser(testContext(), testUser); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(f.asked("authenticate")); n != 3 {
			t.Errorf("%s: authenticated %d times", life, n)
		}
	}
}

func TestLivesComeInManyShapes(t *testing.T) {
	for _, life := range []string{
		`"expiresIn": 300.0, "refreshExpiresIn": 1.8e3`, `"expiresIn": "300", "refreshExpiresIn": "1800"`,
		`"expiresIn": 9223372036854775807`,
	} {
		f := newFake(t)
		f.life = life
		p := f.provider()
		for range 3 {
			if err := p.Users.DeleteUser(testContext(), testUser); err != nil {
				t.Fatal(err)
			}
		}
		f.only("authenticate")
	}
}

func TestARefusedTokenLeadsToOneLoginAndOneReplay(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	if err := p.Session.Check(testContext()); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.access = "revoked"
	f.mu.Unlock()
	if _, err := p.Users.CreateUser(testContext(), providers.NewUser{Type: 1}); err != nil {
		t.Fatal(err)
	}
	if a, r, c := len(f.asked("authenticate")), len(f.asked("refresh")), len(f.asked("create_user")); a != 2 ||
		r != 0 || c != 2 {
		t.Errorf("authenticated %d times, refreshed %d times, created %d times", a, r, c)
	}
}

func TestBadCredentials(t *testing.T) {
	for status, kind := range map[int]providers.ErrorKind{
		400: providers.KindCredentials, 401: providers.KindCredentials, 403: providers.KindCredentials,
		404: providers.KindUnavailable, 409: providers.KindConflict, // 404 is not about what was asked for
		429: providers.KindRateLimited, 500: providers.KindUnavailable, 502: providers.KindUnavailable,
		503: providers.KindUnavailable, 504: providers.KindUnavailable,
	} {
		f := newFake(t)
		f.handle("authenticate", func(w http.ResponseWriter, _ *http.Request) { refuse(w, status, "someCode") })
		p := f.provider()
		if err := p.Session.Check(testContext()); providers.KindOf(err) != kind {
			t.Errorf("%d: %v", status, err)
		}
		if err := p.Users.DeleteUser(testContext(), testUser); err == nil || len(f.asked("delete_user")) != 0 {
			t.Errorf("%d: called without a token: %v", status, err)
		}
	}
}

func TestALoginWithoutATokenIsInvalid(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"accessToken": ""}`, `{"accessToken": {}}`, `[]`, ``, `{"accessToken": "a", "expiresIn": "soon"}`,
		`{"accessToken": "a", "expiresIn": 1e999}`,
	} {
		f := newFake(t)
		f.answer("authenticate", 200, body)
		if err := f.provider().Session.Check(testContext()); providers.KindOf(err) != providers.KindInvalidResponse {
			t.Errorf("%s: %v", body, err)
		}
	}
}
