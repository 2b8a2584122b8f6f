package guard

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/server/inproc"
	"kontor.dev/kontor/internal/server/origin"
	"kontor.dev/kontor/internal/telemetry"
)

// Metadata and headers that callers send, by their names in metadata.
const (
	keyAuthorization  = "authorization"
	keyRequestID      = "x-request-id"
	keyPSUIP          = "psu-ip-address"
	keyIdempotencyKey = "idempotency-key"
	keyLastEventID    = "last-event-id"
)

// Longest values that are taken.
const (
	maxIdempotencyKey = 255
	maxLastEventID    = 500
)

// call is one call on its way through the guard.
type call struct {
	guard     *Guard
	rule      rule
	transport string
	requestID string
	admission *admission // of the request that the call was made for; nil for a call of gRPC
	client    identity.Identity
	from      string // where the call came from
	begun     time.Time
	span      trace.Span // nil until it is known who calls
	measured  func(code, reason string)
	// ctx is what the service gets.
	ctx context.Context
	md  metadata.MD
	// resource is the name of what the request is about, once it was read.
	resource string
}

// begin starts a call: from here on it is counted, and its end is logged.
func (g *Guard) begin(ctx context.Context, r rule) *call {
	md, _ := metadata.FromIncomingContext(ctx)
	c := &call{guard: g, rule: r, transport: "grpc", md: md, begun: g.clock()}
	if caller := inproc.Caller(ctx); caller != nil {
		c.transport = "rest"
		c.requestID = identity.RequestID(caller)
		if c.admission = g.admissionOf(caller); c.admission != nil {
			c.from = c.admission.peer
		}
		ctx = origin.With(ctx, origin.From(caller))
	} else {
		at := g.origin(ctx, md)
		c.from = at.String()
		ctx = origin.With(ctx, at)
	}
	if c.requestID == "" {
		c.requestID = RequestID(md.Get(keyRequestID))
	}
	c.measured = g.telemetry.RPC.Start(r.service, r.method, c.transport, r.stream)
	c.ctx = identity.WithTrail(identity.WithPeer(identity.WithRequestID(ctx, c.requestID), c.from))
	return c
}

// origin tells where a call of gRPC came from.
func (g *Guard) origin(ctx context.Context, md metadata.MD) origin.Origin {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return origin.Origin{}
	}
	var state *tls.ConnectionState
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
		state = &info.State
	}
	return g.proxies.Of(p.Addr.String(), md.Get(origin.Header), state)
}

// trace begins the call's span, in its caller's trace when the caller is known: a stranger can neither join a trace nor
// decide that one is recorded.
func (c *call) trace() {
	if c.span != nil {
		return
	}
	ctx := c.ctx
	if c.client.ClientID != "" {
		ctx = telemetry.Propagator.Extract(ctx, carrier(c.md))
	}
	c.ctx, c.span = c.guard.telemetry.Tracer.Start(ctx, c.rule.service+"/"+c.rule.method,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(c.begun), trace.WithAttributes(
			attribute.String("rpc.system.name", "grpc"),
			attribute.String("rpc.service", c.rule.service), attribute.String("rpc.method", c.rule.method),
			attribute.String("kontor.transport", c.transport), attribute.String("kontor.request_id", c.requestID),
		))
}

// admit finds out who calls and whether they may, and takes over what came with the call.
func (c *call) admit() error {
	client, err := c.authenticate()
	if err != nil {
		return err
	}
	c.client = client
	c.ctx = identity.With(c.ctx, client)
	c.trace()
	// The quota goes first: a refusal leaves an entry in the audit.
	if err := c.guard.quotas.take(client.Tenant + "/" + client.ClientID); err != nil {
		return err
	}
	if !client.Allows(c.rule.scope) {
		return kerr.New(errorv1.Error_SCOPE_MISSING, "the client lacks the scope "+c.rule.scope,
			kerr.WithMetadata(kerr.KeyScope, c.rule.scope))
	}
	return c.companions()
}

// read reads a request, and remembers what it is about.
func (c *call) read(request any, decode func(any) error) error {
	if err := c.guard.read(request, decode); err != nil {
		return err
	}
	if message, ok := request.(proto.Message); ok {
		c.resource = resourceOf(message.ProtoReflect())
	}
	return nil
}

// resourceOf finds the name of what a request is about: its own name or parent, or that of the resource in it.
func resourceOf(request protoreflect.Message) string {
	fields := request.Descriptor().Fields()
	for _, name := range []protoreflect.Name{"name", "parent"} {
		if field := fields.ByName(name); field != nil && field.Kind() == protoreflect.StringKind && !field.IsList() {
			return request.Get(field).String()
		}
	}
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Message() == nil || field.IsList() || field.IsMap() {
			continue
		}
		if name := field.Message().Fields().ByName("name"); name != nil && name.Kind() == protoreflect.StringKind {
			return request.Get(field).Message().Get(name).String()
		}
	}
	return ""
}

