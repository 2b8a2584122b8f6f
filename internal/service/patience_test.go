package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/slot"
	"kontor.dev/kontor/internal/store"
)

// outage is a store that fails for some time, and counts how often it was asked.
type outage struct {
	err   error
	until time.Time
	asked int
}

func (o *outage) now() error {
	o.asked++
	if time.Now().Before(o.until) {
		return fmt.Errorf("driver: %w", o.err)
	}
	return nil
}

func (o *outage) View(ctx context.Context, _ string, _ func(store.Reader) error) error {
	return errors.Join(ctx.Err(), o.now())
}

func (o *outage) Consent(ctx context.Context, _, _ string) (*store.Consent, error) {
	return nil, errors.Join(ctx.Err(), o.now())
}

func (o *outage) Update(ctx context.Context, _ string, _ func(store.Tx) error) error {
	return errors.Join(ctx.Err(), o.now())
}

// ways are those to use the store.
var ways = map[string]func(context.Context, *Store) error{
	"Consent": func(ctx context.Context, s *Store) error {
		_, err := s.Consent(ctx, "default", "")
		return err
	},
	"View":   func(ctx context.Context, s *Store) error { return s.View(ctx, "default", nil) },
	"Update": func(ctx context.Context, s *Store) error { return s.Update(ctx, "default", nil) },
}

// acted is the context of a call for which a provider changed something.
func acted(ctx context.Context) context.Context {
	ctx = identity.WithTrail(ctx)
	identity.TrailOf(ctx).Acted()
	return ctx
}

func newOutage(err error, lasts time.Duration) (*outage, *Store) {
	db := &outage{err: err, until: time.Now().Add(lasts)}
	return db, &Store{Store: db, Log: slog.New(slog.DiscardHandler)}
}

func TestPatience(t *testing.T) {
	const unknown, unavailable = errorv1.Error_OUTCOME_UNKNOWN, errorv1.Error_STORE_UNAVAILABLE
	const limited = errorv1.Error_GATEWAY_RATE_LIMITED
	for name, test := range map[string]struct {
		err   error
		lasts time.Duration
		ctx   func(context.Context) context.Context
		want  errorv1.Error_Reason // none for success
		// waits says that the store is waited for, for as long as it is away or the limit.
		waits bool
	}{
		"away, acted":                    {store.ErrAway, 12 * time.Second, acted, 0, true},
		"too many wait, acted":           {store.ErrBusy, 12 * time.Second, acted, 0, true},
		"away for long, acted":           {store.ErrAway, time.Hour, acted, unknown, true},
		"away, not acted":                {store.ErrAway, time.Second, identity.WithTrail, unavailable, false},
		"too many wait, not acted":       {store.ErrBusy, time.Second, identity.WithTrail, limited, false},
		"away, in the background":        {store.ErrAway, time.Second, none, unavailable, false},
		"away, what comes once":          {store.ErrAway, 12 * time.Second, Patient, 0, true},
		"away for long, what comes once": {store.ErrAway, time.Hour, Patient, unavailable, true},
		"in doubt, acted":                {errors.New("in doubt"), time.Second, acted, unknown, false},
		"a conflict, acted":              {store.ErrConflict, time.Second, acted, unknown, false},
	} {
		for way, use := range ways {
			t.Run(way+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					db, s := newOutage(test.err, test.lasts)
					began := time.Now()
					err := use(test.ctx(t.Context()), s)
					took, least := time.Since(began), time.Duration(0)
					if test.waits {
						least = min(test.lasts, awayLimit)
					}
					if kerr.Reason(err) != test.want || (err == nil) != (test.want == 0) {
						t.Errorf("%v", err)
					}
					if took < least || took > least+2*awayEvery || !test.waits && db.asked != 1 {
						t.Errorf("it took %s, and the store was asked %d times", took, db.asked)
					}
					if most := int(2*took/awayEvery) + 2; db.asked > most {
						t.Errorf("the store was asked %d times within %s", db.asked, took)
					}
				})
			})
		}
	}
}

func none(ctx context.Context) context.Context { return ctx }

// TestPatienceIsOfTheCall: a call waits no longer for several transactions than for one.
func TestPatienceIsOfTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := newOutage(store.ErrAway, time.Hour)
		ctx, began := acted(t.Context()), time.Now()
		for range 3 {
			for _, use := range ways {
				if err := use(ctx, s); kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN {
					t.Error(err)
				}
			}
		}
		if took := time.Since(began); took > awayLimit+2*awayEvery {
			t.Errorf("it took %s", took)
		}
	})
}

// TestPatienceEnds with the context, and when the process ends.
func TestPatienceEnds(t *testing.T) {
	for way, use := range ways {
		synctest.Test(t, func(t *testing.T) {
			_, s := newOutage(store.ErrAway, time.Hour)
			ctx, cancel := context.WithTimeout(acted(t.Context()), 2*time.Second)
			defer cancel()
			began := time.Now()
			if err := use(ctx, s); err == nil || time.Since(began) != 2*time.Second {
				t.Errorf("%s: %v after %s, want when the context ends", way, err, time.Since(began))
			}
			ending := make(chan struct{})
			s.Ending = ending
			time.AfterFunc(time.Second, func() { close(ending) })
			began = time.Now()
			err := use(acted(t.Context()), s)
			if kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN || time.Since(began) != time.Second {
				t.Errorf("%s: %v after %s, want when the process ends", way, err, time.Since(began))
			}
		})
	}
}

// TestPatienceIsNoWork: a call that waits for the store gives its turn up, and keeps its place.
func TestPatienceIsNoWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := newOutage(store.ErrAway, time.Second)
		waited := 0
		place := slot.New(func() {})
		place.OnWait(func() { waited++ })
		if err := ways["Update"](slot.With(acted(t.Context()), place), s); err != nil || waited == 0 {
			t.Errorf("%v; it said %d times that it waits", err, waited)
		}
	})
}
