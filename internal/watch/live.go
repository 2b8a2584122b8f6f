package watch

import (
	"runtime/debug"

	"kontor.dev/kontor/internal/identity"
)

// A stream that has caught up waits without a goroutine that works for it: what it is handed starts one, which sends it
// and ends. So its stack is there for as long as it sends, and who waits for the stream's end needs a small one.

// end is how a stream ended.
type end struct {
	// over says that nothing follows, and all was sent.
	over     bool
	err      error
	panicked any // what sending panicked with
}

// wait waits until the stream is over.
func (r *run[M]) wait() error {
	var e end
	select {
	case e = <-r.ended:
	case <-r.ctx.Done():
		e = r.stop(r.ctx.Err())
	case <-r.streams.Stopping:
		e = r.stop(errStopping)
	}
	r.silence.Stop()
	r.Feed.unsubscribe(r.place)
	if e.panicked != nil {
		panic(e.panicked)
	}
	if r.Ended != nil {
		return r.Ended(e.err)
	}
	return e.err
}

// stop ends the stream for a reason, after what is being sent.
func (r *run[M]) stop(reason error) end {
	r.mu.Lock()
	working := r.working
	r.over = true
	r.mu.Unlock()
	if working {
		if e := <-r.ended; e.over || e.err != nil || e.panicked != nil {
			return e
		}
	}
	return end{err: reason}
}

// wake has the stream look at what it was handed. It waits for nothing.
func (r *run[M]) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.more = true; r.working || r.over {
		return
	}
	r.working = true
	go r.work()
}

// fallSilent has the stream say that it stands.
func (r *run[M]) fallSilent() {
	r.silent.Store(true)
	r.wake()
}

// work sends what the stream was handed, until there is no more. The stream is the worker's own meanwhile.
func (r *run[M]) work() {
	var e end
	left := false
	defer func() {
		if e.panicked = recover(); left {
			return
		}
		if e.panicked != nil { // Who waits passes it on, from a stack that does not tell where it happened.
			r.Feed.logger.ErrorContext(r.ctx, "sending to a stream panicked", "stack", string(debug.Stack()),
				"request_id", identity.RequestID(r.ctx))
		}
		r.mu.Lock()
		r.over = true
		r.mu.Unlock()
		r.ended <- e
	}()
	for {
		var more bool
		if more, left = r.next(); !more {
			return
		}
		if e.over, e.err = r.turn(); e.over || e.err != nil {
			return
		}
	}
}

// next tells whether there is more to do for the stream. If not, its worker has left it, unless it is over.
func (r *run[M]) next() (more, left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over:
		return false, false
	case r.more:
		r.more = false
		return true, false
	default:
		r.working = false
		return false, true
	}
}

// turn sends what there is: what the tailer handed over, or when that left something out, what the log has. It tells
// whether the stream is over with that.
func (r *run[M]) turn() (over bool, err error) {
	if !r.caughtUp {
		r.caughtUp = true
		over, err = r.catchUp(r.ctx)
	}
	for !over && err == nil {
		if err := r.stopped(); err != nil {
			return false, err
		}
		select {
		case e := <-r.place.entries:
			if e.at.Behind(r.at) { // else it was read while catching up
				over, err = r.send(e)
			}
		case <-r.place.behind:
			if err = r.streams.Store.Translate(r.ctx, r.Feed.refresh(r.ctx, r.place)); err == nil {
				over, err = r.catchUp(r.ctx)
			}
		default:
			if !r.spoke || r.silent.Load() {
				err = r.beat()
			}
			return false, err
		}
	}
	return over, err
}

// stopped tells why the stream ends before its time, nil while it goes on.
func (r *run[M]) stopped() error {
	select {
	case <-r.ctx.Done():
		return r.ctx.Err()
	case <-r.streams.Stopping:
		return errStopping
	default:
		return nil
	}
}

// beat says that the stream stands.
func (r *run[M]) beat() error {
	r.spokeNow()
	return r.Heartbeat(r.Token(r.at))
}

// spokeNow notes that something is sent.
func (r *run[M]) spokeNow() {
	r.spoke = true
	r.silent.Store(false)
	r.silence.Reset(r.streams.Heartbeat)
}
