package rest

import (
	"context"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/server/inproc"
)

// streamed writes what streams send.
type streamed interface {
	runtime.Marshaler
	runtime.StreamContentType
}

// sharing writes messages that many streams send once for all of them.
type sharing struct {
	streamed

	form broadcast.Form
}

// Delimiter implements runtime.Delimited.
func (s sharing) Delimiter() []byte {
	if own, ok := s.streamed.(runtime.Delimited); ok {
		return own.Delimiter()
	}
	return []byte("\n")
}

// Marshal implements runtime.Marshaler.
func (s sharing) Marshal(v any) ([]byte, error) {
	if chunk, ok := v.(map[string]any); ok {
		if many, ok := chunk["result"].(*broadcast.Message); ok {
			return many.Write(s.form, func(m proto.Message) ([]byte, error) {
				return s.streamed.Marshal(map[string]any{"result": m})
			})
		}
	}
	return s.streamed.Marshal(v)
}

// manys puts a message that many streams send in place of the empty one that the library received.
func manys(ctx context.Context, received proto.Message) (any, error) {
	if many := inproc.Shared(ctx); many != nil {
		return many, nil
	}
	return received, nil
}
