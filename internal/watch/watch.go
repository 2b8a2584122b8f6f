// Package watch runs streams. A stream is a place in a log of the store. To begin with, and whenever it falls behind,
// it reads the log itself; once it has caught up, a tailer hands it what is new. There is one tailer for each log in
// a process: it reads what was added, for all tenants, and makes each message once for all streams that send it. So a
// slow reader delays nobody, and a stream that is resumed behind its cursor misses and repeats nothing, in whatever
// process. What a stream sends is its service's.
package watch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/idle"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Streams runs them.
type Streams struct {
	Store *service.Store
	// Stopping is closed when streams must end.
	Stopping <-chan struct{}
	// Heartbeat is the longest silence of a stream.
	Heartbeat time.Duration
}

// Batch is how many entries of a log, or rows of a snapshot, are read at once. Each stream whose reader does not read
// holds so many, so they are few.
const Batch = 25

// Topic is what a stream is about: one resource, or with an empty ID all of the tenant's.
type Topic struct{ Tenant, ID string }

// Watched is what Run needs to know about a stream that sends messages M.
type Watched[M any] struct {
	Topic Topic
	Feed  *Feed[M]
	// Snapshot sends the present state, the token with its last message. When there is nothing to send it says so, and
	// the token is sent by itself.
	Snapshot func() (Present, error)
	// Gone tells why nothing follows any more, nil while something may: a stream that is resumed behind the last entry
	// about its resource would wait for ever. It is asked when all entries were read; nil for never.
	Gone func(store.Reader) error
	// Send sends a message, which other streams share: it must not be changed.
	Send func(M) error
	// Heartbeat sends a message that carries nothing but the token.
	Heartbeat func(token string) error
	// Ended is called once with how the stream ended, and gives what its caller is told; nil for just that.
	Ended func(err error) error
}

// Token makes the token that resumes the stream behind a place.
func (w *Watched[M]) Token(at store.Cursor) string { return w.Feed.token(w.Topic, at) }

// Run runs a stream until the caller leaves, the gateway stops or the log says that it is over. Once it has caught up,
// whoever called the handler may wait for it instead (package idle): Run gives nil then, and nothing may follow it.
func Run[M any](ctx context.Context, s *Streams, w Watched[M], token string) error {
	r, err := begin(ctx, s, w, token)
	if err != nil {
		if w.Ended != nil {
			err = w.Ended(err)
		}
		return err
	}
	r.work()
	if idle.Later(ctx, r.wait) {
		return nil
	}
	return r.wait()
}

// begin sends the present state, and then what came behind the stream's place meanwhile.
func begin[M any](ctx context.Context, s *Streams, w Watched[M], token string) (*run[M], error) {
	if token == "" {
		token = identity.LastEventID(ctx)
	}
	at, err := w.Feed.place(w.Topic, token)
	if err != nil {
		return nil, err
	}
	r := &run[M]{
		Watched: w, ctx: ctx, streams: s, at: at, spoke: token == "",
		ended: make(chan end, 1), working: true, more: true,
	}
	if token == "" {
		present, err := w.Snapshot()
		if err != nil {
			return nil, err
		}
		if r.at, r.newer = present.At, present.Newer; !present.Sent {
			if err := w.Heartbeat(w.Token(r.at)); err != nil {
				return nil, err
			}
		}
	}
	// From here on the tailer hands over what is new. What came before is read while catching up.
	if r.place, err = w.Feed.subscribe(ctx, w.Topic, r.wake); err != nil {
		return nil, s.Store.Translate(ctx, err)
	}
	r.silence = time.AfterFunc(s.Heartbeat, r.fallSilent)
	return r, nil
}

// run is a stream that runs.
type run[M any] struct {
	Watched[M]

	ctx     context.Context //nolint:containedctx // of the one stream
	streams *Streams
	place   *subscription[M]
	// at is the place behind the last entry that was sent.
	at store.Cursor
	// newer has, by id, the places up to which the present state had events behind at in it.
	newer map[string]store.Cursor
	// caughtUp says that the log was read up to where the tailer hands over.
	caughtUp bool
	// spoke says that something was sent, with which the caller has the answer's headers.
	spoke bool
	// silence ends when nothing was sent for the longest silence, and silent says so.
	silence *time.Timer
	silent  atomic.Bool
	// ended gets how the stream ended from the last one that worked for it.
	ended chan end

	mu sync.Mutex
	// working says that somebody works for the stream, more that there may be something to do since it looked, over
	// that nobody begins to work any more.
	working, more, over bool
}

// catchUp reads the log up to its end and sends what is there. It tells whether the stream is over with that.
func (r *run[M]) catchUp(ctx context.Context) (over bool, err error) {
	for {
		var page []*entry[M]
		var gone error
		err := r.streams.Store.View(ctx, r.Topic.Tenant, func(reader store.Reader) (err error) {
			page, err = r.Feed.read(reader, r.Topic, r.at, Batch)
			if err == nil && len(page) < Batch && r.Gone != nil {
				gone = r.Gone(reader) // as of the same moment, so that the entry of its end is not missed
			}
			return err
		})
		// The token was made here, since it opened. So a place that is none now was lost: an earlier state of the store
		// was restored.
		if errors.Is(err, store.ErrCursor) || errors.Is(err, store.ErrCursorExpired) {
			return false, errExpiredToken
		}
		if err != nil {
			return false, err
		}
		for _, e := range page {
			if over, err := r.send(e); over || err != nil {
				return over, err
			}
		}
		if len(page) < Batch {
			return false, r.streams.Store.Translate(ctx, gone)
		}
		if err := r.stopped(); err != nil {
			return false, err
		}
	}
}

// send sends an entry, unless the present state had it. It tells whether the stream is over with that.
func (r *run[M]) send(e *entry[M]) (over bool, err error) {
	if place, ok := r.newer[e.about.ID]; ok {
		if !e.at.Behind(place) {
			r.at = e.at
			return false, nil
		}
		delete(r.newer, e.about.ID)
	}
	if err := r.Send(e.message(r.Topic)); err != nil {
		return false, err
	}
	r.at = e.at
	r.spokeNow()
	return e.last && r.Topic.ID != "", nil
}

var (
	errExpiredToken = kerr.New(errorv1.Error_RESUME_TOKEN_EXPIRED,
		"what followed the resume token is no longer kept: begin the watch anew, without a token")
	errStopping = kerr.New(errorv1.Error_GATEWAY_STOPPING,
		"the gateway is stopping: resume the stream with its token", kerr.WithRetry(time.Second))
)

// token makes the token that resumes a stream behind a place in the log.
func (f *Feed[M]) token(topic Topic, at store.Cursor) string {
	return f.tokens.Encode(string(at), topic.Tenant, string(f.log), topic.ID)
}

// place gives the place that a token stands for.
func (f *Feed[M]) place(topic Topic, token string) (store.Cursor, error) {
	cursor, err := f.tokens.Decode(token, "resumeToken", topic.Tenant, string(f.log), topic.ID)
	return store.Cursor(cursor), err
}
