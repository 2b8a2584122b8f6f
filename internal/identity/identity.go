// Package identity carries who calls, and what came with the call beside the request, through the context. The server
// puts it there after authentication; services read it. Nothing here decides anything.
package identity

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Identity is an authenticated client.
type Identity struct {
	// ClientID is the client's id in the configuration, or for a bearer of a token "<id>@<issuer>".
	ClientID string
	// Tenant owns everything that the client can see.
	Tenant string
	// Scopes are those of the configuration or token, such as "consents.write" or "*".
	Scopes []string
	// Expires is when what the client authenticated with ends; zero for what has no end. Streams end with it.
	Expires time.Time
	// OnEnd calls do in a goroutine of its own once what the client authenticated with is no longer taken, and at once
	// when it is not by now; stop keeps it from doing so, as with context.AfterFunc. Nil for what nobody can take back.
	// Streams end with it.
	OnEnd func(do func()) (stop func() bool)
	// Key tells what the client authenticated with apart from its other keys; empty for a token. It is no secret.
	Key string
	// Ticket is set for who came with a ticket of the client's, and may do nothing but follow one consent.
	Ticket *Ticket
}

// Ticket lets its bearer follow one consent for a while, in the name of the client that asked for it.
type Ticket struct {
	Tenant    string    `json:"tenant"`
	ClientID  string    `json:"client"`
	Key       string    `json:"key,omitempty"` // what the client asked with
	ConsentID string    `json:"consent"`
	Expires   time.Time `json:"expires"`
}

// Allows tells whether the client has a scope `<service>.<read|write>`. Write includes read, and `*` is all.
func (i Identity) Allows(scope string) bool {
	service, access, _ := strings.Cut(scope, ".")
	return slices.ContainsFunc(i.Scopes, func(have string) bool {
		return have == "*" || have == scope || access == "read" && have == service+".write"
	})
}

// Call is what is known of a call beside its request.
type Call struct {
	// Client is who calls; the zero Identity, which has no tenant and no scope, when nobody was authenticated.
	Client Identity
	// RequestID is the id of the request, as the caller sees it in x-request-id.
	RequestID string
	// Peer is the network address that the call came from, past the proxies that are trusted.
	Peer string
	// IdempotencyKey is the metadata or header `idempotency-key`, empty when there was none. A request_id in the
	// request goes before it.
	IdempotencyKey string
	// LastEventID is the metadata or header `last-event-id`: the resume token that a reconnecting EventSource sends. A
	// resume_token in the request goes before it.
	LastEventID string
	// IfMatch is the etag that the caller expects of the resource, empty when any will do.
	IfMatch string
	// Trail is the call's, nil when there is none.
	Trail *Trail
}

type callKey struct{}

// WithCall attaches a call, in place of the one before.
func WithCall(ctx context.Context, call Call) context.Context {
	return context.WithValue(ctx, callKey{}, &call)
}

// CallOf gives the call that a context belongs to; the zero Call when it belongs to none.
func CallOf(ctx context.Context) Call {
	if call, ok := ctx.Value(callKey{}).(*Call); ok {
		return *call
	}
	return Call{}
}

// With attaches the client.
func With(ctx context.Context, id Identity) context.Context {
	call := CallOf(ctx)
	call.Client = id
	return WithCall(ctx, call)
}

// From gives the client of the call.
func From(ctx context.Context) Identity { return CallOf(ctx).Client }

// RequestID gives the id of the request.
func RequestID(ctx context.Context) string { return CallOf(ctx).RequestID }

// WithIfMatch attaches the etag that the caller expects of the resource.
func WithIfMatch(ctx context.Context, etag string) context.Context {
	call := CallOf(ctx)
	call.IfMatch = etag
	return WithCall(ctx, call)
}

// IfMatch gives the etag that the caller expects of the resource.
func IfMatch(ctx context.Context) string { return CallOf(ctx).IfMatch }

// Peer gives the network address that the call came from.
func Peer(ctx context.Context) string { return CallOf(ctx).Peer }

// Trail remembers of a call which outcomes are in the audit already, whether a provider may have changed something for
// it, and since when the store was away. A nil Trail remembers nothing. Safe for concurrent use.
type Trail struct {
	mu       sync.Mutex
	outcomes []string
	acted    bool
	away     time.Time
}

// WithTrail attaches a new trail.
func WithTrail(ctx context.Context) context.Context {
	call := CallOf(ctx)
	call.Trail = &Trail{}
	return WithCall(ctx, call)
}

// TrailOf gives the trail, nil when there is none.
func TrailOf(ctx context.Context) *Trail { return CallOf(ctx).Trail }

// Note remembers an outcome.
func (t *Trail) Note(outcome string) {
	if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.outcomes = append(t.outcomes, outcome)
	}
}

// Has tells whether an outcome was noted.
func (t *Trail) Has(outcome string) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.outcomes, outcome)
}

// Acted remembers that a provider was asked to change something for the call, and may have done it.
func (t *Trail) Acted() {
	if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.acted = true
	}
}

// HasActed tells whether Acted was called.
func (t *Trail) HasActed() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acted
}

// AwaySince gives when the store was first found to be away for the call: now, when it was not before.
func (t *Trail) AwaySince(now time.Time) time.Time {
	if t == nil {
		return now
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.away.IsZero() {
		t.away = now
	}
	return t.away
}

// WithIdempotencyKey attaches the caller's idempotency key.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	call := CallOf(ctx)
	call.IdempotencyKey = key
	return WithCall(ctx, call)
}

// IdempotencyKey gives the caller's idempotency key.
func IdempotencyKey(ctx context.Context) string { return CallOf(ctx).IdempotencyKey }

// LastEventID gives the id of the last event that a resuming stream has seen.
func LastEventID(ctx context.Context) string { return CallOf(ctx).LastEventID }
