package guard

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
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
	"kontor.dev/kontor/internal/server/inproc"
	"kontor.dev/kontor/internal/server/origin"
	"kontor.dev/kontor/internal/slot"
	"kontor.dev/kontor/internal/telemetry"
)

// call is one call on its way through the guard.
type call struct {
	companions

	guard     *Guard
	rule      rule
	transport string
	requestID string
	client    identity.Identity
	from      string // where the call came from
	begun     time.Time
	span      trace.Span // nil until it is known who calls
	measured  telemetry.Call
	md        metadata.MD
	// ctx is what the service gets.
	ctx context.Context
	// slot is the call's place among those under way; nil until it was let in. With it goes the room that its request
	// takes up.
	slot *slot.Slot
	room room
	// resource is the name of what the request is about, once it was read.
	resource string
}

// sender is what is known of whoever sent a request, before anybody asks who that is.
type sender struct {
	transport, requestID string
	at                   origin.Origin
	md                   metadata.MD
}

// senderOf finds out by which way a call came. One that came through the channel without an admission has what its
// caller gave it.
func (g *Guard) senderOf(ctx context.Context) sender {
	s := sender{transport: "grpc"}
	s.md, _ = metadata.FromIncomingContext(ctx)
	if caller := inproc.Caller(ctx); caller != nil {
		s.transport, s.requestID, s.at = "rest", identity.RequestID(caller), origin.From(caller)
	} else {
		s.at = g.origin(ctx, s.md)
	}
	return s
}

