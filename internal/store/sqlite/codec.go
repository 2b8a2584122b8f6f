package sqlite

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

// micros is how an instant is kept: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant is the inverse of micros.
func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// lookup is how what a row is found by is kept: NULL for nothing, which equals nothing.
func lookup(l store.Lookup) []byte {
	if len(l) == 0 {
		return nil
	}
	return l
}

// sealMessage is how a message is kept that only its owner's key opens. A message without content, or none, is sealed
// like any other.
func sealMessage(box *keys.Box, m proto.Message, place ...string) ([]byte, error) {
	blob, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return box.Seal(blob, place...)
}

// openMessage is the inverse of sealMessage.
func openMessage[T any, M interface {
	*T
	proto.Message
}](box *keys.Box, sealed []byte, place ...string) (M, error) {
	blob, err := box.Open(sealed, place...)
	if err != nil {
		return nil, err
	}
	return decode[T, M](blob)
}

// encode is how a message is kept in clear text. A message without content is an empty blob, never NULL.
func encode(m proto.Message) ([]byte, error) {
	blob, err := proto.Marshal(m)
	if blob == nil {
		blob = []byte{}
	}
	return blob, err
}

// decode is the inverse of encode.
func decode[T any, M interface {
	*T
	proto.Message
}](blob []byte) (M, error) {
	m := M(new(T))
	return m, proto.Unmarshal(blob, m)
}

// list is how several values become one argument, for json_each.
func list[T any](values []T) (string, error) {
	text, err := json.Marshal(values)
	return string(text), err
}
