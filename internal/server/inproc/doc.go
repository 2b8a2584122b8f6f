// Package inproc carries gRPC calls within the process: a Channel is a connection to whoever calls and a registrar to
// whoever serves, without a socket and without encoding. REST uses it, so that its requests pass what guards the
// services. It knows nothing of guards: what is registered is called.
//
// What crosses, and how:
//
//   - Deadline and cancellation reach the handler. Values of the caller's context do not; Caller gives the context
//     itself to who knows this package, which no service does.
//   - Metadata is copied, both ways.
//   - A unary request is moved: the handler gets what the caller's message holds, and that is empty afterwards. A
//     handler may keep a request for work that outlives the call, and may change it; a copy of a large document would
//     be for nothing, since the front makes a request for one call and never looks at it again.
//   - A unary answer is lent: the caller has a message of its own, whose lists and inner messages are the handler's,
//     and only reads them. A handler may give many callers the same message at a time, and keep it, but changes none
//     that it has returned; a server of gRPC reads it after that, too.
//   - A message of a stream is copied while the handler waits, once, and the copy is the caller's: over a socket a
//     handler may use its message again as soon as Send returns, and must be able to here. So is a stream's request.
//     What many streams send (package broadcast) nobody changes: it is shared.
//   - A stream holds few messages that nobody has read yet. Beyond that the handler waits in Send, until the caller
//     reads or its context ends.
//   - A panic reaches the caller's goroutine: that of a unary call because it runs there, that of a stream when the
//     caller next receives.
//
// A unary call runs in its caller's goroutine. Invoke therefore returns when the handler does, and not before: a
// handler that does not look at its context keeps its caller waiting. In exchange nothing of a call is left behind
// when its HTTP request is over, no goroutine is started, and no stack has to grow anew.
//
// Requests that are streams are not carried: the API has none, since REST could not express them.
package inproc
