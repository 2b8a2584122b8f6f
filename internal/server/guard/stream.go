package guard

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kontor.dev/kontor/internal/idle"
)

// stream guards a method whose answer is a stream.
func (g *Guard) stream(r rule, method grpc.StreamHandler) grpc.StreamHandler {
	return func(service any, stream grpc.ServerStream) error {
		defer g.running.add()()
		s := &streaming{}
		idle.Apart(func() { s.begin(g, r, method, service, stream) })
		if s.rest.Left() && !s.ended {
			s.wait()
			idle.Apart(func() { s.end(nil) })
		}
		return s.err
	}
}

// streaming is a stream under way.
type streaming struct {
	call *call
	// leave gives up its place, release what else it holds.
	leave, release func()
	// rest is what its method left to wait for.
	rest  idle.Rest
	err   error
	ended bool
}

// begin lets the stream in and calls its method. The stream ends with that, unless the method left something.
func (s *streaming) begin(g *Guard, r rule, method grpc.StreamHandler, service any, stream grpc.ServerStream) {
	s.err, s.release = errNoReturn, func() {}
	var enter func() error
	s.call, enter, s.leave = g.admitted(stream.Context(), r)
	defer func() {
		if panicked := recover(); panicked != nil || s.err != nil || !s.rest.Left() {
			s.end(panicked)
		}
	}()
	s.call.sendRequestID(stream)
	if err := enter(); err != nil {
		s.err = err
		return
	}
	s.release = s.call.endWithClient()
	s.call.ctx = idle.With(s.call.ctx, &s.rest)
	s.call.md = nil // Nobody asks for it any more, and the stream may wait for long.
	s.err = method(service, &guardedStream{ServerStream: stream, call: s.call})
}

// errNoReturn is the error of a method that neither returned nor panicked, but ended its goroutine.
var errNoReturn = errors.New("guard: the method did not return")

// wait waits for what the method left.
func (s *streaming) wait() {
	defer func() {
		if panicked := recover(); panicked != nil {
			s.end(panicked)
		}
	}()
	s.err = s.rest.Wait()
}

// end ends the stream, once. Panicked is what recover gave.
func (s *streaming) end(panicked any) {
	if s.ended {
		return
	}
	s.ended = true
	defer s.leave()
	if cause := context.Cause(s.call.ctx); errors.Is(cause, errExpired) || errors.Is(cause, errTakenBack) {
		s.err = refuse(cause)
	}
	s.release()
	s.err = s.call.end(panicked, s.err)
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

// guardedStream is a stream whose requests are checked and whose context says who calls.
type guardedStream struct {
	grpc.ServerStream
	call *call
}

// Context implements grpc.ServerStream.
func (s *guardedStream) Context() context.Context { return s.call.ctx }

// SendMsg implements grpc.ServerStream. Of a connection that is gone, with the caller, the transport of gRPC says that
// it is unavailable, which it says of nothing else here, and may say so before the context ends.
func (s *guardedStream) SendMsg(answer any) error {
	err := s.ServerStream.SendMsg(answer)
	if s.call.transport == "grpc" && status.Code(err) == codes.Unavailable {
		return context.Canceled
	}
	return err
}

// RecvMsg implements grpc.ServerStream.
func (s *guardedStream) RecvMsg(request any) error {
	decode := s.ServerStream.RecvMsg
	if s.call.transport == "grpc" {
		decode = func(request any) error { return s.call.receive(s.ServerStream, request) }
	}
	return s.call.read(request, decode)
}
