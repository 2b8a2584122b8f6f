package guard

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/idle"
)

// silent is a stream of which nobody sends anything.
type silent struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream's
}

func (s silent) Context() context.Context  { return s.ctx }
func (silent) SetHeader(metadata.MD) error { return nil }

// TestStreamsThatWait: a method that has returned and left something to wait for is a call under way, with its place,
// until that is over. How it is over is what the caller is told.
func TestStreamsThatWait(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		wait func() error
		want codes.Code
	}{
		"well":       {func() error { return nil }, codes.OK},
		"by failure": {func() error { return context.DeadlineExceeded }, codes.DeadlineExceeded},
		"by panic":   {func() error { panic("in the midst of it") }, codes.Internal},
	} {
		g := newGuarded(t)
		returned, over, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		handler := g.stream(g.rules[WatchConsents], func(_ any, s grpc.ServerStream) error {
			defer close(returned)
			if !idle.Later(s.Context(), func() error { <-over; return c.wait() }) {
				t.Errorf("%s: nobody waits", what)
			}
			return nil
		})
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(keyAuthorization, bearerKey))
		go func() { ended <- handler(nil, silent{ctx: ctx}) }()
		<-returned
		select {
		case err := <-ended:
			t.Fatalf("%s: the call ended with its method: %v", what, err)
		default:
		}
		if held := g.Usage(); held.Streams != 1 || g.running.count.Load() != 1 {
			t.Errorf("%s: while it waits it has no place: %+v", what, held)
		}
		close(over)
		if err := <-ended; status.Code(err) != c.want {
			t.Errorf("%s: the call ended with %v, want %v", what, err, c.want)
		}
		if held := g.Usage(); held.Streams != 0 || g.running.count.Load() != 0 {
			t.Errorf("%s: its place is kept: %+v", what, held)
		}
	}
}

// TestStreamsThatDoNotWait: what a method left is not waited for when the method failed; and one that neither returned
// nor panicked has failed.
func TestStreamsThatDoNotWait(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	call := func(method func(ctx context.Context) error) error {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(keyAuthorization, bearerKey))
		return g.stream(g.rules[consentv1.ConsentService_WatchConsents_FullMethodName],
			func(_ any, s grpc.ServerStream) error { return method(s.Context()) })(nil, silent{ctx: ctx})
	}
	forever := func() error { t.Error("it is waited for"); return nil }
	if err := call(func(ctx context.Context) error {
		idle.Later(ctx, forever)
		return errors.New("failed")
	}); status.Code(err) != codes.Internal {
		t.Errorf("failed: %v", err)
	}
	if err := call(func(ctx context.Context) error {
		idle.Later(ctx, forever)
		panic("failed")
	}); status.Code(err) != codes.Internal {
		t.Errorf("panicked: %v", err)
	}
	if err := call(func(context.Context) error {
		runtime.Goexit()
		return nil
	}); status.Code(err) != codes.Internal {
		t.Errorf("ended its goroutine: %v", err)
	}
	if held := g.Usage(); held.Streams != 0 {
		t.Errorf("places are kept: %+v", held)
	}
}

// TestPanicAtAStreamsEnd: what panics while a stream ends reaches who called its handler, and the place is free.
func TestPanicAtAStreamsEnd(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.audit = func(context.Context, string, string, error) error { panic("in the audit") }
	r := g.rules[WatchConsents]
	r.scope = "documents.write"
	handler := g.stream(r, func(any, grpc.ServerStream) error { return context.DeadlineExceeded })
	defer func() {
		if recover() == nil {
			t.Error("the panic is lost")
		}
		if held := g.Usage(); held.Streams != 0 || g.running.count.Load() != 0 {
			t.Errorf("its place is kept: %+v", held)
		}
	}()
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(keyAuthorization, bearerKey))
	_ = handler(nil, silent{ctx: ctx})
}

// counting counts who waits for the end of what clients authenticated with.
type counting struct {
	Authenticator

	waiting *int
}

func (c counting) Authenticate(ctx context.Context, authorization []string) (identity.Identity, error) {
	id, err := c.Authenticator.Authenticate(ctx, authorization)
	id.OnEnd = func(func()) (stop func() bool) {
		*c.waiting++
		return func() bool { *c.waiting--; return true }
	}
	return id, err
}

// TestStreamsLeaveTheirKeys: nothing of a stream that has ended is kept with its client's key, or with a timer.
func TestStreamsLeaveTheirKeys(t *testing.T) {
	t.Parallel()
	for _, waits := range []bool{false, true} {
		g, waiting := newGuarded(t), 0
		g.Guard.authenticator = counting{g.Guard.authenticator, &waiting}
		var seen context.Context
		handler := g.stream(g.rules[WatchConsents], func(_ any, s grpc.ServerStream) error {
			if seen = s.Context(); waiting != 1 {
				t.Errorf("%d wait for the end of the key", waiting)
			}
			if waits {
				idle.Later(seen, func() error { return nil })
			}
			return nil
		})
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(keyAuthorization, bearerKey))
		if err := handler(nil, silent{ctx: ctx}); err != nil {
			t.Error(err)
		}
		if waiting != 0 || seen.Err() == nil {
			t.Errorf("waits %t: after its end %d wait for that of its key, and its context ended with %v",
				waits, waiting, seen.Err())
		}
	}
}