// record puts a call that was refused or failed into the audit: every change, every read of bank data, and whatever a
// client has no scope for. Other failed reads, wrong keys and used up quotas are in the access log alone. It gives what
// the caller is told, which is another failure when the audit does not take this one.
func (c *call) record(failure error) error {
	reason := kerr.Reason(failure)
	service := strings.Split(c.rule.scope, ".")
	switch {
	case c.guard.audit == nil || failure == nil || c.client.ClientID == "" || len(service) != 2 ||
		reason == errorv1.Error_GATEWAY_RATE_LIMITED:
	case service[1] == "write", service[0] == "banking", service[0] == "insights",
		reason == errorv1.Error_SCOPE_MISSING:
		told, _ := kerr.Finish(c.guard.audit(c.ctx, c.rule.method, c.resource, failure), c.requestID)
		return told
	}
	return failure
}

// companions takes over the metadata that travels beside a request.
func (c *call) companions() error {
	psuIP, err := c.one(keyPSUIP, 100)
	if err != nil {
		return err
	}
	if psuIP != "" {
		addr, err := netip.ParseAddr(psuIP)
		if err != nil || addr.Zone() != "" {
			return kerr.InvalidField(keyPSUIP, "must be an IPv4 or IPv6 address")
		}
		psuIP = addr.Unmap().String()
	}
	c.ctx = providers.WithCall(c.ctx, providers.Call{PSUIP: psuIP, RequestID: c.requestID})
	key, err := c.one(keyIdempotencyKey, maxIdempotencyKey)
	if err != nil {
		return err
	}
	if key != "" {
		c.ctx = identity.WithIdempotencyKey(c.ctx, key)
	}
	event, err := c.one(keyLastEventID, maxLastEventID)
	if err != nil {
		return err
	}
	if event != "" {
		c.ctx = identity.WithLastEventID(c.ctx, event)
	}
	return nil
}

// one gives the only value of a metadata key, empty when there is none.
func (c *call) one(key string, longest int) (string, error) {
	values := c.md.Get(key)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", kerr.InvalidField(key, "must be there only once")
	case len(values[0]) > longest || !printable(values[0]):
		return "", kerr.InvalidField(key, fmt.Sprintf("must be printable ASCII of at most %d characters", longest))
	}
	return values[0], nil
}

// end logs, counts and finishes a call. Panicked is what recover gave.
func (c *call) end(panicked any, err error) error {
	if panicked != nil {
		c.guard.telemetry.Logger.ErrorContext(c.ctx, "a call panicked",
			"request_id", c.requestID, "method", c.rule.method,
			"panic", PanicText(panicked), "stack", string(debug.Stack()))
		err = kerr.New(errorv1.Error_INTERNAL, "internal error")
	}
	c.trace()
	finished, cause := kerr.Finish(err, c.requestID)
	if cause == nil {
		cause = Refused(err)
	}
	finished = c.record(finished)
	code, reason := status.Code(finished), ""
	if finished != nil {
		reason = kerr.Reason(finished).String()
	}
	c.measured(code.String(), reason)
	c.log(code, reason, cause)
	c.span.SetAttributes(attribute.String("rpc.response.status_code", code.String()),
		attribute.String("kontor.client", c.client.ClientID))
	if finished != nil {
		c.span.SetAttributes(attribute.String("kontor.reason", reason))
		if serverFault(code) {
			c.span.SetStatus(otelcodes.Error, reason)
		}
	}
	c.span.End()
	return finished
}

// log writes the access log's line: names, codes, times and where the call came from, no field of a message.
func (c *call) log(code codes.Code, reason string, cause error) {
	if c.client.ClientID == "" && !c.guard.strangers.Take() {
		return
	}
	level := slog.LevelInfo
	if serverFault(code) {
		level = slog.LevelWarn
	}
	if code == codes.Internal {
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("service", c.rule.service), slog.String("method", c.rule.method),
		slog.String("transport", c.transport), slog.String("code", code.String()),
		slog.Float64("duration_ms", Milliseconds(c.guard.clock().Sub(c.begun))), slog.String("request_id", c.requestID),
		slog.String("peer", c.from),
	}
	if reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	if c.client.ClientID != "" {
		attrs = append(attrs, slog.String("client", c.client.ClientID), slog.String("tenant", c.client.Tenant))
	}
	if cause != nil {
		attrs = append(attrs, slog.String("cause", CauseText(cause)))
	}
	c.guard.telemetry.Logger.LogAttrs(c.ctx, level, "call", attrs...)
}

// serverFault tells whether a status is the gateway's or a provider's doing rather than the caller's.
func serverFault(code codes.Code) bool {
	switch code {
	case codes.Internal, codes.Unavailable, codes.Unknown, codes.DataLoss, codes.DeadlineExceeded:
		return true
	default:
		return false
	}
}

// printable tells whether a text has only printable ASCII, blanks aside.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// carrier lets the tracing library read metadata.
type carrier metadata.MD

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string {
	if values := metadata.MD(c).Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set implements propagation.TextMapCarrier. Nothing is injected here.
func (c carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for key := range c {
		keys = append(keys, key)
	}
	return keys
}
