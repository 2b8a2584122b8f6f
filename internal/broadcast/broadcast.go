// Package broadcast holds messages that many streams send at a time. One is made when the first stream sends it, and
// written once in each form that somebody reads, however many streams send it. What a watcher may see of an entry is a
// Message of its own: two views never share one. Who may see what is the services'; how a form is written, its
// transport's.
package broadcast

import (
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
)

// Form is how a message is written.
type Form int

// The forms. Those of REST are lines of JSON and Server-Sent Events, each also without empty fields.
const (
	Protobuf Form = iota
	Lines
	Events
	SparseLines
	SparseEvents
)

// Message is a message that many streams send. Nobody changes it, nor what is written of it. Safe for concurrent use.
type Message struct {
	mu      sync.Mutex
	of      func() proto.Message // nil once it was called
	message proto.Message
	written []written
}

type written struct {
	form Form
	data []byte
}

// New gives the message that a function makes, which is called once, when somebody needs it.
func New(of func() proto.Message) *Message { return &Message{of: of} }

// Proto gives the message itself.
func (m *Message) Proto() proto.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.made()
}

// made gives the message. The lock is held.
func (m *Message) made() proto.Message {
	if m.of != nil {
		m.message, m.of = m.of(), nil
	}
	return m.message
}

// Write gives the message in a form, as write writes it: the first time, and what that gave ever after. Who asks
// meanwhile waits. An error is not kept.
func (m *Message) Write(form Form, write func(proto.Message) ([]byte, error)) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.written, func(w written) bool { return w.form == form }); i >= 0 {
		return m.written[i].data, nil
	}
	data, err := write(m.made())
	if err == nil {
		m.written = append(m.written, written{form, slices.Clip(data)})
	}
	return data, err
}
