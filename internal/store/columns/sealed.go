package columns

import (
	"errors"
	"strconv"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

// What is personal is sealed as it is written, and opened as it is read. Each sealed column is bound to its name and
// the key of its row. A row's owner, whose data key opens it, is a customer or, for a shipment without one, the
// shipment. The wrapped data key is read by the same query as the row: once it is erased, nothing opens.

// ErrNoKeys is what a database answers that was opened without its store key.
var ErrNoKeys = errors.New("store: sealed, and opened without the store key")

// Opener makes rows of what a query gives, and opens what of it is sealed.
type Opener struct {
	// Keys open what is sealed; nil where nothing is to be opened.
	Keys *keys.Keys
	// Epoch is that of the logs, which cursors carry.
	Epoch string
}

// Box gives what opens an owner's columns, by the data key that was read with them.
func (o Opener) Box(tenant, owner string, wrapped []byte) (*keys.Box, error) {
	if o.Keys == nil {
		return nil, ErrNoKeys
	}
	return o.Keys.Box(tenant, owner, wrapped)
}

// EventKey is how an event's key stands in the log: it may name what only its owner's data key opens.
func (o Opener) EventKey(tenant, consentID, key string) []byte {
	return o.Keys.MAC(keys.References, tenant, []byte("event"), []byte(consentID), []byte(key))
}

// SealMessage is how a message is kept that only its owner's key opens. A message without content, or none, is sealed
// like any other.
func SealMessage(box *keys.Box, m proto.Message, place ...string) ([]byte, error) {
	blob, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return box.Seal(blob, place...)
}

// openMessage is the inverse of SealMessage.
func openMessage[T any, M interface {
	*T
	proto.Message
}](box *keys.Box, sealed []byte, place ...string) (M, error) {
	blob, err := box.Open(sealed, place...)
	if err != nil {
		return nil, err
	}
	return Decode[T, M](blob)
}

// placeOfEntry is what a column of a consent's entry in the log is bound to.
func placeOfEntry(column, consentID string, sequence int64) []string {
	return []string{column, consentID, strconv.FormatInt(sequence, 10)}
}

// placeOfAnswer is what a sealed answer is bound to.
func placeOfAnswer(i *store.Idempotency) []string {
	return []string{"idempotency.response", i.Method, i.Key}
}

// openAnswer opens an answer with its customer's data key, or with a working key where it is about nobody.
func (o Opener) openAnswer(i *store.Idempotency, sealed, key []byte) ([]byte, error) {
	if i.CustomerID == "" && o.Keys != nil {
		return o.Keys.Open(keys.Requests, i.Tenant, sealed, placeOfAnswer(i)...)
	}
	box, err := o.Box(i.Tenant, i.CustomerID, key)
	if err != nil {
		return nil, err
	}
	return box.Open(sealed, placeOfAnswer(i)...)
}

// SealAnswer seals the answer of a record that has one; box is its customer's, and not used where it is about nobody. A
// failure is not sealed: it says nothing about anybody.
func (o Opener) SealAnswer(i *store.Idempotency, box *keys.Box) ([]byte, error) {
	if i.CustomerID == "" {
		return o.Keys.Seal(keys.Requests, i.Tenant, i.Response, placeOfAnswer(i)...)
	}
	return box.Seal(i.Response, placeOfAnswer(i)...)
}
