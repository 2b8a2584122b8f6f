package audit

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

const (
	// failureTimeout bounds how long a failed call waits for a place among those that wait, and how long it may take to
	// write the entries that are written together.
	failureTimeout = 5 * time.Second
	// maxWaiting bounds how many failed calls wait for their entries.
	maxWaiting = 4096
	// maxTogether bounds how many entries one transaction takes.
	maxTogether = 256
)

// errBusy says that too many failed calls wait for their entries.
var errBusy = errors.New("audit: too many failures wait to be written")

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
		identity.TrailOf(ctx).Note(outcome)
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

// line is where failed calls of one tenant wait. Those that come while entries are written are written together next,
// so that however many fail at one time, they cost a few commits.
type line struct {
	waiting []waiting
	writing bool
}

type waiting struct {
	entry   store.Audit
	written chan error
}

// lines are those of all tenants that have one.
type lines struct {
	mu    sync.Mutex
	of    map[string]*line
	room  chan struct{} // has as many as wait
	setUp sync.Once
}

// writeFailure writes an entry together with those of others, and waits for the commit.
func (t *Trail) writeFailure(ctx context.Context, e store.Audit) error {
	l := &t.lines
	l.setUp.Do(func() { l.room, l.of = make(chan struct{}, maxWaiting), map[string]*line{} })
	timer := time.NewTimer(failureTimeout)
	defer timer.Stop()
	select {
	case l.room <- struct{}{}:
	case <-timer.C:
		return errBusy
	}
	defer func() { <-l.room }()
	w := waiting{entry: e, written: make(chan error, 1)}
	l.mu.Lock()
	of := l.of[e.Tenant]
	if of == nil {
		of = &line{}
		l.of[e.Tenant] = of
	}
	of.waiting = append(of.waiting, w)
	if !of.writing {
		of.writing = true
		go t.writeLine(ctx, e.Tenant, of)
	}
	l.mu.Unlock()
	return <-w.written // It is bounded: see writeLine.
}

// writeLine writes what waits in a line until nothing does. When the store does not take it, all who wait by then are
// told so: nobody waits longer than for the entries before theirs and their own.
func (t *Trail) writeLine(ctx context.Context, tenant string, of *line) {
	for {
		t.lines.mu.Lock()
		n := min(len(of.waiting), maxTogether)
		together := slices.Clone(of.waiting[:n])
		of.waiting = slices.Delete(of.waiting, 0, n)
		if n == 0 {
			delete(t.lines.of, tenant)
			t.lines.mu.Unlock()
			return
		}
		t.lines.mu.Unlock()
		entries := make([]store.Audit, len(together))
		for i, w := range together {
			entries[i] = w.entry
		}
		err := t.append(ctx, tenant, entries)
		if err != nil {
			t.lines.mu.Lock()
			together = append(together, of.waiting...)
			of.waiting = nil
			t.lines.mu.Unlock()
		}
		for _, w := range together {
			w.written <- err
		}
	}
}

// append writes entries of one tenant in one transaction.
func (t *Trail) append(ctx context.Context, tenant string, entries []store.Audit) error {
	// The entries are several calls', and none of them waits for a store that is away since another one has acted.
	ctx, cancel := context.WithTimeout(identity.WithTrail(ctx), failureTimeout)
	defer cancel()
	return t.Store.Update(ctx, tenant, func(tx store.Tx) error {
		service.Durable(tx, t.tell)
		for i := range entries {
			if err := tx.AppendAudit(&entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
