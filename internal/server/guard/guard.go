package guard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server/origin"
	"kontor.dev/kontor/internal/telemetry"
)

// Options are what a guard is made of.
type Options struct {
	// Services are the services that it stands before.
	Services []api.Implementation
	// Authenticator finds out who calls; see NewKeys.
	Authenticator Authenticator
	// Limits bound what callers can use up.
	Limits config.Limits
	// Proxies are whose word on where a gRPC call came from is taken. HTTP's is in the context that Admit gets.
	Proxies origin.Proxies
	// Telemetry records what happens.
	Telemetry *telemetry.Telemetry
	// Audit notes a change, a read of bank data, or a call without the scope for it, that was refused or failed.
	// Resource is the name that the caller gave, which may be none of Kontor's. It gives what the caller is told: the
	// failure, or another one when that could not be noted. May be nil.
	Audit func(ctx context.Context, method, resource string, failure error) error
}

// Guard stands before every method of the API. It wraps service descriptions instead of being an interceptor, since
// interceptors come too late for one thing: a request is read only after its sender was let in.
type Guard struct {
	services      []api.Implementation
	rules         map[string]rule
	authenticator Authenticator
	quotas        quotas
	calls         slots
	streams       slots
	timeout       time.Duration
	validation    *validation
	telemetry     *telemetry.Telemetry
	clock         func() time.Time
	proxies       origin.Proxies
	strangers     *Sampler
	audit         func(ctx context.Context, method, resource string, failure error) error
	// running counts calls under way, so that a stop can wait for them.
	running tally
}

// New makes a guard. A method that gives no rule is an error: nothing is served by default.
func New(o Options) (*Guard, error) {
	rules, requests, err := newRules(o.Services)
	if err != nil {
		return nil, err
	}
	validation, err := newValidation(requests)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		o.Telemetry.RPC.Expect(r.service, r.method)
	}
	return &Guard{
		services: o.Services, rules: rules, authenticator: o.Authenticator, validation: validation,
		telemetry: o.Telemetry, clock: time.Now, timeout: o.Limits.Timeout, audit: o.Audit,
		quotas:  quotas{perSecond: rate.Limit(o.Limits.RequestsPerSecond), burst: o.Limits.Burst},
		proxies: o.Proxies, strangers: newSampler(o.Telemetry.Logger),
		calls:   slots{max: int64(o.Limits.MaxInFlight)},
		streams: slots{max: int64(o.Limits.MaxStreams)},
	}, nil
}

// Register gives a server, or a channel, the services with every method guarded.
func (g *Guard) Register(to grpc.ServiceRegistrar) {
	for _, s := range g.services {
		to.RegisterService(g.wrap(s.Desc), s.Server)
	}
}

// Strangers bounds the log's lines about requests whose sender nobody knows.
func (g *Guard) Strangers() *Sampler { return g.strangers }

// Wait returns once no call is under way.
func (g *Guard) Wait() { g.running.wait() }

// wrap gives a service's description with every method guarded.
func (g *Guard) wrap(service *grpc.ServiceDesc) *grpc.ServiceDesc {
	wrapped := *service
	wrapped.Methods, wrapped.Streams = slices.Clone(service.Methods), slices.Clone(service.Streams)
	for i := range wrapped.Methods {
		m := &wrapped.Methods[i]
		m.Handler = g.unary(g.rules["/"+service.ServiceName+"/"+m.MethodName], m.Handler)
	}
	for i := range wrapped.Streams {
		s := &wrapped.Streams[i]
		s.Handler = g.stream(g.rules["/"+service.ServiceName+"/"+s.StreamName], s.Handler)
	}
	return &wrapped
}

