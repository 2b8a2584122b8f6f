package service

import (
	"context"
	"errors"
	"log/slog"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

// Store is the store, whose failures it translates to errors for callers.
type Store struct {
	store.Store

	Log *slog.Logger
}

// View reads from the store.
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	return s.translate(ctx, s.Store.View(ctx, fn))
}

// Update changes the store.
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	return s.translate(ctx, s.Store.Update(ctx, fn))
}

// translate translates a failure of the store. An error with a reason, ErrNotFound, and the end of a context
// stay as they are.
func (s *Store) translate(ctx context.Context, err error) error {
	switch {
	case err == nil, kerr.Reason(err) != errorv1.Error_REASON_UNSPECIFIED,
		errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrExists):
		return err
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return ctx.Err()
	case errors.Is(err, store.ErrConflict):
		return kerr.New(errorv1.Error_ETAG_MISMATCH, "the resource changed meanwhile; try again")
	}
	s.Log.ErrorContext(ctx, "store failed", "error", err.Error(), "request_id", identity.RequestID(ctx))
	return kerr.New(errorv1.Error_STORE_UNAVAILABLE, "the gateway's store did not answer")
}

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
