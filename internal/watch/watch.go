// Package watch runs streams. A stream is a cursor in a log of the store: it reads the log itself from where
// it is, and is merely woken when there is more. So a slow reader delays nobody, and a stream that is resumed
// behind its cursor misses and repeats nothing. What a stream sends is its service's.
package watch

import (
	"context"
	"strconv"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
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

// Batch is how many entries of a log are read at once.
const Batch = 100

// Log is what Run needs to know about one of the two logs.
type Log struct {
	Topic store.Topic
	// Snapshot sends the present state, with the token on its last message, and gives the position behind
	// which the events follow. When there is nothing to send it says so, and the token is sent by itself.
	Snapshot func() (position int64, sent bool, err error)
	// Next sends entries behind a position and gives the last one's; last says that the stream ends with it.
	Next func(position int64) (reached int64, count int, last bool, err error)
	// Heartbeat sends a message that carries nothing but the token.
	Heartbeat func(position int64) error
}

// Run runs a stream until the caller leaves, the gateway stops or the log says that it is over.
func (s *Streams) Run(ctx context.Context, log Log, token string) error {
	wake, cancel := s.Store.Subscribe(log.Topic)
	defer cancel()
	scope := []string{log.Topic.Tenant, string(log.Topic.Log), log.Topic.ID}
	if token == "" {
		token = identity.LastEventID(ctx)
	}
	cursor, err := service.DecodeToken(token, "resumeToken", scope...)
	if err != nil {
		return err
	}
	position, err := strconv.ParseInt(cursor, 10, 64)
	if cursor != "" && err != nil {
		return kerr.InvalidField("resumeToken", "is not a token of this stream")
	}
	if cursor == "" {
		var sent bool
		if position, sent, err = log.Snapshot(); err != nil {
			return err
		}
		if !sent {
			if err := log.Heartbeat(position); err != nil {
				return err
			}
		}
	}
	silence := time.NewTimer(s.Heartbeat)
	defer silence.Stop()
	for {
		reached, count, last, err := log.Next(position)
		if err != nil || last {
			return err
		}
		position = reached
		if count > 0 {
			silence.Reset(s.Heartbeat)
		}
		if count == Batch {
			continue
		}
		select {
		case <-wake:
		case <-silence.C:
			if err := log.Heartbeat(position); err != nil {
				return err
			}
			silence.Reset(s.Heartbeat)
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Stopping:
			return kerr.New(errorv1.Error_GATEWAY_STOPPING,
				"the gateway is stopping: resume the stream with its token", kerr.WithRetry(time.Second))
		}
	}
}

// Token makes the token that resumes a stream behind a position.
func Token(topic store.Topic, position int64) string {
	return service.EncodeToken(strconv.FormatInt(position, 10), topic.Tenant, string(topic.Log), topic.ID)
}
