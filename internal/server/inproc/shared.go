package inproc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/broadcast"
)

// shared is where a caller finds a message that many streams send.
type shared struct{ message *broadcast.Message }

type sharedKey struct{}

// WithShared is for a caller who writes messages that many streams send once for all: of the one stream that is begun
// in the context, RecvMsg leaves its message empty then, and Shared gives the one that came.
func WithShared(ctx context.Context) context.Context {
	return context.WithValue(ctx, sharedKey{}, &shared{})
}

// Shared gives the message that RecvMsg received last, nil when that was one which a stream alone sends.
func Shared(ctx context.Context) *broadcast.Message {
	if s, ok := ctx.Value(sharedKey{}).(*shared); ok {
		return s.message
	}
	return nil
}

// crossed gives what a handler sent to its caller: a copy, but for what many streams send.
func crossed(v any) (any, error) {
	if m, ok := v.(*broadcast.Message); ok {
		return m, nil
	}
	m, err := message(v)
	if err != nil {
		return nil, err
	}
	return proto.Clone(m), nil
}

// receive puts what came into the caller's message.
func receive(ctx context.Context, into, came any) error {
	of, _ := ctx.Value(sharedKey{}).(*shared)
	many, ok := came.(*broadcast.Message)
	if of != nil {
		of.message = many
	}
	switch {
	case !ok:
		return move(into, came)
	case of != nil:
		return nil
	}
	target, source, err := pair(into, many.Proto())
	if err != nil {
		return err
	}
	proto.Reset(target)
	proto.Merge(target, source) // The caller may change what it received.
	return nil
}
