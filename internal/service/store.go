package service

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

// Store is the store, whose failures it translates to errors for callers. It is the port for one tenant at a time:
// services that serve callers reach no other.
//
// Once a provider was asked to change something for a call, a store that is away is waited for, see ErrAway of package
// store: what happened is to be known. Before, callers learn at once that nothing was done.
type Store struct {
	store.Store

	Log *slog.Logger
	// Ending is closed when a store that is away is no longer waited for, since the process ends. Nil for never.
	Ending <-chan struct{}
}

// View reads a tenant's rows. fn may run more than once.
func (s *Store) View(ctx context.Context, tenant string, fn func(store.Reader) error) error {
	return s.Translate(ctx, s.patiently(ctx, func() error { return s.Store.View(ctx, tenant, fn) }))
}

// Consent gives a consent as it stands.
func (s *Store) Consent(ctx context.Context, tenant, id string) (row *store.Consent, err error) {
	err = s.patiently(ctx, func() (err error) {
		row, err = s.Store.Consent(ctx, tenant, id)
		return err
	})
	return row, s.Translate(ctx, err)
}

// Update changes a tenant's rows. fn may run more than once.
func (s *Store) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	var last *transaction
	err := s.patiently(ctx, func() error {
		return s.Store.Update(ctx, tenant, func(tx store.Tx) error {
			last = &transaction{Tx: tx}
			return fn(last)
		})
	})
	if err == nil && last != nil {
		for _, do := range last.durable {
			do()
		}
	}
	return s.Translate(ctx, err)
}

// transaction is one run of an Update, with what is to be done when it has become durable.
type transaction struct {
	store.Tx

	durable []func()
}

// Durable has something done in memory as soon as a transaction of Store.Update is durable, before Update returns. A
// transaction that fails, or runs again, does not do it.
func Durable(tx store.Tx, do func()) {
	if t, ok := tx.(*transaction); ok {
		t.durable = append(t.durable, do)
	}
}

// known are the store's errors that say what its caller must know. They stay as they are.
var known = []error{
	store.ErrNotFound, store.ErrExists, store.ErrClaimed, store.ErrClaimLost, store.ErrCursor, store.ErrCursorExpired,
}

// Translate translates a failure of the store. An error with a reason, what the store documents, and the end of a
// context stay as they are. Once a provider was asked to change something for the call, and may have done it, a failure
// of the store is OUTCOME_UNKNOWN: STORE_UNAVAILABLE and its like say that nothing was done.
func (s *Store) Translate(ctx context.Context, err error) error {
	switch {
	case err == nil, kerr.Reason(err) != errorv1.Error_REASON_UNSPECIFIED,
		slices.ContainsFunc(known, func(known error) bool { return errors.Is(err, known) }):
		return err
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return ctx.Err()
	case identity.TrailOf(ctx).HasActed():
		s.Log.ErrorContext(ctx, "store failed after a provider was asked to change something", "error", err.Error(),
			"request_id", identity.RequestID(ctx))
		return Unrecorded()
	case errors.Is(err, store.ErrBusy):
		return kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "too many calls wait for the gateway's store",
			kerr.WithRetry(storeRetry))
	case errors.Is(err, store.ErrConflict):
		return kerr.New(errorv1.Error_ETAG_MISMATCH, "the resource changed meanwhile; try again")
	}
	s.Log.ErrorContext(ctx, "store failed", "error", err.Error(), "request_id", identity.RequestID(ctx))
	return kerr.New(errorv1.Error_STORE_UNAVAILABLE, "the gateway's store did not answer", kerr.WithRetry(storeRetry))
}

// Unrecorded is what callers are told when a provider may have done something and the store did not take it.
func Unrecorded(options ...kerr.Option) error {
	return kerr.New(errorv1.Error_OUTCOME_UNKNOWN, "the provider may have done it, and the gateway could not record it",
		options...)
}

// storeRetry is when a caller should come back whom the store did not answer.
const storeRetry = time.Second

// AllRows reads a list to its end.
func AllRows[Row any](list func(store.Page) ([]Row, error), id func(Row) string) ([]Row, error) {
	var all []Row
	for after := ""; ; {
		rows, err := list(store.Page{After: after, Size: MaxPageSize})
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if len(rows) < MaxPageSize {
			return all, nil
		}
		after = id(rows[len(rows)-1])
	}
}
