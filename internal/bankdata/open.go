package bankdata

import (
	"context"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Under reads bank data under a consent, once it is clear that it may be read: see open. The read is put on the record
// meanwhile, and what it gave is given only when its entry is durable. Else the error is the store's.
func Under[T any](
	ctx context.Context, r *Reader, name string, capability providers.Capability,
	read func(context.Context, *providers.Provider, *store.Consent) (T, error),
) (T, error) {
	var result, none T
	err := r.Stream(ctx, name, capability, func(
		ctx context.Context, p *providers.Provider, row *store.Consent, _ func() error,
	) (err error) {
		result, err = read(ctx, p, row)
		return err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}

// Stream is Under for a read that gives what it reads bit by bit. Nothing of it may leave before recorded was called
// and gave nil. It waits for the entry, and may be called each time.
func (r *Reader) Stream(
	ctx context.Context, name string, capability providers.Capability,
	read func(_ context.Context, _ *providers.Provider, _ *store.Consent, recorded func() error) error,
) error {
	row, p, err := r.open(ctx, name, capability)
	if err != nil {
		return err
	}
	return r.Audit.Beside(ctx, string(capability), name, func(ctx context.Context, written func() error) error {
		return read(ctx, p, row, written)
	})
}

// Change is Under for what changes something at the provider, which is asked only after the entry is durable.
func Change[T any](
	ctx context.Context, r *Reader, name string, capability providers.Capability,
	do func(*providers.Provider, *store.Consent) (T, error),
) (T, error) {
	row, p, err := r.open(ctx, name, capability)
	if err == nil {
		err = r.Audit.NoteAlone(ctx, string(capability), name)
	}
	if err != nil {
		var none T
		return none, err
	}
	return do(p, row)
}

// open tells that bank data under a consent may be read: the consent is there and readable, the provider offers the
// RPC, and the customer agreed to it.
func (r *Reader) open(
	ctx context.Context, name string, capability providers.Capability,
) (*store.Consent, *providers.Provider, error) {
	row, p, err := r.Load.Consent(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if err := service.Need(p, capability); err != nil {
		return nil, nil, err
	}
	if !consent.Covers(row.Resource, string(capability)) {
		return nil, nil, kerr.New(errorv1.Error_NOT_COVERED_BY_CONSENT,
			"the customer agreed to a verification of accounts: they can be read, without amounts, and nothing else")
	}
	row, err = r.Follower.Readable(ctx, row)
	return row, p, err
}
