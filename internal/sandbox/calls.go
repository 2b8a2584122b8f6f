package sandbox

import (
	"net/http"
	"net/url"
	"sync"
	"time"
)

// What is kept of past calls, so that a sandbox that runs for days does not grow: the counts are exact for ever,
// the calls themselves are forgotten from the oldest on.
const (
	maxCalls     = 20_000
	maxCallBytes = 64 << 20
)

// Call is one request as it arrived. Its Authorization header is kept, and so is its body: everything here is fake.
type Call struct {
	Operation string // an operation's name, OperationPage or OperationUnknown
	Method    string
	Path      string // as requested, not the pattern
	Query     url.Values
	Header    http.Header
	Body      []byte
	Status    int       // what was answered; 0 while unanswered, and for ever when the connection was closed instead
	Time      time.Time // by the sandbox's clock
}

// Calls remembers what a server was asked. It is safe for concurrent use.
type Calls struct {
	mu     sync.Mutex
	calls  []*Call
	bytes  int
	counts map[string]int
}

// Record adds a call.
func (c *Calls) Record(call Call) { c.begin(call) }

// begin adds a call that is not answered yet and returns what sets its status. Calls count on arrival, so that a
// test sees one that is still held up.
func (c *Calls) begin(call Call) (answered func(status int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[call.Operation]++
	c.calls = append(c.calls, &call)
	c.bytes += len(call.Body)
	for len(c.calls) > maxCalls || c.bytes > maxCallBytes {
		c.bytes -= len(c.calls[0].Body)
		c.calls[0] = nil
		c.calls = c.calls[1:]
	}
	return func(status int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		call.Status = status
	}
}

// All returns the remembered calls in order of arrival.
func (c *Calls) All() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Call, len(c.calls))
	for i, call := range c.calls {
		all[i] = *call
	}
	return all
}

// Of returns the remembered calls of one operation in order of arrival.
func (c *Calls) Of(operation string) []Call {
	var of []Call
	for _, call := range c.All() {
		if call.Operation == operation {
			of = append(of, call)
		}
	}
	return of
}

// Count is how often an operation was called since the start or the last Reset.
func (c *Calls) Count(operation string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[operation]
}

// Reset forgets everything.
func (c *Calls) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.bytes, c.counts = nil, 0, nil
}
