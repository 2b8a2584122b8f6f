package service

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/slot"
	"kontor.dev/kontor/internal/store"
)

const (
	// awayLimit is how long a call tries, in all, to store what a provider did while the store is away: long enough for
	// a standby to take over, and about as long as leases last that nobody can renew meanwhile.
	awayLimit = 15 * time.Second
	// awayEvery is how long is waited between two tries, on average: calls that wait do not all come at one time.
	awayEvery = 250 * time.Millisecond
)

type patientKey struct{}

// Patient gives a context whose transactions are tried again while the store is away, although no call had a provider
// change something: what they store cannot be had once more.
func Patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientKey{}, true)
}

// patient tells whether the store is waited for: what is to be stored has happened already.
func patient(ctx context.Context) bool {
	asked, _ := ctx.Value(patientKey{}).(bool)
	return asked || identity.TrailOf(ctx).HasActed()
}

// away tells whether nothing of a transaction was done, and the same one may succeed soon.
func away(err error) bool { return errors.Is(err, store.ErrAway) || errors.Is(err, store.ErrBusy) }

// patiently does something with the store, and once a provider has changed something for the call again and again
// while the store is away. The call keeps its place meanwhile, so that no more wait than may be under way.
func (s *Store) patiently(ctx context.Context, do func() error) error {
	err := do()
	if !away(err) || !patient(ctx) {
		return err
	}
	slot.Wait(ctx)
	began := time.Now()
	until := identity.TrailOf(ctx).AwaySince(began).Add(awayLimit)
	for away(err) && time.Now().Before(until) && s.rest(ctx) {
		err = do()
	}
	if !away(err) {
		s.Log.WarnContext(ctx, "the store was away after a provider was asked to change something", "seconds",
			time.Since(began).Seconds(), "request_id", identity.RequestID(ctx))
	}
	return err
}

// rest waits until the store is tried again, and tells whether it shall be.
func (s *Store) rest(ctx context.Context) bool {
	timer := time.NewTimer(awayEvery/2 + rand.N(awayEvery)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.Ending:
	}
	return false
}
