package once

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

// repairEvery is how often a process looks for writes whose process is gone.
const repairEvery = leaseTime / 2

// beatEvery is how often the store is told the time, and so how late it is noticed that the clock went back.
const beatEvery = time.Minute

// clocksApart is how far the clock of a process may be from the one of all processes: as much as a clock may go back
// without notice.
const clocksApart = 30 * time.Second

// batch bounds how many rows one transaction of repair or sweeping takes.
const batch = 100

// sweepRest is how much longer than a transaction of sweeping took nothing is swept: calls have the store for the most
// part of the time, however much there is to sweep.
const sweepRest = 2

// holds tells whether somebody is at work under a lease: another process as long as the lease lasts, and this one as
// long as it has the attempt.
func (r *Runner) holds(lease store.Lease) bool {
	if strings.HasPrefix(lease.Owner, r.Process+"/") {
		return slices.Contains(r.atWork(), lease.Owner)
	}
	return !lease.Over(r.Clock.Now())
}

// Repair settles the writes whose process is gone, whichever that was: their leases have run out. Such a write may
// or may not have happened; it is not repeated.
func (r *Runner) Repair(ctx context.Context) error {
	for {
		expired, err := r.Leases.ExpiredIntents(ctx, r.Clock.Now(), batch)
		if err != nil {
			return err
		}
		settled := 0
		for _, intent := range expired {
			done, err := r.repair(ctx, intent)
			if err != nil {
				return err
			}
			if done {
				settled++
			}
		}
		if len(expired) < batch || settled == 0 {
			return nil
		}
	}
}

// repair settles one intent, unless it was settled meanwhile, or its owner is at work. A record that belongs to another
// attempt by now is left to that one.
func (r *Runner) repair(ctx context.Context, expired *store.Intent) (done bool, err error) {
	err = r.Store.Update(ctx, expired.Tenant, func(tx store.Tx) error {
		done = false
		intent, err := tx.Intent(expired.ID)
		if errors.Is(err,
			store.ErrNotFound) || err == nil && (intent.State != store.IntentOpen || r.holds(intent.Lease)) {
			return nil
		}
		if err != nil {
			return err
		}
		var record *store.Idempotency
		if intent.IdempotencyKey != "" {
			record, err = tx.Idempotency(intent.IdempotencyMethod, intent.IdempotencyKey)
			switch {
			case err != nil && !errors.Is(err, store.ErrNotFound):
				return err
			case err != nil || record.Lease.Owner != intent.Lease.Owner:
				record = nil
			case !record.Done && r.holds(record.Lease):
				return nil
			}
		}
		done = true
		return r.settle(tx, intent, record)
	})
	if done && err == nil {
		r.Log.WarnContext(ctx, "a write was interrupted", "tenant", expired.Tenant, "provider", expired.Provider,
			"operation", expired.Operation, "resource", expired.Resource)
	}
	return done, err
}

// settleRecord settles the writes that wait with an open record whose owner is gone. When there is one, that its
// outcome is unknown becomes the record's answer, and the record is given. ErrClaimed says that somebody is still at
// work on one of them.
func (r *Runner) settleRecord(tx store.Tx, record *store.Idempotency) (*store.Idempotency, error) {
	open, err := tx.OpenIntents(record.Method, record.Key)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	for _, intent := range open {
		if r.holds(intent.Lease) {
			return nil, store.ErrClaimed
		}
	}
	for _, intent := range open {
		if err := r.settle(tx, intent, record); err != nil {
			return nil, err
		}
	}
	return record, nil
}

// settle notes that the outcome of an interrupted write is unknown, and makes that the answer of the record that
// waited for it.
func (r *Runner) settle(tx store.Tx, intent *store.Intent, record *store.Idempotency) error {
	if err := tx.UpdateIntent(intent.ID, store.IntentUnknown, r.Clock.Now()); err != nil {
		return err
	}
	if record != nil && !record.Done {
		unknown := naming(kerr.New(errorv1.Error_OUTCOME_UNKNOWN,
			"the gateway stopped while the provider was asked; it is not repeated by itself",
			kerr.WithMetadata(kerr.KeyProvider, intent.Provider),
			kerr.WithMetadata(kerr.KeyOperation, intent.Operation),
		), intent.Resource)
		var err error
		if record.Failure, err = proto.Marshal(status.Convert(unknown).Proto()); err != nil {
			return err
		}
		record.Done, record.CustomerID = true, intent.CustomerID
		if err := tx.CompleteIdempotency(record); err != nil {
			return err
		}
	}
	return tx.AppendAudit(&store.Audit{
		Time: r.Clock.Now(), Tenant: intent.Tenant, Actor: audit.Kontor, Method: intent.Operation,
		Resource: intent.Resource, Outcome: errorv1.Error_OUTCOME_UNKNOWN.String(),
	})
}

