package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"kontor.dev/kontor/internal/providers"
)

// tokens keeps the token of a client. There is one login at a time, under a context of its own, however many callers
// wait for it; each of them leaves when its own context ends. A token is renewed in the background at about four fifths
// of its life. After a failed login there is none for Policy.LoginBackoff; meanwhile callers get its error.
//
// A provider that refuses each token it has just issued must not make us log in for each call. So a token that came
// after a refusal and was refused in turn, before any call succeeded with it, leads to no login for the same time; nor
// does an operation that refused a fresh token, while others, which take it, go on.
type tokens struct {
	c      *Client
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	current  *lease
	last     *Token // for the next login to refresh; nil after a refusal
	refusals bool   // the next token comes after a refusal
	flight   *login
	failure  *providers.Error     // of the last login, if it failed
	retryAt  time.Time            // when the next may be tried
	stubborn map[string]time.Time // operations that refused a fresh token, and when
}

// maxLoginWait caps how long a Retry-After keeps us from logging in: without a token nothing else works.
const maxLoginWait = time.Minute

// lease is a token in use.
type lease struct {
	Token
	issued       time.Time
	renew        time.Time // by Config.Clock
	afterRefusal bool
	accepted     atomic.Bool // the provider took it at least once
}

// login is a login under way.
type login struct {
	done  chan struct{}
	lease *lease
	err   *providers.Error
}

func newTokens(c *Client) *tokens {
	t := &tokens{c: c, stubborn: map[string]time.Time{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// close ends the login under way and waits for it.
func (t *tokens) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.done.Wait()
}

// get gives a token, logging in when there is none; nil without an error when the provider needs none.
func (t *tokens) get(ctx context.Context, operation string) (*lease, *providers.Error) {
	if t.c.cfg.Login == nil {
		return nil, nil
	}
	t.mu.Lock()
	now, backingOff := t.c.cfg.Clock(), t.failure != nil && time.Now().Before(t.retryAt)
	if l := t.current; l != nil && now.Before(l.Expires) {
		if !now.Before(l.renew) && t.flight == nil && !backingOff {
			t.start()
		}
		t.mu.Unlock()
		return l, nil
	}
	if t.flight == nil && backingOff {
		err := *t.failure
		err.RetryAfter = time.Until(t.retryAt)
		t.mu.Unlock()
		return nil, &err
	}
	if t.flight == nil {
		t.start()
	}
	flight := t.flight
	t.mu.Unlock()
	if flight == nil {
		return nil, &providers.Error{
			Kind: providers.KindUnavailable, Provider: t.c.cfg.Provider, Operation: operation, Err: errClosed,
		}
	}
	select {
	case <-flight.done:
		return flight.lease, flight.err
	case <-ctx.Done():
		return nil, t.c.contextError(ctx, operation)
	}
}

// start begins a login. The lock is held.
func (t *tokens) start() {
	if t.closed {
		return
	}
	flight := &login{done: make(chan struct{})}
	t.flight = flight
	previous, afterRefusal := t.last, t.refusals
	t.done.Go(func() {
		ctx, cancel := context.WithTimeoutCause(t.ctx, t.c.cfg.Limits.Call, errCallTooLong)
		defer cancel()
		token, err := t.login(ctx, previous)
		t.mu.Lock()
		defer t.mu.Unlock()
		defer close(flight.done)
		t.flight = nil
		if err != nil {
			t.failure = t.loginError(err)
			t.retryAt = time.Now().Add(max(t.c.cfg.Policy.LoginBackoff, min(t.failure.RetryAfter, maxLoginWait)))
			flight.err = t.failure
			return
		}
		t.failure = nil
		flight.lease = t.newLease(token, afterRefusal)
		t.refusals = false
		t.last, t.current = &flight.lease.Token,
			flight.lease // one without an end is no longer valid for the next caller
	})
}

// login calls Config.Login, which may panic.
func (t *tokens) login(ctx context.Context, previous *Token) (token Token, err error) {
	defer func() {
		if recover() != nil {
			err = t.c.internalError("login", errLoginPanic) // what it says could hold a secret
		}
	}()
	token, err = t.c.cfg.Login(ctx, t.c, previous)
	if err == nil && token.Value == "" {
		err = &providers.Error{
			Kind: providers.KindInvalidResponse, Provider: t.c.cfg.Provider, Operation: "login", Err: errNoTokenValue,
		}
	}
	return token, err
}

func (t *tokens) newLease(token Token, afterRefusal bool) *lease {
	now := t.c.cfg.Clock()
	share := 0.76 + 0.08*rand.Float64()
	return &lease{
		Token:        token,
		issued:       time.Now(),
		renew:        now.Add(time.Duration(share * float64(token.Expires.Sub(now)))),
		afterRefusal: afterRefusal,
	}
}

// loginError is what the callers that waited for a login get. Of them nothing was sent, and it was not their deadline
// that passed.
func (t *tokens) loginError(err error) *providers.Error {
	var failed *providers.Error
	if !errors.As(err, &failed) {
		return t.c.internalError("login", errLoginFailed)
	}
	own := *failed
	own.MayHaveHappened = false
	switch own.Kind {
	case providers.KindDeadline, providers.KindCanceled,
		providers.KindNotFound: // which would be taken for one about what was asked
		own.Kind = providers.KindUnavailable
	}
	return &own
}

// accepted notes that the provider took a token.
func (t *tokens) accepted(l *lease) {
	if l != nil {
		l.accepted.Store(true)
	}
}

// refused takes in a 401 and tells whether to try once more, with another token. replayed says that this was the second
// time already.
func (t *tokens) refused(l *lease, operation string, replayed bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	pause := t.c.cfg.Policy.LoginBackoff
	if replayed {
		t.stubborn[operation] = time.Now()
		return false
	}
	if at, ok := t.stubborn[operation]; ok {
		if time.Since(at) < pause {
			return false
		}
		delete(t.stubborn, operation)
	}
	if l.afterRefusal && !l.accepted.Load() && time.Since(l.issued) < pause {
		return false
	}
	if t.current != nil && t.current.Value == l.Value {
		t.current, t.last, t.refusals = nil, nil, true
	}
	return true
}
