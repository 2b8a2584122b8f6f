package guard

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
)

// careless is a stream of a library that takes an answer and never gives it back.
type careless struct {
	grpc.ServerStream
	ctx    context.Context //nolint:containedctx // a stream's
	taking func()
	taken  mem.BufferSlice
}

func (s *careless) Context() context.Context  { return s.ctx }
func (*careless) SetHeader(metadata.MD) error { return nil }
func (s *careless) SendMsg(answer any) error {
	s.taken = answer.(mem.BufferSlice) //nolint:forcetypeassert // the guard packs answers
	s.taking()
	return nil
}

// TestAnswersThatTheLibraryForgets: an answer counts until it is given back, its stream is reset before the library
// has it, or its connection is over; once, whatever comes together.
func TestAnswersThatTheLibraryForgets(t *testing.T) {
	t.Parallel()
	const large = 5000
	g := newGuarded(t)
	answer := func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
		return &consentv1.Consent{Reference: optional.Of(strings.Repeat("r", large))}, nil
	}
	handler := g.single(g.rules[consentv1.ConsentService_GetConsent_FullMethodName], answer)
	connections := g.Connections()
	// called has a call answered over a connection, and gives what ends that and what the library has.
	called := func(taking func(connection context.Context, reset func())) (end func(), taken mem.BufferSlice) {
		t.Helper()
		connection := connections.TagConn(t.Context(), nil)
		ctx, cancel := context.WithCancel(metadata.NewIncomingContext(connection,
			metadata.Pairs(keyAuthorization, bearerKey)))
		t.Cleanup(cancel)
		s := &careless{ctx: ctx, taking: func() { taking(connection, cancel) }}
		if err := handler(nil, s); err != nil {
			t.Fatal(err)
		}
		return func() { connections.HandleConn(connection, &stats.ConnEnd{}) }, s.taken
	}
	holds := func(when string, want bool) {
		t.Helper()
		if held := g.Usage().Bodies; (held >= large) != want || !want && held != 0 {
			t.Errorf("%s the client holds %d bytes", when, held)
		}
	}
	end, taken := called(func(context.Context, func()) {})
	holds("while the answer waits", true)
	taken.Free()
	holds("once it is written", false)
	end()
	holds("with the connection's end after that", false)

	end, taken = called(func(context.Context, func()) {})
	end()
	holds("without its connection", false)
	taken.Free()
	holds("when the library gives it back after all", false)

	end, _ = called(func(_ context.Context, reset func()) { reset() })
	holds("when its stream was reset before", false)
	end()
	holds("with the connection of that", false)

	called(func(connection context.Context, _ func()) { connections.HandleConn(connection, &stats.ConnEnd{}) })
	holds("when the connection ended in between", false)

	late := connections.TagConn(t.Context(), nil)
	connections.HandleConn(late, &stats.ConnEnd{})
	given := 0
	release := late.Value(unreadKey{}).(*unread).add(func() { given++ }) //nolint:forcetypeassert // TagConn put it there
	if given != 1 {
		t.Errorf("what comes after the end is given up %d times", given)
	}
	if release(); given != 1 {
		t.Errorf("and then once more")
	}
}
