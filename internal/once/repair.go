package once

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

// Reconcile settles at start what a crash left open, before the first call is taken. A write whose outcome
// was not stored may or may not have happened; it is not repeated.
func (r *Runner) Reconcile(ctx context.Context) error {
	for {
		var open []*store.Intent
		err := r.Store.Update(ctx, func(tx store.Tx) error {
			var err error
			if open, err = tx.OpenIntents(100); err != nil {
				return err
			}
			for _, intent := range open {
				if err := tx.UpdateIntent(intent.Tenant, intent.ID, store.IntentUnknown, r.Clock.Now()); err != nil {
					return err
				}
				if err := r.pinUnknown(tx, intent); err != nil {
					return err
				}
				if err := tx.AppendAudit(&store.Audit{
					Time: r.Clock.Now(), Tenant: intent.Tenant, Actor: audit.Kontor, Method: intent.Operation,
					Resource: intent.Resource,
					Outcome:  errorv1.Error_OUTCOME_UNKNOWN.String(),
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, intent := range open {
			r.Log.WarnContext(ctx, "a write was interrupted", "tenant", intent.Tenant, "provider", intent.Provider,
				"operation", intent.Operation, "resource", intent.Resource)
		}
		if len(open) < 100 {
			break
		}
	}
	// Records that are still open waited for nothing that could have happened, or for what the provider
	// recognises: a repetition goes on.
	return r.Store.Update(ctx, func(tx store.Tx) error { return tx.ReleaseIdempotency() })
}

// pinUnknown makes OUTCOME_UNKNOWN the answer of the record that waited for an interrupted write.
func (r *Runner) pinUnknown(tx store.Tx, intent *store.Intent) error {
	if intent.IdempotencyKey == "" {
		return nil
	}
	record, err := tx.Idempotency(intent.Tenant, intent.IdempotencyMethod, intent.IdempotencyKey)
	if errors.Is(err, store.ErrNotFound) || err == nil && record.Done {
		return nil
	}
	if err != nil {
		return err
	}
	unknown := naming(kerr.New(errorv1.Error_OUTCOME_UNKNOWN,
		"the gateway stopped while the provider was asked; it is not repeated by itself",
		kerr.WithMetadata(kerr.KeyProvider, intent.Provider), kerr.WithMetadata(kerr.KeyOperation, intent.Operation),
	), intent.Resource)
	if record.Failure, err = proto.Marshal(status.Convert(unknown).Proto()); err != nil {
		return err
	}
	record.Done = true
	return tx.CompleteIdempotency(record)
}

// Run forgets what need not be remembered any longer, until the context ends. It returns when the work that
// was begun is finished.
func (r *Runner) Run(ctx context.Context) {
	defer r.running.Wait()
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		err := r.Store.Update(ctx, func(tx store.Tx) error {
			if _, err := tx.DeleteIdempotencyBefore(r.Clock.Now().Add(-idempotencyKept)); err != nil {
				return err
			}
			if _, err := tx.DeleteIntentsBefore(r.Clock.Now().Add(-intentsKept)); err != nil {
				return err
			}
			if r.AuditRetention > 0 {
				if _, err := tx.DeleteAuditBefore(r.Clock.Now().Add(-r.AuditRetention)); err != nil {
					return err
				}
			}
			_, err := tx.DeleteCallbacksBefore(r.Clock.Now())
			return err
		})
		if err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "sweep failed", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
