package postgres

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/store"
)

// Processes find new entries by looking at the log (package wake). So that they need not wait for the next look,
// whoever committed some tells the others by NOTIFY: after the commit, since within it all that notify wait for each
// other, and once for all that were committed meanwhile. It says up to where the log goes, so that who has read so far
// does not read again. It is a hint: one that is lost costs a fifth of a second.

const (
	// newsEvery is how long is waited between two NOTIFYs.
	newsEvery = 10 * time.Millisecond
	// listenAgain is how long is waited before listening again when the connection was lost.
	listenAgain = time.Second
)

// news tells other processes which logs have entries.
type news struct {
	mu      sync.Mutex
	pending map[store.Log]store.Cursor
	// come has room for one: there is something pending.
	come   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
}

// start begins to tell.
func (n *news) start(s *Store) {
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	n.come, n.done, n.pending = make(chan struct{}, 1), make(chan struct{}), map[store.Log]store.Cursor{}
	go func() {
		defer close(n.done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-n.come:
			}
			n.mu.Lock()
			places := slices.Collect(maps.Values(n.pending))
			clear(n.pending)
			n.mu.Unlock()
			for _, place := range places {
				// Who misses it looks for itself. One that is under way is not cancelled when the store closes: the
				// request to cancel would need another connection.
				limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
				_, _ = s.pool.Exec(limited, "SELECT pg_notify($1, $2)", s.channel(), string(place))
				cancel()
			}
			timer := time.NewTimer(newsEvery)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}()
}

// tell has the others know of logs and up to where they go, without waiting for it.
func (n *news) tell(logs map[store.Log]store.Cursor) {
	if len(logs) == 0 || n.come == nil {
		return
	}
	n.mu.Lock()
	for log, place := range logs {
		if place.Behind(n.pending[log]) {
			n.pending[log] = place
		}
	}
	n.mu.Unlock()
	select {
	case n.come <- struct{}{}:
	default: // It is known that there is something.
	}
}

// stop ends the telling.
func (n *news) stop() {
	if n.cancel != nil {
		n.cancel()
		<-n.done
	}
}

// channel is what is notified: one for each database, and for each schema in it.
func (s *Store) channel() string { return "kontor_" + s.epoch }

// follow wakes those who follow a log by what other processes tell, until the context ends and nobody follows.
func (s *Store) follow(ctx context.Context) {
	defer s.held.forget()
	for s.listen != nil && ctx.Err() == nil {
		s.hear(ctx)
		timer := time.NewTimer(listenAgain)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	<-ctx.Done()
}

// hear listens until the connection or the context ends.
func (s *Store) hear(ctx context.Context) {
	c, err := pgx.ConnectConfig(ctx, s.listen)
	if err != nil {
		return
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
		defer cancel()
		_ = c.Close(closing)
	}()
	if _, err := c.Exec(ctx, "LISTEN "+pgx.Identifier{s.channel()}.Sanitize()); err != nil {
		return
	}
	for {
		told, err := c.WaitForNotification(ctx)
		if err != nil {
			return
		}
		log, _, _ := strings.Cut(told.Payload, ".")
		s.hub.Wake(map[store.Log]store.Cursor{store.Log(log): store.Cursor(told.Payload)})
	}
}
