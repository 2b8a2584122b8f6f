package audit

import (
	"context"
	"time"
)

// readTimeout bounds how long it may take to write entries of reads that are written together. Calls have deadlines of
// their own.
const readTimeout = 30 * time.Second

// Beside notes what the caller reads, while it is read. What was read may leave once written returns nil, and not
// before; read may call it more than once. Beside itself waits for it, and gives its failure rather than that of read.
// The context that read gets ends when the entry cannot be written.
//
// The entry is written although read fails, as that of a read that was granted. Of a call that ends while its entry
// waits for others nothing left, and its failure is recorded: the entry leaves the line.
func (t *Trail) Beside(
	ctx context.Context, method, resource string, read func(ctx context.Context, written func() error) error,
) error {
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newWaiting(ctx, t.entry(ctx, method, resource, OK))
	w.failed = cancel
	if !t.reads.enter(t, w, readTimeout, nil) {
		return t.Store.Translate(ctx, errFull)
	}
	written := func() error { return w.wait(ctx) }
	err := read(reading, written)
	if failed := written(); failed != nil {
		t.reads.leave(w)
		return failed
	}
	return err
}

// wait waits until an entry is written, or the call that it is about ends.
func (w *waiting) wait(ctx context.Context) error {
	select {
	case <-w.written: // also when the call has ended as well
		return w.err
	default:
	}
	select {
	case <-w.written:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
