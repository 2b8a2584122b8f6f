package providers

import (
	"context"
	"time"
)

// Observer sees what goes over the wire, for metrics and traces. Its methods must be quick and safe for concurrent
// use.
type Observer interface {
	// Start sees an attempt begin. The attempt runs under the context that it returns, and ends with one call of the
	// returned function.
	Start(ctx context.Context, call CallInfo) (context.Context, func(CallOutcome))
	// BreakerChanged sees the circuit breaker change.
	BreakerChanged(provider string, from, to BreakerState)
}

// BreakerState is the state of a circuit breaker: "closed", "open" or "half-open".
type BreakerState string

// The states of a circuit breaker.
const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"
	BreakerHalfOpen BreakerState = "half-open"
)

// CallInfo describes an attempt.
type CallInfo struct {
	Provider, Operation string
	// Method is the HTTP method.
	Method string
	// Attempt counts from 1 within one call; a replay after 401 counts as well.
	Attempt int
}

// CallOutcome is how an attempt ended.
type CallOutcome struct {
	// OK says that it succeeded; otherwise Kind says how it failed.
	OK   bool
	Kind ErrorKind
	// Acted says that it changed something at the provider, or may have.
	Acted bool
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Duration runs from before the connection to the end of the body.
	Duration time.Duration
	// Bytes is the size of the body as far as it was read, as it came over the wire.
	Bytes int64
	// RequestID is the provider's id of the request, or the one that was sent.
	RequestID string
}

// Limits bounds what one call may take, in time and in size. Zero values stand for the defaults.
type Limits struct {
	// Dial is for connecting, and once more for the TLS handshake. Default 5 s.
	Dial time.Duration
	// Header is from the end of the request to the answer's header. Default 10 s.
	Header time.Duration
	// Body is how long Do waits for the bytes of a body, in sum. Default 30 s.
	Body time.Duration
	// StreamBody is the same for Stream. Default 5 min.
	StreamBody time.Duration
	// Stall is how long no byte may come, or go out. Default 10 s.
	Stall time.Duration
	// Call is for everything, retries included, when the caller has no deadline. Default 60 s.
	Call time.Duration
	// BodyBytes is the size of a body for Do, and within a body for Stream of what is kept at once, such as one
	// transaction, after decompression. Default 64 MiB.
	BodyBytes int64
	// StreamBytes is the size of a body for Stream, after decompression. Default 512 MiB.
	StreamBytes int64
	// HeaderBytes is the size of an answer's header. Default 1 MiB.
	HeaderBytes int64
	// ErrorBytes is how much of an error body the adapter looks at for a code. Default 64 KiB.
	ErrorBytes int64
	// Depth is how deep JSON may nest. Default 64.
	Depth int
}

// Policy is what a client does about failures. Zero values stand for the defaults.
type Policy struct {
	// Retries is how often a failed read is sent again, at most and within the budget. Default 2, negative for never.
	Retries int
	// MinBackoff and MaxBackoff bound the pause before a retry, which doubles and is cut randomly by up to half.
	// Defaults 100 ms and 2 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxConcurrent is how many requests may be under way; more wait, by their own context. Default 256.
	MaxConcurrent int
	// MaxCallers is how many calls may be under way or wait, for a place or for a login; more fail at once. Default
	// 2048.
	MaxCallers int
	// BreakerWindow, BreakerCalls and BreakerRate say when the circuit breaker opens: when in the last BreakerWindow
	// there were at least BreakerCalls requests and the share BreakerRate of them failed. Defaults 10 s, 100 and 0.8;
	// negative BreakerCalls for never.
	//
	// A request whose caller leaves without an answer counts as failed when the provider had its fair time: four times
	// as long as the operation's answers usually take, but at least a fortieth of Limits.Header, and a tenth of it
	// while nothing is known. Before that it counts as nothing.
	//
	// It is for a provider that is down. In a brownout the retry budget bounds the load, and every answer that gets
	// through counts. With fewer than 10 requests a second even a provider that hangs until Limits.Header cannot fill
	// the bulkhead, so that there is nothing to protect.
	BreakerWindow time.Duration
	BreakerCalls  int
	BreakerRate   float64
	// BreakerOpen is how long it stays open before it lets probes through. Default 5 s.
	BreakerOpen time.Duration
	// LoginBackoff is the least time between two logins while logging in fails. Default 5 s.
	LoginBackoff time.Duration
}
