package audit

import (
	"context"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// failureTimeout bounds how long a failed call waits for a place among those that wait, and how long it may take to
// write the entries that are written together.
const failureTimeout = 5 * time.Second

// Failure notes a call that was refused or failed, and gives what its caller is told: the failure, or when that could
// not be noted, another one. What went well is noted by the services themselves, in the transaction that it belongs to,
// and so is a failure that changed something: that is not noted twice.
//
// The entry is durable when Failure returns, but for a refusal that repeats others: see groups.
func (t *Trail) Failure(ctx context.Context, method, resource string, failure error) error {
	reason := kerr.Reason(failure)
	outcome := reason.String()
	if identity.TrailOf(ctx).Has(outcome) {
		return failure
	}
	if resource == "" {
		resource = kerr.Metadata(failure)["shipment"] // of unknown outcome
	}
	e := t.entry(ctx, method, resource, outcome)
	if refusal(reason) && t.groups.counts(&e) {
		return failure
	}
	err := t.writeFailure(context.WithoutCancel(ctx), e)
	if err == nil {
		return failure
	}
	t.missing()
	t.Log.ErrorContext(ctx, "a failed call is missing in the audit", "method", method, "outcome", outcome,
		"error", err.Error(), "request_id", identity.RequestID(ctx))
	if reason == errorv1.Error_OUTCOME_UNKNOWN {
		return failure
	}
	return Unaudited(ctx)
}

// Unaudited is what callers are told when what happened could not be noted: OUTCOME_UNKNOWN after a provider was asked
// to change something and may have done it, else STORE_UNAVAILABLE.
func Unaudited(ctx context.Context) error {
	if identity.TrailOf(ctx).HasActed() {
		return service.Unrecorded()
	}
	return kerr.New(errorv1.Error_STORE_UNAVAILABLE, "the gateway's store did not answer", kerr.WithRetry(time.Second))
}

// writeFailure writes an entry together with those of others, and waits for the commit.
func (t *Trail) writeFailure(ctx context.Context, e store.Audit) error {
	timer := time.NewTimer(failureTimeout)
	defer timer.Stop()
	w := newWaiting(ctx, e)
	if !t.failures.enter(t, w, failureTimeout, timer.C) {
		return errFull
	}
	<-w.written // It is bounded: see lines.write.
	return w.err
}
