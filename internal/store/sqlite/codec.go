package sqlite

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

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

// blob is how bytes that may be absent are kept.
func blob(b []byte) []byte { return lookup(b) }

// encode is how a message is kept. A message without content, or none, is an empty blob, never NULL.
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