// begin starts a call: from here on it is counted, and its end is logged.
func (g *Guard) begin(ctx context.Context, r rule, s sender) *call {
	c := &call{
		guard: g, rule: r, transport: s.transport, requestID: s.requestID, md: s.md, begun: g.clock(),
		from: s.at.String(), ctx: origin.With(ctx, s.at),
	}
	if c.requestID == "" {
		c.requestID = RequestID(c.md.Get(keyRequestID))
	}
	c.measured = r.metrics.Start(c.transport)
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
	if !c.guard.telemetry.Traces() {
		c.span = noop.Span{}
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

// enter lets a call in: it finds out who calls and whether they may, takes over what came with the call, and gives it
// a place among those under way. Nothing of the request's body is looked at before.
func (c *call) enter() error {
	defer known(c.ctx)
	defer c.attach()
	if err := c.ctx.Err(); err != nil {
		return err // Its time was over before anybody got to it: it costs no more than that.
	}
	if err := checkHeaders(c.md); err != nil {
		return err
	}
	client, err := c.guard.authenticator.Authenticate(c.ctx, c.md.Get(keyAuthorization))
	if err != nil {
		return refuse(err)
	}
	c.client = client
	if c.guard.vouch != nil {
		c.guard.vouch(c.ctx)
	}
	c.trace()
	// The quota goes first: a refusal leaves an entry in the audit.
	if err := c.guard.quotas.take(quotaOf(client)); err != nil {
		return err
	}
	if client.Ticket != nil && !c.allowed() {
		return refuse(errOtherMethod) // Nothing that the client did, so nothing for its audit.
	}
	if !c.allowed() {
		return kerr.New(errorv1.Error_SCOPE_MISSING, "the client lacks the scope "+c.rule.scope,
			kerr.WithMetadata(kerr.KeyScope, c.rule.scope))
	}
	if c.companions, err = companionsOf(c.md); err != nil {
		return err
	}
	return c.occupy()
}

// allowed tells whether the client may call the method. A ticket is good for one, whatever its client may do.
func (c *call) allowed() bool {
	if c.client.Ticket != nil {
		return "/"+c.rule.service+"/"+c.rule.method == WatchConsents
	}
	return c.rule.scope == "" || c.client.Allows(c.rule.scope)
}

// occupy takes a place for the call. It is free again when all that was begun for the call is over.
func (c *call) occupy() error {
	places, what := &c.guard.calls, "calls"
	if c.rule.stream {
		places, what = &c.guard.streams, "streams"
	}
	release, ok := places.take(c.client, 1)
	if !ok {
		return errBusy(what)
	}
	if c.client.Ticket != nil {
		leave, ok := c.guard.watchers.take(c.client.Ticket)
		if !ok {
			release()
			return errBusy("streams of this consent")
		}
		free := release
		release = func() { leave(); free() }
	}
	c.slot = slot.New(func() {
		c.room.leave()
		release()
	})
	return nil
}

// room is what a call's request takes up. It may still be asked for more while the call ends.
type room struct {
	mu   sync.Mutex
	held []func()
	left bool
}

// keep gives up what give gives, when the call leaves or at once if it has left.
func (r *room) keep(give func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left {
		give()
		return
	}
	r.held = append(r.held, give)
}

func (r *room) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = true
	for _, give := range r.held {
		give()
	}
	r.held = nil
}

// hold makes room for so many bytes of the call's request, for as long as the call has its place.
func (c *call) hold(bytes int64) error {
	give, ok := c.guard.bodies.take(c.client, bytes)
	if !ok {
		return errBusy("bytes of requests")
	}
	c.room.keep(give)
	return nil
}

// HoldCallback makes room for so many bytes of a callback, until release is called. All callbacks together have the
// share of a client: they are no client's.
func (g *Guard) HoldCallback(bytes int64) (release func(), err error) {
	release, ok := g.bodies.take(identity.Identity{ClientID: "callbacks"}, bytes)
	if !ok {
		return nil, errBusy("bytes of callbacks")
	}
	return release, nil
}

// turn waits for the call's turn. It ends when the call is over, or waits for somebody else.
func (c *call) turn() error {
	done, ok := c.guard.calls.turnsOf(c.client).take(c.ctx)
	if !ok {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		return errBusy("calls")
	}
	c.slot.OnWait(done)
	c.room.keep(done)
	return nil
}

// leave gives up the call's place.
func (c *call) leave() {
	if c.slot != nil {
		c.slot.Done()
	}
}

// read reads a request, refuses one that does not fit, and remembers what it is about. A call that answers once then
// waits for its turn to be worked on.
func (c *call) read(request any, decode func(any) error) error {
	if err := c.guard.read(request, decode); err != nil {
		return err
	}
	if !c.rule.stream {
		if err := c.turn(); err != nil {
			return err
		}
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
		reason == errorv1.Error_GATEWAY_RATE_LIMITED, reason == errorv1.Error_TOO_LARGE:
	case service[1] == "write", service[0] == "banking", service[0] == "insights",
		reason == errorv1.Error_SCOPE_MISSING:
		told, _ := kerr.Finish(c.guard.audit(c.ctx, c.rule.method, c.resource, failure), c.requestID)
		return told
	}
	return failure
}

// naming has a failure of unknown outcome name the resource that the request is about, so that the caller knows where
// to look: under "consent", "connection" and so on.
func (c *call) naming(failure error) error {
	if kerr.Reason(failure) != errorv1.Error_OUTCOME_UNKNOWN {
		return failure
	}
	segments := strings.Split(c.resource, "/")
	if len(segments) < 2 {
		return failure
	}
	kind := strings.TrimSuffix(segments[len(segments)-2], "s")
	if kerr.Metadata(failure)[kind] != "" {
		return failure
	}
	return kerr.With(failure, kind, c.resource)
}

// traced ends the call's span.
func (c *call) traced(code codes.Code, reason string) {
	if c.span.IsRecording() {
		c.span.SetAttributes(attribute.String("rpc.response.status_code", code.String()),
			attribute.String("kontor.client", c.client.ClientID))
		if reason != "" {
			c.span.SetAttributes(attribute.String("kontor.reason", reason))
		}
		if serverFault(code) {
			c.span.SetStatus(otelcodes.Error, reason)
		}
	}
	c.span.End()
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
	finished, cause := kerr.Finish(c.inTime(err), c.requestID)
	if cause == nil {
		cause = Refused(err)
	}
	finished = c.record(c.naming(finished))
	code, reason := status.Code(finished), ""
	if finished != nil {
		reason = kerr.Reason(finished).String()
	}
	c.measured.End(code.String(), reason)
	c.log(code, reason, cause)
	c.traced(code, reason)
	if c.client.ClientID == "" {
		forget(c.ctx)
	}
	return finished
}

// deadlineAhead is how long before a caller's deadline a call that is cancelled counts as one whose time was over. The
// caller's clock began before the gateway's, and its library cancels what it gives up.
const deadlineAhead = 50 * time.Millisecond

// inTime tells a call whose deadline passed from one whose caller left: both end the context, and which comes first is
// chance.
func (c *call) inTime(err error) error {
	deadline, ok := c.ctx.Deadline()
	if !ok || time.Until(deadline) > deadlineAhead {
		return err
	}
	if errors.Is(err, context.Canceled) || kerr.Reason(err) == errorv1.Error_CANCELLED {
		return context.DeadlineExceeded
	}
	return err
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

// adopt goes on with a call that a front let in, in the context of the channel.
func (c *call) adopt(ctx context.Context) {
	// One that is not recorded stands there, too: what is done for the call is not recorded then either.
	if c.ctx = ctx; c.span.SpanContext().IsValid() {
		c.ctx = trace.ContextWithSpan(ctx, c.span)
	}
	c.attach()
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