// Run keeps the leases of what is at work, settles what others left behind, and forgets what need not be remembered
// any longer, until the context ends. It returns when the work that was begun is finished.
func (r *Runner) Run(ctx context.Context) {
	var loops sync.WaitGroup
	// Work that was begun keeps its leases until it is finished.
	working, finished := context.WithCancel(context.WithoutCancel(ctx))
	loops.Go(func() { r.every(working, renewEvery, "leases not renewed", r.renew) })
	loops.Go(func() { r.every(ctx, repairEvery, "repair failed", r.Repair) })
	loops.Go(func() { r.every(ctx, time.Hour, "sweep failed", r.sweep) })
	if r.Beat != nil {
		loops.Go(func() {
			if rest(ctx, beatEvery) {
				r.every(ctx, beatEvery, "the time was not noted", r.beat)
			}
		})
	}
	<-ctx.Done()
	r.running.Wait()
	finished()
	loops.Wait()
}

// every does something at once and then again and again until the context ends. A failure is logged.
func (r *Runner) every(ctx context.Context, interval time.Duration, failure string, do func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := r.surviving(ctx, do); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, failure, "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// errPanicked is what became of something that panicked.
var errPanicked = errors.New("once: it panicked")

// surviving does something that may panic: whoever else is at work must not pay for it.
func (r *Runner) surviving(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if recover() != nil {
			r.Log.ErrorContext(ctx, "panic", "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	return do(ctx)
}

// renew extends the leases of what is at work in this process.
func (r *Runner) renew(ctx context.Context) error {
	return r.Leases.RenewLeases(ctx, r.atWork(), r.Clock.Now().Add(leaseTime))
}

// beat tells the store the time. Of a machine whose clock is wrong it tells none: all others would bring forward what
// they planned, again and again.
func (r *Runner) beat(ctx context.Context) error {
	if r.Time != nil {
		shared, err := r.Time(ctx)
		if err != nil {
			return err
		}
		apart := r.Clock.Now().Sub(shared)
		if !shared.IsZero() && apart.Abs() > clocksApart {
			return fmt.Errorf("once: the clocks of this machine and the database are %s apart",
				apart.Abs().Round(time.Second))
		}
	}
	back, err := r.Beat(ctx, r.Clock.Now())
	if back > 0 {
		r.Log.WarnContext(ctx, "the clock went back; what was planned by it is brought forward",
			"seconds", back.Seconds())
	}
	return err
}

// sweep forgets what is old enough.
func (r *Runner) sweep(ctx context.Context) error {
	now := r.Clock.Now()
	type sweep struct {
		delete func(ctx context.Context, before time.Time, limit int) (int, error)
		before time.Time
	}
	sweeps := []sweep{
		{r.Sweeps.DeleteIdempotencyBefore, now.Add(-idempotencyKept)},
		{r.Sweeps.DeleteIntentsBefore, now.Add(-intentsKept)},
		{r.Sweeps.DeleteCallbacksBefore, now},
		{r.Sweeps.DeleteQuotasBefore, now},
		{func(ctx context.Context, _ time.Time, limit int) (int, error) {
			return r.Sweeps.FinishErasures(ctx, limit)
		}, now},
	}
	if r.ShipmentRetention > 0 {
		sweeps = append(sweeps, sweep{r.Sweeps.DeleteShipmentsBefore, now.Add(-r.ShipmentRetention)})
	}
	if r.LogRetention > 0 {
		for _, log := range []store.Log{store.ConsentLog, store.ShipmentLog} {
			trim := func(ctx context.Context, before time.Time, limit int) (int, error) {
				return r.Sweeps.TrimLog(ctx, log, now, before, limit)
			}
			sweeps = append(sweeps, sweep{trim, now.Add(-r.LogRetention)})
		}
	}
	room := func(ctx context.Context, _ time.Time, limit int) (int, error) {
		return r.Sweeps.GiveRoomBack(ctx, limit)
	}
	sweeps = append(sweeps, sweep{room, now})
	for _, sweep := range sweeps {
		for deleted := batch; deleted == batch; {
			began := time.Now()
			var err error
			if deleted, err = sweep.delete(ctx, sweep.before, batch); err != nil {
				return err
			}
			if deleted == batch && !rest(ctx, sweepRest*time.Since(began)) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// rest waits, and tells whether the context has not ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
