package server

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
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/telemetry"
)

// guard stands before every method of the API, whatever the call came through. It wraps service descriptions instead of being an
// interceptor, since interceptors come too late for one thing: a request is read only after its sender was let in.
type guard struct {
	rules         map[string]rule
	authenticator Authenticator
	quotas        quotas
	calls         slots
	streams       slots
	timeout       time.Duration
	checker       *checker
	telemetry     *telemetry.Telemetry
	clock         func() time.Time
	// audit notes a call that was refused or failed; see Options.
	audit func(ctx context.Context, method, resource string, failure error)
	// running counts calls under way, so that a stop can wait for them.
	running tally
}

func newGuard(authenticator Authenticator, limits config.Limits, t *telemetry.Telemetry, services []*grpc.ServiceDesc) (*guard, error) {
	rules, err := newRules(services...)
	if err != nil {
		return nil, err
	}
	requests, err := requestsOf(rules)
	if err != nil {
		return nil, err
	}
	checker, err := newChecker(requests)
	if err != nil {
		return nil, err
	}
	return &guard{
		rules: rules, authenticator: authenticator, checker: checker, telemetry: t, clock: time.Now, timeout: limits.Timeout,
		quotas:  quotas{perSecond: rate.Limit(limits.RequestsPerSecond), burst: limits.Burst},
		calls:   slots{max: int64(limits.MaxInFlight)},
		streams: slots{max: int64(limits.MaxStreams)},
	}, nil
}

// wrap gives a service's description with every method guarded.
func (g *guard) wrap(service *grpc.ServiceDesc) *grpc.ServiceDesc {
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

func (g *guard) unary(r rule, method grpc.MethodHandler) grpc.MethodHandler {
	return func(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (reply any, err error) {
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

func (g *guard) stream(r rule, method grpc.StreamHandler) grpc.StreamHandler {
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
		if expires := c.client.Expires; !expires.IsZero() {
			var cancel context.CancelFunc
			c.ctx, cancel = context.WithDeadlineCause(c.ctx, expires, errExpired)
			defer cancel()
		}
		err = method(service, &guardedStream{ServerStream: stream, call: c})
		if errors.Is(context.Cause(c.ctx), errExpired) {
			return errUnauthenticated()
		}
		return err
	}
}

// errExpired ends the streams of a caller whose token ends.
var errExpired = errors.New("the caller's token expired")

// unknown answers a method that is not in the API.
func (g *guard) unknown(_ any, stream grpc.ServerStream) error {
	c := g.begin(stream.Context(), rule{service: "unknown", method: "unknown", stream: true})
	_ = stream.SetHeader(metadata.Pairs(keyRequestID, c.requestID)) // fails only once headers are sent
	return c.end(nil, kerr.New(errorv1.Error_ROUTE_NOT_FOUND, "there is no such method", kerr.WithCode(codes.Unimplemented)))
}

// read reads a request and refuses one that does not fit.
func (g *guard) read(request any, decode func(any) error) error {
	if err := decode(request); err != nil {
		return err
	}
	message, ok := request.(proto.Message)
	if !ok {
		return errors.New("the request is no message")
	}
	return g.checker.check(message)
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
