package watch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

const (
	// buffered is how many entries the tailer keeps for a stream that does not take them. One that has more to come
	// reads the log itself.
	buffered = 64
	// tailBatch is how many entries the tailer reads at once.
	tailBatch = 256
	// tailRetry is how long the tailer waits when the store does not answer.
	tailRetry = time.Second
)

// Source tells how the entries E of a log are read, and what streams send of them, messages M.
type Source[E, M any] struct {
	Log store.Log
	// Tokens makes the tokens that resume streams.
	Tokens service.Tokens
	// Tails wakes the tailer and tells where the log ends.
	Tails store.Tails
	// Tail reads entries of all tenants, Read those of a topic.
	Tail func(ctx context.Context, after store.Cursor, limit int) ([]E, error)
	Read func(r store.Reader, topic Topic, after store.Cursor, limit int) ([]E, error)
	// Of tells what an entry is about and the place behind it; last says that nothing follows about that resource.
	Of func(E) (about Topic, at store.Cursor, last bool)
	// Message makes what is sent of an entry. It is sent by many streams, and not changed any more.
	Message func(e E, token string) M
	// Logger is where the tailer says that it cannot read.
	Logger *slog.Logger
}

// Feed is a log as streams follow it. While there are streams, a tailer reads what is added and hands it to those
// whom it concerns.
type Feed[M any] struct {
	log    store.Log
	tokens service.Tokens
	tails  store.Tails
	tail   func(ctx context.Context, after store.Cursor, limit int) ([]*entry[M], error)
	read   func(r store.Reader, topic Topic, after store.Cursor, limit int) ([]*entry[M], error)
	logger *slog.Logger

	mu      sync.Mutex
	streams map[Topic]map[*subscription[M]]struct{}
	// tailer is the one that is at work, nil for none.
	tailer *tailer
}

// entry is an entry of the log, with its messages.
type entry[M any] struct {
	about Topic
	at    store.Cursor
	last  bool
	// one and all are the messages for those who watch the one resource, or all of the tenant's: each is made when the
	// first of them sends it. Their tokens differ.
	one, all func() M
}

func (e *entry[M]) message(topic Topic) M {
	if topic.ID == "" {
		return e.all()
	}
	return e.one()
}

// subscription is a stream's place in the feed.
type subscription[M any] struct {
	topic   Topic
	entries chan *entry[M]
	// behind receives when entries were left out because the stream did not take those that it had.
	behind chan struct{}
	// stale says so, too, until the stream begins anew; the feed's lock guards it.
	stale bool
	// wake tells the stream of either. The feed's lock is held, so it waits for nothing.
	wake func()
}

// tailer is one life of the goroutine that reads the log.
type tailer struct{ stop context.CancelFunc }

// NewFeed makes the feed of a log.
func NewFeed[E, M any](s Source[E, M]) *Feed[M] {
	f := &Feed[M]{
		log: s.Log, tokens: s.Tokens, tails: s.Tails, logger: s.Logger,
		streams: make(map[Topic]map[*subscription[M]]struct{}),
	}
	entries := func(page []E, err error) ([]*entry[M], error) {
		out := make([]*entry[M], len(page))
		for i, e := range page {
			about, at, last := s.Of(e)
			once := func(topic Topic) func() M {
				return sync.OnceValue(func() M { return s.Message(e, f.token(topic, at)) })
			}
			out[i] = &entry[M]{
				about: about, at: at, last: last, one: once(about), all: once(Topic{Tenant: about.Tenant}),
			}
		}
		return out, err
	}
	f.tail = func(ctx context.Context, after store.Cursor, limit int) ([]*entry[M], error) {
		return entries(s.Tail(ctx, after, limit))
	}
	f.read = func(r store.Reader, topic Topic, after store.Cursor, limit int) ([]*entry[M], error) {
		return entries(s.Read(r, topic, after, limit))
	}
	return f
}

// subscribe has the tailer hand over the topic's entries: all those that are visible in the log only after it returns,
// and perhaps some before them.
func (f *Feed[M]) subscribe(ctx context.Context, topic Topic, wake func()) (*subscription[M], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.start(ctx); err != nil {
		return nil, err
	}
	s := &subscription[M]{
		topic: topic, entries: make(chan *entry[M], buffered), behind: make(chan struct{}, 1), wake: wake,
	}
	if f.streams[topic] == nil {
		f.streams[topic] = make(map[*subscription[M]]struct{})
	}
	f.streams[topic][s] = struct{}{}
	return s, nil
}

