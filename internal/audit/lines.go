package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

const (
	// maxWaiting bounds how many entries wait in the lines of one kind.
	maxWaiting = 4096
	// maxTogether bounds how many entries one transaction takes.
	maxTogether = 256
)

// errFull says that too many entries wait to be written.
var errFull = fmt.Errorf("audit: too many entries wait to be written: %w", store.ErrBusy)

// lines are where entries wait that stand in no other transaction: one line for each tenant. Those that come while
// others are written are written together next, so that however many come at one time, they cost a few commits; one
// that comes alone is written at once.
type lines struct {
	mu    sync.Mutex
	of    map[string]*line
	room  chan struct{} // has as many as wait
	setUp sync.Once
}

type line struct {
	waiting []*waiting
	writing bool
}

// waiting is an entry in a line.
type waiting struct {
	entry store.Audit
	ctx   context.Context //nolint:containedctx // its call's, whose request id is logged
	// written is closed when it is known what became of the entry: err is nil once it is durable.
	written chan struct{}
	err     error
	// failed is called before, when the entry could not be written. May be nil.
	failed func(error)
}

func newWaiting(ctx context.Context, e store.Audit) *waiting {
	return &waiting{entry: e, ctx: ctx, written: make(chan struct{})}
}

// enter puts an entry in its tenant's line, and tells whether there was room, for which it waits until late receives;
// nil for not at all. Limit bounds how long it may take to write the entries that are written together.
func (l *lines) enter(t *Trail, w *waiting, limit time.Duration, late <-chan time.Time) bool {
	l.setUp.Do(func() { l.room, l.of = make(chan struct{}, maxWaiting), map[string]*line{} })
	select {
	case l.room <- struct{}{}:
	default:
		if late == nil {
			return false
		}
		select {
		case l.room <- struct{}{}:
		case <-late:
			return false
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of[w.entry.Tenant]
	if of == nil {
		of = &line{}
		l.of[w.entry.Tenant] = of
	}
	of.waiting = append(of.waiting, w)
	if !of.writing {
		of.writing = true
		go l.write(t, w.entry.Tenant, of, limit)
	}
	return true
}

// leave takes an entry out of its line that is not being written yet: its call has ended, and nothing left.
func (l *lines) leave(w *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of[w.entry.Tenant]
	if of == nil {
		return
	}
	if i := slices.Index(of.waiting, w); i >= 0 {
		of.waiting = slices.Delete(of.waiting, i, i+1)
		<-l.room
	}
}

// write writes what waits in a line until nothing does. When the store does not take it, all who wait by then are told
// so: nobody waits longer than for the entries before theirs and their own.
func (l *lines) write(t *Trail, tenant string, of *line, limit time.Duration) {
	for {
		l.mu.Lock()
		n := min(len(of.waiting), maxTogether)
		together := slices.Clone(of.waiting[:n])
		of.waiting = slices.Delete(of.waiting, 0, n)
		if n == 0 {
			delete(l.of, tenant)
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		entries := make([]*store.Audit, n)
		for i, w := range together {
			entries[i] = &w.entry
		}
		err := t.append(context.WithoutCancel(together[0].ctx), limit, tenant, entries)
		if err != nil {
			l.mu.Lock()
			together = append(together, of.waiting...)
			of.waiting = nil
			l.mu.Unlock()
		}
		for _, w := range together {
			<-l.room
			w.end(err)
		}
	}
}

// end tells what became of an entry.
func (w *waiting) end(err error) {
	if err == nil {
		identity.TrailOf(w.ctx).Note(w.entry.Outcome)
	} else if w.failed != nil {
		w.failed(err)
	}
	w.err = err
	close(w.written)
}

// append writes entries of one tenant in one transaction.
func (t *Trail) append(ctx context.Context, limit time.Duration, tenant string, entries []*store.Audit) error {
	// The entries are several calls', and none of them waits for a store that is away since another one has acted.
	ctx, cancel := context.WithTimeout(identity.WithTrail(ctx), limit)
	defer cancel()
	err := t.Store.Update(ctx, tenant, func(tx store.Tx) error {
		service.Durable(tx, t.tell)
		return tx.AppendAudit(entries...)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = Unaudited(ctx) // The limit ended, not a call's deadline.
	}
	return err
}
