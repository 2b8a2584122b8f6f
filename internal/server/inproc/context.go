package inproc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// callerKey is the key of the caller's context. No other package can name it.
type callerKey struct{}

// isolated is a caller's context without its values: deadline and cancellation pass, whatever else the caller carries
// does not.
type isolated struct{ context.Context }

// Value implements context.Context.
func (c isolated) Value(key any) any {
	if _, ok := key.(callerKey); ok {
		return c.Context
	}
	return nil
}

// AfterFunc lets package context hear of the caller's end. Without it, it would start a goroutine for each call to wait
// for that: it finds no context of its own behind a Value that gives nothing.
func (c isolated) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(c.Context, f) }

// Caller gives the context with which a call was made, nil for a call that did not come through a Channel.
func Caller(ctx context.Context) context.Context {
	caller, _ := ctx.Value(callerKey{}).(context.Context)
	return caller
}

// handlerContext makes the context of a handler. It ends with the caller's, or with cancel.
func handlerContext(
	caller context.Context, transport grpc.ServerTransportStream,
) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(isolated{caller})
	if md, ok := metadata.FromOutgoingContext(caller); ok { // a copy
		ctx = metadata.NewIncomingContext(ctx, md)
	}
	return grpc.NewContextWithServerTransportStream(ctx, transport), cancel
}