// start begins a tailer at the log's end, unless one is at work. The place is taken before the stream that calls it
// reads the log, so that nothing falls in between. The feed's lock is held.
func (f *Feed[M]) start(ctx context.Context) error {
	if f.tailer != nil {
		return nil
	}
	at, err := f.tails.Head(ctx, f.log)
	if err != nil {
		return err
	}
	life, stop := context.WithCancel(context.Background())
	f.tailer = &tailer{stop: stop}
	go f.follow(life, f.tailer, at)
	return nil
}

// unsubscribe ends a stream's place. The tailer stops with the last one.
func (f *Feed[M]) unsubscribe(s *subscription[M]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams[s.topic], s)
	if len(f.streams[s.topic]) == 0 {
		delete(f.streams, s.topic)
	}
	if len(f.streams) == 0 && f.tailer != nil {
		f.tailer.stop()
		f.tailer = nil
	}
}

// refresh empties the place of a stream that fell behind, before it reads the log itself. When the tailer gave up, the
// first of its streams begins the next one.
func (f *Feed[M]) refresh(ctx context.Context, s *subscription[M]) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.start(ctx); err != nil {
		return err
	}
	for len(s.entries) > 0 {
		<-s.entries
	}
	s.stale = false
	return nil
}

// follow is the tailer: it reads what is added to the log behind a place, and hands it over.
func (f *Feed[M]) follow(ctx context.Context, t *tailer, at store.Cursor) {
	wake, cancel := f.tails.Subscribe(f.log)
	defer cancel()
	for {
		page, err := f.tail(ctx, at, tailBatch)
		if errors.Is(err, store.ErrCursor) || errors.Is(err, store.ErrCursorExpired) {
			f.giveUp(t)
			return
		}
		if err != nil && ctx.Err() == nil {
			f.logger.WarnContext(ctx, "cannot follow a log", "log", string(f.log), "error", err.Error())
		}
		if len(page) > 0 {
			at = page[len(page)-1].at
			f.deliver(t, page)
		}
		if len(page) == tailBatch {
			continue
		}
		if !await(ctx, wake, at, err != nil) {
			return
		}
	}
}

// await waits until there may be entries behind a place, or for another try when the store did not answer. It tells
// whether the context still lasts. The same entries are told of several times, by their commit, by other processes and
// by looking: once they were read, they are not read again.
func await(ctx context.Context, wake <-chan store.Cursor, at store.Cursor, failed bool) bool {
	var retry <-chan time.Time
	if failed {
		retry = time.After(tailRetry)
	}
	for {
		select {
		case to := <-wake:
			if to == at && to != "" && !failed {
				continue
			}
			return true
		case <-retry:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// deliver hands entries to the streams that they concern, and waits for none.
func (f *Feed[M]) deliver(t *tailer, page []*entry[M]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tailer != t {
		return // Another one is at work for other streams.
	}
	for _, e := range page {
		for _, topic := range []Topic{e.about, {Tenant: e.about.Tenant}} {
			for s := range f.streams[topic] {
				f.hand(s, e)
			}
		}
	}
}

func (f *Feed[M]) hand(s *subscription[M], e *entry[M]) {
	if s.stale {
		return
	}
	select {
	case s.entries <- e:
		s.wake()
	default:
		s.fallBehind()
	}
}

// fallBehind has the stream read the log itself. The feed's lock is held.
func (s *subscription[M]) fallBehind() {
	s.stale = true
	select {
	case s.behind <- struct{}{}:
	default:
	}
	s.wake()
}

// giveUp ends the tailer whose place is no longer one of the log, since another database took this one's place. Each
// stream reads the log itself then: it ends when its own place is gone, too, and otherwise goes on with a new tailer.
func (f *Feed[M]) giveUp(t *tailer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tailer != t {
		return
	}
	t.stop()
	f.tailer = nil
	for _, streams := range f.streams {
		for s := range streams {
			s.fallBehind()
		}
	}
}
