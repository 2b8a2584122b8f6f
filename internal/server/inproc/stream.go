package inproc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// buffered is how many messages of a stream may wait to be read. Beyond that the handler waits in Send.
const buffered = 8

// pipe is what the two ends of a stream share.
type pipe struct {
	headers *headers
	// answers is closed at the end of the handler. What stands below is set before that.
	answers  chan any // proto.Message, or *broadcast.Message
	err      error    // nil for a good end
	panicked any      // what the handler panicked with
}

// clientStream is the caller's end.
type clientStream struct {
	ctx     context.Context
	channel *Channel
	method  method
	want    wanted

	*pipe
	started atomic.Bool

	mu     sync.Mutex
	peeked any   // the first message, once Header waited for it
	end    error // what receiving gives from now on; nil while there may be more
}

func newClientStream(ctx context.Context, c *Channel, m method, name string, want wanted) *clientStream {
	return &clientStream{
		ctx: ctx, channel: c, method: m, want: want,
		pipe: &pipe{headers: &headers{method: name}, answers: make(chan any, buffered)},
	}
}

var errOneRequest = status.Error(codes.Internal, "inproc: a stream has one request, sent before anything is received")

// SendMsg implements grpc.ClientStream. The call begins here, with the only request that it has.
func (s *clientStream) SendMsg(m any) error {
	request, err := message(m)
	if err != nil {
		return err
	}
	if s.started.Swap(true) {
		return errOneRequest
	}
	if s.ctx.Err() != nil {
		return gone(s.ctx)
	}
	ctx, cancel := handlerContext(s.ctx, s.headers)
	s.channel.begun(s.ctx, true)
	go s.run(s.method, &serverStream{pipe: s.pipe, ctx: ctx, request: proto.Clone(request)}, cancel)
	return nil
}

// run calls the handler.
func (p *pipe) run(m method, stream *serverStream, cancel context.CancelFunc) {
	returned := false
	defer func() {
		// A handler that neither returned nor panicked has ended its goroutine.
		if p.panicked = recover(); p.panicked == nil && !returned {
			p.err = status.Error(codes.Internal, "inproc: the handler did not return")
		}
		cancel()
		p.headers.end()
		close(p.answers)
	}()
	if err := m.stream(m.service, stream); err != nil {
		p.err = crossing(err)
	}
	returned = true
}

// CloseSend implements grpc.ClientStream. There is no more than one request anyway.
func (s *clientStream) CloseSend() error { return nil }

// Context implements grpc.ClientStream.
func (s *clientStream) Context() context.Context { return s.ctx }

// Header implements grpc.ClientStream. It waits for the first message: when the call ends with an error before that, it
// gives the error, so that a front which asks for headers first can answer with an ordinary error.
func (s *clientStream) Header() (metadata.MD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peeked == nil && s.end == nil {
		s.peeked, s.end = s.next()
	}
	if s.peeked == nil && !errors.Is(s.end, io.EOF) {
		return nil, s.end
	}
	header, _ := s.headers.now()
	return header, nil
}

// Trailer implements grpc.ClientStream.
func (s *clientStream) Trailer() metadata.MD {
	_, trailer := s.headers.now()
	return trailer
}

// RecvMsg implements grpc.ClientStream.
func (s *clientStream) RecvMsg(m any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := s.peeked
	if s.peeked = nil; answer == nil {
		if s.end == nil {
			answer, s.end = s.next()
		}
		if s.end != nil {
			return s.end
		}
	}
	return receive(s.ctx, m, answer)
}

// next waits for the next message. Without one it gives the error with which the call ended, io.EOF for a good end.
func (s *clientStream) next() (any, error) {
	switch {
	case s.ctx.Err() != nil:
		return nil, gone(s.ctx)
	case !s.started.Load():
		return nil, errOneRequest
	}
	select {
	case answer, ok := <-s.answers:
		if ok {
			return answer, nil
		}
	case <-s.ctx.Done():
		return nil, gone(s.ctx)
	}
	s.want.take(s.headers)
	if s.panicked != nil {
		panic(s.panicked)
	}
	if s.err != nil {
		return nil, s.err
	}
	return nil, io.EOF
}

// serverStream is the handler's end.
type serverStream struct {
	*pipe
	ctx     context.Context
	request proto.Message // nil once it was received
}

// Context implements grpc.ServerStream.
func (s *serverStream) Context() context.Context { return s.ctx }

// SetHeader implements grpc.ServerStream.
func (s *serverStream) SetHeader(md metadata.MD) error { return s.headers.SetHeader(md) }

// SendHeader implements grpc.ServerStream.
func (s *serverStream) SendHeader(md metadata.MD) error { return s.headers.SendHeader(md) }

// SetTrailer implements grpc.ServerStream.
func (s *serverStream) SetTrailer(md metadata.MD) { _ = s.headers.SetTrailer(md) } // fails only once the call has ended

// RecvMsg implements grpc.ServerStream.
func (s *serverStream) RecvMsg(m any) error {
	if s.request == nil {
		return io.EOF
	}
	request := s.request
	s.request = nil
	return move(m, request)
}

// SendMsg implements grpc.ServerStream. The error of a caller who is gone is that of the context.
func (s *serverStream) SendMsg(m any) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	answer, err := crossed(m)
	if err != nil {
		return err
	}
	s.headers.send()
	select {
	case s.answers <- answer:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

var (
	_ grpc.ClientStream = (*clientStream)(nil)
	_ grpc.ServerStream = (*serverStream)(nil)
)
