// Package columns is how rows stand in the tables of a database, whatever kind of database it is: instants, messages,
// and what is sealed of them. Drivers write their statements themselves, and name columns in the order that the
// functions here give or take.
//
// Instants are kept as whole microseconds since 1970, in UTC, and come back as such; the zero time is kept as 0.
// Instants within messages and events keep their full precision.
package columns

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/store"
)

// Row is one row of a query's answer.
type Row interface{ Scan(dest ...any) error }

// Only scans the only column of a row.
func Only[T any](row Row) (value T, err error) { return value, row.Scan(&value) }

// Pair scans two columns.
func Pair(row Row) (pair [2]string, err error) { return pair, row.Scan(&pair[0], &pair[1]) }

// Micros is how an instant is kept: microseconds since 1970, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Instant is the inverse of Micros.
func Instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// Lookup is how what a row is found by is kept: NULL for nothing, which equals nothing.
func Lookup(l store.Lookup) []byte {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Encode is how a message is kept in clear text. A message without content is an empty blob, never NULL.
func Encode(m proto.Message) ([]byte, error) {
	blob, err := proto.Marshal(m)
	if blob == nil {
		blob = []byte{}
	}
	return blob, err
}

// Decode is the inverse of Encode.
func Decode[T any, M interface {
	*T
	proto.Message
}](blob []byte) (M, error) {
	m := M(new(T))
	return m, proto.Unmarshal(blob, m)
}

// List is how several values become one: a list in JSON.
func List[T any](values []T) (string, error) {
	text, err := json.Marshal(values)
	return string(text), err
}
