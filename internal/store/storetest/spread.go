package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

// spread is several stores of one database as one: each call goes to the next of them.
type spread struct {
	stores []store.Database
	turn   atomic.Int64
	// stored gives all bytes of the database.
	stored func() []byte
	// settled waits until the logs show all that was committed; it may be nil.
	settled func()
}

var (
	_ store.Database = (*spread)(nil)
	_ store.System   = (*spreadSystem)(nil)
)

func (s *spread) next() store.Database { return s.stores[int(s.turn.Add(1))%len(s.stores)] }

func (s *spread) View(ctx context.Context, tenant string, fn func(store.Reader) error) error {
	return s.next().View(ctx, tenant, fn)
}

func (s *spread) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	return s.next().Update(ctx, tenant, fn)
}

func (s *spread) Consent(ctx context.Context, tenant, id string) (*store.Consent, error) {
	return s.next().Consent(ctx, tenant, id)
}

func (s *spread) Stats() store.Stats { return s.next().Stats() }

func (s *spread) Ping(ctx context.Context) error { return s.next().Ping(ctx) }

func (s *spread) Close() error {
	var errs []error
	for _, one := range s.stores {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

func (s *spread) Keys() *keys.Keys { return s.next().Keys() }

func (s *spread) System() store.System { return spreadSystem{s} }

// Quotas goes to the next store with each call; nil where the stores have none.
func (s *spread) Quotas() store.Quotas {
	if s.next().Quotas() == nil {
		return nil
	}
	return spreadQuotas{s}
}

type spreadQuotas struct{ *spread }

func (s spreadQuotas) SpendQuotas(
	ctx context.Context, rate store.QuotaRate, spent []store.QuotaSpent,
) ([]store.QuotaLeft, error) {
	return s.next().Quotas().SpendQuotas(ctx, rate, spent)
}

type spreadSystem struct{ *spread }

func (s spreadSystem) next() store.System { return s.spread.next().System() }

func (s spreadSystem) ClaimDue(ctx context.Context, now time.Time, owner string, lease time.Duration,
	shares []store.Share) ([]*store.Consent, error) {
	return s.next().ClaimDue(ctx, now, owner, lease, shares)
}

func (s spreadSystem) RenewClaims(ctx context.Context, claimed []*store.Consent, until time.Time) error {
	return s.next().RenewClaims(ctx, claimed, until)
}

func (s spreadSystem) RenewLeases(ctx context.Context, owners []string, until time.Time) error {
	return s.next().RenewLeases(ctx, owners, until)
}

func (s spreadSystem) ExpiredIntents(ctx context.Context, now time.Time, limit int) ([]*store.Intent, error) {
	return s.next().ExpiredIntents(ctx, now, limit)
}

func (s spreadSystem) TailConsents(ctx context.Context, after store.Cursor, limit int) ([]store.ConsentEntry, error) {
	return s.next().TailConsents(ctx, after, limit)
}

func (s spreadSystem) TailShipments(ctx context.Context, after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
	return s.next().TailShipments(ctx, after, limit)
}

func (s spreadSystem) Head(ctx context.Context, log store.Log) (store.Cursor, error) {
	return s.next().Head(ctx, log)
}

func (s spreadSystem) Callback(ctx context.Context, kind store.CallbackKind, hash [32]byte) (*store.Callback, error) {
	return s.next().Callback(ctx, kind, hash)
}

func (s spreadSystem) AuditTrail(ctx context.Context, after int64, limit int) ([]store.Audit, error) {
	return s.next().AuditTrail(ctx, after, limit)
}

func (s spreadSystem) Backlog(ctx context.Context, now time.Time) (store.Backlog, error) {
	return s.next().Backlog(ctx, now)
}

func (s spreadSystem) DeleteCallbacksBefore(ctx context.Context, expired time.Time, limit int) (int, error) {
	return s.next().DeleteCallbacksBefore(ctx, expired, limit)
}

func (s spreadSystem) DeleteIdempotencyBefore(ctx context.Context, created time.Time, limit int) (int, error) {
	return s.next().DeleteIdempotencyBefore(ctx, created, limit)
}

func (s spreadSystem) DeleteQuotasBefore(ctx context.Context, full time.Time, limit int) (int, error) {
	return s.next().DeleteQuotasBefore(ctx, full, limit)
}

func (s spreadSystem) DeleteShipmentsBefore(ctx context.Context, created time.Time, limit int) (int, error) {
	return s.next().DeleteShipmentsBefore(ctx, created, limit)
}

func (s spreadSystem) DeleteIntentsBefore(ctx context.Context, updated time.Time, limit int) (int, error) {
	return s.next().DeleteIntentsBefore(ctx, updated, limit)
}

func (s spreadSystem) AuditTenants(ctx context.Context) ([]string, error) {
	return s.next().AuditTenants(ctx)
}

func (s spreadSystem) FinishErasures(ctx context.Context, limit int) (int, error) {
	return s.next().FinishErasures(ctx, limit)
}

func (s spreadSystem) GiveRoomBack(ctx context.Context, limit int) (int, error) {
	return s.next().GiveRoomBack(ctx, limit)
}

func (s spreadSystem) TrimLog(
	ctx context.Context, log store.Log, now, before time.Time, limit int,
) (int, error) {
	return s.next().TrimLog(ctx, log, now, before, limit)
}

func (s spreadSystem) Beat(ctx context.Context, now time.Time) (time.Duration, error) {
	return s.next().Beat(ctx, now)
}

func (s spreadSystem) Time(ctx context.Context) (time.Time, error) { return s.next().Time(ctx) }

func (s spreadSystem) Subscribe(log store.Log) (wake <-chan store.Cursor, cancel func()) {
	return s.next().Subscribe(log)
}