func (g *Guard) unary(r rule, method grpc.MethodHandler) grpc.MethodHandler {
	return func(
		service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
	) (reply any, err error) {
		defer g.running.add()()
		c := g.begin(ctx, r)
		defer func() {
			if err = c.end(recover(), err); err != nil {
				reply = nil
			}
		}()
		if c.transport == "grpc" {
			_ = grpc.SetHeader(ctx, metadata.Pairs(keyRequestID, c.requestID)) // fails only once headers are sent
		}
		if err := c.admit(); err != nil {
			return nil, err
		}
		release, err := g.calls.take()
		if err != nil {
			return nil, err
		}
		defer release()
		if _, ok := c.ctx.Deadline(); !ok && g.timeout > 0 {
			var cancel context.CancelFunc
			c.ctx, cancel = context.WithTimeout(c.ctx, g.timeout)
			defer cancel()
		}
		return method(service, c.ctx, func(request any) error { return c.read(request, decode) }, nil)
	}
}

func (g *Guard) stream(r rule, method grpc.StreamHandler) grpc.StreamHandler {
	return func(service any, stream grpc.ServerStream) (err error) {
		defer g.running.add()()
		c := g.begin(stream.Context(), r)
		defer func() { err = c.end(recover(), err) }()
		if c.transport == "grpc" {
			_ = stream.SetHeader(metadata.Pairs(keyRequestID, c.requestID)) // fails only once headers are sent
		}
		if err := c.admit(); err != nil {
			return err
		}
		release, err := g.streams.take()
		if err != nil {
			return err
		}
		defer release()
		defer c.endWithClient()()
		err = method(service, &guardedStream{ServerStream: stream, call: c})
		if cause := context.Cause(c.ctx); errors.Is(cause, errExpired) || errors.Is(cause, errTakenBack) {
			return refuse(cause)
		}
		return err
	}
}

// Why streams end before their callers want them to.
var (
	errExpired   = errors.New("what the caller authenticated with has expired")
	errTakenBack = errors.New("the configuration no longer has the caller's key, or fewer rights for it")
)

// endWithClient ends a stream with what its caller authenticated with. It returns what is to be done when the stream
// ends before.
func (c *call) endWithClient() (release func()) {
	ctx, cancel := context.WithCancelCause(c.ctx)
	release = func() { cancel(nil) }
	if c.client.OnEnd != nil {
		stop := c.client.OnEnd(func() { cancel(errTakenBack) })
		release = func() { stop(); cancel(nil) }
	}
	if expires := c.client.Expires; !expires.IsZero() {
		var over context.CancelFunc
		ctx, over = context.WithDeadlineCause(ctx, expires, errExpired)
		before := release
		release = func() { over(); before() }
	}
	c.ctx = ctx
	return release
}

// Unknown answers a method that is not in the API.
func (g *Guard) Unknown(_ any, stream grpc.ServerStream) error {
	c := g.begin(stream.Context(), rule{service: "unknown", method: "unknown", stream: true})
	_ = stream.SetHeader(metadata.Pairs(keyRequestID, c.requestID)) // fails only once headers are sent
	return c.end(nil, kerr.New(errorv1.Error_ROUTE_NOT_FOUND, "there is no such method",
		kerr.WithCode(codes.Unimplemented)))
}

// read reads a request and refuses one that does not fit.
func (g *Guard) read(request any, decode func(any) error) error {
	if err := decode(request); err != nil {
		return err
	}
	message, ok := request.(proto.Message)
	if !ok {
		return errors.New("the request is no message")
	}
	return g.validation.check(message)
}

// tally counts what is under way. Unlike a sync.WaitGroup it may be added to while somebody waits.
type tally struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // closed when count is zero; nil when nobody waits
}

// add counts one more, until done is called.
func (t *tally) add() (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.count--; t.count == 0 && t.idle != nil {
			close(t.idle)
			t.idle = nil
		}
	}
}

// wait returns once nothing is under way.
func (t *tally) wait() {
	t.mu.Lock()
	if t.count == 0 {
		t.mu.Unlock()
		return
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	<-idle
}

// guardedStream is a stream whose requests are checked and whose context says who calls.
type guardedStream struct {
	grpc.ServerStream
	call *call
}

// Context implements grpc.ServerStream.
func (s *guardedStream) Context() context.Context { return s.call.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *guardedStream) RecvMsg(request any) error {
	return s.call.read(request, s.ServerStream.RecvMsg)
}
